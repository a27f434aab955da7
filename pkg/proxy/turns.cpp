#include "proxy/turns.h"

#include <algorithm>
#include <numeric>

namespace weir::proxy {

snapshot::Slot ServiceTurns::pick(const snapshot::Route& route, std::uint64_t revision, std::uint64_t random) {
  if (route.weights == 0) return snapshot::no_slot;
  if (route.services.size() == 1) return route.services[0].service;
  auto& turn = turns_[route.origin.id];
  if (turn.revision != revision || turn.total == 0) {
    begin(turn, route, random);
    turn.revision = revision;
  }
  auto place = turn.at;
  turn.at = (turn.at + turn.stride) % turn.total;
  for (const auto& service : route.services) {
    const auto share = service.weight / turn.divisor;
    if (place < share) return service.service;
    place -= share;
  }
  return snapshot::no_slot;  // not reached: the shares add up to the total
}

// Steps through the places of a cycle by a stride that has no divisor in common with their number: each is met once. A
// stride near the golden section spreads neighbours over the cycle.
void ServiceTurns::begin(Turn& turn, const snapshot::Route& route, std::uint64_t random) {
  std::uint64_t divisor = 0, total = 0;
  for (const auto& service : route.services) divisor = std::gcd(divisor, std::uint64_t{service.weight});
  turn.divisor = std::max<std::uint64_t>(divisor, 1);
  for (const auto& service : route.services) total += service.weight / turn.divisor;
  if (total == turn.total) return;
  turn.at = turn.total == 0 ? random % total : turn.at % total;
  turn.total = total;
  turn.stride = std::max<std::uint64_t>(1, total * 618 / 1000);
  while (std::gcd(turn.stride, total) != 1) ++turn.stride;
}

void ServiceTurns::adopt(const snapshot::Snapshot& next) {
  if (turns_.size() < look_at_) return;
  std::erase_if(turns_, [&](const auto& turn) { return !next.find_route(turn.first); });
  look_at_ = std::max<std::size_t>(1024, 2 * turns_.size());
}

}  // namespace weir::proxy
