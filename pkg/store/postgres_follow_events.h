// What rows of cluster_events say: which rows of which tables may have changed, and which looked-up rows are stale.
// Kong's channels and keys (kong-database.md sections 3 and 4); unknown ones say nothing. No I/O.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"
#include "model/schema.h"

namespace weir::store {

// What is to be read because of events.
struct Named {
  struct Rows {
    std::set<Uuid> ids;
    std::set<std::string> cache_keys;  // as in the column, with workspace
    std::set<Uuid> parents;            // targets: of these upstreams
    bool all = false;
    bool empty() const { return ids.empty() && cache_keys.empty() && parents.empty() && !all; }
    std::size_t size() const { return ids.size() + cache_keys.size() + parents.size(); }
  };
  std::map<const model::Schema*, Rows> rows;
  std::set<std::string> keys;  // of looked-up rows, as nodes keep them

  bool empty() const { return keys.empty() && rows.empty(); }
  std::size_t size() const;
  void merge(const Named&);
};

class Events {
 public:
  using Clock = std::chrono::steady_clock;

  // One event. False: nothing in it is known here.
  bool take(std::string_view node, std::string_view channel, std::string_view data, Clock::time_point now);
  // What the events taken since the last call named. A version (router:version) that comes without any key of what it
  // counts, and without one shortly before from the same node, names everything of that kind.
  Named finish(Clock::time_point now);

 private:
  enum Kind : std::uint8_t { router, plugins, kinds };
  bool take_key(std::string_view node, std::string_view key, Clock::time_point now);
  bool take_upstream(std::string_view data);
  bool take_targets(std::string_view data);

  Named named_;
  std::set<std::string> unexplained_[kinds];                             // nodes that told a version
  std::unordered_map<std::string, Clock::time_point> explained_[kinds];  // nodes that told a key of what it counts
};

}  // namespace weir::store
