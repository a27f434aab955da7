// The text that Prometheus scrapes, made through prometheus-cpp from the workers' counters. Control thread only.
//
// Kong's names (kong_http_requests_total, kong_nginx_connections_total, ...) and Weir's own (weir_...). The number of
// series does not grow with the number of routes, hosts or clients.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <prometheus/metric_family.h>

#include "metrics/counters.h"

namespace weir::metrics {

// What is known of the node besides the workers' counters.
struct Node {
  std::string node_id, version;
  bool store_reachable = true;
  std::uint64_t snapshot_revision = 0, routes = 0, services = 0, upstreams = 0, faults = 0;
  std::uint64_t adopted_revision = 0;  // the oldest that any worker serves
  double started_at = 0;               // Unix seconds
  std::uint64_t resident_bytes = 0, open_fds = 0;
  double cpu_seconds = 0;
  std::uint64_t dns_queries = 0, dns_failures = 0, dns_stale_answers = 0;
  struct Lookups {  // the workers' caches of looked-up rows
    std::uint64_t hits = 0, negative_hits = 0, misses = 0, resurrected = 0, evicted = 0, failed = 0;
    std::uint64_t entries = 0, bytes = 0;
  } lookups;
  const Histogram* followed = nullptr;  // from other nodes' commits until all workers served them, in ms
  double last_change_seconds = 0;       // from commit to adopted by all workers, of the last change
};

// more: families of plugins; one that Weir has too is joined with it.
std::string exposition(std::span<const Counters* const> workers, const Node&,
                       std::vector<prometheus::MetricFamily> more = {});

}  // namespace weir::metrics
