#include "balance/weighted_round_robin.h"

#include <cmath>
#include <unordered_map>

namespace weir::balance {
namespace {

template <class Entries>
std::int64_t total_weight(const Entries& entries) {
  std::int64_t total = 0;
  for (const auto& entry : entries) total += entry.candidate.weight;
  return total;
}

}  // namespace

// Each pick credits every candidate with its weight and charges the winner the sum of all weights. So the credits
// always sum to 0, and after sum(weights) picks each candidate has been charged exactly `weight` times.
void WeightedRoundRobin::assign(std::span<const Candidate> candidates) {
  std::unordered_map<std::uint64_t, std::int64_t> places;
  for (const auto& entry : entries_) places.emplace(entry.candidate.identity, entry.current);
  const auto old_total = total_weight(entries_);

  std::vector<Entry> next;
  next.reserve(candidates.size());
  for (const auto& candidate : candidates) {
    Entry entry{candidate, 0};
    // Two candidates of one identity (two names of one address): only the first takes the place over.
    if (const auto place = places.extract(candidate.identity); !place.empty() && candidate.weight > 0)
      entry.current = place.mapped();
    next.push_back(entry);
  }

  const auto total = total_weight(next);
  std::size_t active = 0;
  std::int64_t rest = 0;
  for (auto& entry : next) {
    // A credit is a part of a cycle: it is scaled with the cycle's length. Left as it is, the credit of a cycle of
    // thousands would starve or favour one candidate for many of the new, shorter ones.
    if (total != old_total && old_total > 0)
      entry.current = std::llround(static_cast<double>(entry.current) * static_cast<double>(total) /
                                   static_cast<double>(old_total));
    rest += entry.current;
    if (entry.candidate.weight > 0) active++;
  }
  // Those that left took their credit along: what is missing to 0 is shared by all.
  if (active > 0 && rest != 0) {
    const auto divisor = static_cast<std::int64_t>(active);
    const auto share = rest / divisor;
    auto remainder = rest - share * divisor;
    for (auto& entry : next) {
      if (entry.candidate.weight == 0) continue;
      entry.current -= share;
      if (remainder == 0) continue;
      const auto step = remainder > 0 ? 1 : -1;
      entry.current -= step;
      remainder -= step;
    }
  }
  entries_ = std::move(next);
}

std::optional<std::size_t> WeightedRoundRobin::pick() {
  static const std::vector<bool> none;
  return pick(none);
}

std::optional<std::size_t> WeightedRoundRobin::pick(const std::vector<bool>& excluded) {
  std::optional<std::size_t> best;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < entries_.size(); i++) {
    auto& entry = entries_[i];
    // Those passed over are neither credited nor charged: they find their place as they left it.
    if (entry.candidate.weight == 0 || (i < excluded.size() && excluded[i])) continue;
    total += entry.candidate.weight;
    entry.current += entry.candidate.weight;
    if (!best || entry.current > entries_[*best].current) best = i;
  }
  if (best) entries_[*best].current -= total;
  return best;
}

}  // namespace weir::balance
