#include "reconcile/listener_plan.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.h"

#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

// What the listener's field `tls`, or the Gateway's, asks for and this version cannot do. Client certificates and
// further options are security: a listener that would ignore them must not serve.
std::string unsupported(const Listener& listener, const Object& gateway) {
  if (listener.protocol != "HTTPS") return {};
  if (!object_of(listener.spec, {"tls", "options"}).empty()) return "tls.options are not supported";
  const auto& frontend = object_of(gateway, {"spec", "tls", "frontend"});
  bool validated = !object_of(frontend, {"default", "validation"}).empty();
  for (const auto& value : array_of(frontend, {"perPort"}))
    if (number_of(object_in(value), "port") == listener.port)
      validated = !object_of(object_in(value), {"tls", "validation"}).empty();
  return validated ? "the validation of client certificates (spec.tls.frontend) is not supported" : "";
}

void judge_kinds(Listener& listener) {
  const bool http = listener.protocol == "HTTP" || listener.protocol == "HTTPS";
  const auto& asked = array_of(listener.spec, {"allowedRoutes", "kinds"});
  listener.http_routes = http && asked.empty();
  for (const auto& value : asked) {
    if (http && refers_to(object_in(value), kinds::http_route, kinds::http_route.group, ""))
      listener.http_routes = true;
    else
      listener.all_kinds = false;
  }
}

Listener read(const Name& owner, bool of_set, const Object& spec, const Object& gateway) {
  Listener out;
  out.owner = owner;
  out.of_set = of_set;
  out.name = text_of(spec, "name");
  out.spec = spec;
  out.port = static_cast<std::uint16_t>(number_of(spec, "port").value_or(0));
  out.protocol = text_of(spec, "protocol");
  out.hostname = text::lower(text_of(spec, "hostname"));
  out.tls = out.protocol == "HTTPS";
  judge_kinds(out);
  if (out.protocol != "HTTP" && out.protocol != "HTTPS") {
    out.reason = "UnsupportedProtocol";
    out.message = fmt::format("Protocol {} is not supported: use HTTP or HTTPS.", out.protocol);
  } else if (const auto why = unsupported(out, gateway); !why.empty()) {
    out.reason = "UnsupportedValue";
    out.message = fmt::format("In this version {}.", why);
  }
  return out;
}

void set_conflict(Listener& listener, const Listener& other, bool hostname) {
  listener.conflict = hostname ? "HostnameConflict" : "ProtocolConflict";
  listener.reason = listener.conflict;
  listener.message = fmt::format("Port {} is used by another listener, {}, {}.", listener.port, other.name,
                                 hostname ? std::string("with the same host name") : "with protocol " + other.protocol);
}

// Of the Gateway's own ones no winner is picked: all that are not distinct fall out.
void find_conflicts_of_gateway(std::vector<Listener>& own) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t a = 0; a < own.size(); ++a)
    for (std::size_t b = 0; b < own.size(); ++b)
      if (a != b && own[a].accepted() && own[b].accepted() && own[a].port == own[b].port &&
          (own[a].protocol != own[b].protocol || own[a].hostname == own[b].hostname))
        pairs.emplace_back(a, b);
  for (const auto& [a, b] : pairs)
    if (own[a].conflict.empty()) set_conflict(own[a], own[b], own[a].protocol == own[b].protocol);
}

// A set's listener gives way to those before it. The ones before have distinct names and one protocol for each port.
struct Taken {
  std::map<std::uint16_t, std::size_t> ports;
  std::map<std::pair<std::uint16_t, std::string>, std::size_t> hostnames;

  void take(const Listener& listener, std::size_t index) {
    ports.emplace(listener.port, index);
    hostnames.emplace(std::pair(listener.port, listener.hostname), index);
  }
};

void add_set(ListenerPlan& plan, const Name& set, const Object& object, Taken& taken) {
  plan.sets.push_back(set);
  for (const auto& value : array_of(object, {"spec", "listeners"})) {
    auto listener = read(set, true, object_in(value), plan.object);
    const auto port = taken.ports.find(listener.port);
    const auto hostname = taken.hostnames.find({listener.port, listener.hostname});
    if (port != taken.ports.end() && plan.listeners[port->second].protocol != listener.protocol)
      set_conflict(listener, plan.listeners[port->second], false);
    else if (hostname != taken.hostnames.end())
      set_conflict(listener, plan.listeners[hostname->second], true);
    if (listener.accepted()) taken.take(listener, plan.listeners.size());
    plan.listeners.push_back(std::move(listener));
  }
}

void add_sets(ListenerPlan& plan, View& view) {
  const auto from = text_of(object_of(plan.object, {"spec", "allowedListeners", "namespaces"}), "from", "None");
  if (from == "None") return;  // then nobody reads the sets at all
  std::vector<std::tuple<std::int64_t, Name, Object>> sets;
  view.each(kinds::listener_set, {}, [&](const Name& name, const Object& object) {
    if (parent_of_set(name, object) == plan.gateway && allows_sets_of(plan.gateway, plan.object, name.space, view))
      sets.emplace_back(created_at(object), name, object);
  });
  std::sort(sets.begin(), sets.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  Taken taken;
  for (std::size_t i = 0; i < plan.listeners.size(); ++i)
    if (plan.listeners[i].accepted()) taken.take(plan.listeners[i], i);
  for (const auto& [created, name, object] : sets) add_set(plan, name, object, taken);
}

}  // namespace

bool is_ours(const Object& gateway, View& view) {
  const auto name = text_of(object_of(gateway, {"spec"}), "gatewayClassName");
  const auto found = view.get(kinds::gateway_class, {"", name});
  return found && text_of(object_of(*found, {"spec"}), "controllerName") == view.settings().controller;
}

Name parent_of_set(const Name& set, const Object& object) {
  const auto& parent = object_of(object, {"spec", "parentRef"});
  if (!refers_to(parent, kinds::gateway, kinds::gateway.group, kinds::gateway.kind)) return {};
  return {text_of(parent, "namespace", set.space), text_of(parent, "name")};
}

bool allows_sets_of(const Name& gateway, const Object& object, const std::string& space, View& view) {
  return allows_namespace(object_of(object, {"spec", "allowedListeners", "namespaces"}), "None", gateway.space, space,
                          view);
}

std::optional<ListenerPlan> plan_listeners(const Name& gateway, View& view) {
  auto object = view.get(kinds::gateway, gateway);
  if (!object || !is_ours(*object, view)) return {};
  ListenerPlan plan;
  plan.gateway = gateway;
  plan.object = std::move(*object);
  plan.addresses = std::max<std::size_t>(1, array_of(plan.object, {"spec", "addresses"}).size());
  for (const auto& value : array_of(plan.object, {"spec", "listeners"}))
    plan.listeners.push_back(read(gateway, false, object_in(value), plan.object));
  find_conflicts_of_gateway(plan.listeners);
  add_sets(plan, view);
  return plan;
}

Uuid entry_id(const Name& gateway, std::uint16_t port, std::size_t address) {
  return entity_id("Gateway", gateway, fmt::format("entry/{}/{}", port, address));
}

Uuid listener_id(const Listener& listener, std::size_t address) {
  return entity_id(listener.owner_kind().kind, listener.owner, fmt::format("listener/{}/{}", listener.name, address));
}

}  // namespace weir::reconcile
