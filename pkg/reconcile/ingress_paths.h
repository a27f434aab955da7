// Paths of an Ingress as paths of a route.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::reconcile {

// regex_prefix: what marks an ImplementationSpecific path as a regular expression ("/~"). Errors: a path or a type that
// no request can match.
Result<std::vector<std::string>> route_paths(std::string_view path, std::string_view path_type,
                                             std::string_view regex_prefix);

}  // namespace weir::reconcile
