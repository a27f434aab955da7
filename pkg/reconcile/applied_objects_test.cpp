#include "reconcile/applied_objects.h"

#include <gtest/gtest.h>

#include "reconcile/kube_for_tests.h"

namespace weir::reconcile {
namespace {

struct Row {
  std::string_view why, present, wanted;
  bool covered;
};

TEST(AppliedObjects, what_is_there_covers_what_is_wanted) {
  const std::vector<Row> rows{
      {"more fields", R"({"a": 1, "b": 2})", R"({"a": 1})", true},
      {"a field is missing", R"({"b": 2})", R"({"a": 1})", false},
      {"another value", R"({"a": 2})", R"({"a": 1})", false},
      {"defaults in elements", R"([{"port": 80, "protocol": "TCP"}])", R"([{"port": 80}])", true},
      {"an element more", R"([{"port": 80}, {"port": 81}])", R"([{"port": 80}])", false},
      {"another order", R"([1, 2])", R"([2, 1])", false},
      {"another type", R"({"a": []})", R"({"a": {}})", false},
  };
  for (const auto& row : rows)
    EXPECT_EQ(covers(boost::json::parse(row.present), boost::json::parse(row.wanted)), row.covered) << row.why;
}

struct Bench {
  FakeClient client;
  FakeInformers informers;
  Writes writes{client, informers};
  bool leads = true;
  AppliedObjects applied{informers, writes, {kinds::service}, [this] { return leads; }};
  Name gateway = informers.set(kinds::gateway, {{"metadata", {{"namespace", "ns"}, {"name", "g"}, {"uid", "u-1"}}}});

  static Object service(std::string name, std::string space = "ns", std::string kind = "Service") {
    return {{"apiVersion", "v1"}, {"kind", kind}, {"metadata", {{"namespace", space}, {"name", name}}}};
  }
};

TEST(AppliedObjects, an_object_of_another_namespace_has_no_owner) {
  Bench b;
  b.applied.want(kinds::gateway, b.gateway, {Bench::service("here"), Bench::service("there", "other")});
  ASSERT_EQ(b.client.sent.size(), 2u);
  const auto here = b.client.sent[0].json(), there = b.client.sent[1].json();
  EXPECT_EQ(here.at("metadata").at("ownerReferences").at(0).at("uid").as_string(), "u-1");
  EXPECT_FALSE(there.at("metadata").as_object().contains("ownerReferences"));
  EXPECT_EQ(here.at("metadata").at("labels").at("weir.dev/unit"),
            there.at("metadata").at("labels").at("weir.dev/unit"));
}

TEST(AppliedObjects, nothing_is_written_by_who_does_not_lead) {
  Bench b;
  b.leads = false;
  b.applied.want(kinds::gateway, b.gateway, {Bench::service("a")});
  b.applied.want(kinds::gateway, b.gateway, {});
  EXPECT_TRUE(b.client.sent.empty());
}

TEST(AppliedObjects, a_kind_that_is_not_applied_is_left_out) {
  Bench b;
  b.applied.want(kinds::gateway, b.gateway, {Bench::service("a", "ns", "Secret")});
  EXPECT_TRUE(b.client.sent.empty());
}

TEST(AppliedObjects, only_its_own_are_deleted) {
  Bench b;
  b.applied.want(kinds::gateway, b.gateway, {Bench::service("a"), Bench::service("b")});
  b.client.answer(200, b.client.sent[0].body);
  b.client.answer(200, b.client.sent[0].body);
  b.informers.set(kinds::service, Bench::service("b"));  // without our labels: somebody's own
  b.applied.want(kinds::gateway, b.gateway, {});
  ASSERT_EQ(b.client.sent.size(), 1u);
  EXPECT_EQ(b.client.sent[0].method, "DELETE");
  EXPECT_EQ(b.client.sent[0].path, "/api/v1/namespaces/ns/services/a");
}

}  // namespace
}  // namespace weir::reconcile
