// What instances of plugins share on a node: counters, queues, background threads. Outlives every snapshot.
//
// Made once by the gateway; any worker calls it.
#pragma once
#include <cstddef>
#include <memory>

#include "plugin/counters.h"
#include "plugin/files.h"
#include "plugin/limits.h"
#include "plugin/outbox.h"
#include "plugin/redis_counters.h"
#include "plugin/route_metrics.h"

namespace weir::plugin {

class Services {
 public:
  struct Options {
    unsigned workers = 1;
    std::size_t limit_slots = 1 << 16;  // identifiers that local rate limiting keeps at a time
  };
  // cluster: counters in PostgreSQL; null without it.
  Services(const Options&, std::unique_ptr<Counters> cluster);
  ~Services();  // flushes what is queued, for a bounded time

  Limits limits;                      // policy local
  std::shared_ptr<Counters> cluster;  // policy cluster
  RedisCounters redis;                // policy redis, a connection per server
  Outbox outbox;                      // http-log
  Files files;                        // file-log
  RouteMetrics route_metrics;         // prometheus
};

}  // namespace weir::plugin
