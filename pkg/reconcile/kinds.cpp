// The kinds that are watched, and what all units have in common.
#include "reconcile/unit.h"

namespace weir::reconcile {
namespace kinds {

constexpr std::string_view gateway_group = "gateway.networking.k8s.io", kong_group = "configuration.konghq.com";

const Kind service{"", "v1", "Service", "services"};
const Kind endpoint_slice{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"};
const Kind secret{"", "v1", "Secret", "secrets"};
const Kind config_map{"", "v1", "ConfigMap", "configmaps"};
const Kind namespace_{"", "v1", "Namespace", "namespaces", false};
const Kind ingress{"networking.k8s.io", "v1", "Ingress", "ingresses"};
const Kind ingress_class{"networking.k8s.io", "v1", "IngressClass", "ingressclasses", false};
const Kind lease{"coordination.k8s.io", "v1", "Lease", "leases"};
const Kind event{"events.k8s.io", "v1", "Event", "events"};
const Kind pod{"", "v1", "Pod", "pods"};
const Kind gateway_class{gateway_group, "v1", "GatewayClass", "gatewayclasses", false};
const Kind gateway{gateway_group, "v1", "Gateway", "gateways"};
const Kind http_route{gateway_group, "v1", "HTTPRoute", "httproutes"};
const Kind grpc_route{gateway_group, "v1", "GRPCRoute", "grpcroutes"};
const Kind reference_grant{gateway_group, "v1beta1", "ReferenceGrant", "referencegrants"};
const Kind backend_tls_policy{gateway_group, "v1", "BackendTLSPolicy", "backendtlspolicies"};
const Kind listener_set{gateway_group, "v1", "ListenerSet", "listenersets"};
const Kind kong_plugin{kong_group, "v1", "KongPlugin", "kongplugins"};
const Kind kong_cluster_plugin{kong_group, "v1", "KongClusterPlugin", "kongclusterplugins", false};
const Kind kong_consumer{kong_group, "v1", "KongConsumer", "kongconsumers"};
const Kind kong_upstream_policy{kong_group, "v1beta1", "KongUpstreamPolicy", "kongupstreampolicies"};
const Kind kong_ingress{kong_group, "v1", "KongIngress", "kongingresses"};
const Kind custom_resource_definition{"apiextensions.k8s.io", "v1", "CustomResourceDefinition",
                                      "customresourcedefinitions", false};

}  // namespace kinds

// Secrets and ConfigMaps are not among them: they are followed one by one, while a unit refers to them.
std::vector<Kind> read_kinds() {
  return {kinds::service,         kinds::endpoint_slice,       kinds::namespace_,          kinds::ingress_class,
          kinds::reference_grant, kinds::kong_plugin,          kinds::kong_cluster_plugin, kinds::kong_consumer,
          kinds::kong_ingress,    kinds::kong_upstream_policy, kinds::backend_tls_policy,  kinds::listener_set};
}

Uuid entity_id(std::string_view kind, const Name& name, std::string_view part) {
  static const auto space = *Uuid::parse("5b0f7c0e-6a43-4f5e-9d0e-6f0c3a1d7e55");
  return Uuid::from_name(space, fmt::format("{}/{}/{}/{}", kind, name.space, name.name, part));
}

Object condition(std::string_view type, std::string_view status, std::string_view reason, std::string message,
                 std::int64_t observed_generation) {
  return {{"type", type},
          {"status", status},
          {"reason", reason},
          {"message", std::move(message)},
          {"observedGeneration", observed_generation}};
}

std::string upstream_name(const Backend& backend) {
  return fmt::format("{}.{}.{}.svc", backend.service.name, backend.service.space,
                     backend.port ? std::to_string(backend.port) : backend.port_name);
}

}  // namespace weir::reconcile
