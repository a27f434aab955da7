#include "plugin/limits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace weir::plugin {
namespace {

constexpr std::uint64_t noon = 1'735'732'800'000;  // 2025-01-01T12:00:00Z

void in_threads(unsigned count, const auto& work) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back([&, i] { work(i); });
  for (auto& thread : threads) thread.join();
}

TEST(Windows, begin_with_the_period_in_utc) {
  struct Case {
    Period period;
    std::uint64_t now_ms, start_ms;
    std::uint32_t seconds;
  };
  const std::uint64_t leap = 1'709'210'096'789;  // 2024-02-29T12:34:56.789Z
  for (const auto& [period, now, start, seconds] : std::vector<Case>{
           {Period::second, leap, 1'709'210'096'000, 1},
           {Period::minute, leap, 1'709'210'040'000, 60},
           {Period::hour, leap, 1'709'208'000'000, 3600},
           {Period::day, leap, 1'709'164'800'000, 86'400},
           {Period::month, leap, 1'706'745'600'000, 29 * 86'400},
           {Period::year, leap, 1'704'067'200'000, 366 * 86'400},
       }) {
    const auto window = window_at(period, now);
    EXPECT_EQ(window.start_ms, start) << name(period);
    EXPECT_EQ(window.seconds, seconds) << name(period);
    EXPECT_EQ(window_at(period, start + seconds * 1000ULL).index, window.index + 1) << name(period);
    EXPECT_EQ(window_at(period, start + seconds * 1000ULL - 1).index, window.index) << name(period);
  }
}

TEST(Limits, let_exactly_that_many_pass_and_tell_the_count_before) {
  Limits limits(1 << 10);
  const Uuid scope = Uuid::random();
  const Limit limit{Period::minute, 3};
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto taken = limits.take(scope, "a", {&limit, 1}, noon);
    EXPECT_EQ(taken.counted, i < 3) << i;
    EXPECT_EQ(taken.before[0], std::min<std::uint64_t>(i, 3)) << i;
  }
  EXPECT_TRUE(limits.take(scope, "b", {&limit, 1}, noon).counted);
  EXPECT_TRUE(limits.take(Uuid::random(), "a", {&limit, 1}, noon).counted);
  EXPECT_FALSE(limits.take(scope, "a", {&limit, 1}, noon + 59'999).counted);
  EXPECT_TRUE(limits.take(scope, "a", {&limit, 1}, noon + 60'000).counted);
}

TEST(Limits, count_in_no_window_when_one_is_exhausted) {
  Limits limits(1 << 10);
  const Uuid scope = Uuid::random();
  const std::vector<Limit> both{{Period::second, 2}, {Period::minute, 3}, {Period::hour, 10}};
  for (int i = 0; i < 5; ++i) limits.take(scope, "a", both, noon);
  EXPECT_EQ(limits.count(scope, "a", Period::second, noon), 2u);
  EXPECT_EQ(limits.count(scope, "a", Period::minute, noon), 2u);
  EXPECT_EQ(limits.count(scope, "a", Period::hour, noon), 2u);
  for (int i = 0; i < 5; ++i) limits.take(scope, "a", both, noon + 1000);
  EXPECT_EQ(limits.count(scope, "a", Period::second, noon + 1000), 1u);  // the second one was given back
  EXPECT_EQ(limits.count(scope, "a", Period::minute, noon + 1000), 3u);
  EXPECT_EQ(limits.count(scope, "a", Period::hour, noon + 1000), 3u);
  const auto refused = limits.take(scope, "a", both, noon + 1000);
  EXPECT_FALSE(refused.counted);
  EXPECT_EQ(refused.before[2], 3u);
}

TEST(Limits, are_exact_when_many_threads_count_the_same) {
  Limits limits(1 << 10);
  const Uuid scope = Uuid::random();
  const std::vector<Limit> both{{Period::minute, 1000}, {Period::hour, 1500}};
  std::atomic<int> first{0}, second{0};
  in_threads(8, [&](unsigned) {
    for (int i = 0; i < 1000; ++i) first += limits.take(scope, "a", both, noon).counted;
  });
  EXPECT_EQ(first, 1000);
  in_threads(8, [&](unsigned) {
    for (int i = 0; i < 1000; ++i) second += limits.take(scope, "a", both, noon + 60'000).counted;
  });
  EXPECT_EQ(second, 500);
  EXPECT_EQ(limits.count(scope, "a", Period::minute, noon + 60'000), 500u);
  EXPECT_EQ(limits.count(scope, "a", Period::hour, noon + 60'000), 1500u);
}

// Slots change hands all the time: a few buckets, new identifiers every second, and every thread counts all of them.
TEST(Limits, stay_exact_while_slots_change_hands) {
  Limits limits(64);
  const Uuid scope = Uuid::random();
  const Limit limit{Period::second, 5};
  constexpr int seconds = 2000, identifiers = 4;
  std::vector<std::atomic<int>> passed(seconds * identifiers);
  in_threads(4, [&](unsigned) {
    for (int s = 0; s < seconds; ++s)
      for (int i = 0; i < identifiers; ++i)
        for (int n = 0; n < 3; ++n) {
          const auto identifier = std::to_string(s * identifiers + i);
          passed[s * identifiers + i] += limits.take(scope, identifier, {&limit, 1}, noon + s * 1000ULL).counted;
        }
  });
  // Threads drift apart by more than the window of grace, so an identifier may begin anew; what must never happen is
  // that a count of one identifier lands on another, which would let fewer than the limit pass.
  for (std::size_t i = 0; i < passed.size(); ++i) EXPECT_GE(passed[i], 5) << i;
}

TEST(Limits, are_exact_for_every_newcomer_in_one_moment) {
  Limits limits(1 << 12);
  const Uuid scope = Uuid::random();
  const std::vector<Limit> both{{Period::second, 7}, {Period::minute, 9}};
  constexpr int identifiers = 500;
  for (int s = 0; s < 20; ++s) {
    std::vector<std::atomic<int>> passed(identifiers);
    in_threads(4, [&](unsigned) {
      for (int i = 0; i < identifiers; ++i)
        for (int n = 0; n < 3; ++n)
          passed[i] +=
              limits.take(scope, std::to_string(s) + "-" + std::to_string(i), both, noon + s * 60'000ULL).counted;
    });
    for (int i = 0; i < identifiers; ++i) ASSERT_EQ(passed[i], 7) << s << " " << i;
  }
  EXPECT_EQ(limits.evicted(), 0u);  // 20,000 slots were needed in all, 4,096 there are
}

TEST(Limits, go_on_when_the_clock_is_set_back) {
  Limits limits(1 << 10);
  const Uuid scope = Uuid::random();
  const Limit limit{Period::minute, 1};
  EXPECT_TRUE(limits.take(scope, "a", {&limit, 1}, noon + 600'000).counted);
  EXPECT_TRUE(limits.take(scope, "a", {&limit, 1}, noon).counted);
  EXPECT_FALSE(limits.take(scope, "a", {&limit, 1}, noon).counted);
}

TEST(Limits, lose_the_smallest_count_when_all_slots_are_needed) {
  Limits limits(16);
  const Uuid scope = Uuid::random();
  const Limit limit{Period::hour, 100};
  for (int i = 0; i < 50; ++i) limits.take(scope, "busy", {&limit, 1}, noon);
  for (int i = 0; i < 1000; ++i) limits.take(scope, "guest" + std::to_string(i), {&limit, 1}, noon);
  EXPECT_EQ(limits.count(scope, "busy", Period::hour, noon), 50u);
  EXPECT_EQ(limits.evicted(), 1000u - 15);
}

TEST(Limits, take_over_what_is_known_from_elsewhere) {
  Limits limits(1 << 10);
  const Uuid scope = Uuid::random();
  const Limit limit{Period::hour, 10};
  limits.raise(scope, "a", Period::hour, 9, noon);
  EXPECT_TRUE(limits.take(scope, "a", {&limit, 1}, noon).counted);
  limits.raise(scope, "a", Period::hour, 7, noon);  // less than is known
  EXPECT_FALSE(limits.take(scope, "a", {&limit, 1}, noon).counted);
  EXPECT_EQ(limits.count(scope, "a", Period::hour, noon), 10u);
  EXPECT_EQ(limits.count(scope, "a", Period::hour, noon + 3'600'000), 0u);
}

}  // namespace
}  // namespace weir::plugin
