// What annotations of a Service and its KongUpstreamPolicy say about its upstream.
#pragma once
#include <string>

#include "reconcile/unit.h"

namespace weir::reconcile {

// Adds to `upstream`, an input of the entity "upstreams": host_header (konghq.com/host-header) and what the
// KongUpstreamPolicy that konghq.com/upstream-policy names sets. What is invalid, missing or not supported by this
// version is left out and told in `fault` (appended; several are separated by "; ").
void kong_upstream(const Object& service, View&, Object& upstream, std::string& fault);

}  // namespace weir::reconcile
