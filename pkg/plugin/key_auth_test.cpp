#include "plugin/auth.h"
#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

void add_key(FakeExchange& x, std::string_view key) {
  x.add_row(model::schema<model::KeyAuthCredential>(),
            {{"id", credential_id}, {"consumer", {{"id", alice_id}}}, {"key", key}});
}

const std::string alice = fmt::format("{} a-1 alice {} -", alice_id, credential_id);
const std::string guest = fmt::format("{} - guest - true", guest_id);

struct Case {
  std::string config;
  std::function<void(FakeExchange&)> ask;
  int answered = 0;          // 0: it goes on
  std::string message = "";  // of the answer
};

// What holds whether rows and bodies are there at once or come late.
void check(const Case& c, const std::function<void(FakeExchange&)>& also = {}) {
  const auto plugin = make_plugin(key_auth(), c.config);
  for (const bool slow : {false, true}) {
    SCOPED_TRACE(c.config + (slow ? " slow" : " fast"));
    FakeExchange x;
    x.slow = slow;
    add_consumers(x);
    add_key(x, "open");
    add_key(x, "a b&c");
    c.ask(x);
    const auto said = x.run_access(*plugin);
    EXPECT_EQ(said, c.answered ? Step::done : Step::next);
    EXPECT_EQ(x.answered, c.answered);
    EXPECT_NE(x.answer.find(c.message), std::string::npos) << x.answer;
    if (also) also(x);
  }
}

TEST(KeyAuth, finds_the_key_in_header_query_and_body) {
  const std::string multipart =
      "--B\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n"
      "--B\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nopen\r\n--B--\r\n";
  const Case cases[] = {
      {"{}", [](auto& x) { x.with("APIKey", "open"); }},
      {"{}", [](auto& x) { x.query_ = "a=1&apikey=open"; }},
      {"{}", [](auto& x) { x.query_ = "apikey=a%20b%26c"; }},
      {"{}", [](auto& x) { x.query_ = "apikey=a+b%26c"; }},
      {R"({"key_names":["x-key","apikey"]})", [](auto& x) { x.query_ = "apikey=open"; }},
      {R"({"key_names":["x-key","apikey"]})", [](auto& x) { x.with("x-key", "open").with("apikey", "wrong"); }},
      {R"({"key_in_body":true})", [](auto& x) { x.with_body("application/x-www-form-urlencoded", "b=2&apikey=open"); }},
      {R"({"key_in_body":true})",
       [](auto& x) { x.with_body("Application/JSON; charset=utf-8", R"({"x":[1],"apikey":"open"})"); }},
      {R"({"key_in_body":true})", [&](auto& x) { x.with_body("multipart/form-data; boundary=\"B\"", multipart); }},
  };
  for (const auto& c : cases) {
    check(c, [](const FakeExchange& x) {
      EXPECT_EQ(told(x), alice);
      EXPECT_EQ(x.credential_row->at("id").as_string(), credential_id);
      EXPECT_EQ(x.consumer_row->at("username").as_string(), "alice");
    });
  }
}

TEST(KeyAuth, refuses_what_has_no_known_key) {
  const std::string none = "No API key found in request", twice = "Duplicate API key found", wrong = "Unauthorized";
  const Case cases[] = {
      {"{}", [](auto&) {}, 401, none},
      {"{}", [](auto& x) { x.with("apikey", ""); }, 401, none},
      {"{}", [](auto& x) { x.query_ = "apikey"; }, 401, none},
      {"{}", [](auto& x) { x.query_ = "apikey="; }, 401, none},
      {"{}", [](auto& x) { x.with("apikey", "nobody"); }, 401, wrong},
      {"{}", [](auto& x) { x.with("apikey", "Open"); }, 401, wrong},
      {"{}", [](auto& x) { x.with("apikey", "open").with("APIKEY", "open"); }, 401, twice},
      {"{}", [](auto& x) { x.query_ = "apikey=open&apikey=open"; }, 401, twice},
      {"{}", [](auto& x) { x.with_body("application/json", R"({"apikey":"open"})"); }, 401, none},
      {R"({"key_in_header":false})", [](auto& x) { x.with("apikey", "open"); }, 401, none},
      {R"({"key_in_query":false})", [](auto& x) { x.query_ = "apikey=open"; }, 401, none},
      {R"({"key_in_body":true})", [](auto& x) { x.with_body("text/plain", "apikey=open"); }, 401, none},
      {R"({"key_in_body":true})", [](auto& x) { x.with_body("application/json", R"({"apikey":"open")"); }, 401, none},
      {R"({"key_in_body":true})", [](auto& x) { x.with_body("application/json", R"({"apikey":7})"); }, 401, none},
      {R"({"key_in_body":true})", [](auto& x) { x.with_body("application/json", R"({"apikey":["open"]})"); }, 401,
       twice},
      {R"({"key_in_body":true})",
       [](auto& x) { x.with_body("application/x-www-form-urlencoded", "apikey=open&apikey=x"); }, 401, twice},
      {R"({"key_in_body":true})",
       [](auto& x) {
         x.with_body("application/json", R"({"apikey":"open"})");
         x.body_too_large_ = true;
       },
       401, none},
  };
  for (const auto& c : cases) {
    check(c, [](const FakeExchange& x) {
      EXPECT_TRUE(x.by_error);
      EXPECT_EQ(x.response("www-authenticate"), "Key");
      EXPECT_EQ(x.answer.find("open"), std::string::npos) << "no key in an answer";
      EXPECT_EQ(x.consumer(), nullptr);
    });
  }
  check({R"({"realm":"inner"})", [](auto&) {}, 401, none},
        [](const FakeExchange& x) { EXPECT_EQ(x.response("www-authenticate"), "Key realm=\"inner\""); });
}

TEST(KeyAuth, does_not_ask_the_database_for_what_it_cannot_hold) {
  const auto plugin = make_plugin(key_auth(), "{}");
  for (const auto& key : {std::string("\xff\xfe"), std::string(key_bytes_max + 1, 'k'), std::string("a\xc0\x80")}) {
    FakeExchange x;
    x.with("apikey", key);
    EXPECT_EQ(x.run_access(*plugin), Step::done);
    EXPECT_EQ(x.answered, 401);
    EXPECT_EQ(x.answer, "Unauthorized");
    EXPECT_EQ(x.lookups, 0u);
  }
}

TEST(KeyAuth, answers_500_when_the_database_cannot_be_asked_even_with_anonymous) {
  for (const auto* config : {"{}", R"({"anonymous":"guest"})"}) {
    check({config,
           [](auto& x) {
             x.with("apikey", "open");
             x.database_fails = true;
           },
           500, R"({"message":"An unexpected error occurred"})"},
          [](const FakeExchange& x) { EXPECT_EQ(x.answer_type, "application/json; charset=utf-8"); });
  }
}

TEST(KeyAuth, lets_the_refused_pass_as_the_anonymous_consumer) {
  for (const auto& config :
       {std::string(R"({"anonymous":"guest"})"), fmt::format(R"({{"anonymous":"{}"}})", guest_id)}) {
    check({config, [](auto& x) { x.with("apikey", "nobody").with("X-Credential-Identifier", "forged"); }},
          [](const FakeExchange& x) {
            EXPECT_EQ(told(x), guest);
            EXPECT_EQ(x.credential(), nullptr);
          });
    check({config, [](auto& x) { x.with("apikey", "open"); }},
          [](const FakeExchange& x) { EXPECT_EQ(told(x), alice); });
  }
  check({R"({"anonymous":"ghost"})", [](auto&) {}, 500, "anonymous consumer ghost is configured but doesn't exist"});
}

TEST(KeyAuth, leaves_alone_what_another_plugin_has_let_in_when_anonymous_is_set) {
  const auto known = [](FakeExchange& x) {
    x.credential_row = std::make_shared<const model::Object>(model::Object{{"id", "other"}});
  };
  check({R"({"anonymous":"guest"})", known}, [](const FakeExchange& x) { EXPECT_EQ(x.edits, 0u); });
  check({"{}", known, 401, "No API key found in request"});
}

TEST(KeyAuth, overwrites_what_a_client_claims_to_be) {
  check({"{}",
         [](auto& x) {
           x.with("apikey", "open").with("X-Consumer-ID", "root").with("X-Consumer-Username", "root");
           x.with("X-Consumer-Custom-ID", "root")
               .with("X-Credential-Identifier", "root")
               .with("X-Anonymous-Consumer", "true");
         }},
        [](const FakeExchange& x) { EXPECT_EQ(told(x), alice); });
}

TEST(KeyAuth, hides_the_key_wherever_it_is_and_nothing_else) {
  const std::string config = R"({"hide_credentials":true,"key_in_body":true})";
  check({config,
         [](auto& x) {
           x.with("apikey", "open").with("x-other", "1");
           x.query_ = "a=%201&apikey=open&b";
           x.with_body("application/x-www-form-urlencoded", "c=3&apikey=open&d=%34");
         }},
        [](const FakeExchange& x) {
          EXPECT_EQ(told(x), alice);
          EXPECT_EQ(x.sent("apikey"), "-");
          EXPECT_EQ(x.sent("x-other"), "1");
          EXPECT_EQ(x.query_, "a=%201&b");
          EXPECT_EQ(x.body_, "c=3&d=%34");
          EXPECT_EQ(x.content_length_, 9u);
        });
  check({config,
         [](auto& x) { x.with_body("application/json", R"({"a": [1, {"apikey": 2}], "apikey" : "open" , "b":"}"})"); }},
        [](const FakeExchange& x) { EXPECT_EQ(x.body_, R"({"a": [1, {"apikey": 2}], "b":"}"})"); });
  // A refused key is not shown to the upstream of an anonymous caller either.
  check({R"({"hide_credentials":true,"anonymous":"guest"})", [](auto& x) { x.with("apikey", "nobody"); }},
        [](const FakeExchange& x) {
          EXPECT_EQ(told(x), guest);
          EXPECT_EQ(x.sent("apikey"), "-");
        });
  check({"{}", [](auto& x) { x.query_ = "apikey=open"; }},
        [](const FakeExchange& x) { EXPECT_EQ(x.query_, "apikey=open"); });
}

TEST(KeyAuth, lets_preflights_pass_when_told_to) {
  const auto options = [](FakeExchange& x) { x.method_ = "OPTIONS"; };
  check({R"({"run_on_preflight":false})", options}, [](const FakeExchange& x) { EXPECT_EQ(x.edits, 0u); });
  check({"{}", options, 401, "No API key found in request"});
  check({R"({"run_on_preflight":false})", [](auto&) {}, 401, "No API key found in request"});
}

TEST(KeyAuth, refuses_the_key_of_a_consumer_that_is_gone) {
  const auto plugin = make_plugin(key_auth(), "{}");
  FakeExchange x;
  add_key(x, "open");
  x.with("apikey", "open");
  EXPECT_EQ(x.run_access(*plugin), Step::done);
  EXPECT_EQ(x.answered, 401);
  EXPECT_EQ(x.answer, "Unauthorized");
}

TEST(KeyAuth, does_not_let_a_name_in_the_database_become_a_header) {
  const auto plugin = make_plugin(key_auth(), "{}");
  FakeExchange x;
  x.add_row(model::schema<model::Consumer>(), {{"id", alice_id}, {"username", "a\r\nX-Admin: 1"}});
  add_key(x, "open");
  x.with("apikey", "open");
  EXPECT_EQ(x.run_access(*plugin), Step::next);
  EXPECT_EQ(x.sent("x-consumer-username"), "a%0D%0AX-Admin: 1");
}

TEST(KeyAuth, is_declared_as_in_kong) {
  const auto complete = key_auth().config().complete_config({});
  ASSERT_TRUE(complete);
  EXPECT_EQ(*complete, boost::json::parse(R"({"key_names":["apikey"],"hide_credentials":false,"anonymous":null,
      "key_in_header":true,"key_in_query":true,"key_in_body":false,"run_on_preflight":true,"realm":null})")
                           .as_object());
  EXPECT_FALSE(key_auth().consumer_scope);
  EXPECT_EQ(key_auth().priority, 1250);
  EXPECT_NE(faults_of(key_auth(), R"({"key_names":["a b"]})").find("key_names"), std::string::npos);
  EXPECT_NE(faults_of(key_auth(), R"({"key_name":["a"]})").find("unknown field"), std::string::npos);
  EXPECT_NE(faults_of(key_auth(), R"({"realm":"a\nb"})").find("realm"), std::string::npos);
}

}  // namespace
}  // namespace weir::plugin
