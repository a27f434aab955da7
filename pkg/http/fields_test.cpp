#include <string>

#include <gtest/gtest.h>

#include "http/head.h"

namespace weir::http {
namespace {

using namespace std::string_view_literals;

TEST(Authority, accepts_hosts_with_and_without_a_port) {
  for (const auto text : {"gw.test", "gw.test:80", "GW.test:65535", "127.0.0.1:8000", "[::1]", "[::ffff:1.2.3.4]:443",
                          "a_b~c", "x!$&'()*+,;=y", "a%2Eb", "host."})
    EXPECT_TRUE(is_authority(text)) << text;
}

TEST(Authority, refuses_all_else) {
  for (const auto text : {""sv,        ":80"sv,      "a:"sv,      "a:b"sv,
                          "a:65536"sv, "a:000080"sv, "a:80:81"sv, "a b"sv,
                          "a/b"sv,     "u@h"sv,      "a%2"sv,     "a%2x"sv,
                          "a%"sv,      "[::1"sv,     "[::1]x"sv,  "[::1]:"sv,
                          "[]"sv,      "[::g]"sv,    "::1"sv,     "[fe80::1%25eth0]"sv,
                          "a?b"sv,     "[v1.x]"sv,   "a\0b"sv,    "[::1\0]"sv,
                          "a\x80"sv,   "a#b"sv,      "a\"b"sv,    "[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17]"sv})
    EXPECT_FALSE(is_authority(text)) << text;
}

TEST(Fields, tells_names_apart_in_any_case) {
  EXPECT_EQ(name_of("HOST"), Name::host);
  EXPECT_EQ(name_of("tE"), Name::te);
  EXPECT_EQ(name_of("via"), Name::via);
  EXPECT_EQ(name_of("Transfer-encoding"), Name::transfer_encoding);
  EXPECT_EQ(name_of("Transfer_Encoding"), Name::other);
  EXPECT_EQ(name_of("X-Forwarded-Prefix"), Name::x_forwarded_prefix);
  EXPECT_EQ(name_of("x-forwarded-host"), Name::x_forwarded_host);
  EXPECT_EQ(name_of("x-forwarded-path"), Name::x_forwarded_path);
  EXPECT_EQ(name_of("x-forwarded-port"), Name::x_forwarded_port);
  EXPECT_EQ(name_of("Proxy-Connection"), Name::proxy_connection);
  EXPECT_EQ(name_of("Kong-Debug"), Name::kong_debug);
  EXPECT_EQ(name_of("Hosts"), Name::other);
  EXPECT_EQ(name_of("X-Kong-Request-Ie"), Name::other);
}

TEST(Fields, checks_tokens_and_values) {
  EXPECT_TRUE(is_token("X-y_1!"));
  for (const auto text : {""sv, "a b"sv, "a:"sv, "a\x80"sv, "\0"sv}) EXPECT_FALSE(is_token(text));
  EXPECT_TRUE(is_field_value(""));
  EXPECT_TRUE(is_field_value("a\tb \xff"));
  for (const auto text : {"\r"sv, "a\n"sv, "\0"sv, "0123456789abcdefghij\x7f"sv, "0123456789abcde\x01"sv})
    EXPECT_FALSE(is_field_value(text));
}

TEST(Fields, finds_an_element_of_a_list) {
  EXPECT_TRUE(list_holds("a, Trailers ,b", "trailers"));
  EXPECT_TRUE(list_holds("trailers", "trailers"));
  EXPECT_FALSE(list_holds("trailers;q=1", "trailers"));
  EXPECT_FALSE(list_holds("xtrailers, trailers x", "trailers"));
  EXPECT_FALSE(list_holds("", "trailers"));
}

}  // namespace
}  // namespace weir::http
