// The rules of an HTTPRoute: one GatewayRoute for each match of each rule.
#pragma once
#include <string>
#include <vector>

#include "model/gateway.h"
#include "reconcile/http_route_backends.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

struct RouteRules {
  std::vector<model::GatewayRoute> routes;  // without `by` and `attached`
  // By route: KongPlugins that filters of its rule name.
  std::vector<std::vector<std::string>> plugins;
  // Rules that were dropped, and why the first one was: reason and message. The others go on.
  std::size_t all = 0, dropped = 0;
  std::string reason, message;
};
RouteRules rules_of(const Name& route, const Object& object, RouteBackends&);

}  // namespace weir::reconcile
