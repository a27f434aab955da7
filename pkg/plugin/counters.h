// Counters of time windows that several nodes share: in PostgreSQL (table ratelimiting_metrics) or in Redis.
//
// Any worker asks; one thread of each kind talks to the server and gathers what many ask at once into one round trip,
// so each request is counted exactly and pays at most one.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::plugin {

// One window of one identifier. Kong: row (identifier, period, period_date, service_id, route_id).
struct Window {
  std::string identifier, period;    // period: "second", "minute", ...
  std::uint64_t start_ms = 0;        // Unix, of the window, UTC
  std::uint32_t seconds = 0;         // length
  std::string service_id, route_id;  // the nil UUID when not scoped
  // Nothing is counted in any window of a call when one of them has reached its limit; 0: it has none. A server that
  // cannot decide that counts and lets the caller judge by `before`.
  std::uint64_t limit = 0;
};

// What counting one more gave.
struct Counted {
  bool ok = false;
  std::string error;                  // why not
  std::vector<std::uint64_t> before;  // of each window asked for: the count without this one
};

class Counters {
 public:
  virtual ~Counters() = default;
  // Adds `amount` to every window, together, and tells what was there before. done: on any thread, once, within the
  // server's timeout. Bounded: when too many wait, done gets an error at once.
  virtual void add(std::vector<Window> windows, std::uint64_t amount,
                   std::function<void(std::shared_ptr<const Counted>)> done) = 0;
};

}  // namespace weir::plugin
