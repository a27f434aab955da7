// What a write must satisfy beyond its schema: a plugin is attached to a route or a service and must speak a protocol
// in common with it; an authority's certificate must not have run out.
#pragma once
#include "admin/endpoint.h"
#include "model/schema.h"

namespace weir::admin {

// Of a complete entity; other ones than these pass.
model::Outcome<> check_attachment(const Context&, const model::Schema&, const Object& entity);

}  // namespace weir::admin
