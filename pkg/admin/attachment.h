// A plugin is attached to a route or a service; it must speak a protocol in common with it.
#pragma once
#include "admin/endpoint.h"
#include "model/schema.h"

namespace weir::admin {

// Whether a complete plugin shares a protocol with its route, or with a route of its service. Other entities pass.
model::Outcome<> check_attachment(const Context&, const model::Schema&, const Object& entity);

}  // namespace weir::admin
