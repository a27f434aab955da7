#include "reconcile/ledger.h"

namespace weir::reconcile {

bool Ledger::declare(Unit& unit, const Uuid& id, const model::Schema* schema, const Digest& digest) {
  auto& line = lines_[id];
  line.schema = schema;
  if (std::ranges::find(line.owners, &unit) == line.owners.end())
    line.owners.insert(std::ranges::upper_bound(line.owners, &unit, before_), &unit);
  if (line.owners.front() != &unit || line.served == digest) return false;
  line.served = digest;
  return true;
}

Ledger::Dropped Ledger::drop(Unit& unit, const Uuid& id) {
  const auto at = lines_.find(id);
  if (at == lines_.end()) return {};
  auto& line = at->second;
  const bool decided = !line.owners.empty() && line.owners.front() == &unit;
  std::erase(line.owners, &unit);
  if (line.owners.empty()) {
    const auto* schema = line.schema;
    lines_.erase(at);
    return {.deleted = true, .schema = schema, .heir = nullptr, .served = {}};
  }
  if (!decided) return {};
  return {.deleted = false, .schema = nullptr, .heir = line.owners.front(), .served = line.served};
}

std::span<Unit* const> Ledger::owners(const Uuid& id) const {
  const auto at = lines_.find(id);
  return at == lines_.end() ? std::span<Unit* const>() : at->second.owners;
}

}  // namespace weir::reconcile
