#include "reconcile/gateway_service.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

constexpr std::string_view label_of_name = "gateway.networking.k8s.io/gateway-name";
constexpr std::string_view label_of_space = "weir.dev/gateway-namespace";

using Ports = std::map<std::uint16_t, std::uint16_t>;  // of the listener -> of the pod

// Ports that accepted listeners use, each once.
std::set<std::uint16_t> listener_ports(const ListenerPlan& plan) {
  std::set<std::uint16_t> out;
  for (const auto& listener : plan.listeners)
    if (listener.accepted()) out.insert(listener.port);
  return out;
}

Ports ports_of(const Object& service) {
  Ports out;
  for (const auto& value : array_of(service, {"spec", "ports"})) {
    const auto from = number_of(object_in(value), "port"), to = number_of(object_in(value), "targetPort");
    if (from && to) out[static_cast<std::uint16_t>(*from)] = static_cast<std::uint16_t>(*to);
  }
  return out;
}

// Which pod port is whose, as every replica works it out: what Services map already stays, the rest is chosen, the
// older Gateway first.
class PortAssignment {
 public:
  explicit PortAssignment(View& view) : settings_(view.settings()) {
    std::map<std::string, Ports> present;  // by the Service's name
    view.each(kinds::service, settings_.own_namespace, [&](const Name& name, const Object& service) {
      if (has(object_of(service, {"metadata", "labels"}), label_of_space)) present[name.name] = ports_of(service);
    });
    std::vector<std::pair<std::int64_t, Name>> gateways;
    view.each(kinds::gateway, {}, [&](const Name& name, const Object& object) {
      if (is_ours(object, view)) gateways.emplace_back(created_at(object), name);
    });
    std::sort(gateways.begin(), gateways.end());
    for (const auto& [created, name] : gateways)
      for (const auto& [from, to] : present[service_name_of(name)])
        if (to >= settings_.gateway_ports_from && to <= settings_.gateway_ports_to && taken_.insert(to).second)
          ports_[name][from] = to;
    for (const auto& [created, name] : gateways)
      if (const auto plan = plan_listeners(name, view)) choose(name, listener_ports(*plan));
  }
  const Ports& of(const Name& gateway) { return ports_[gateway]; }

 private:
  // Near to the port itself, so that people recognise it: 80 becomes 20080.
  void choose(const Name& gateway, const std::set<std::uint16_t>& wanted) {
    auto& ports = ports_[gateway];
    std::erase_if(ports, [&](const auto& port) { return !wanted.contains(port.first); });
    const std::uint32_t size = settings_.gateway_ports_to - settings_.gateway_ports_from + 1u;
    for (const auto port : wanted) {
      for (std::uint32_t i = 0; i < size && !ports.contains(port); ++i) {
        const auto candidate = static_cast<std::uint16_t>(settings_.gateway_ports_from + (port + i) % size);
        if (taken_.insert(candidate).second) ports[port] = candidate;
      }
    }
  }

  const Settings& settings_;
  std::set<std::uint16_t> taken_;
  std::map<Name, Ports> ports_;
};

Object metadata_of(const ListenerPlan& plan, std::string name, std::string space) {
  const auto& infrastructure = object_of(plan.object, {"spec", "infrastructure"});
  Object labels = object_of(infrastructure, {"labels"}), annotations = object_of(infrastructure, {"annotations"});
  if (plan.gateway.name.size() <= 63) labels[label_of_name] = plan.gateway.name;  // the value of a label holds no more
  labels[label_of_space] = plan.gateway.space;
  Object out{{"name", std::move(name)}, {"namespace", std::move(space)}, {"labels", std::move(labels)}};
  if (!annotations.empty()) out["annotations"] = std::move(annotations);
  return out;
}

// What Weir's own Service selects.
Object selector(View& view) {
  const auto& settings = view.settings();
  if (!settings.service_name.empty())
    if (const auto own = view.get(kinds::service, {settings.own_namespace, settings.service_name}))
      if (const auto& labels = object_of(*own, {"spec", "selector"}); !labels.empty()) return labels;
  return {{"app.kubernetes.io/name", "weir"}};
}

void take_addresses(const Object& service, AddressPlan& plan) {
  for (const auto& value : array_of(service, {"status", "loadBalancer", "ingress"})) {
    const auto ip = text_of(object_in(value), "ip"), hostname = text_of(object_in(value), "hostname");
    if (!ip.empty())
      plan.addresses.push_back({ip, "IPAddress", 0});
    else if (!hostname.empty())
      plan.addresses.push_back({hostname, "Hostname", 0});
  }
  const auto cluster_ip = text_of(object_of(service, {"spec"}), "clusterIP");
  if (plan.addresses.empty() && !cluster_ip.empty() && cluster_ip != "None")
    plan.addresses.push_back({cluster_ip, "IPAddress", 0});
}

}  // namespace

std::string service_name_of(const Name& gateway) {
  auto out = fmt::format("weir-{}-{}", gateway.space, gateway.name);
  if (out.size() <= 63) return out;
  const auto hash = entity_id("Gateway", gateway, "service").text().substr(0, 8);
  return fmt::format("{}-{}", out.substr(0, 54), hash);
}

void plan_service(const ListenerPlan& gateway, View& view, AddressPlan& plan) {
  plan.by_service = true;
  plan.pod_ports = PortAssignment(view).of(gateway.gateway);
  const auto& settings = view.settings();
  const auto name = service_name_of(gateway.gateway);
  if (const auto present = view.get(kinds::service, {settings.own_namespace, name})) take_addresses(*present, plan);
  json::array ports;
  for (const auto& [from, to] : plan.pod_ports)
    ports.push_back({{"name", fmt::format("port-{}", from)}, {"port", from}, {"targetPort", to}, {"protocol", "TCP"}});
  if (ports.empty()) return;  // a Service must have one
  plan.applied.push_back(
      {{"apiVersion", "v1"},
       {"kind", "Service"},
       {"metadata", metadata_of(gateway, name, settings.own_namespace)},
       {"spec", Object{{"type", "LoadBalancer"}, {"selector", selector(view)}, {"ports", std::move(ports)}}}});
}

std::vector<Object> name_of_addresses(const ListenerPlan& gateway, const std::vector<AddressPlan::Address>& addresses) {
  const auto listened = listener_ports(gateway);
  if (addresses.empty() || listened.empty() || gateway.gateway.name.size() > 58) return {};  // names: 63 at most
  const auto name = gateway.gateway.name + "-weir";
  json::array service_ports, slice_ports, values;
  for (const auto port : listened) {
    const auto port_name = fmt::format("port-{}", port);
    service_ports.push_back({{"name", port_name}, {"port", port}, {"protocol", "TCP"}});
    slice_ports.push_back({{"name", port_name}, {"port", port}, {"protocol", "TCP"}});
  }
  for (const auto& address : addresses) values.push_back(json::string(address.value));
  const bool v6 = addresses.front().value.find(':') != std::string::npos;
  auto slice = metadata_of(gateway, name, gateway.gateway.space);
  slice["labels"].as_object()["kubernetes.io/service-name"] = name;
  slice["labels"].as_object()["endpointslice.kubernetes.io/managed-by"] = "weir.dev";
  return {{{"apiVersion", "v1"},
           {"kind", "Service"},
           {"metadata", metadata_of(gateway, name, gateway.gateway.space)},
           {"spec", Object{{"clusterIP", "None"}, {"ports", std::move(service_ports)}}}},
          {{"apiVersion", "discovery.k8s.io/v1"},
           {"kind", "EndpointSlice"},
           {"metadata", std::move(slice)},
           {"addressType", v6 ? "IPv6" : "IPv4"},
           {"endpoints", json::array{Object{{"addresses", std::move(values)}}}},
           {"ports", std::move(slice_ports)}}};
}

}  // namespace weir::reconcile
