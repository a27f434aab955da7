// What the entity `plugins` needs beside its schema: its configuration is typed by the plugin it names, and its
// protocols must be some of those of what it is attached to.
#pragma once
#include "admin/endpoint.h"
#include "model/schema.h"

namespace weir::admin {

// Gives the strings of a form their types, those of a plugin's `config` too. before: the entity that is changed, or
// null; it names the plugin when the form does not.
void infer(const model::Schema&, Object& form, const Object* before);

// Whether a complete plugin has a protocol in common with the route, or with a route of the service, it is attached to.
// Other entities pass.
model::Outcome<> check_attachment(const Context&, const model::Schema&, const Object& entity);

}  // namespace weir::admin
