#include "reconcile/dependencies.h"

namespace weir::reconcile {

std::size_t Dependencies::Hash::operator()(const Read& read) const noexcept {
  const std::hash<std::string_view> hash;
  auto value = hash(read.name.name) * 31 + hash(read.name.space);
  return value * 31 + read.kind * 8u + static_cast<std::size_t>(read.reading);
}

void Dependencies::replace(Unit& unit, Lines& lines, std::vector<Read> reads) {
  std::ranges::sort(reads);
  reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
  Lines next;
  next.reserve(reads.size());
  // What is new comes first, so that a line that stays is never let go in between.
  for (auto& read : reads) {
    auto& line = lines_[read];
    if (line.readers.empty()) {
      line.read = read;
      used_(read, true);
    }
    if (const auto at = std::ranges::lower_bound(line.readers, &unit); at == line.readers.end() || *at != &unit)
      line.readers.insert(at, &unit);
    next.push_back(&line);
  }
  std::ranges::sort(next);
  for (auto* line : lines) {
    if (std::ranges::binary_search(next, line)) continue;
    line->readers.erase(std::ranges::lower_bound(line->readers, &unit));
    if (!line->readers.empty()) continue;
    const Read read = line->read;
    lines_.erase(read);
    used_(read, false);
  }
  lines = std::move(next);
}

std::span<Unit* const> Dependencies::readers(const Read& read) const {
  const auto at = lines_.find(read);
  return at == lines_.end() ? std::span<Unit* const>() : at->second.readers;
}

}  // namespace weir::reconcile
