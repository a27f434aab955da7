// What this version serves of the Gateway API, by the names of the conformance suite.
#pragma once
#include <string_view>
#include <vector>

#include "reconcile/unit.h"

namespace weir::reconcile {

// Sorted by name. Some depend on how Weir gets addresses.
std::vector<std::string_view> supported_features(const Settings&);

}  // namespace weir::reconcile
