#include "reconcile/http_route_parents.h"

#include <algorithm>
#include <map>

#include "base/text.h"

#include "reconcile/gateway_fields.h"
#include "reconcile/listener_plan.h"

namespace weir::reconcile {
namespace {

// "*.example.com" for "a.b.example.com" and "*.b.example.com", not for "example.com".
bool covers(std::string_view wildcard, std::string_view host) {
  if (!wildcard.starts_with("*.")) return false;
  if (host.starts_with("*.")) host.remove_prefix(1);
  wildcard.remove_prefix(1);
  return host.size() >= wildcard.size() && host.ends_with(wildcard);
}

std::optional<std::string> common_host(const std::string& a, const std::string& b) {
  if (a == b || covers(b, a)) return a;
  return covers(a, b) ? std::optional(b) : std::nullopt;
}

void refuse(RouteParent& parent, std::string_view reason, std::string message) {
  parent.reason = reason;
  parent.message = std::move(message);
}

// Plans are made once for all references to one Gateway.
class Plans {
 public:
  explicit Plans(View& view) : view_(view) {}
  const ListenerPlan* of(const Name& gateway) {
    auto found = plans_.find(gateway);
    if (found == plans_.end()) found = plans_.emplace(gateway, plan_listeners(gateway, view_)).first;
    return found->second ? &*found->second : nullptr;
  }

 private:
  View& view_;
  std::map<Name, std::optional<ListenerPlan>> plans_;
};

void attach_to(RouteParent& parent, const Listener& listener, std::size_t addresses,
               const std::vector<std::string>& hosts) {
  parent.tells.push_back({listener.owner_kind(), listener.owner, "listener/" + listener.name});
  if (!listener.accepted()) return;  // counted there, but not served
  for (std::size_t i = 0; i < addresses; ++i)
    parent.attached.push_back({entry_id(parent.gateway, listener.port, i), listener_id(listener, i), hosts});
}

void attach(RouteParent& parent, const Name& route, const ListenerPlan& plan, const Name& owner, bool of_set,
            const std::vector<std::string>& hostnames, View& view) {
  const auto section = text_of(parent.reference, "sectionName");
  const auto port = number_of(parent.reference, "port");
  bool found = false, allowed = false, common = false;
  for (const auto& listener : plan.listeners) {
    if (listener.of_set != of_set || listener.owner != owner || (!section.empty() && listener.name != section) ||
        (port && *port != listener.port))
      continue;
    found = true;
    if (!listener.http_routes || !allows_namespace(object_of(listener.spec, {"allowedRoutes", "namespaces"}), "Same",
                                                   owner.space, route.space, view))
      continue;
    allowed = true;
    const auto hosts = common_hosts(listener.hostname, hostnames);
    if (!hosts) continue;
    common = true;
    attach_to(parent, listener, plan.addresses, *hosts);
  }
  if (!found)
    refuse(parent, "NoMatchingParent", fmt::format("{} has no such listener.", owner.text()));
  else if (!allowed)
    refuse(parent, "NotAllowedByListeners",
           fmt::format("No listener of {} allows HTTPRoutes of namespace {}.", owner.text(), route.space));
  else if (!common)
    refuse(parent, "NoMatchingListenerHostname",
           fmt::format("No listener of {} has a host name in common with spec.hostnames.", owner.text()));
}

// Of a ListenerSet, when that is what it means; else nothing.
std::optional<Name> gateway_of(const Object& reference, const Name& owner, bool& of_set, View& view) {
  of_set = false;
  if (refers_to(reference, kinds::gateway, kinds::gateway.group, kinds::gateway.kind)) return owner;
  if (!refers_to(reference, kinds::listener_set, kinds::gateway.group, kinds::gateway.kind)) return {};
  of_set = true;
  const auto set = view.get(kinds::listener_set, owner);
  return set ? std::optional(parent_of_set(owner, *set)) : std::nullopt;
}

}  // namespace

std::optional<std::vector<std::string>> common_hosts(const std::string& listener,
                                                     const std::vector<std::string>& route) {
  if (listener.empty()) return route;
  if (route.empty()) return std::vector{listener};
  std::vector<std::string> out;
  for (const auto& host : route)
    if (auto common = common_host(listener, host); common && std::find(out.begin(), out.end(), *common) == out.end())
      out.push_back(std::move(*common));
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

std::vector<RouteParent> parents_of(const Name& route, const Object& object, View& view) {
  std::vector<std::string> hostnames;
  for (const auto& value : array_of(object, {"spec", "hostnames"}))
    if (value.is_string()) hostnames.push_back(text::lower(std::string_view(value.get_string())));
  std::vector<RouteParent> out;
  Plans plans(view);
  for (const auto& value : array_of(object, {"spec", "parentRefs"})) {
    RouteParent parent;
    parent.reference = object_in(value);
    const Name owner{text_of(parent.reference, "namespace", route.space), text_of(parent.reference, "name")};
    bool of_set = false;
    const auto gateway = gateway_of(parent.reference, owner, of_set, view);
    const auto* plan = gateway ? plans.of(*gateway) : nullptr;
    if (!plan) continue;
    parent.gateway = *gateway;
    attach(parent, route, *plan, owner, of_set, hostnames, view);
    out.push_back(std::move(parent));
  }
  return out;
}

}  // namespace weir::reconcile
