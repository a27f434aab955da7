// Kubernetes' manifests as JSON values: several documents, in YAML as kubectl reads it, which is YAML 1.1 (0644 is
// octal, "yes" and "on" are booleans). store/yaml.h reads Weir's own files, which are YAML 1.2.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"

namespace weir::reconcile {

// Empty documents are left out. Errors name the line.
Result<std::vector<boost::json::value>> read_manifests(std::string_view text);
// Documents with "---" between them.
std::string print_manifests(const std::vector<boost::json::value>&);

}  // namespace weir::reconcile
