// Chooses the route of a request as Kong's traditional router does, from a persistent index.
//
// The order over all (route, path) pairs: rank (see CompiledRoute::rank), regex_priority, longer path, older route, id;
// the first pair that matches fully wins. Pairs lie in a bucket per host rule (one more for routes without hosts),
// there in a group per rank, there by path prefix in a radix tree, or, regexes and pairs without a path, in one ordered
// set. So a lookup visits the buckets whose host matches, and in each the groups that can still win.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "snapshot/compiled_route.h"
#include "snapshot/radix.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot {

class Router {
 public:
  void insert(const std::shared_ptr<const CompiledRoute>&);
  void erase(const CompiledRoute&);  // the one that was inserted
  Match match(const Request&) const;

 private:
  struct Entry {
    std::shared_ptr<const CompiledRoute> route;
    std::uint32_t path = 0;  // index into route->paths, when it has some
    std::uint16_t port = 0;  // that the request must have; 0: any
    const PathRule* path_rule() const { return path < route->paths.size() ? &route->paths[path] : nullptr; }
  };
  using EntrySet = Radix<Entry>;  // best first
  struct Group {
    std::uint32_t rank = 0;
    Radix<EntrySet> prefixes;
    EntrySet others;  // regexes or no paths: the rank says which
  };
  struct Bucket {
    std::vector<Group> groups;  // best rank first
    Group& group(std::uint32_t rank);
  };
  class Search;

  template <class Change>
  void change_bucket(const HostRule* host, Change&& change);
  template <class Visit>
  static void each_pair(const CompiledRoute&, Visit&& visit);

  Radix<Bucket> hosts_;  // exact names and left wildcards, reversed: "moc.elpmaxe", "moc.elpmaxe."
  Radix<Bucket> right_wildcards_;
  Bucket any_host_;
};

}  // namespace weir::snapshot
