// Filters and timeouts of a rule of an HTTPRoute.
#pragma once
#include <chrono>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/gateway.h"
#include "reconcile/http_route_backends.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

// A rule that cannot be served: reason and message for the route's condition.
struct RuleFault {
  std::string reason, message;
};

struct RuleFilters {
  std::shared_ptr<const model::Filters> filters;  // null: none
  std::vector<std::string> plugins;               // KongPlugins named by ExtensionRef
};
// of_backend: only what a single backend's filters may be. A mirror's backend that cannot be resolved is told to
// `backends` and left out.
std::expected<RuleFilters, RuleFault> filters_of(const boost::json::array& filters, bool of_backend, RouteBackends&);

// GEP-2257: "1h30m", "500ms". Nothing when it is malformed.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view);

}  // namespace weir::reconcile
