// The units of the Gateway API, each in its own file; gateway_units() lists them.
#pragma once
#include "reconcile/unit.h"

namespace weir::reconcile {

Output translate_gateway_class(const Name&, const Object&, View&);
Output translate_gateway(const Name&, const Object&, View&);
Output translate_listener_set(const Name&, const Object&, View&);
Output translate_http_route(const Name&, const Object&, View&);
Output translate_backend_tls_policy(const Name&, const Object&, View&);

}  // namespace weir::reconcile
