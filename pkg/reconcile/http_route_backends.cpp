#include "reconcile/http_route_backends.h"

#include <algorithm>
#include <tuple>

#include "base/text.h"
#include "reconcile/backend_tls.h"
#include "reconcile/gateway_fields.h"
#include "reconcile/kong_plugins.h"
#include "reconcile/reference_grants.h"

namespace weir::reconcile {
namespace {

const Object* port_of(const Object& service, std::int64_t port) {
  for (const auto& value : array_of(service, {"spec", "ports"}))
    if (number_of(object_in(value), "port") == port) return &object_in(value);
  return nullptr;
}

// Why this version cannot speak to it; empty: it can.
std::string unsupported_protocol(const Object& port) {
  if (const auto protocol = text_of(port, "protocol", "TCP"); protocol != "TCP")
    return fmt::format("protocol {} is not supported", protocol);
  const auto application = text_of(port, "appProtocol");
  if (application == "kubernetes.io/h2c" || application == "kubernetes.io/wss")
    return fmt::format("appProtocol {} is not supported", application);
  return {};
}

}  // namespace

void RouteBackends::fail(std::string_view reason, std::string message) {
  if (!reason_.empty()) return;
  reason_ = reason;
  message_ = std::move(message);
}

Uuid RouteBackends::resolve(const Object& reference, std::shared_ptr<const model::BackendTls>* tls) {
  const Name service{text_of(reference, "namespace", route_.space), text_of(reference, "name")};
  if (!refers_to(reference, kinds::service, "", "Service")) {
    fail("InvalidKind",
         fmt::format("{} {} is not supported: refer to a Service.", text_of(reference, "kind"), service.text()));
    return {};
  }
  if (!granted(view_, kinds::http_route, route_.space, kinds::service, service)) {
    fail("RefNotPermitted", fmt::format("No ReferenceGrant in namespace {} allows the reference to Service {}.",
                                        service.space, service.text()));
    return {};
  }
  const auto port = number_of(reference, "port").value_or(0);
  const auto object = view_.get(kinds::service, service);
  if (!object) {
    fail("BackendNotFound", fmt::format("There is no Service {}.", service.text()));
    return {};
  }
  if (!usable(service, *object, port) || !secure(service, *object, port, tls)) return {};
  return add(service, *object, static_cast<std::uint16_t>(port));
}

bool RouteBackends::usable(const Name& service, const Object& object, std::int64_t number) {
  const auto* port = port_of(object, number);
  if (!port) {
    fail("BackendNotFound", fmt::format("Service {} has no port {}.", service.text(), number));
    return false;
  }
  if (text_of(object_of(object, {"spec"}), "type") == "ExternalName") {
    fail("BackendNotFound", fmt::format("Service {} is of type ExternalName, which has no endpoints.", service.text()));
    return false;
  }
  if (const auto why = unsupported_protocol(*port); !why.empty()) {
    fail("UnsupportedProtocol", fmt::format("Service {}, port {}: {}.", service.text(), number, why));
    return false;
  }
  return true;
}

// Requests that shall be encrypted must not go out in plain. False: they cannot go out at all.
bool RouteBackends::secure(const Name& service, const Object& object, std::int64_t number,
                           std::shared_ptr<const model::BackendTls>* tls) {
  const auto policies = policies_of(service, view_);
  for (const auto& each : policies) policies_.insert(each.name);
  const auto* policy = in_force(policies, text_of(*port_of(object, number), "name"));
  if (!policy) return true;
  const auto there = view_.get(kinds::backend_tls_policy, policy->name);
  const auto read = there ? read_policy(policy->name, *there, view_) : PolicyReading{};
  if (read.tls && tls) return *tls = read.tls, true;
  // The policy's own status says what is wrong with it; a route that refers to the Service is not at fault.
  if (!tls)
    fail("UnsupportedProtocol", fmt::format("Service {}, port {}: requests are not mirrored to a backend that "
                                            "BackendTLSPolicy {} applies to.",
                                            service.text(), number, policy->name.text()));
  return false;
}

Uuid RouteBackends::add(const Name& service, const Object& object, std::uint16_t port) {
  const auto id = entity_id("Service", service, fmt::format("gateway/{}", port));
  if (!added_.insert(id).second) return id;
  const Backend backend{service, port, {}, false};
  static const auto* schema = model::find_schema("services");
  auto entity = schema->insert({{"id", id.text()},
                                {"name", fmt::format("gateway.{}.{}.{}", service.space, service.name, port)},
                                {"protocol", "http"},
                                {"host", upstream_name(backend)},
                                {"port", port}},
                               static_cast<double>(std::max<std::int64_t>(created_at(object), 1)));
  if (!entity) {
    added_.erase(id);
    fail("BackendNotFound", fmt::format("Service {}: {}.", service.text(), entity.error().message));
    return {};
  }
  out_.entities.push_back({schema, id, std::move(*entity)});
  out_.backends.push_back(backend);
  std::string fault;
  auto plugins = plugins_of(object, "Service", service, id, view_, fault);
  std::move(plugins.begin(), plugins.end(), std::back_inserter(out_.entities));
  if (!fault.empty()) fail("InvalidPlugin", std::move(fault));
  return id;
}

}  // namespace weir::reconcile
