// BackendTLSPolicy: says, for each Gateway whose routes it would apply to, that this version cannot honour it; its
// Services are not spoken to in plain meanwhile (http_route_backends.cpp).
#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"
#include "reconcile/http_route_backends.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

json::array ancestors_of_others(const Object& policy, std::string_view controller) {
  json::array out;
  for (const auto& value : array_of(policy, {"status", "ancestors"}))
    if (text_of(object_in(value), "controllerName") != controller) out.push_back(value);
  return out;
}

}  // namespace

Output translate_backend_tls_policy(const Name& name, const Object& object, View& view) {
  Output out;
  const auto& controller = view.settings().controller;
  auto ancestors = ancestors_of_others(object, controller);
  const auto others = ancestors.size();
  constexpr std::string_view gateway = "gateway/";
  constexpr std::size_t most = 16;  // of status.ancestors, by its CRD
  const std::string why = "TLS to backends with verification is not supported by this version.";
  for (const auto& [text, routes] : view.told(kinds::backend_tls_policy, name)) {
    const auto slash = text.find('/', gateway.size());
    if (!text.starts_with(gateway) || slash == text.npos || ancestors.size() == most) continue;
    ancestors.push_back(
        {{"ancestorRef", Object{{"group", kinds::gateway.group},
                                {"kind", kinds::gateway.kind},
                                {"namespace", text.substr(gateway.size(), slash - gateway.size())},
                                {"name", text.substr(slash + 1)}}},
         {"controllerName", controller},
         {"conditions", json::array{condition("Accepted", "False", "Invalid", why, generation_of(object))}}});
  }
  if (ancestors.size() == others && others == array_of(object, {"status", "ancestors"}).size()) return out;
  if (ancestors.size() > others) {
    out.fault_reason = "Invalid";
    out.fault = why;
  }
  out.status = Object{{"ancestors", std::move(ancestors)}};
  return out;
}

}  // namespace weir::reconcile
