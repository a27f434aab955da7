#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

struct Case {
  std::string config;
  std::vector<std::string> groups;  // of the consumer
  int answered = 0;
  std::string told = "";  // X-Consumer-Groups
};

TEST(Acl, lets_pass_by_groups) {
  const Case cases[] = {
      {R"({"allow":["a","b"]})", {"b"}, 0, "b"},
      {R"({"allow":["b","a"]})", {"c", "a"}, 0, "c, a"},
      {R"({"allow":["a"]})", {}, 403},
      {R"({"allow":["a"]})", {"A", "aa", ""}, 403},
      {R"({"deny":["a"]})", {}, 0, "-"},
      {R"({"deny":["a"]})", {"b"}, 0, "b"},
      {R"({"deny":["x","a"]})", {"b", "a"}, 403},
      {R"({"allow":["a"],"hide_groups_header":true})", {"a"}, 0, "-"},
      {R"({"allow":["a"],"always_use_authenticated_groups":true})", {"a"}, 0, "a"},
      {R"({"allow":["a\r\nX: 1"]})", {"a\r\nX: 1"}, 0, "a%0D%0AX: 1"},
  };
  for (const auto& c : cases) {
    for (const bool slow : {false, true}) {
      SCOPED_TRACE(c.config + (slow ? " slow" : " fast"));
      const auto plugin = make_plugin(acl(), c.config);
      FakeExchange x;
      x.slow = slow;
      x.consumer_row = std::make_shared<const model::Object>(model::Object{{"id", alice_id}});
      x.with("X-Consumer-Groups", "root").with("X-Authenticated-Groups", "root");
      for (const auto& group : c.groups)
        x.add_row(model::schema<model::Acl>(), {{"consumer", {{"id", alice_id}}}, {"group", group}});
      x.add_row(model::schema<model::Acl>(), {{"consumer", {{"id", guest_id}}}, {"group", "a"}});
      EXPECT_EQ(x.run_access(*plugin), c.answered ? Step::done : Step::next);
      EXPECT_EQ(x.answered, c.answered);
      EXPECT_EQ(x.answer, c.answered ? "You cannot consume this service" : "");
      EXPECT_EQ(x.by_error, c.answered != 0);
      EXPECT_EQ(x.waits, slow ? 1u : 0u);
      if (c.answered) continue;
      EXPECT_EQ(x.sent("x-consumer-groups"), c.told);
      EXPECT_EQ(x.sent("x-authenticated-groups"), "-");
    }
  }
}

TEST(Acl, needs_a_consumer) {
  const auto plugin = make_plugin(acl(), R"({"deny":["a"]})");
  FakeExchange nobody;
  EXPECT_EQ(nobody.run_access(*plugin), Step::done);
  EXPECT_EQ(nobody.answered, 401);
  EXPECT_EQ(nobody.answer, "Unauthorized");

  FakeExchange credential_only;
  credential_only.credential_row = std::make_shared<const model::Object>();
  EXPECT_EQ(credential_only.run_access(*plugin), Step::done);
  EXPECT_EQ(credential_only.answered, 403);
  EXPECT_EQ(credential_only.answer, "You cannot consume this service");
}

TEST(Acl, answers_500_when_the_database_cannot_be_asked) {
  const auto plugin = make_plugin(acl(), R"({"deny":["a"]})");
  FakeExchange x;
  x.database_fails = true;
  x.consumer_row = std::make_shared<const model::Object>(model::Object{{"id", alice_id}});
  EXPECT_EQ(x.run_access(*plugin), Step::done);
  EXPECT_EQ(x.answered, 500);
}

TEST(Acl, wants_either_allow_or_deny) {
  const std::string one = "exactly one of these fields must be non-empty: 'config.allow', 'config.deny'";
  for (const auto* config : {"{}", R"({"allow":["a"],"deny":["b"]})", R"({"allow":[]})"})
    EXPECT_NE(faults_of(acl(), config).find(one), std::string::npos) << config;
  EXPECT_NE(faults_of(acl(), "{}").find("at least one of these fields"), std::string::npos);
  EXPECT_EQ(faults_of(acl(), R"({"allow":["a"],"deny":null})"), "");
  EXPECT_NE(faults_of(acl(), R"({"allow":"a","whitelist":["a"]})").find("whitelist"), std::string::npos);
}

}  // namespace
}  // namespace weir::plugin
