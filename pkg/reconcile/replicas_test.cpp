#include "reconcile/replicas.h"

#include <gtest/gtest.h>

namespace weir::reconcile {
namespace {

using std::chrono::seconds;

const Kind routes{"weir.dev", "v1", "WeirRoute", "weirroutes"};
const Instant start{std::chrono::hours(1)};

Object lease(std::string pod, std::string renewed, Revisions served, int duration = 10) {
  return {
      {"metadata",
       {{"labels", {{Replicas::label, "true"}}}, {"annotations", {{Replicas::annotation, print_revisions(served)}}}}},
      {"spec", {{"holderIdentity", pod}, {"renewTime", renewed}, {"leaseDurationSeconds", duration}}}};
}

struct Bench {
  Replicas replicas{"weir-me"};
  void see(const std::string& name, const Object& object, Instant at = start) {
    replicas.seen(Name{"weir", name}, &object, at);
  }
};

TEST(Replicas, alone_nobody_is_waited_for) {
  Bench b;
  b.see("weir-me", lease("me", "1", {}));
  const auto by = b.replicas.served_by(routes, 100);
  EXPECT_TRUE(by.all());
  EXPECT_EQ(by.message(), "1 of 1 replicas");
}

TEST(Replicas, each_must_have_come_to_the_objects_revision) {
  Bench b;
  b.see("weir-a", lease("a", "1", {{"weirroutes.weir.dev", 100}}));
  b.see("weir-b", lease("b", "1", {{"weirroutes.weir.dev", 99}}));
  auto by = b.replicas.served_by(routes, 100);
  EXPECT_FALSE(by.all());
  EXPECT_EQ(by.message(), "2 of 3 replicas; waiting for b");
  b.see("weir-b", lease("b", "1", {{"weirroutes.weir.dev", 100}}));
  EXPECT_TRUE(b.replicas.served_by(routes, 100).all());
  b.see("weir-b", lease("b", "1", {}));
  EXPECT_FALSE(b.replicas.served_by(routes, 1).all()) << "it says nothing of this kind";
}

TEST(Replicas, one_whose_lease_is_not_renewed_is_aged_out_and_comes_back_when_it_is) {
  Bench b;
  b.see("weir-a", lease("a", "1", {}));
  EXPECT_FALSE(b.replicas.age_out(start + seconds(9)));
  b.see("weir-a", lease("a", "2", {}), start + seconds(9));
  EXPECT_FALSE(b.replicas.age_out(start + seconds(18)));
  // Another change than a renewal is no sign of life.
  b.see("weir-a", lease("a", "2", {{"x", 1}}), start + seconds(18));
  EXPECT_TRUE(b.replicas.age_out(start + seconds(19)));
  EXPECT_TRUE(b.replicas.served_by(routes, 100).all());
  b.see("weir-a", lease("a", "2", {{"x", 2}}), start + seconds(20));
  EXPECT_EQ(b.replicas.others(), 0u);
  b.see("weir-a", lease("a", "3", {}), start + seconds(21));
  EXPECT_EQ(b.replicas.others(), 1u);
}

TEST(Replicas, one_whose_lease_is_deleted_or_released_is_gone) {
  Bench b;
  b.see("weir-a", lease("a", "1", {}));
  b.replicas.seen(Name{"weir", "weir-a"}, nullptr, start);
  EXPECT_EQ(b.replicas.others(), 0u);
}

TEST(Replicas, names_a_few_of_many) {
  Bench b;
  for (int i = 0; i < 6; ++i) b.see(fmt::format("weir-{}", i), lease(fmt::format("pod-{}", i), "1", {}));
  EXPECT_EQ(b.replicas.served_by(routes, 1).message(), "1 of 7 replicas; waiting for pod-0, pod-1, pod-2 and 3 more");
}

TEST(Replicas, a_lease_that_is_not_understood_has_served_nothing) {
  Bench b;
  auto broken = lease("a", "1", {});
  broken["metadata"].as_object()["annotations"] = Object{{Replicas::annotation, "{broken"}};
  broken["spec"].as_object()["leaseDurationSeconds"] = "ten";
  b.see("weir-a", broken);
  EXPECT_FALSE(b.replicas.served_by(routes, 1).all());
  EXPECT_TRUE(b.replicas.age_out(start + seconds(10)));
}

}  // namespace
}  // namespace weir::reconcile
