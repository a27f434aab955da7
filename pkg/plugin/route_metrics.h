// What the plugin prometheus counts: requests, latencies and bytes by service, route and consumer, with Kong's names.
//
// Each worker has series of its own, which it alone writes, so counting is a look-up and a few plain additions; the
// scraper walks lists that only grow. Series are never removed, and there are no more than series_max on a node: what
// would be over is counted in errors(), not in a series.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"
#include "metrics/counters.h"

namespace prometheus {
struct MetricFamily;
}

namespace weir::plugin {

// One request, with the labels as they are now.
struct Observation {
  Uuid route_id, service_id;
  std::string_view route, service;  // names; empty: the route's id, the service's host
  std::string_view service_host;
  std::string_view consumer;                             // "" unless per_consumer
  bool codes = false, latencies = false, bytes = false;  // which families
  int status = 0;
  bool from_upstream = false, upstream_asked = false;
  std::uint64_t total_us = 0, weir_us = 0, upstream_us = 0, request_bytes = 0, response_bytes = 0;
};

struct TargetState {  // kong_upstream_target_health
  std::string upstream, target, address, state;
};

class RouteMetrics {
 public:
  static constexpr std::size_t series_max = 20'000, codes_max = 60'000;

  RouteMetrics();
  ~RouteMetrics();

  void count(const Observation&);  // any thread; each gets series of its own
  std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }

  // Whether an instance has asked for kong_upstream_target_health.
  bool target_health_wanted() const { return target_health_.load(std::memory_order_relaxed) > 0; }
  void want_target_health(int more) { target_health_.fetch_add(more, std::memory_order_relaxed); }

  // Appends the families that have series, and kong_nginx_metric_errors_total. Any thread, at any time.
  void collect(std::vector<prometheus::MetricFamily>&, std::span<const TargetState> targets = {}) const;

 private:
  struct Codes;
  struct Latencies;
  struct Series;
  class Shard;
  Shard& shard();
  void count_code(Series&, const Observation&);

  const std::uint64_t serial_;  // tells this object apart from one that had its address before
  mutable std::mutex mutex_;    // of shards_, when a thread counts for the first time
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<std::size_t> series_{0}, codes_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<int> target_health_{0};
};

}  // namespace weir::plugin
