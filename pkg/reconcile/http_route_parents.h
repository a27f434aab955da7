// Which listeners a route attaches to: a pure function of the route, its Gateways and the ListenerSets of these.
#pragma once
#include <string>
#include <vector>

#include "model/gateway.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

// One parentRef that means a Gateway of ours.
struct RouteParent {
  Object reference;  // as the route gives it
  Name gateway;
  std::string reason, message;  // why it is not accepted; empty: it is
  std::vector<model::GatewayRoute::Attachment> attached;
  std::vector<Tell> tells;  // to the owners of the listeners
  bool accepted() const { return reason.empty(); }
};
std::vector<RouteParent> parents_of(const Name& route, const Object& object, View&);

// What host names of a route and a listener have in common: of two that overlap the more specific one. Nothing: no
// overlap; an empty list: any.
std::optional<std::vector<std::string>> common_hosts(const std::string& listener,
                                                     const std::vector<std::string>& route);

}  // namespace weir::reconcile
