#include "reconcile/status.h"

#include <gtest/gtest.h>

namespace weir::reconcile {
namespace {

namespace json = boost::json;

Object parse(std::string_view text) {
  return json::parse(text).as_object();
}

const std::set<std::string_view> ours{"weir.dev/gateway-controller"};
constexpr std::string_view early = "2026-01-01T00:00:00Z", late = "2026-01-02T00:00:00Z";

Object route_status() {
  return parse(R"({"conditions": [
    {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 2},
    {"type": "weir.dev/Served", "status": "True", "reason": "Served", "message": "", "observedGeneration": 2}]})");
}

const Object& at(const Object& status, std::size_t i) {
  return status.at("conditions").as_array().at(i).as_object();
}

TEST(Status, says_how_many_replicas_serve_it) {
  const auto done = finish_status(route_status(), {.served = 3, .replicas = 3, .waiting_for = "", .refused = ""},
                                  nullptr, ours, early);
  EXPECT_EQ(at(done, 1).at("status"), "True");
  EXPECT_EQ(at(done, 1).at("message"), "3 of 3 replicas");
  EXPECT_EQ(at(done, 1).at("lastTransitionTime").as_string(), early);
}

TEST(Status, is_not_served_while_a_replica_is_behind) {
  const auto done = finish_status(route_status(), {.served = 2, .replicas = 3, .waiting_for = "weir-x", .refused = ""},
                                  nullptr, ours, early);
  EXPECT_EQ(at(done, 0).at("status"), "True") << "accepted it is";
  EXPECT_EQ(at(done, 1).at("status"), "False");
  EXPECT_EQ(at(done, 1).at("message"), "2 of 3 replicas; waiting for weir-x");
}

TEST(Status, what_was_refused_is_not_accepted) {
  const auto done =
      finish_status(route_status(), {.waiting_for = "", .refused = "invalid regex"}, nullptr, ours, early);
  for (const std::size_t i : {0, 1}) {
    EXPECT_EQ(at(done, i).at("status"), "False");
    EXPECT_EQ(at(done, i).at("reason"), "Invalid");
    EXPECT_EQ(at(done, i).at("message"), "invalid regex");
  }
  const auto gateway = finish_status(
      parse(R"({"conditions": [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "True"}]})"),
      {.waiting_for = "", .refused = "port in use"}, nullptr, ours, early);
  EXPECT_EQ(at(gateway, 0).at("status"), "True") << "Programmed says it";
  EXPECT_EQ(at(gateway, 1).at("status"), "False");
}

TEST(Status, claims_are_found_wherever_they_stand) {
  EXPECT_TRUE(claims_served(route_status()));
  EXPECT_TRUE(claims_served(parse(R"({"listeners": [{"conditions": [{"type": "Programmed", "status": "True"}]}]})")));
  EXPECT_FALSE(claims_served(parse(R"({"conditions": [{"type": "Programmed", "status": "False"}]})")));
  EXPECT_FALSE(claims_served(parse(R"({"loadBalancer": {}})")));
}

TEST(Status, keeps_the_time_of_what_did_not_change) {
  auto present = finish_status(route_status(), {}, nullptr, ours, early);
  auto wanted = route_status();
  wanted["conditions"].as_array()[0].as_object()["status"] = "False";
  const auto done = finish_status(wanted, {}, &present, ours, late);
  EXPECT_EQ(at(done, 0).at("lastTransitionTime").as_string(), late);
  EXPECT_EQ(at(done, 1).at("lastTransitionTime").as_string(), early);
}

TEST(Status, keeps_times_of_listeners_by_their_names) {
  const auto listeners = [](std::initializer_list<std::string_view> names) {
    json::array list;
    for (const auto name : names)
      list.push_back({{"name", name}, {"conditions", {{{"type", "Accepted"}, {"status", "True"}}}}});
    return Object{{"listeners", list}};
  };
  const auto present = finish_status(listeners({"b", "c"}), {}, nullptr, ours, early);
  const auto done = finish_status(listeners({"a", "b"}), {}, &present, ours, late);
  const auto time = [&](std::size_t i) {
    return done.at("listeners").as_array()[i].at("conditions").as_array()[0].at("lastTransitionTime").as_string();
  };
  EXPECT_EQ(time(0), late);
  EXPECT_EQ(time(1), early);
}

TEST(Status, keeps_entries_of_other_controllers) {
  const auto present = parse(R"({"parents": [
    {"parentRef": {"name": "theirs"}, "controllerName": "other.dev/c", "conditions": [{"type": "X", "status": "True"}]},
    {"parentRef": {"name": "old"}, "controllerName": "weir.dev/gateway-controller", "conditions": []}]})");
  auto wanted = parse(R"({"parents": [
    {"parentRef": {"name": "new"}, "controllerName": "weir.dev/gateway-controller",
     "conditions": [{"type": "Accepted", "status": "True"}]}]})");
  const auto done = finish_status(wanted, {}, &present, ours, late);
  const auto& parents = done.at("parents").as_array();
  ASSERT_EQ(parents.size(), 2u);
  EXPECT_EQ(parents[0], present.at("parents").as_array()[0]);
  EXPECT_EQ(parents[1].at("parentRef").at("name"), "new");
  EXPECT_TRUE(has_shared_lists(done));
  EXPECT_TRUE(same_status(done, &done));
  EXPECT_FALSE(same_status(done, &present));
  // Nothing of ours is left: theirs stays.
  const auto none = finish_status(parse(R"({"parents": []})"), {}, &present, ours, late);
  EXPECT_EQ(none.at("parents").as_array().size(), 1u);
}

struct Row {
  std::string_view why, wanted, present;
  bool same;
};

TEST(Status, is_written_only_when_something_matters) {
  const std::vector<Row> rows{
      {"nothing there", R"({"addresses": [{"value": "1.2.3.4"}]})", "{}", false},
      {"equal", R"({"addresses": [{"value": "1.2.3.4"}]})", R"({"addresses": [{"value": "1.2.3.4"}]})", true},
      {"empty is nothing", R"({"loadBalancer": {"ingress": []}})", "{}", true},
      {"no longer empty", R"({"loadBalancer": {}})", R"({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}})", false},
      {"a field of somebody else", R"({"a": 1})", R"({"a": 1, "theirs": 2})", true},
      {"a condition of somebody else", R"({"conditions": [{"type": "A", "status": "True"}]})",
       R"({"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "True"}]})", true},
      {"another generation", R"({"conditions": [{"type": "A", "observedGeneration": 2}]})",
       R"({"conditions": [{"type": "A", "observedGeneration": 1}]})", false},
      {"one replica more", R"({"conditions": [{"type": "weir.dev/Served", "status": "True", "message": "3 of 3"}]})",
       R"({"conditions": [{"type": "weir.dev/Served", "status": "True", "message": "2 of 2"}]})", true},
      {"another who is waited for",
       R"({"conditions": [{"type": "weir.dev/Served", "status": "False", "message": "2 of 3; a"}]})",
       R"({"conditions": [{"type": "weir.dev/Served", "status": "False", "message": "2 of 3; b"}]})", false},
  };
  for (const auto& row : rows) {
    const auto present = parse(row.present);
    EXPECT_EQ(same_status(parse(row.wanted), &present), row.same) << row.why;
  }
  EXPECT_FALSE(same_status(route_status(), nullptr));
}

}  // namespace
}  // namespace weir::reconcile
