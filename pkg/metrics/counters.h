// What one worker counts. Written by its worker only, read by the control thread when it is scraped.
//
// Each number is a relaxed atomic that only one thread writes: an increment is a plain load, add and store.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <span>

namespace weir::metrics {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void sub(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Upper bounds in ms of Kong's latency histograms (kong/plugins/prometheus/exporter.lua): the first for what the
// gateway itself spends, the second for what an upstream has a part in.
inline constexpr std::array<double, 17> own_latency_bounds{1,  2,   5,   7,   10,  15,   20,   30,  50,
                                                           75, 100, 200, 500, 750, 1000, 3000, 6000};
inline constexpr std::array<double, 13> latency_bounds{25,   50,   80,   100,   250,   400,  700,
                                                       1000, 2000, 5000, 10000, 30000, 60000};

struct Histogram {
  explicit Histogram(std::span<const double> bounds_ms) : bounds(bounds_ms) {}
  void observe_us(std::uint64_t us);

  std::span<const double> bounds;                              // ms, rising
  std::array<Counter, own_latency_bounds.size() + 1> buckets;  // not cumulative; the one after the last bound is +Inf
  Counter sum_us;
};

struct Counters {
  // Requests by status code 100..599 and by who answered.
  std::array<Counter, 600> answered_by_upstream, answered_by_weir;
  Counter requests_total;
  // Client side, as nginx counts: accepted holds those refused at once, active holds the idle ones.
  Counter connections_accepted, connections_active, connections_idle;
  Counter connections_refused;  // over a limit
  Counter upstream_connections_opened, upstream_connections_active, upstream_connections_idle;
  Counter upstream_connect_failed, upstream_retries;
  Counter requests_malformed, requests_timed_out, client_aborted, upstream_aborted;
  Counter bytes_from_clients, bytes_to_clients;
  Counter edits_refused;                          // of heads, by plugins: not printable, or Weir's own
  Counter mirrors_answered, mirrors_dropped;      // copies of requests; dropped: given up, or not answered
  Counter tls_handshakes, tls_handshakes_failed;  // done; given up
  // Whole request; until the upstream's head; spent in Weir.
  Histogram request_ms{latency_bounds}, upstream_ms{latency_bounds}, weir_ms{own_latency_bounds};
};

}  // namespace weir::metrics
