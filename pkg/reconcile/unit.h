// How Kubernetes objects become entities: pure functions, one object ("unit") at a time.
//
// A unit's translation reads the caches through a View, which notes what it read, present or not; when any of that
// changes, the unit is translated again, and what differs from before goes to the snapshot. A faulty unit never touches
// another one. Kube thread only; no I/O.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/informer.h"
#include "model/gateway.h"
#include "store/store.h"

namespace weir::reconcile {

using kube::Kind;
using kube::Name;
using kube::Object;

// What a unit may read. Views record dependencies; get() of something that is not there does as well.
class View {
 public:
  virtual ~View() = default;
  virtual std::optional<Object> get(const Kind&, const Name&) = 0;
  // Every object of a kind, in one namespace or (empty) in all; depends on all of them, so only for few and rare
  // ones (Gateways, ReferenceGrants, IngressClasses, EndpointSlices of one Service through slices()).
  virtual void each(const Kind&, std::string_view space, const std::function<void(const Name&, const Object&)>&) = 0;
  // The EndpointSlices of a Service.
  virtual std::vector<Object> slices(const Name& service) = 0;
  // Namespaces that a selector (metav1.LabelSelector) holds for are asked by labels.
  virtual std::optional<Object> labels_of_namespace(const std::string& space) = 0;
  // What other units say of this object (Output::tells): each text with the number of units that say it. The unit is
  // translated again when that changes, so that nobody has to read all routes to count them.
  virtual std::map<std::string, std::size_t> told(const Kind&, const Name&) = 0;
  virtual const struct Settings& settings() const = 0;
};

// What an operator chose.
struct Settings {
  std::string controller = "weir.dev/gateway-controller";          // GatewayClass.spec.controllerName
  std::string ingress_controller = "weir.dev/ingress-controller";  // IngressClass.spec.controller
  std::string ingress_class = "weir";  // class name that counts without an IngressClass; Kong's annotation as well
  std::string watch_namespace;         // empty: all
  std::string own_namespace = "default", pod_name, pod_uid,
              service_name;       // of this replica; service_name: whose address Ingresses show
  std::string gateway_addresses;  // CIDR of the address pool; empty: each Gateway gets a Service
  std::uint16_t gateway_ports_from = 20000,
                gateway_ports_to = 20999;      // ports inside the pod, for Gateways with a Service
  std::vector<std::string> publish_addresses;  // publish_status_address; Ingress status without a Service
};

// One entity of Kong's kinds that a unit makes. id: stable, made of kind, namespace and name (entity_id()). Several
// units may make the same one (the certificate of a Secret, the service of a Kubernetes Service): it stays until none
// of them does any more; while they differ, the one translated last counts.
struct Entity {
  const model::Schema* schema = nullptr;
  Uuid id;
  Object now;  // complete: from Schema::insert with "id" given
};

// A Service's port that a unit sends to. The reconciler keeps one upstream (entity "upstreams", name upstream_name(),
// with one target per endpoint) for all units that need it; a change of one endpoint touches that one target.
struct Backend {
  Name service;
  std::uint16_t port = 0;  // of the Service; 0 with port_name
  std::string port_name;
  bool by_cluster_ip = false;  // ingress.kubernetes.io/service-upstream: the Service's DNS name is the only target
  auto operator<=>(const Backend&) const = default;
};
std::string upstream_name(const Backend&);  // "<service>.<namespace>.<port>.svc"

// What a unit says of another object, whose unit may ask for it (View::told). A route tells a Gateway "listener/<name>"
// for each listener that it is attached to; it tells a BackendTLSPolicy "gateway/<namespace>/<name>".
// The reconciler keeps counts by (about, name, text), taken from the latest Output of each unit (also of one that keeps
// its last good version), and translates the unit `name` of kind `about` again when its counts change, if its last
// translation asked. Texts of one unit about one object are distinct.
struct Tell {
  Kind about;
  Name name;
  std::string text;
};

// What a unit amounts to.
//
// Status of kinds of the Gateway API is not input of their dependants: a change of nothing but `status` (or
// resourceVersion, managedFields) of a GatewayClass, Gateway, ListenerSet, route or policy needs no translation at all;
// each count of attached routes would else translate all routes of its Gateway. Services are different: their
// status.loadBalancer is read.
struct Output {
  std::vector<Entity> entities;
  std::vector<model::GatewayChange> gateway;  // none of them deletions
  std::vector<Backend> backends;
  std::vector<Tell> tells;
  // Complete objects that the leader keeps as they are by server-side apply (the Service of a Gateway, an
  // EndpointSlice). They have this unit's object as owner if they lie in its namespace; in another one the garbage
  // collector would delete what names such an owner, so the leader deletes them when no Output has them any more.
  std::vector<Object> applied;
  model::DeclaredByPtr by;
  // The object's whole `status` as it should be, but for lastTransitionTime (kept from the present status where a
  // condition did not change) and the conditions "weir.dev/Served" and "Programmed": where one of these stands with
  // status "True", it is written once every replica serves this. Nothing: this kind has no status.
  std::optional<Object> status;
  // Why it is not, or not wholly, in force, for Events (type Warning), metrics and /status. Empty: all is well.
  std::string fault_reason, fault;  // "InvalidRoute", a sentence
  // Kept its last good version: what was in force before stays (entities and gateway are ignored then).
  bool keep_last = false;
};

// Translates one kind of unit. Listed in all_units().
struct UnitKind {
  Kind kind;
  Output (*translate)(const Name&, const Object&, View&) = nullptr;
  // Objects of this kind that are not ours (other class) give an Output without status.
};
// By order of precedence: what comes first is compiled first. Each in its own file.
std::vector<UnitKind> weir_units();  // weir.dev/v1 (weir_units.cpp)
std::vector<UnitKind>
ingress_units();  // Ingress, KongConsumer, KongClusterPlugin (global) ... (ingress.cpp, kong_*.cpp)
std::vector<UnitKind> gateway_units();  // GatewayClass, Gateway, HTTPRoute ... (gateway_*.cpp)
// Kinds that are only read (Service, EndpointSlice, Secret, Namespace, ReferenceGrant, KongPlugin ...).
std::vector<Kind> read_kinds();

// UUIDv5 of "kind/namespace/name/part": the same on every replica and after every restart.
Uuid entity_id(std::string_view kind, const Name&, std::string_view part = {});

// The kinds of this project, Kubernetes, Kong and the Gateway API that are watched: kinds.cpp.
namespace kinds {
extern const Kind service, endpoint_slice, secret, config_map, namespace_, ingress, ingress_class, lease, event, pod;
extern const Kind gateway_class, gateway, http_route, grpc_route, reference_grant, backend_tls_policy, listener_set;
extern const Kind kong_plugin, kong_cluster_plugin, kong_consumer, kong_upstream_policy, kong_ingress;
extern const Kind custom_resource_definition;
Kind weir(std::string_view kind_name);  // weir.dev/v1: "WeirRoute"
}  // namespace kinds

// Conditions as the Gateway API and Weir's kinds write them (metav1.Condition without lastTransitionTime).
Object condition(std::string_view type, std::string_view status, std::string_view reason, std::string message,
                 std::int64_t observed_generation);

}  // namespace weir::reconcile
