// What Weir's kinds have in their spec beyond the fields of their entity: shorthands that only make sense in
// Kubernetes.
#pragma once
#include "reconcile/weir_kinds.h"

namespace weir::reconcile {

using model::Object;

// Adds properties and rules to a spec made of the entity's fields; fields that the extras may stand for are no longer
// required.
void add_extras(const WeirKind&, Object& spec);
// The names of the properties that it adds, which are no fields of the entity.
std::vector<std::string_view> extra_fields(std::string_view entity);

}  // namespace weir::reconcile
