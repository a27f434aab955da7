// The filters of a Gateway API route, as a plugin that belongs to its route: CORS, redirect, URL rewrite, header edits,
// mirrors; those of the rule, and those of the backend that was picked.
//
// Not in kinds(): nobody configures it, the snapshot makes it from the route.
#pragma once
#include <memory>

#include "model/gateway.h"
#include "plugin/plugin.h"

namespace weir::plugin {

// "gateway-filters". Runs before every plugin but correlation-id: what a route says of itself (a redirect, an answer to
// a preflight, which brings no credentials) comes before what guards it.
const Kind& gateway_filters();

// Null: the route has none.
std::unique_ptr<const Plugin> make_gateway_filters(const model::GatewayRoute&);

}  // namespace weir::plugin
