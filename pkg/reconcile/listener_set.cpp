// ListenerSet: its listeners are served by the Gateway's unit; here is its status.
#include <algorithm>

#include "reconcile/gateway_addresses.h"
#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"
#include "reconcile/listener_plan.h"
#include "reconcile/listener_status.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

Object refused_status(std::string_view reason, const std::string& message, std::int64_t generation) {
  return {{"conditions", json::array{condition("Accepted", "False", reason, message, generation),
                                     condition("Programmed", "False", reason, message, generation)}}};
}

Output refused(std::string_view reason, std::string message, std::int64_t generation) {
  Output out;
  out.status = refused_status(reason, message, generation);
  out.fault_reason = reason;
  out.fault = std::move(message);
  return out;
}

}  // namespace

Output translate_listener_set(const Name& name, const Object& object, View& view) {
  const auto generation = generation_of(object);
  const auto parent = parent_of_set(name, object);
  const auto plan = parent.name.empty() ? std::nullopt : plan_listeners(parent, view);
  if (!plan) return {};
  if (std::find(plan->sets.begin(), plan->sets.end(), name) == plan->sets.end())
    return refused(
        "NotAllowed",
        fmt::format("Gateway {} does not allow ListenerSets of this namespace (spec.allowedListeners).", parent.text()),
        generation);
  const bool parent_refused =
      has(object_of(plan->object, {"spec", "infrastructure"}), "parametersRef") ||
      std::none_of(plan->listeners.begin(), plan->listeners.end(), [](const auto& one) { return one.accepted(); });
  const auto addresses = plan_addresses(*plan, view);
  const bool bound = !addresses.addresses.empty();
  const auto attached = view.told(kinds::listener_set, name);
  json::array listeners;
  bool any = false, all = true;
  for (const auto& listener : plan->listeners) {
    if (!listener.of_set || listener.owner != name) continue;
    const ListenerState state{&listener, certificates_of(listener, view)};
    any = any || state.serves();
    all = all && state.serves();
    listeners.push_back(listener_status(state, attached, bound, generation));
  }
  if (!any || parent_refused) {
    auto out = any ? refused("ParentNotAccepted", fmt::format("Gateway {} is not accepted.", parent.text()), generation)
                   : refused("ListenersNotValid", "None of the listeners is valid.", generation);
    out.status->insert_or_assign("listeners", std::move(listeners));
    return out;
  }
  Output out;
  out.by = declared_by("ListenerSet", name, object);
  out.status = Object{
      {"conditions",
       json::array{
           all ? condition("Accepted", "True", "Accepted", "", generation)
               : condition("Accepted", "True", "ListenersNotValid", "Some listeners are not valid.", generation),
           bound ? condition("Programmed", "True", "Programmed", "", generation)
                 : condition("Programmed", "False", "ParentNotProgrammed", "The Gateway has no address.", generation)}},
      {"listeners", std::move(listeners)}};
  return out;
}

}  // namespace weir::reconcile
