// ReferenceGrant: whether an object may refer to one of another namespace.
#pragma once
#include <string_view>

#include "reconcile/unit.h"

namespace weir::reconcile {

// Whether objects of kind `from` in the namespace from_space may refer to `to`. Within one namespace they always may.
bool granted(View&, const Kind& from, std::string_view from_space, const Kind& to_kind, const Name& to);

}  // namespace weir::reconcile
