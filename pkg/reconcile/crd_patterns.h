// Patterns of texts, for the API server: each is at most as strict as the entity's own check, which decides.
#pragma once
#include <span>
#include <string_view>

namespace weir::reconcile {

struct Pattern {
  std::string_view path;     // "routes.paths[]", "upstreams.healthchecks.active.http_path"
  std::string_view pattern;  // RE2, which Kubernetes uses too
};
std::span<const Pattern> crd_patterns();
// The pattern for a path; empty when there is none.
std::string_view crd_pattern(std::string_view path);

}  // namespace weir::reconcile
