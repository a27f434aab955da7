// Chooses the route of a request as the Gateway API does: first the listener of an entry, then among its routes alone.
//
// Of an entry's listeners the one with the most specific host name takes the request; if none of its routes does, there
// is none. Routes lie in a bucket per host name, and there by path: exact ones, regular expressions, prefixes by
// segments. The most specific host goes first, then the kind of path, the longer path, a method, more headers, more
// query parameters, the older route, its `order`; the first that matches fully wins.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gateway.h"
#include "snapshot/compiled_route.h"
#include "snapshot/host_table.h"
#include "snapshot/radix.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot {

// An entry with its listeners by host name. Of two with one name the first has it.
struct CompiledEntry {
  std::shared_ptr<const model::Entry> declared;
  HostTable<const model::Entry::Listener*> listeners;

  explicit CompiledEntry(std::shared_ptr<const model::Entry>);
  const model::Entry::Listener* listener(std::string_view host) const;  // null: none
};
using EntryPtr = std::shared_ptr<const CompiledEntry>;

struct CompiledGatewayRoute {
  struct Condition {
    std::string_view name, value;  // of `declared`
    Pattern regex;                 // instead of value
  };

  Route route;
  std::shared_ptr<const model::GatewayRoute> declared;
  std::optional<Uuid> service;  // when there is one only: its plugins apply
  Pattern regex;                // of the whole path
  std::vector<Condition> headers, queries;

  std::string_view prefix() const;  // of a prefix path, without slashes at its end
  std::string order_key() const;    // compares as the rest of the order does, within one path
  void release_patterns(Patterns&) const;
};
using GatewayRoutePtr = std::shared_ptr<const CompiledGatewayRoute>;

// Everything but slots and origin.
Result<std::shared_ptr<CompiledGatewayRoute>> compile_gateway_route(std::shared_ptr<const model::GatewayRoute>,
                                                                    Patterns&);

// The routes of one listener.
class GatewayRouter {
 public:
  bool empty() const { return hosts_.empty(); }
  void insert(const GatewayRoutePtr&, std::string_view host);  // host "": all that the listener has
  void erase(const CompiledGatewayRoute&, std::string_view host);
  Match match(const Request&) const;

 private:
  using Routes = Radix<GatewayRoutePtr>;  // best first
  struct Bucket {
    Radix<Routes> exact, prefixes;
    Routes regexes;
    bool empty() const { return exact.empty() && prefixes.empty() && regexes.empty(); }
  };
  template <class Change>
  static void change_routes(Bucket&, const CompiledGatewayRoute&, Change&&);
  static bool find(const Bucket&, const Request&, Match&);
  static bool find(const Routes&, const Request&, Match&);

  HostTable<Bucket> hosts_;
};

}  // namespace weir::snapshot
