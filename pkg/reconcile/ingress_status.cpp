#include "reconcile/ingress_status.h"

#include "base/text.h"
#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

void add(json::array& out, std::string_view address) {
  if (!address.empty() && address != "None")
    out.emplace_back(Object{{text::is_ip(address) ? "ip" : "hostname", address}});
}

// As Kong's controller does with --publish-service: a load balancer's addresses (none before it has some), external
// ones, and the cluster's address of a Service without a load balancer.
json::array addresses_of(const Object& service) {
  json::array out;
  const auto& spec = object_of(service, {"spec"});
  for (const auto& element : array_of(service, {"status", "loadBalancer", "ingress"})) {
    const auto& one = object_in(element);
    const auto ip = text_of(one, "ip");
    add(out, ip.empty() ? text_of(one, "hostname") : ip);
  }
  for (const auto& ip : array_of(spec, {"externalIPs"}))
    if (const auto* text = ip.if_string()) add(out, *text);
  if (out.empty() && text_of(spec, "type") != "LoadBalancer") add(out, text_of(spec, "clusterIP"));
  return out;
}

}  // namespace

Object ingress_status(View& view) {
  const auto& settings = view.settings();
  json::array addresses;
  for (const auto& address : settings.publish_addresses) add(addresses, address);
  if (addresses.empty() && !settings.service_name.empty())
    if (const auto service = view.get(kinds::service, {settings.own_namespace, settings.service_name}))
      addresses = addresses_of(*service);
  Object balancer;
  if (!addresses.empty()) balancer["ingress"] = std::move(addresses);
  return {{"loadBalancer", std::move(balancer)}};
}

}  // namespace weir::reconcile
