#include "plugin/instances_for_tests.h"
#include "plugin/origins.h"

namespace weir::plugin {
namespace {

// Allow-Origin, Allow-Credentials, Vary of the answer.
std::string allowed(const FakeExchange& x) {
  return x.response("Access-Control-Allow-Origin") + " " + x.response("Access-Control-Allow-Credentials") + " " +
         x.response("Vary");
}

FakeExchange preflight(std::string_view origin) {
  FakeExchange x;
  x.method_ = "OPTIONS";
  x.with("Origin", origin).with("Access-Control-Request-Method", "PUT");
  return x;
}

TEST(Cors, answers_preflights) {
  struct Case {
    std::string config, origin, allowed;
  };
  const std::string two = R"({"origins":["https://a.com","https://b.com:8443"]})";
  const Case cases[] = {
      {"{}", "https://a.com", "* - -"},
      {R"({"origins":["*"]})", "https://a.com", "* - -"},
      {R"({"origins":[]})", "https://a.com", "* - -"},
      {R"({"origins":["https://a.com"]})", "https://evil.com", "https://a.com - Origin"},
      {two, "https://b.com:8443", "https://b.com:8443 - Origin"},
      {two, "https://a.com:443", "https://a.com - Origin"},
      {two, "https://b.com", "- - Origin"},
      {two, "http://a.com", "- - Origin"},
      {two, "null", "- - Origin"},
      {R"({"origins":["https://a.com","*"]})", "https://c.com", "* - -"},
      {R"({"origins":["(.*[.])?example\\.com"]})", "https://www.example.com:8000",
       "https://www.example.com:8000 - Origin"},
      {R"({"origins":["(.*[.])?example\\.com"]})", "https://example.com.evil", "- - Origin"},
      {R"({"origins":["(.*[.])?example\\.com"]})", "https://evilexample.com", "- - Origin"},
      {R"({"origins":["^https?://a\\.com$"]})", "http://a.com", "http://a.com - Origin"},
      {R"({"origins":["^https?://a\\.com$"]})", "http://aXcom", "- - Origin"},
      {R"({"origins":["https://a\\.com|https://b\\.com"]})", "https://a.com.evil", "- - Origin"},
      {R"({"origins":["https://a\\.com|https://b\\.com"]})", "https://b.com", "https://b.com - Origin"},
      {R"({"credentials":true})", "https://a.com", "https://a.com true Origin"},
      {R"({"credentials":true,"origins":["*"]})", "null", "null true Origin"},
      {R"({"credentials":true,"origins":["https://a.com"]})", "https://b.com", "https://a.com true Origin"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config + " " + c.origin);
    const auto plugin = make_plugin(cors(), c.config);
    auto x = preflight(c.origin);
    EXPECT_EQ(x.run_access(*plugin), Step::done);
    EXPECT_EQ(x.answered, 200);
    EXPECT_EQ(x.answer, "");
    EXPECT_EQ(allowed(x), c.allowed);
    EXPECT_EQ(x.response("Access-Control-Allow-Methods"), "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT");
    x.run_header_filter(*plugin);
    EXPECT_EQ(allowed(x), c.allowed) << "once only";
  }
}

TEST(Cors, tells_what_a_preflight_asks_for) {
  const auto plugin = make_plugin(
      cors(),
      R"({"headers":["a","b"],"methods":["GET","PUT"],"max_age":23,"private_network":true,"exposed_headers":["c"]})");
  auto x = preflight("https://a.com");
  x.with("Access-Control-Request-Headers", "x").with("Access-Control-Request-Private-Network", "true");
  x.run_access(*plugin);
  EXPECT_EQ(x.response("Access-Control-Allow-Headers"), "a,b");
  EXPECT_EQ(x.response("Access-Control-Allow-Methods"), "GET,PUT");
  EXPECT_EQ(x.response("Access-Control-Max-Age"), "23");
  EXPECT_EQ(x.response("Access-Control-Allow-Private-Network"), "true");
  EXPECT_EQ(x.response("Access-Control-Expose-Headers"), "-");

  const auto plain = make_plugin(cors(), "{}");
  auto y = preflight("https://a.com");
  y.with("Access-Control-Request-Headers", "x, y").with("Access-Control-Request-Private-Network", "true");
  y.run_access(*plain);
  EXPECT_EQ(y.response("Access-Control-Allow-Headers"), "x, y");
  EXPECT_EQ(y.response("Access-Control-Max-Age"), "-");
  EXPECT_EQ(y.response("Access-Control-Allow-Private-Network"), "-");
  auto z = preflight("https://a.com");
  z.run_access(*plain);
  EXPECT_EQ(z.response("Access-Control-Allow-Headers"), "-");
}

TEST(Cors, leaves_preflights_to_the_upstream_when_told_to) {
  const auto plugin = make_plugin(cors(), R"({"preflight_continue":true})");
  auto x = preflight("https://a.com");
  x.response_headers_ = {{"Access-Control-Allow-Origin", "of the upstream"}};
  EXPECT_EQ(x.run_access(*plugin), Step::next);
  x.run_header_filter(*plugin);
  EXPECT_EQ(x.response("Access-Control-Allow-Origin"), "of the upstream");
}

TEST(Cors, takes_for_a_preflight_only_what_is_one) {
  const auto plugin = make_plugin(cors(), "{}");
  for (const auto* missing : {"method", "origin", "wanted"}) {
    FakeExchange x;
    x.method_ = missing == std::string_view("method") ? "GET" : "OPTIONS";
    if (missing != std::string_view("origin")) x.with("Origin", "https://a.com");
    if (missing != std::string_view("wanted")) x.with("Access-Control-Request-Method", "GET");
    EXPECT_EQ(x.run_access(*plugin), Step::next) << missing;
    x.run_header_filter(*plugin);
    EXPECT_EQ(allowed(x), "* - -") << missing;
  }
}

TEST(Cors, marks_answers) {
  struct Case {
    std::string config, origin, allowed;  // origin "": none
  };
  const std::string two = R"({"origins":["https://a.com","https://b.com"],"credentials":true})";
  const Case cases[] = {
      {"{}", "", "* - Accept"},
      {"{}", "https://a.com", "* - Accept"},
      {R"({"allow_origin_absent":false})", "", "of the upstream - Accept"},
      {R"({"allow_origin_absent":false})", "https://a.com", "* - Accept"},
      {two, "https://b.com", "https://b.com true Accept | Origin"},
      {two, "https://c.com", "- true Accept | Origin"},
      {two, "", "- true Accept | Origin"},
      {R"({"credentials":true})", "https://c.com", "https://c.com true Accept | Origin"},
      {R"({"credentials":true})", "", "* - Accept"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config + " " + c.origin);
    const auto plugin = make_plugin(cors(), c.config);
    FakeExchange x;
    if (!c.origin.empty()) x.with("Origin", c.origin);
    x.response_headers_ = {{"Vary", "Accept"}, {"Access-Control-Allow-Origin", "of the upstream"}};
    EXPECT_EQ(x.run_access(*plugin), Step::next);
    x.run_header_filter(*plugin);
    EXPECT_EQ(allowed(x), c.allowed);
  }
  const auto exposing = make_plugin(cors(), R"({"exposed_headers":["a","b"]})");
  FakeExchange x;
  x.run_header_filter(*exposing);
  EXPECT_EQ(x.response("Access-Control-Expose-Headers"), "a,b");
}

TEST(Cors, reads_origins) {
  struct Case {
    std::string text, whole, host;
  };
  const Case cases[] = {
      {"https://a.com", "https://a.com", "a.com"},
      {"https://a.com:443", "https://a.com", "a.com"},
      {"http://a.com:443", "http://a.com:443", "a.com"},
      {"http://a.com:80/path?q", "http://a.com", "a.com"},
      {"http://[::1]:80", "http://[::1]", "[::1]"},
      {"http://[::1]", "http://[::1]", "[::1]"},
      {"http://[::1]:3000", "http://[::1]:3000", "[::1]"},
      {"null", "null", "null"},
      {"", "", ""},
      {"://a", "://a", "://a"},
      {"http://", "http://", "http://"},
      {"http://a.com@b.com", "http://a.com@b.com", "http://a.com@b.com"},
      {"a.com", "a.com", "a.com"},
  };
  for (const auto& c : cases) {
    const auto origin = read_origin(c.text);
    EXPECT_EQ(origin.whole, c.whole) << c.text;
    EXPECT_EQ(origin.host, c.host) << c.text;
  }
}

TEST(Cors, says_what_is_wrong_with_a_configuration) {
  EXPECT_NE(faults_of(cors(), R"({"origins":["[a"]})").find("'[a' is not a valid regex"), std::string::npos);
  EXPECT_NE(faults_of(cors(), R"({"origins":["(?=a)b"]})").find("not a valid regex"), std::string::npos);
  EXPECT_NE(faults_of(cors(), R"({"methods":["get"]})").find("methods"), std::string::npos);
  EXPECT_NE(faults_of(cors(), R"({"headers":["a\nb"]})").find("headers"), std::string::npos);
  EXPECT_EQ(faults_of(cors(), R"({"origins":["*","https://a.com","(?<x>a|b)\\.com"]})"), "");
  EXPECT_FALSE(cors().consumer_scope);
}

}  // namespace
}  // namespace weir::plugin
