// Gateway: becomes one entry for each address and port that its listeners use, and the certificates of these.
#include <algorithm>
#include <set>

#include "reconcile/gateway_addresses.h"
#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"
#include "reconcile/listener_plan.h"
#include "reconcile/listener_status.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

class GatewayUnit {
 public:
  GatewayUnit(const Name& name, const Object& object, ListenerPlan plan, View& view)
      : view_(view), plan_(std::move(plan)), generation_(generation_of(object)) {
    out_.by = declared_by("Gateway", name, object);
    for (const auto& listener : plan_.listeners) states_.push_back({&listener, certificates_of(listener, view_)});
    judge();
    if (refused_.empty()) {
      addresses_ = plan_addresses(plan_, view_);
      refuse(addresses_.refused, addresses_.refused_message);
    }
  }

  Output translate() {
    if (refused_.empty()) {
      add_certificates();
      for (const auto& address : addresses_.addresses) add_entries(address);
      out_.applied = std::move(addresses_.applied);
    }
    out_.status = status();
    if (!refused_.empty()) {
      out_.fault_reason = refused_;
      out_.fault = refused_message_;
    } else if (!addresses_.not_programmed.empty()) {
      out_.fault_reason = addresses_.not_programmed;
      out_.fault = addresses_.not_programmed_message;
    } else {
      fault_of_listeners();
    }
    return std::move(out_);
  }

 private:
  void refuse(std::string reason, std::string message) {
    if (!refused_.empty() || reason.empty()) return;
    refused_ = std::move(reason);
    refused_message_ = std::move(message);
  }

  // Why the whole Gateway cannot be accepted.
  void judge() {
    if (has(object_of(plan_.object, {"spec", "infrastructure"}), "parametersRef"))
      refuse("InvalidParameters", "Weir takes no parameters: leave spec.infrastructure.parametersRef out.");
    if (std::none_of(states_.begin(), states_.end(), [](const auto& state) { return state.listener->accepted(); }))
      refuse("ListenersNotValid", "None of the listeners is valid.");
  }

  void add_certificates() {
    std::set<Uuid> seen;
    for (const auto& state : states_)
      for (const auto& certificate : state.certificates.entities)
        if (state.listener->accepted() && seen.insert(certificate.id).second) out_.entities.push_back(certificate);
  }

  void add_entries(const AddressPlan::Address& address) {
    std::map<std::uint16_t, model::Entry> entries;
    for (const auto& state : states_) {
      if (!state.serves()) continue;
      const auto& listener = *state.listener;
      auto port = listener.port;
      if (addresses_.by_service) {
        const auto mapped = addresses_.pod_ports.find(port);
        if (mapped == addresses_.pod_ports.end()) continue;
        port = mapped->second;
      }
      auto& entry = entries[listener.port];
      entry.ip = addresses_.by_service ? "0.0.0.0" : address.value;
      entry.port = port;
      entry.public_port = listener.port;
      entry.tls = listener.tls;
      model::Entry::Listener made{listener_id(listener, address.index), listener.name, listener.hostname, {}};
      for (const auto& certificate : state.certificates.entities) made.certificates.push_back(certificate.id);
      entry.listeners.push_back(std::move(made));
    }
    for (auto& [port, entry] : entries) {
      entry.id = entry_id(plan_.gateway, port, address.index);
      entry.by = out_.by;
      if (!entry_ids_.insert(entry.id).second) continue;  // a Service's second address
      out_.gateway.push_back({entry.id, std::make_shared<const model::Entry>(std::move(entry)), nullptr});
    }
  }

  bool bound() const { return refused_.empty() && !addresses_.addresses.empty(); }

  Object accepted() const {
    if (!refused_.empty()) return condition("Accepted", "False", refused_, refused_message_, generation_);
    std::string invalid;
    for (const auto& state : states_)
      if (!state.listener->of_set && !state.listener->accepted())
        invalid += (invalid.empty() ? "" : ", ") + state.listener->name;
    if (!invalid.empty())
      return condition("Accepted", "True", "ListenersNotValid",
                       fmt::format("These listeners are not valid: {}. The others are accepted.", invalid),
                       generation_);
    return condition("Accepted", "True", "Accepted", "", generation_);
  }

  Object programmed() const {
    if (!refused_.empty()) return condition("Programmed", "False", "Invalid", refused_message_, generation_);
    if (!addresses_.not_programmed.empty())
      return condition("Programmed", "False", addresses_.not_programmed, addresses_.not_programmed_message,
                       generation_);
    if (out_.gateway.empty())
      return condition("Programmed", "False", "Invalid", "None of the listeners can be served.", generation_);
    return condition("Programmed", "True", "Programmed", "", generation_);
  }

  Object resolved() const {
    if (!object_of(plan_.object, {"spec", "tls", "backend", "clientCertificateRef"}).empty())
      return condition("ResolvedRefs", "False", "InvalidClientCertificateRef",
                       "Client certificates for backends are not supported by this version.", generation_);
    const bool all = std::all_of(states_.begin(), states_.end(), [](const auto& state) {
      return state.listener->of_set || (state.certificates.reason.empty() && state.listener->all_kinds);
    });
    return all ? condition("ResolvedRefs", "True", "ResolvedRefs", "", generation_)
               : condition("ResolvedRefs", "False", "ListenersNotResolved",
                           "Some listeners have references that cannot be resolved.", generation_);
  }

  Object served() const {
    return out_.gateway.empty()
               ? condition("weir.dev/Served", "False", "NotProgrammed", "Nothing of it can be served.", generation_)
               : condition("weir.dev/Served", "True", "Served", "", generation_);
  }

  // Sets with at least one listener that is served.
  std::size_t attached_sets() const {
    std::set<Name> sets;
    for (const auto& state : states_)
      if (state.listener->of_set && state.serves()) sets.insert(state.listener->owner);
    return sets.size();
  }

  Object status() {
    const auto attached = view_.told(kinds::gateway, plan_.gateway);
    json::array addresses, listeners;
    if (refused_.empty())
      for (const auto& address : addresses_.addresses)
        addresses.push_back({{"type", address.type}, {"value", address.value}});
    for (const auto& state : states_)
      if (!state.listener->of_set) listeners.push_back(listener_status(state, attached, bound(), generation_));
    Object out{{"addresses", std::move(addresses)},
               {"conditions", json::array{accepted(), programmed(), resolved(), served()}},
               {"listeners", std::move(listeners)}};
    // Only then: older CRDs do not know the field.
    if (!object_of(plan_.object, {"spec", "allowedListeners"}).empty()) out["attachedListenerSets"] = attached_sets();
    return out;
  }

  void fault_of_listeners() {
    for (const auto& state : states_) {
      if (state.listener->of_set || (state.listener->accepted() && state.certificates.reason.empty())) continue;
      out_.fault_reason = state.listener->accepted() ? state.certificates.reason : state.listener->reason;
      out_.fault = fmt::format("Listener {}: {}", state.listener->name,
                               state.listener->accepted() ? state.certificates.message : state.listener->message);
      return;
    }
  }

  View& view_;
  const ListenerPlan plan_;
  const std::int64_t generation_;
  std::vector<ListenerState> states_;
  AddressPlan addresses_;
  std::string refused_, refused_message_;  // why it is not accepted
  std::set<Uuid> entry_ids_;
  Output out_;
};

}  // namespace

Output translate_gateway(const Name& name, const Object& object, View& view) {
  auto plan = plan_listeners(name, view);
  if (!plan) return {};
  return GatewayUnit(name, object, std::move(*plan), view).translate();
}

}  // namespace weir::reconcile
