#include "proxy/turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "snapshot/test_support.h"

namespace weir::proxy {
namespace {

using snapshot::testing::id;

snapshot::Route route_of(const std::vector<std::uint32_t>& weights) {
  snapshot::Route route;
  route.origin.id = id(1);
  route.gateway = true;
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    route.services.push_back({i, weights[i]});
    route.weights += weights[i];
  }
  return route;
}

TEST(ServiceTurns, give_each_service_its_exact_share_in_every_cycle) {
  const std::vector<std::vector<std::uint32_t>> all = {{1, 1},       {90, 10}, {70, 30, 0}, {1, 2, 3},     {1000000, 1},
                                                       {5, 5, 5, 5}, {0, 7},   {333, 667},  {1, 1000, 999}};
  for (const auto& weights : all) {
    const auto route = route_of(weights);
    std::uint64_t divisor = 0, total = 0;
    for (const auto weight : weights) divisor = std::gcd(divisor, std::uint64_t{weight}), total += weight;
    for (const std::uint64_t random : {0ull, 1ull, 12345678901ull}) {
      ServiceTurns turns;
      for (int cycle = 0; cycle < 2; ++cycle) {
        std::vector<std::uint64_t> picks(weights.size());
        for (std::uint64_t i = 0; i < total / divisor; ++i) ++picks.at(turns.pick(route, 1, random));
        for (std::size_t i = 0; i < weights.size(); ++i)
          EXPECT_EQ(picks[i], weights[i] / divisor) << "service " << i << " of " << weights.size() << ", " << total;
      }
    }
  }
}

TEST(ServiceTurns, spread_a_small_share_over_the_cycle) {
  const auto route = route_of({90, 10});
  ServiceTurns turns;
  int longest = 0, run = 0;
  for (int i = 0; i < 1000; ++i) {
    run = turns.pick(route, 1, 3) == 0 ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  EXPECT_LE(longest, 9);
  const auto half = route_of({50, 50});
  run = longest = 0;
  for (int i = 0; i < 1000; ++i) {
    run = turns.pick(half, 2, 3) == 0 ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  EXPECT_LE(longest, 1);
}

TEST(ServiceTurns, follow_weights_that_change_with_the_snapshot) {
  ServiceTurns turns;
  auto route = route_of({9, 1});
  for (int i = 0; i < 7; ++i) turns.pick(route, 1, 0);
  std::swap(route.services[0].weight, route.services[1].weight);
  std::map<snapshot::Slot, int> picks;
  for (int i = 0; i < 10; ++i) ++picks[turns.pick(route, 2, 0)];
  EXPECT_EQ(picks[0], 1);
  EXPECT_EQ(picks[1], 9);
  route.services[0].weight = 3;  // a cycle of twelve
  route.weights = 12;
  picks.clear();
  for (int i = 0; i < 4; ++i) ++picks[turns.pick(route, 3, 0)];
  EXPECT_EQ(picks[0], 1);
  EXPECT_EQ(picks[1], 3);
}

TEST(ServiceTurns, give_nothing_where_nothing_has_weight) {
  ServiceTurns turns;
  EXPECT_EQ(turns.pick(route_of({}), 1, 0), snapshot::no_slot);
  EXPECT_EQ(turns.pick(route_of({0, 0}), 1, 0), snapshot::no_slot);
  auto missing = route_of({1, 1});
  missing.services[1].service = snapshot::no_slot;
  int none = 0;
  for (int i = 0; i < 10; ++i) none += turns.pick(missing, 2, 0) == snapshot::no_slot;
  EXPECT_EQ(none, 5);
}

TEST(ServiceTurns, forget_routes_that_are_gone) {
  ServiceTurns turns;
  auto route = route_of({1, 3});
  for (std::uint32_t i = 0; i < 2000; ++i) {
    route.origin.id = id(i + 1);
    turns.pick(route, 1, 0);
  }
  EXPECT_EQ(turns.size(), 2000u);
  turns.adopt(snapshot::Snapshot());
  EXPECT_EQ(turns.size(), 0u);
}

}  // namespace
}  // namespace weir::proxy
