#include "plugin/basic_credentials.h"
#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

// sha1("opensesame" + alice_id), sha1(":p:w" + alice_id), sha1("" + alice_id).
constexpr std::string_view opensesame = "dc5e970b5030b8f93306c1bd00ae709a6c74d159",
                           colons = "30fe6ebd8c785afa2331dcd63e3bf96d1355f5e5",
                           nothing = "da9f5309f34b472789d4074bdd09bcb14ffb211e";

void add_users(FakeExchange& x) {
  add_consumers(x);
  const auto add = [&](std::string_view user, std::string_view hash) {
    x.add_row(model::schema<model::BasicAuthCredential>(),
              {{"id", credential_id}, {"consumer", {{"id", alice_id}}}, {"username", user}, {"password", hash}});
  };
  add("alice", opensesame);
  add("colons", colons);
  add("nothing", nothing);
}

// base64 of alice:opensesame, colons::p:w, nothing:, alice:wrong, nobody:opensesame
const std::string good = "Basic YWxpY2U6b3BlbnNlc2FtZQ==", with_colons = "Basic Y29sb25zOjpwOnc=",
                  empty_password = "Basic bm90aGluZzo=", wrong = "Basic YWxpY2U6d3Jvbmc=",
                  nobody = "Basic bm9ib2R5Om9wZW5zZXNhbWU=";

struct Case {
  std::string config;
  std::vector<std::pair<std::string, std::string>> headers;
  int answered = 0;
  std::string identifier = "alice";  // of the credential; "-": anonymous
};

void check(const Case& c, const std::function<void(FakeExchange&)>& also = {}) {
  const auto plugin = make_plugin(basic_auth(), c.config);
  for (const bool slow : {false, true}) {
    SCOPED_TRACE(c.config + (c.headers.empty() ? "" : c.headers.front().second) + (slow ? " slow" : " fast"));
    FakeExchange x;
    x.slow = slow;
    add_users(x);
    for (const auto& [name, value] : c.headers) x.with(name, value);
    EXPECT_EQ(x.run_access(*plugin), c.answered ? Step::done : Step::next);
    EXPECT_EQ(x.answered, c.answered);
    if (c.answered == 0) {
      EXPECT_EQ(x.sent("x-credential-identifier"), c.identifier);
    }
    if (also) also(x);
  }
}

TEST(BasicAuth, lets_in_who_knows_the_password) {
  check({"{}", {{"Authorization", good}}}, [](const FakeExchange& x) {
    EXPECT_EQ(told(x), fmt::format("{} a-1 alice alice -", alice_id));
    EXPECT_EQ(x.sent("authorization"), good);
  });
  check({"{}", {{"Proxy-Authorization", good}}});
  check({"{}", {{"Authorization", "basic  YWxpY2U6b3BlbnNlc2FtZQ"}}});
  check({"{}", {{"Authorization", with_colons}}, 0, "colons"});
  check({"{}", {{"Authorization", empty_password}}, 0, "nothing"});
  // Proxy-Authorization first; a user that is not known there leaves the turn to Authorization.
  check({"{}", {{"Proxy-Authorization", nobody}, {"Authorization", good}}});
  check({"{}", {{"Proxy-Authorization", "Bearer x"}, {"Authorization", good}}});
}

TEST(BasicAuth, refuses_everybody_else) {
  const std::vector<std::pair<std::string, std::string>> headers[] = {
      {},
      {{"Authorization", wrong}},
      {{"Authorization", nobody}},
      {{"Authorization", "Bearer YWxpY2U6b3BlbnNlc2FtZQ=="}},
      {{"Authorization", "Basic"}},
      {{"Authorization", "Basic !!!"}},
      {{"Authorization", "Basic YWxpY2U="}},                      // "alice": no colon
      {{"Authorization", "Basic Om9wZW5zZXNhbWU="}},              // no user
      {{"Authorization", "Basic //5hOng="}},                      // the user is not UTF-8
      {{"Proxy-Authorization", wrong}, {"Authorization", good}},  // a known user of Proxy-Authorization counts
  };
  for (const auto& given : headers) {
    check({"{}", given, 401}, [](const FakeExchange& x) {
      EXPECT_TRUE(x.by_error);
      EXPECT_EQ(x.answer, "Unauthorized");
      EXPECT_EQ(x.response("www-authenticate"), "Basic realm=\"service\"");
      EXPECT_EQ(x.consumer(), nullptr);
    });
  }
  check({R"({"realm":"inner"})", {}, 401},
        [](const FakeExchange& x) { EXPECT_EQ(x.response("www-authenticate"), "Basic realm=\"inner\""); });
}

TEST(BasicAuth, hides_the_headers_that_it_looked_at) {
  const std::string config = R"({"hide_credentials":true})";
  check({config, {{"Authorization", good}}}, [](const FakeExchange& x) { EXPECT_EQ(x.sent("authorization"), "-"); });
  check({config, {{"Proxy-Authorization", good}, {"Authorization", "Bearer token"}}}, [](const FakeExchange& x) {
    EXPECT_EQ(x.sent("proxy-authorization"), "-");
    EXPECT_EQ(x.sent("authorization"), "Bearer token");
  });
  check({R"({"hide_credentials":true,"anonymous":"guest"})", {{"Authorization", wrong}}, 0, "-"},
        [](const FakeExchange& x) { EXPECT_EQ(x.sent("authorization"), "-"); });
}

TEST(BasicAuth, is_a_logical_or_with_anonymous) {
  check({R"({"anonymous":"guest"})", {}, 0, "-"}, [](const FakeExchange& x) {
    EXPECT_EQ(told(x), fmt::format("{} - guest - true", guest_id));
    EXPECT_EQ(x.credential(), nullptr);
  });
  check({R"({"anonymous":"ghost"})", {}, 500});
  const auto plugin = make_plugin(basic_auth(), R"({"anonymous":"guest"})");
  FakeExchange x;
  x.credential_row = std::make_shared<const model::Object>(model::Object{{"id", "of another plugin"}});
  EXPECT_EQ(x.run_access(*plugin), Step::next);
  EXPECT_EQ(x.edits, 0u);
}

TEST(BasicAuth, answers_500_when_the_database_cannot_be_asked) {
  const auto plugin = make_plugin(basic_auth(), R"({"anonymous":"guest"})");
  FakeExchange x;
  x.database_fails = true;
  x.with("Authorization", good);
  EXPECT_EQ(x.run_access(*plugin), Step::done);
  EXPECT_EQ(x.answered, 500);
  EXPECT_EQ(x.answer, R"({"message":"An unexpected error occurred"})");
}

TEST(BasicAuth, compares_the_hash_that_kong_stores) {
  EXPECT_TRUE(is_password("opensesame", alice_id, opensesame));
  EXPECT_TRUE(is_password("", alice_id, nothing));
  EXPECT_FALSE(is_password("opensesame", guest_id, opensesame)) << "the consumer is part of it";
  EXPECT_FALSE(is_password("opensesam", alice_id, opensesame));
  EXPECT_FALSE(is_password("opensesame", alice_id, opensesame.substr(0, 39)));
  EXPECT_FALSE(is_password("opensesame", alice_id, ""));
  EXPECT_FALSE(is_password("opensesame", alice_id, "opensesame"));
}

TEST(BasicAuth, is_declared_as_in_kong) {
  const auto complete = basic_auth().config().complete_config({});
  ASSERT_TRUE(complete);
  EXPECT_EQ(*complete,
            boost::json::parse(R"({"anonymous":null,"hide_credentials":false,"realm":"service"})").as_object());
  EXPECT_NE(faults_of(basic_auth(), R"({"hide_credentials":"x"})").find("expected a boolean"), std::string::npos);
  EXPECT_NE(faults_of(basic_auth(), R"({"realm":"a\rb"})").find("realm"), std::string::npos);
  EXPECT_EQ(basic_auth().priority, 1100);
}

}  // namespace
}  // namespace weir::plugin
