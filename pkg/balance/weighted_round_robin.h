// Chooses which address of an upstream gets the next request: smooth weighted round robin.
//
// In each cycle of sum(weights) picks an address appears exactly `weight` times, spread out. Arithmetic only: no I/O,
// no clock, no locks. Belongs to one worker.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace weir::balance {

class WeightedRoundRobin {
 public:
  struct Candidate {
    std::uint64_t identity = 0;  // of the address; what keeps its place in the cycle across changes
    std::uint32_t weight = 0;    // 0 gets no picks
  };

  // Replaces the candidates; those that stay (by identity) keep their place, so that an edit does not restart the
  // cycle.
  void assign(std::span<const Candidate>);
  // Index of the next candidate, or nothing when all weights are 0. excluded(index): passed over in this pick only
  // (already tried by this request); when all are excluded, nothing. O(candidates).
  std::optional<std::size_t> pick();
  std::optional<std::size_t> pick(const std::vector<bool>& excluded);

 private:
  struct Entry {
    Candidate candidate;
    std::int64_t current = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace weir::balance
