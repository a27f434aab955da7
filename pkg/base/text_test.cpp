#include "base/text.h"

#include <gtest/gtest.h>

using namespace weir::text;

TEST(SplitHostPort, reads_names_addresses_and_ports) {
  struct Row {
    const char* text;
    const char* host;
    int port;
  };
  for (const auto& row :
       {Row{"example.test:8080", "example.test", 8080}, Row{"example.test", "example.test", 0},
        Row{"[::1]:80", "::1", 80}, Row{"[::1]", "::1", 0}, Row{"::1", "::1", 0}, Row{"h:0", "h", 0}}) {
    const auto read = split_host_port(row.text);
    ASSERT_TRUE(read) << row.text;
    EXPECT_EQ(read->host, row.host);
    EXPECT_EQ(read->port, row.port);
  }
}

TEST(SplitHostPort, refuses_malformed_text) {
  for (const auto* bad : {"", ":80", "h:", "h:65536", "h:8x", "h:-1", "[]:80", "[::1:80", "[::1]x", "[::1]:"})
    EXPECT_FALSE(split_host_port(bad)) << bad;
}

TEST(Text, splits_and_trims_lists) {
  const auto parts = split(" a, b ,,c ");
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[1], "b");
  EXPECT_TRUE(split("  ").empty());
}

TEST(Text, tells_addresses_from_names) {
  EXPECT_TRUE(is_ip("127.0.0.1"));
  EXPECT_TRUE(is_ip("::1"));
  EXPECT_FALSE(is_ip("127.0.0.1:80"));
  EXPECT_FALSE(is_ip("localhost"));
  EXPECT_FALSE(is_ip("[::1]"));
}
