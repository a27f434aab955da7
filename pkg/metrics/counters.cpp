#include "metrics/counters.h"

#include <algorithm>

namespace weir::metrics {

static_assert(latency_bounds.size() <= own_latency_bounds.size(), "Histogram::buckets has room for both");

void Histogram::observe_us(std::uint64_t us) {
  // A bound belongs to its bucket (Prometheus: le, less or equal).
  auto bound = std::ranges::lower_bound(bounds, static_cast<double>(us) / 1000.0);
  buckets[static_cast<std::size_t>(bound - bounds.begin())].add();
  sum_us.add(us);
}

}  // namespace weir::metrics
