// The spec of one of Weir's kinds as an OpenAPI v3 structural schema, made of the declaration of its entity.
//
// Fields have the Admin API's names. Parents are references by name within the namespace. Values that this version
// cannot honour are not offered, so that the API server refuses them at once. Defaults are told in the description
// only: written into objects they would outlive the version that chose them. No I/O.
#pragma once
#include "reconcile/weir_kinds.h"

namespace weir::reconcile {

using model::Object;

// kind: one of weir_kinds().
Object spec_schema(const WeirKind&);

// {name: x}: an object of this kind in the same namespace.
Object reference_schema(std::string_view kind, std::string help);

}  // namespace weir::reconcile
