// Counters of rate limits in PostgreSQL: Kong's table ratelimiting_metrics, so that nodes of either kind count
// together.
#pragma once
#include <memory>

#include "plugin/counters.h"
#include "store/postgres.h"

namespace weir::plugin {

// A thread with a connection of its own: what many ask in the time of one round trip is counted in the next one, each
// window by one row, and each caller gets its own place in the count. So counting is exact over all nodes.
std::unique_ptr<Counters> cluster_counters(const store::PostgresServer&);

}  // namespace weir::plugin
