// Whose turn it is among the weighted services of a Gateway API route, on one worker.
//
// Arithmetic only. In each cycle of sum(weights)/gcd requests a service is picked exactly as often as its weight says,
// spread over the cycle; the turn outlives changes of the configuration.
#pragma once
#include <cstdint>
#include <unordered_map>

#include "base/uuid.h"
#include "snapshot/snapshot.h"

namespace weir::proxy {

class ServiceTurns {
 public:
  // The service of the route's next request; no_slot: that share has none, or nothing has weight. revision: of the
  // snapshot that the route is of. random: where a new route's cycle begins, so that workers do not begin alike.
  snapshot::Slot pick(const snapshot::Route&, std::uint64_t revision, std::uint64_t random);
  // Forgets routes that are gone, now and then.
  void adopt(const snapshot::Snapshot&);
  std::size_t size() const { return turns_.size(); }

 private:
  struct Turn {
    std::uint64_t revision = 0, divisor = 1, total = 0, stride = 1, at = 0;
  };
  static void begin(Turn&, const snapshot::Route&, std::uint64_t random);

  std::unordered_map<Uuid, Turn> turns_;
  std::size_t look_at_ = 1024;  // routes with turns, before it is worth looking which are gone
};

}  // namespace weir::proxy
