#include <string>

#include <gtest/gtest.h>

#include "http/print.h"

namespace weir::http {
namespace {

TEST(Print, prints_numbers) {
  const auto decimal = [](std::uint64_t n) {
    char out[20];
    return std::string(out, put_decimal(out, n));
  };
  const auto hex = [](std::uint64_t n) {
    char out[16];
    return std::string(out, put_hex(out, n));
  };
  for (const std::uint64_t n : {0ULL, 9ULL, 10ULL, 1234567890ULL, ~0ULL}) EXPECT_EQ(decimal(n), std::to_string(n));
  EXPECT_EQ(hex(0), "0");
  EXPECT_EQ(hex(0x1f), "1f");
  EXPECT_EQ(hex(~0ULL), "ffffffffffffffff");
}

TEST(Print, copies_the_lines_that_are_kept) {
  static const std::string lines = "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n";
  // Bit i: field i is dropped.
  for (int dropped = 0; dropped < 16; dropped++) {
    Head head;
    std::string expected;
    for (head.count = 0; head.count < 4; head.count++) {
      auto& field = head.field[head.count];
      field.line = std::string_view(lines).substr(head.count * 6, 6);
      field.drop = (dropped >> head.count & 1) != 0;
      if (!field.drop) expected += field.line;
    }
    char out[24];
    EXPECT_EQ(std::string(out, put_kept(out, head)), expected);
  }
}

TEST(Print, prints_the_date_anew_when_the_second_changed) {
  DateCache cache;
  EXPECT_EQ(cache.text(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  const char* const where = cache.text(784111777).data();
  EXPECT_EQ(cache.text(784111778), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(cache.text(784111778).data(), where);
  EXPECT_EQ(cache.text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(cache.text(4102444799), "Thu, 31 Dec 2099 23:59:59 GMT");
}

TEST(Print, knows_the_phrases) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(502), "Bad Gateway");
  EXPECT_EQ(reason_phrase(299), "Unknown");
}

}  // namespace
}  // namespace weir::http
