// What the listeners of a Gateway and of its ListenerSets amount to, as far as their specifications say: which are in
// conflict, which protocols and kinds of routes they serve. Asked by the Gateway, its sets and every route, which so
// agree without knowing each other. Certificates and addresses are not looked at.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/unit.h"

namespace weir::reconcile {

struct Listener {
  Name owner;
  bool of_set = false;  // owner is a ListenerSet
  std::string name;     // sectionName; unique in its owner
  Object spec;
  std::uint16_t port = 0;
  std::string protocol;
  std::string hostname;  // lower case; empty: any
  bool tls = false;
  bool http_routes = false;  // HTTPRoutes may attach
  bool all_kinds = true;     // false: some kinds that it allows are not served
  // Why not: reason and message of its condition Accepted. Empty: it is accepted.
  std::string reason, message;
  std::string conflict;  // "HostnameConflict", "ProtocolConflict"; empty: none
  bool accepted() const { return reason.empty(); }
  const Kind& owner_kind() const { return of_set ? kinds::listener_set : kinds::gateway; }
};

struct ListenerPlan {
  Name gateway;
  Object object;                    // of the Gateway
  std::size_t addresses = 1;        // as many entries per port may be there, one for each address asked for
  std::vector<Listener> listeners;  // the Gateway's, then those of its sets by precedence
  std::vector<Name> sets;           // ListenerSets that may attach, by precedence
};

// Nothing: there is no such Gateway, or its class is not ours.
std::optional<ListenerPlan> plan_listeners(const Name& gateway, View&);
// Whether a Gateway's class is ours.
bool is_ours(const Object& gateway, View&);
// The Gateway that a ListenerSet wants to attach to.
Name parent_of_set(const Name& set, const Object& object);
// Whether the Gateway allows ListenerSets of this namespace.
bool allows_sets_of(const Name& gateway, const Object& object, const std::string& space, View&);

// Identities of what a Gateway makes. address: index among the addresses asked for.
Uuid entry_id(const Name& gateway, std::uint16_t port, std::size_t address);
Uuid listener_id(const Listener&, std::size_t address);

}  // namespace weir::reconcile
