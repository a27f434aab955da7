#include "balance/weighted_round_robin.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

namespace weir::balance {
namespace {

using Candidates = std::vector<WeightedRoundRobin::Candidate>;

std::vector<std::size_t> picks(WeightedRoundRobin& balancer, std::size_t candidates, std::size_t count) {
  std::vector<std::size_t> counts(candidates);
  for (std::size_t i = 0; i < count; i++) counts.at(balancer.pick().value())++;
  return counts;
}

TEST(WeightedRoundRobin, gives_each_candidate_its_exact_share_in_every_cycle) {
  const std::vector<std::vector<std::uint32_t>> tables = {{1},       {1, 1},    {100, 300},
                                                          {5, 1, 1}, {3, 0, 7}, {2, 3, 5, 7, 11}};
  for (const auto& weights : tables) {
    Candidates candidates;
    std::size_t total = 0;
    for (const auto weight : weights) {
      candidates.push_back({candidates.size() + 10, weight});
      total += weight;
    }
    WeightedRoundRobin balancer;
    balancer.assign(candidates);
    for (int cycle = 0; cycle < 3; cycle++) {
      const auto counts = picks(balancer, weights.size(), total);
      EXPECT_EQ(counts, std::vector<std::size_t>(weights.begin(), weights.end()));
    }
  }
}

TEST(WeightedRoundRobin, any_window_of_one_cycle_holds_the_exact_shares) {
  WeightedRoundRobin balancer;
  balancer.assign(Candidates{{1, 4}, {2, 3}, {3, 2}});
  for (int shift = 0; shift < 20; shift++) {
    EXPECT_EQ(picks(balancer, 3, 9), (std::vector<std::size_t>{4, 3, 2}));
    balancer.pick();
  }
}

TEST(WeightedRoundRobin, spreads_the_picks_of_a_heavy_candidate) {
  WeightedRoundRobin balancer;
  balancer.assign(Candidates{{1, 5}, {2, 1}, {3, 1}});
  std::string order;
  for (int i = 0; i < 7; i++) order += static_cast<char>('a' + *balancer.pick());
  EXPECT_EQ(order, "aabacaa");
}

TEST(WeightedRoundRobin, has_nothing_to_pick_without_weight) {
  WeightedRoundRobin balancer;
  EXPECT_FALSE(balancer.pick());
  balancer.assign(Candidates{{1, 0}, {2, 0}});
  EXPECT_FALSE(balancer.pick());
}

TEST(WeightedRoundRobin, passes_over_the_excluded_ones_in_this_pick_only) {
  WeightedRoundRobin balancer;
  balancer.assign(Candidates{{1, 1}, {2, 1}});
  EXPECT_EQ(balancer.pick(std::vector<bool>{true, false}), 1u);
  EXPECT_EQ(balancer.pick(std::vector<bool>{false, true}), 0u);
  EXPECT_FALSE(balancer.pick(std::vector<bool>{true, true}));
  EXPECT_EQ(picks(balancer, 2, 10), (std::vector<std::size_t>{5, 5}));
}

TEST(WeightedRoundRobin, exclusions_do_not_disturb_later_cycles) {
  std::mt19937 random(7);
  WeightedRoundRobin balancer;
  balancer.assign(Candidates{{1, 3}, {2, 5}, {3, 2}});
  for (int i = 0; i < 100; i++) {
    std::vector<bool> excluded(3);
    excluded[random() % 3] = true;
    balancer.pick(excluded);
  }
  picks(balancer, 3, 20);
  EXPECT_EQ(picks(balancer, 3, 10), (std::vector<std::size_t>{3, 5, 2}));
}

TEST(WeightedRoundRobin, the_cycle_goes_on_when_the_same_candidates_are_assigned_again) {
  const Candidates candidates{{1, 5}, {2, 3}, {3, 1}};
  WeightedRoundRobin still, edited;
  still.assign(candidates);
  edited.assign(candidates);
  for (int i = 0; i < 40; i++) {
    edited.assign(candidates);
    EXPECT_EQ(edited.pick(), still.pick()) << i;
  }
}

TEST(WeightedRoundRobin, candidates_that_stay_keep_their_place_when_they_move) {
  WeightedRoundRobin balancer;
  balancer.assign(Candidates{{1, 1}, {2, 1}});
  EXPECT_EQ(balancer.pick(), 0u);
  balancer.assign(Candidates{{2, 1}, {1, 1}});
  EXPECT_EQ(balancer.pick(), 0u);  // identity 2: its turn
}

TEST(WeightedRoundRobin, an_edit_at_every_pick_still_serves_all) {
  WeightedRoundRobin balancer;
  std::map<std::size_t, int> counts;
  for (std::uint32_t i = 0; i < 1000; i++) {
    balancer.assign(Candidates{{1, 100}, {2, 100}, {3 + i, 0}});
    counts[*balancer.pick()]++;
  }
  EXPECT_EQ(counts[0], 500);
  EXPECT_EQ(counts[1], 500);
}

TEST(WeightedRoundRobin, a_smaller_weight_does_not_starve_a_candidate) {
  WeightedRoundRobin balancer;
  balancer.assign(Candidates{{1, 60000}, {2, 60000}});
  balancer.pick();
  balancer.assign(Candidates{{1, 1}, {2, 1}});
  EXPECT_EQ(picks(balancer, 2, 2), (std::vector<std::size_t>{1, 1}));
  balancer.assign(Candidates{{2, 2}, {3, 2}});
  EXPECT_EQ(picks(balancer, 2, 4), (std::vector<std::size_t>{2, 2}));
}

TEST(WeightedRoundRobin, shares_stay_within_one_cycle_of_exact_through_random_edits) {
  std::mt19937 random(42);
  for (int round = 0; round < 50; round++) {
    WeightedRoundRobin balancer;
    Candidates candidates;
    for (int edit = 0; edit < 20; edit++) {
      candidates.clear();
      const std::size_t count = 1 + random() % 5;
      for (std::size_t i = 0; i < count; i++)
        candidates.push_back({random() % 8, 1 + static_cast<std::uint32_t>(random() % 100)});
      balancer.assign(candidates);
      for (std::size_t i = random() % 50; i > 0; i--) ASSERT_TRUE(balancer.pick());
    }
    std::size_t total = 0;
    for (const auto& candidate : candidates) total += candidate.weight;
    const auto counts = picks(balancer, candidates.size(), total);
    for (std::size_t i = 0; i < candidates.size(); i++)
      EXPECT_LE(std::abs(static_cast<long>(counts[i]) - static_cast<long>(candidates[i].weight)), 2);
  }
}

}  // namespace
}  // namespace weir::balance
