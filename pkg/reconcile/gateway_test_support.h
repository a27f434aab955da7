// Gateways, routes and Services for tests of the Gateway API's units, in the form that the API server gives them.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"
#include "reconcile/view_for_tests.h"

namespace weir::reconcile {

inline constexpr std::string_view gateway_base = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weir, generation: 1}
spec: {controllerName: weir.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: other, generation: 1}
spec: {controllerName: example.com/other}
---
apiVersion: v1
kind: Namespace
metadata: {name: infra, labels: {kubernetes.io/metadata.name: infra, team: a}}
---
apiVersion: v1
kind: Namespace
metadata: {name: web, labels: {kubernetes.io/metadata.name: web, team: b}}
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: infra}
spec: {clusterIP: 10.0.0.1, ports: [{port: 8080, protocol: TCP}, {port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: infra}
spec: {clusterIP: 10.0.0.2, ports: [{name: first, port: 8080, protocol: TCP}, {port: 8081, protocol: TCP, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: web}
spec: {clusterIP: 10.0.0.3, ports: [{port: 8080, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gate, namespace: infra, generation: 3, creationTimestamp: "2026-01-02T03:04:05Z"}
spec:
  gatewayClassName: weir
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Same}}}
)";

// A view with the pool 198.18.128.0/24 and what is above.
inline FakeView gateway_view() {
  FakeView view;
  view.chosen.gateway_addresses = "198.18.128.0/24";
  view.chosen.own_namespace = "weir-system";
  view.put(gateway_base);
  return view;
}

// A Gateway infra/<name> with these listeners (a YAML list in flow style), and further fields of spec.
inline std::string gateway(std::string_view name, std::string_view listeners, std::string_view more = "",
                           std::string_view created = "2026-01-02T03:04:06Z") {
  return fmt::format(R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {}, namespace: infra, generation: 3, creationTimestamp: "{}"}}
spec: {{gatewayClassName: weir, listeners: {}{}{}}}
)",
                     name, created, listeners, more.empty() ? "" : ", ", more);
}

// An HTTPRoute infra/route with these fields of spec.
inline std::string http_route(std::string_view spec, std::string_view space = "infra") {
  return fmt::format(R"(
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: route, namespace: {}, generation: 5, creationTimestamp: "2026-01-02T03:04:05Z"}}
spec: {{{}}}
)",
                     space, spec);
}

inline Output translated(FakeView& view, const Name& name, const Kind& kind = kinds::gateway) {
  for (const auto& unit : gateway_units())
    if (unit.kind == kind) return unit.translate(name, Object(view.object(kind, name)), view);
  ADD_FAILURE() << "no such unit";
  return {};
}
inline Output translated_route(FakeView& view, std::string_view spec, const std::string& space = "infra") {
  view.put(http_route(spec, space));
  return translated(view, {space, "route"}, kinds::http_route);
}

// "True/Accepted" of a condition in a list; empty when it is not there.
inline std::string state(const boost::json::array& conditions, std::string_view type) {
  for (const auto& value : conditions) {
    const auto& one = value.as_object();
    if (one.at("type").as_string() == type)
      return fmt::format("{}/{}", std::string_view(one.at("status").as_string()),
                         std::string_view(one.at("reason").as_string()));
  }
  return {};
}
inline std::string state(const Output& out, std::string_view type) {
  return out.status ? state(array_of(*out.status, {"conditions"}), type) : "no status";
}
inline const Object& listener(const Output& out, std::string_view name) {
  static const Object none;
  if (out.status)
    for (const auto& value : array_of(*out.status, {"listeners"}))
      if (text_of(object_in(value), "name") == name) return object_in(value);
  return none;
}
inline std::string listener_state(const Output& out, std::string_view name, std::string_view type) {
  return state(array_of(listener(out, name), {"conditions"}), type);
}
inline std::string parent_state(const Output& out, std::string_view type, std::size_t index = 0) {
  if (!out.status) return "no status";
  const auto& parents = array_of(*out.status, {"parents"});
  return index < parents.size() ? state(array_of(object_in(parents[index]), {"conditions"}), type) : "no parent";
}

}  // namespace weir::reconcile
