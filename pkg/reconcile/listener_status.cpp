#include "reconcile/listener_status.h"

#include <algorithm>

#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

Object resolved_refs(const ListenerState& state, std::int64_t generation) {
  if (!state.certificates.reason.empty())
    return condition("ResolvedRefs", "False", state.certificates.reason, state.certificates.message, generation);
  if (!state.listener->all_kinds)
    return condition("ResolvedRefs", "False", "InvalidRouteKinds",
                     "Some of allowedRoutes.kinds are not supported by this listener: use HTTPRoute.", generation);
  return condition("ResolvedRefs", "True", "ResolvedRefs", "", generation);
}

Object programmed(const ListenerState& state, bool bound, std::int64_t generation) {
  const auto& listener = *state.listener;
  if (!listener.conflict.empty())
    return condition("Programmed", "False", listener.conflict, listener.message, generation);
  if (!listener.accepted()) return condition("Programmed", "False", "Invalid", listener.message, generation);
  if (!state.serves())
    return condition("Programmed", "False", "Invalid",
                     state.certificates.reason.empty() ? "The listener serves no kind of route."
                                                       : "The listener has no valid certificate.",
                     generation);
  if (!bound) return condition("Programmed", "False", "Pending", "The Gateway has no address.", generation);
  return condition("Programmed", "True", "Programmed", "", generation);
}

}  // namespace

bool ListenerState::serves() const {
  return listener->accepted() && listener->http_routes && (!listener->tls || !certificates.entities.empty());
}

Object listener_status(const ListenerState& state, const std::map<std::string, std::size_t>& attached, bool bound,
                       std::int64_t generation) {
  const auto& listener = *state.listener;
  json::array kinds_served;
  if (listener.http_routes)
    kinds_served.push_back({{"group", kinds::http_route.group}, {"kind", kinds::http_route.kind}});
  const auto routes = attached.find("listener/" + listener.name);
  json::array conditions;
  conditions.push_back(listener.accepted()
                           ? condition("Accepted", "True", "Accepted", "", generation)
                           : condition("Accepted", "False", listener.reason, listener.message, generation));
  conditions.push_back(programmed(state, bound, generation));
  conditions.push_back(resolved_refs(state, generation));
  conditions.push_back(listener.conflict.empty()
                           ? condition("Conflicted", "False", "NoConflicts", "", generation)
                           : condition("Conflicted", "True", listener.conflict, listener.message, generation));
  return {{"name", listener.name},
          {"supportedKinds", std::move(kinds_served)},
          {"attachedRoutes", routes == attached.end() ? 0 : routes->second},
          {"conditions", std::move(conditions)}};
}

}  // namespace weir::reconcile
