#include "model/formats.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace weir::model {
namespace {

struct Case {
  std::string_view text, wrong;  // wrong: empty when the text is fine
};

void hold(Wrong (*check)(std::string_view), std::initializer_list<Case> cases) {
  for (const auto& c : cases) {
    const auto wrong = check(c.text);
    EXPECT_EQ(wrong.value_or(""), c.wrong) << c.text;
  }
}

TEST(Formats, knows_utf8_from_other_bytes) {
  for (const std::string_view fine : {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf"})
    EXPECT_TRUE(is_text(fine)) << shown(fine);
  for (const std::string_view bad :
       {std::string_view("a\0b", 3), std::string_view("\xff"), std::string_view("\xc0\x80"),
        std::string_view("\xed\xa0\x80"), std::string_view("\xe2\x82"), std::string_view("\xf4\x90\x80\x80"),
        std::string_view("\xe0\x80\x80"), std::string_view("\x80"), std::string_view("\xf0\x80\x80\x80")})
    EXPECT_FALSE(is_text(bad)) << shown(bad);
}

TEST(Formats, shows_hostile_values_harmlessly) {
  EXPECT_EQ(shown("abc"), "abc");
  EXPECT_EQ(shown("a\xff"), "a\uFFFD");
  EXPECT_TRUE(is_text(shown(std::string(10000, '\xf0'))));
  EXPECT_LT(shown(std::string(10000, 'x')).size(), 300u);
}

TEST(Formats, reads_addresses_as_kong_does) {
  struct {
    std::string_view text, normal;
  } const targets[] = {
      {"h", "h:8000"},
      {"h:80", "h:80"},
      {"h:080", "h:80"},
      {"example.com.", "example.com.:8000"},
      {"10.1.2.3", "10.1.2.3:8000"},
      {"127.000.000.001:1", "127.0.0.1:1"},
      {"::1", "[0000:0000:0000:0000:0000:0000:0000:0001]:8000"},
      {"[::1]:80", "[0000:0000:0000:0000:0000:0000:0000:0001]:80"},
      {"[2001:DB8::a]", "[2001:0db8:0000:0000:0000:0000:0000:000a]:8000"},
      {"h:0", "h:0"},
  };
  for (const auto& c : targets) {
    EXPECT_FALSE(check_target(c.text)) << c.text;
    EXPECT_EQ(normal_target(c.text), c.normal);
    EXPECT_EQ(normal_target(c.normal), c.normal) << "normal form is stable";
  }
  for (const std::string_view bad :
       {"",          "a b",       "x:99999", "x:", "x:y",  ":80", "[::1", "[::1]80",  "[::1]:", "1.2.3",
        "1.2.3.256", "1.2.3.4.5", "-a",      "a-", "a..b", ".a",  "a,b",  "http://a", "::1::",  "[]:80"})
    EXPECT_EQ(check_target(bad).value_or(""),
              fmt::format("Invalid target ('{}'); not a valid hostname or ip address", bad));
  EXPECT_EQ(check_target("\xff").value_or(""), "Invalid target; not a valid hostname or ip address");
  EXPECT_TRUE(check_target(std::string(64, 'a')));
  EXPECT_FALSE(check_target(fmt::format("{}.b", std::string(63, 'a'))));
}

TEST(Formats, judges_hosts) {
  hold(check_host, {{"example.com", ""},
                    {"a_b", ""},
                    {"10.0.0.1", ""},
                    {"::1", ""},
                    {"[::1]", ""},
                    {"example.com:80", "must not have a port"},
                    {"example.com:99999", "must not have a port"},
                    {"[::1]:80", "must not have a port"},
                    {"a b", "invalid value: a b"},
                    {"1.2.3", "invalid value: 1.2.3"},
                    {"a\r\nb", "invalid value: a\r\nb"}});
  hold(check_host_and_port, {{"example.com:80", ""},
                             {"example.com", ""},
                             {"a b", "invalid hostname: a b"},
                             {"1.2.3.400", "invalid ipv4 address: 1.2.3.400"},
                             {"1::2::3", "invalid ipv6 address: 1::2::3"},
                             {"a:70000", "invalid port number"}});
  hold(check_sni, {{"example.com", ""},
                   {"1.2.3.4", "must not be an IP"},
                   {"::1", "must not be an IP"},
                   {"a:80", "must not have a port"},
                   {"a:80000", "must not have a port"},
                   {"a b", "invalid value: a b"}});
  hold(check_wildcard_sni, {{"*.example.com", ""},
                            {"example.*", ""},
                            {"a.com", ""},
                            {"*.a.*", "only one wildcard must be specified"},
                            {"a.*.b", "wildcard must be leftmost or rightmost character"},
                            {"*a.b", "wildcard must be leftmost or rightmost character"},
                            {"*.a b", "invalid value: *.a b"},
                            {"*.a:80", "must not have a port"}});
  hold(check_route_host, {{"example.com", ""},
                          {"example.com:80", ""},
                          {"*.example.com", ""},
                          {"example.*", ""},
                          {"*.example.com:8080", ""},
                          {"example.*:8080", ""},
                          {"10.0.0.1", ""},
                          {"*", "invalid wildcard: must be placed at leftmost or rightmost label"},
                          {"*example.com", "invalid wildcard: must be placed at leftmost or rightmost label"},
                          {"a.*.com", "invalid wildcard: must be placed at leftmost or rightmost label"},
                          {"*.a.*", "invalid wildcard: must have at most one wildcard"},
                          {"*.a b", "invalid hostname: *.a b"},
                          {"*.a:70000", "invalid port number"},
                          {"a b", "invalid hostname: a b"}});
  hold(check_upstream_name, {{"hello", ""},
                             {"my.upstream_v1", ""},
                             {"1.2.3.4", "Invalid name ('1.2.3.4'); no ip addresses allowed"},
                             {"::1", "Invalid name ('::1'); no ip addresses allowed"},
                             {"a:80", "Invalid name ('a:80'); no port allowed"},
                             {"a b", "Invalid name ('a b'); must be a valid hostname"}});
}

TEST(Formats, judges_ranges) {
  hold(check_ip_or_cidr, {{"10.0.0.0/8", ""},
                          {"10.0.0.1", ""},
                          {"::1", ""},
                          {"2001:db8::/32", ""},
                          {"10.0.0.0/33", "invalid ip or cidr range: '10.0.0.0/33'"},
                          {"::/129", "invalid ip or cidr range: '::/129'"},
                          {"10.0.0.0/", "invalid ip or cidr range: '10.0.0.0/'"},
                          {"10.0.0.0/8/8", "invalid ip or cidr range: '10.0.0.0/8/8'"},
                          {"a.com", "invalid ip or cidr range: 'a.com'"}});
}

TEST(Formats, judges_names_tags_and_headers) {
  hold(check_name,
       {{"service.v1_x~y-z", ""},
        {"gr\xc3\xbc\xc3\x9f", ""},
        {"a/b", "invalid value 'a/b': the only accepted ascii characters are alphanumerics or ., -, _, and ~"},
        {"a b", "invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~"}});
  hold(check_tag,
       {{"a tag!", ""},
        {"\xe2\x82\xac", ""},
        {"a,b", "invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"},
        {"a/b", "invalid tag 'a/b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"},
        {"a\tb", "invalid tag 'a\tb': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"}});
  hold(check_header_name,
       {{"X-Y_z1", ""}, {"a b", "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"}});
  hold(check_cookie_name,
       {{"sid", ""}, {"a;b", "bad cookie name 'a;b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"}});
  hold(check_header_value, {{"any thing", ""}, {"a\r\nb: c", "invalid value: must not contain control characters"}});
  hold(check_method, {{"GET", ""}, {"get", "invalid value: get"}, {"M-SEARCH", "invalid value: M-SEARCH"}});
}

TEST(Formats, judges_paths) {
  hold(check_path, {{"/", ""},
                    {"/a/b%20c/", ""},
                    {"a", "should start with: /"},
                    {"", "should start with: /"},
                    {"/a//b", "must not have empty segments"},
                    {"/a b", "invalid path: '/a b' (characters outside of the reserved list of RFC 3986 found)"},
                    {"/a?b", "invalid path: '/a?b' (characters outside of the reserved list of RFC 3986 found)"},
                    {"/a%2", "invalid url-encoded value: '%2'"},
                    {"/a%zz/b", "invalid url-encoded value: '%zz'"}});
  hold(check_route_path, {{"/", ""},
                          {"/a/b", ""},
                          {"/a/", ""},
                          {"/a%2Fb", ""},
                          {"/gr\xc3\xbc", ""},
                          {"~/a/\\d+$", ""},
                          {"~/(?<version>v\\d)/x", ""},
                          {"~/a%2", ""},
                          {"a", "should start with: / (fixed path) or ~/ (regex path)"},
                          {"~a", "should start with: / (fixed path) or ~/ (regex path)"},
                          {"/a//b", "must not have empty segments"},
                          {"/a/../b", "non-normalized path, consider use '/b' instead"},
                          {"/a/./b", "non-normalized path, consider use '/a/b' instead"},
                          {"/a%2fb", "non-normalized path, consider use '/a%2Fb' instead"},
                          {"/%61", "non-normalized path, consider use '/a' instead"},
                          {"/a%2", "invalid url-encoded value: '%2'"},
                          {"/a%0d%0a", "must not contain control characters"},
                          {"/a\r\nb", "must not contain control characters"},
                          {"~/(", "invalid regex: '/(' (RE2: missing ): /()"},
                          {"~/a(?=b)", "invalid regex: '/a(?=b)' (RE2: invalid perl operator: (?=)"},
                          {"~/(a)\\1", "invalid regex: '/(a)\\1' (RE2: invalid escape sequence: \\1)"}});
}

TEST(Formats, finds_the_normal_form_of_paths) {
  struct {
    std::string_view path, normal;
  } const cases[] = {{"/", "/"},     {"/a", "/a"},       {"/a/", "/a/"},       {"/a/b/..", "/a/"},
                     {"/..", "/"},   {"/../../a", "/a"}, {"/a/.", "/a/"},      {"/a//b", "/a/b"},
                     {"//", "/"},    {"/a/..", "/"},     {"/%7ea", "/~a"},     {"/%2e%2e/a", "/a"},
                     {"/%20", "/ "}, {"/%3f", "/%3F"},   {"/a/...", "/a/..."}, {"/a/../", "/"}};
  for (const auto& c : cases) {
    std::string out;
    EXPECT_TRUE(normal_path(c.path, out));
    EXPECT_EQ(out, c.normal) << c.path;
  }
  std::string out;
  for (const std::string_view bad : {"/%", "/%a", "/%ag"}) EXPECT_FALSE(normal_path(bad, out));
}

TEST(Formats, writes_named_groups_as_re2_wants_them) {
  EXPECT_EQ(to_re2("/(?<v>a)"), "/(?P<v>a)");
  EXPECT_EQ(to_re2("/(?P<v>a)"), "/(?P<v>a)");
  EXPECT_EQ(to_re2("(?<=a)(?<!b)"), "(?<=a)(?<!b)");
  EXPECT_EQ(to_re2("\\(?<v>"), "\\(?<v>");
  EXPECT_EQ(to_re2("[(?<v>]"), "[(?<v>]");
}

TEST(Formats, a_regex_that_would_take_all_memory_is_refused) {
  EXPECT_TRUE(check_route_path("~/((a{1000}){1000}){1000}"));
  EXPECT_FALSE(check_route_path("~/(a+)+$")) << "linear time in RE2";
}

}  // namespace
}  // namespace weir::model
