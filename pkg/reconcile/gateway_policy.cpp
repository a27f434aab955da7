// BackendTLSPolicy: says, for each Gateway whose routes it applies to, whether it is obeyed (http_route_backends.cpp).
// The Services of one that cannot be are not spoken to in plain meanwhile.
#include "reconcile/backend_tls.h"
#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

json::array ancestors_of_others(const Object& policy, std::string_view controller) {
  json::array out;
  for (const auto& value : array_of(policy, {"status", "ancestors"}))
    if (text_of(object_in(value), "controllerName") != controller) out.push_back(value);
  return out;
}

// Whether another policy goes before this one for something that it names.
bool conflicts(const Name& name, const Object& policy, View& view) {
  for (const auto& value : array_of(policy, {"spec", "targetRefs"})) {
    const auto& target = object_in(value);
    const auto policies = policies_of({name.space, text_of(target, "name")}, view);
    const auto first = std::ranges::find(policies, text_of(target, "sectionName"), &TargetingPolicy::section);
    if (first != policies.end() && first->name != name) return true;
  }
  return false;
}

struct Verdict {
  json::array conditions;
  std::string reason, message;  // of a fault
};

Verdict judge(const Name& name, const Object& policy, View& view) {
  const auto generation = generation_of(policy);
  const auto read = read_policy(name, policy, view);
  Verdict out;
  if (!read.tls)
    out.reason = "NoValidCACertificate", out.message = read.message;
  else if (conflicts(name, policy, view))
    out.reason = "Conflicted", out.message = "An older BackendTLSPolicy names the same target.";
  const bool accepted = out.reason.empty();
  out.conditions.push_back(
      condition("Accepted", accepted ? "True" : "False", accepted ? "Accepted" : out.reason, out.message, generation));
  out.conditions.push_back(condition("ResolvedRefs", read.reason.empty() ? "True" : "False",
                                     read.reason.empty() ? "ResolvedRefs" : read.reason, read.message, generation));
  if (accepted && !read.reason.empty()) out.reason = read.reason, out.message = read.message;
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
  const auto verdict = judge(name, object, view);
  for (const auto& [text, routes] : view.told(kinds::backend_tls_policy, name)) {
    const auto slash = text.find('/', gateway.size());
    if (!text.starts_with(gateway) || slash == text.npos || ancestors.size() == most) continue;
    ancestors.push_back({{"ancestorRef", Object{{"group", kinds::gateway.group},
                                                {"kind", kinds::gateway.kind},
                                                {"namespace", text.substr(gateway.size(), slash - gateway.size())},
                                                {"name", text.substr(slash + 1)}}},
                         {"controllerName", controller},
                         {"conditions", verdict.conditions}});
  }
  if (ancestors.size() == others && others == array_of(object, {"status", "ancestors"}).size()) return out;
  if (ancestors.size() > others) {
    out.fault_reason = verdict.reason;
    out.fault = verdict.message;
  }
  out.status = Object{{"ancestors", std::move(ancestors)}};
  return out;
}

}  // namespace weir::reconcile
