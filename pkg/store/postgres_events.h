// What other nodes, Weir's and Kong's, are told of a write: rows of cluster_events, as Kong 3.9 sends them.
// No I/O.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/schema.h"
#include "store/store.h"

namespace weir::store {

// One row that a write changed. before: nothing when it is new, or could not be read; now: nothing when it is deleted.
struct RowChange {
  const Schema* schema = nullptr;
  Uuid id;
  std::optional<Object> before, now;
};

Change change_of(const RowChange&);

struct ClusterEvent {
  std::string channel, data;
  bool operator==(const ClusterEvent&) const = default;
};
// Each once, in the order of the changes.
std::vector<ClusterEvent> cluster_events(const std::vector<RowChange>&, std::string_view workspace);

}  // namespace weir::store
