#include "metrics/counters.h"

#include <gtest/gtest.h>

namespace weir::metrics {
namespace {

TEST(Counter, goes_up_and_down) {
  Counter counter;
  counter.add();
  counter.add(5);
  counter.sub(2);
  EXPECT_EQ(counter.get(), 4u);
}

TEST(Histogram, puts_each_observation_into_the_first_bucket_that_holds_it) {
  struct Case {
    std::uint64_t us;
    std::size_t bucket;
  };
  for (const auto& [us, bucket] : {Case{0, 0}, Case{25'000, 0}, Case{25'001, 1}, Case{50'000, 1}, Case{99'999, 3},
                                   Case{60'000'000, 12}, Case{60'000'001, 13}, Case{~0ull, 13}}) {
    Histogram histogram{latency_bounds};
    histogram.observe_us(us);
    for (std::size_t i = 0; i < histogram.buckets.size(); ++i)
      EXPECT_EQ(histogram.buckets[i].get(), i == bucket ? 1u : 0u) << us << " in bucket " << i;
    EXPECT_EQ(histogram.sum_us.get(), us);
  }
}

TEST(Histogram, of_own_time_is_fine_grained) {
  Counters counters;
  counters.weir_ms.observe_us(900);
  counters.weir_ms.observe_us(1'500);
  counters.weir_ms.observe_us(7'000'000);
  EXPECT_EQ(counters.weir_ms.buckets[0].get(), 1u);
  EXPECT_EQ(counters.weir_ms.buckets[1].get(), 1u);
  EXPECT_EQ(counters.weir_ms.buckets[own_latency_bounds.size()].get(), 1u);
}

}  // namespace
}  // namespace weir::metrics
