#include <string>

#include <gtest/gtest.h>

#include "http/uri.h"

namespace weir::http {
namespace {

using namespace std::string_view_literals;

struct Row {
  std::string_view path, normal;
};

TEST(NormalisePath, follows_kong) {
  static constexpr Row rows[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"*", "*"},
      // escapes: unreserved and other characters are decoded, reserved ones kept in upper case
      {"/%64enied", "/denied"},
      {"/%7e%5f%2D", "/~_-"},
      {"/%20%22%3c%3E%5c%5e%60%7b%7c%7d", "/ \"<>\\^`{|}"},
      {"/%c3%bc", "/\xc3\xbc"},
      {"/a%2fb", "/a%2Fb"},
      {"/a%2Fb", "/a%2Fb"},
      {"/%3a%3F%23%5b%5D%40%21%24%26%27%28%29%2a%2b%2C%3b%3D", "/%3A%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D"},
      {"/%252e%252E/", "/%252e%252E/"},
      // dot segments
      {"/a/../denied", "/denied"},
      {"/a/%2e%2e/denied", "/denied"},
      {"/a/%2E./denied", "/denied"},
      {"/a/.%2e/denied", "/denied"},
      {"/./a/./b/.", "/a/b/"},
      {"/a/b/..", "/a/"},
      {"/..", "/"},
      {"/.", "/"},
      {"/../../a", "/a"},
      {"/a/b/c/../../d", "/a/d"},
      {"/a/..%2fb", "/a/..%2Fb"},
      {"/a/.../b", "/a/.../b"},
      {"/.well-known/x", "/.well-known/x"},
      {"/..a/b..", "/..a/b.."},
      // slashes
      {"//", "/"},
      {"///a////b//", "/a/b/"},
      {"/a//../b", "/b"},
      {"/a/.//b", "/a/b"},
      {"/a//./..//b", "/b"},
      // long enough for the vector search
      {"/0123456789/0123456789/0123456789/x%2f", "/0123456789/0123456789/0123456789/x%2F"},
      {"/0123456789abcde//x", "/0123456789abcde/x"},
      {"/0123456789abcdef//x", "/0123456789abcdef/x"},
      {"/0123456789abcd/../x", "/x"},
      {"/0123456789/0123456789/0123456789/..", "/0123456789/0123456789/"},
  };
  std::string scratch, again;
  std::string_view normal, same;
  for (const auto& row : rows) {
    ASSERT_TRUE(normalise_path(row.path, scratch, normal)) << row.path;
    EXPECT_EQ(normal, row.normal) << row.path;
    ASSERT_TRUE(normalise_path(normal, again, same)) << row.path;
    EXPECT_EQ(same.data(), normal.data()) << row.path << ": a normal path is not copied";
  }
}

TEST(NormalisePath, does_not_copy_a_normal_path) {
  for (const auto path : {"/"sv, "/a/b/c"sv, "/.well-known/acme"sv, "/a%2Fb"sv, "/a b\xff"sv, "/a/..."sv}) {
    std::string scratch = "untouched";
    std::string_view normal;
    ASSERT_TRUE(normalise_path(path, scratch, normal));
    EXPECT_EQ(normal.data(), path.data()) << path;
    EXPECT_EQ(scratch, "untouched");
  }
}

TEST(NormalisePath, refuses_broken_escapes_and_control_characters) {
  for (const auto path : {"/%00"sv, "/%0a"sv, "/%1F"sv, "/%7f"sv, "/%"sv, "/%2"sv, "/%zz"sv, "/%2g"sv, "/%-1"sv,
                          "/a\nb"sv, "/\0"sv, "/\x7f"sv, "a"sv, ""sv, "../a"sv, "/%2f%"sv, "/a/%u002e"sv}) {
    std::string scratch;
    std::string_view normal;
    EXPECT_FALSE(normalise_path(path, scratch, normal)) << path;
  }
}

TEST(EscapePath, escapes_what_a_target_must_not_hold) {
  static constexpr Row rows[] = {
      {"/a/b", "/a/b"},
      {"/a b\xc3\xbc", "/a%20b%C3%BC"},
      {"/a%2Fb", "/a%2Fb"},
      {"/100%", "/100%25"},
      {"/%zz", "/%25zz"},
      {"/a?b#c", "/a%3Fb%23c"},
      {"/\"<>\\^`{|}", "/%22%3C%3E%5C%5E%60%7B%7C%7D"},
      {"/-._~!$&'()*+,;=:@[]", "/-._~!$&'()*+,;=:@[]"},
      {"/\r\n", "/%0D%0A"},
  };
  for (const auto& row : rows) {
    std::string out = "x";
    escape_path(row.path, out);
    EXPECT_EQ(out.substr(1), row.normal) << row.path;
  }
}

}  // namespace
}  // namespace weir::http
