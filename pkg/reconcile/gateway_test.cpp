#include <algorithm>

#include "reconcile/gateway_addresses.h"
#include "reconcile/gateway_test_support.h"

namespace weir::reconcile {
namespace {

// "ip:port>public tls|plain name@host ..." of every entry, sorted.
std::vector<std::string> entries(const Output& out) {
  std::vector<std::string> lines;
  for (const auto& change : out.gateway) {
    if (!change.entry) continue;
    auto line = fmt::format("{}:{}>{} {}", change.entry->ip, change.entry->port, change.entry->public_port,
                            change.entry->tls ? "tls" : "plain");
    for (const auto& one : change.entry->listeners) line += fmt::format(" {}@{}", one.name, one.hostname);
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string address(const Output& out, std::size_t index = 0) {
  const auto& addresses = array_of(*out.status, {"addresses"});
  return index < addresses.size() ? text_of(object_in(addresses[index]), "value") : "";
}

void keep_status(FakeView& view, const Name& name, const Output& out) {
  auto object = view.object(kinds::gateway, name);
  object["status"] = *out.status;
  view.put(std::move(object));
}

TEST(GatewayUnit, becomes_an_entry_for_each_port_of_its_listeners) {
  auto view = gateway_view();
  view.put(gateway("many", R"([{name: a, port: 80, protocol: HTTP, hostname: Foo.example.com},
      {name: b, port: 80, protocol: HTTP}, {name: c, port: 8080, protocol: HTTP, hostname: "*.example.com"}])"));
  const auto out = translated(view, {"infra", "many"});
  const auto ip = address(out);
  EXPECT_EQ(entries(out), (std::vector{fmt::format("{}:8080>8080 plain c@*.example.com", ip),
                                       fmt::format("{}:80>80 plain a@foo.example.com b@", ip)}));
  EXPECT_TRUE(ip.starts_with("198.18.128.")) << ip;
  EXPECT_EQ(state(out, "Accepted"), "True/Accepted");
  EXPECT_EQ(state(out, "Programmed"), "True/Programmed");
  EXPECT_EQ(state(out, "ResolvedRefs"), "True/ResolvedRefs");
  EXPECT_EQ(state(out, "weir.dev/Served"), "True/Served");
  for (const auto* type : {"Accepted", "Programmed", "ResolvedRefs"})
    EXPECT_TRUE(listener_state(out, "a", type).starts_with("True/")) << type;
  EXPECT_EQ(listener_state(out, "a", "Conflicted"), "False/NoConflicts");
  EXPECT_EQ(array_of(*out.status, {"conditions"})[0].as_object().at("observedGeneration"), 3);
  ASSERT_TRUE(out.by);
  EXPECT_EQ(out.by->kind + " " + out.by->name, "Gateway infra/many");
  EXPECT_TRUE(out.fault.empty()) << out.fault;
}

TEST(GatewayUnit, leaves_gateways_of_other_classes_alone) {
  auto view = gateway_view();
  for (const auto* name : {"other", "missing"}) {
    auto object = view.object(kinds::gateway, {"infra", "gate"});
    object["spec"].as_object()["gatewayClassName"] = name;
    view.put(std::move(object));
    const auto out = translated(view, {"infra", "gate"});
    EXPECT_FALSE(out.status) << name;
    EXPECT_TRUE(out.gateway.empty()) << name;
  }
  EXPECT_TRUE(view.read.contains("GatewayClass missing")) << "it must be translated again once the class comes";
}

TEST(GatewayUnit, counts_the_routes_that_tell_of_its_listeners) {
  auto view = gateway_view();
  view.tells["Gateway infra/gate"] = {{"listener/http", 17}};
  EXPECT_EQ(listener(translated(view, {"infra", "gate"}), "http").at("attachedRoutes"), 17u);
  EXPECT_TRUE(view.read.contains("told Gateway infra/gate"));
  EXPECT_FALSE(view.read.contains("HTTPRoute *")) << "thousands of routes must not be read";
}

struct Faulty {
  std::string_view listeners, more;
  std::string_view accepted, programmed;  // of the Gateway
  std::string_view listener, listener_accepted, listener_programmed, listener_resolved;
  std::size_t entries;
};

class FaultyGateway : public testing::TestWithParam<Faulty> {};

TEST_P(FaultyGateway, says_what_is_wrong) {
  const auto& p = GetParam();
  auto view = gateway_view();
  view.put(gateway("bad", p.listeners, p.more));
  const auto out = translated(view, {"infra", "bad"});
  EXPECT_EQ(state(out, "Accepted"), p.accepted);
  EXPECT_EQ(state(out, "Programmed"), p.programmed);
  EXPECT_EQ(listener_state(out, p.listener, "Accepted"), p.listener_accepted);
  EXPECT_EQ(listener_state(out, p.listener, "Programmed"), p.listener_programmed);
  EXPECT_EQ(listener_state(out, p.listener, "ResolvedRefs"), p.listener_resolved);
  EXPECT_EQ(entries(out).size(), p.entries);
}

constexpr std::string_view plain = "[{name: http, port: 80, protocol: HTTP}]";
INSTANTIATE_TEST_SUITE_P(
    Conditions, FaultyGateway,
    testing::Values(
        Faulty{"[{name: x, port: 1111, protocol: INVALID}]", "", "False/ListenersNotValid", "False/Invalid", "x",
               "False/UnsupportedProtocol", "False/Invalid", "True/ResolvedRefs", 0},
        Faulty{"[{name: x, port: 1111, protocol: TCP}, {name: http, port: 80, protocol: HTTP}]", "",
               "True/ListenersNotValid", "True/Programmed", "x", "False/UnsupportedProtocol", "False/Invalid",
               "True/ResolvedRefs", 1},
        Faulty{"[{name: x, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: InvalidRoute}]}}]", "",
               "True/Accepted", "False/Invalid", "x", "True/Accepted", "False/Invalid", "False/InvalidRouteKinds", 0},
        Faulty{
            "[{name: x, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: InvalidRoute}, {kind: HTTPRoute}]}}]",
            "", "True/Accepted", "True/Programmed", "x", "True/Accepted", "True/Programmed", "False/InvalidRouteKinds",
            1},
        Faulty{"[{name: x, port: 80, protocol: HTTP}, {name: y, port: 80, protocol: HTTPS}]", "",
               "False/ListenersNotValid", "False/Invalid", "x", "False/ProtocolConflict", "False/ProtocolConflict",
               "True/ResolvedRefs", 0},
        Faulty{"[{name: x, port: 80, protocol: HTTP, hostname: a.example.com}, {name: y, port: 80, protocol: HTTP, "
               "hostname: A.example.com}, {name: z, port: 81, protocol: HTTP}]",
               "", "True/ListenersNotValid", "True/Programmed", "y", "False/HostnameConflict", "False/HostnameConflict",
               "True/ResolvedRefs", 1},
        Faulty{"[{name: x, port: 443, protocol: HTTPS}]", "", "True/Accepted", "False/Invalid", "x", "True/Accepted",
               "False/Invalid", "False/InvalidCertificateRef", 0},
        Faulty{
            "[{name: x, port: 443, protocol: HTTPS, tls: {options: {a: b}}}, {name: http, port: 80, protocol: HTTP}]",
            "", "True/ListenersNotValid", "True/Programmed", "x", "False/UnsupportedValue", "False/Invalid",
            "False/InvalidCertificateRef", 1},
        Faulty{"[{name: x, port: 443, protocol: HTTPS}, {name: http, port: 80, protocol: HTTP}]",
               "tls: {frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, name: ca}]}}}}",
               "True/ListenersNotValid", "True/Programmed", "x", "False/UnsupportedValue", "False/Invalid",
               "False/InvalidCertificateRef", 1},
        Faulty{plain, "infrastructure: {parametersRef: {group: invalid.io, kind: Invalid, name: x}}",
               "False/InvalidParameters", "False/Invalid", "http", "True/Accepted", "False/Pending",
               "True/ResolvedRefs", 0},
        Faulty{plain, "addresses: [{type: test/fake, value: x}, {type: IPAddress, value: 198.18.128.9}]",
               "False/UnsupportedAddress", "False/Invalid", "http", "True/Accepted", "False/Pending",
               "True/ResolvedRefs", 0},
        Faulty{plain, "addresses: [{type: IPAddress, value: 10.1.2.3}, {type: IPAddress, value: 198.18.128.9}]",
               "True/Accepted", "False/AddressNotUsable", "http", "True/Accepted", "True/Programmed",
               "True/ResolvedRefs", 1},
        Faulty{plain, "addresses: [{type: IPAddress, value: 198.18.128.9}]", "True/Accepted", "True/Programmed", "http",
               "True/Accepted", "True/Programmed", "True/ResolvedRefs", 1}));

TEST(GatewayAddresses, keeps_what_the_status_says) {
  auto view = gateway_view();
  auto object = view.object(kinds::gateway, {"infra", "gate"});
  object["status"] = {{"addresses", {{{"type", "IPAddress"}, {"value", "198.18.128.77"}}}}};
  view.put(std::move(object));
  EXPECT_EQ(address(translated(view, {"infra", "gate"})), "198.18.128.77");
}

TEST(GatewayAddresses, gives_every_gateway_one_of_its_own_whatever_the_order) {
  auto view = gateway_view();
  view.chosen.gateway_addresses = "198.18.128.0/28";  // 14 addresses
  std::map<std::string, std::string> planned;
  for (int i = 0; i < 13; ++i) view.put(gateway(fmt::format("g{}", i), plain));
  for (int i = 0; i < 13; ++i)
    planned[fmt::format("g{}", i)] = address(translated(view, {"infra", fmt::format("g{}", i)}));
  planned["gate"] = address(translated(view, {"infra", "gate"}));
  std::set<std::string> distinct;
  for (const auto& [name, ip] : planned) distinct.insert(ip);
  EXPECT_EQ(distinct.size(), 14u);
  EXPECT_FALSE(distinct.contains("")) << "the pool has room for all";

  view.put(gateway("late", plain, "", "2026-02-02T03:04:06Z"));
  const auto late = translated(view, {"infra", "late"});
  EXPECT_EQ(state(late, "Programmed"), "False/AddressNotAssigned");
  EXPECT_EQ(state(late, "Accepted"), "True/Accepted");
  for (const auto& [name, ip] : planned) EXPECT_EQ(address(translated(view, {"infra", name})), ip) << name;
}

TEST(GatewayAddresses, are_not_taken_from_a_gateway_that_has_them) {
  auto view = gateway_view();
  keep_status(view, {"infra", "gate"}, translated(view, {"infra", "gate"}));
  const auto taken = address(translated(view, {"infra", "gate"}));
  view.put(gateway("thief", plain, fmt::format("addresses: [{{type: IPAddress, value: {}}}]", taken),
                   "2020-01-01T00:00:00Z"));
  EXPECT_EQ(state(translated(view, {"infra", "thief"}), "Programmed"), "False/AddressNotUsable");
  EXPECT_EQ(address(translated(view, {"infra", "gate"})), taken);
}

TEST(GatewayAddresses, have_a_name_in_the_cluster) {
  auto view = gateway_view();
  view.put(gateway("named", plain, "infrastructure: {labels: {key2: value2}, annotations: {key1: value1}}"));
  const auto out = translated(view, {"infra", "named"});
  ASSERT_EQ(out.applied.size(), 2u);
  const auto& metadata = object_of(out.applied[0], {"metadata"});
  EXPECT_EQ(text_of(out.applied[0], "kind"), "Service");
  EXPECT_EQ(text_of(metadata, "namespace") + "/" + text_of(metadata, "name"), "infra/named-weir");
  EXPECT_EQ(text_of(object_of(metadata, {"labels"}), "gateway.networking.k8s.io/gateway-name"), "named");
  EXPECT_EQ(text_of(object_of(metadata, {"labels"}), "key2"), "value2");
  EXPECT_EQ(text_of(object_of(metadata, {"annotations"}), "key1"), "value1");
  EXPECT_EQ(array_of(out.applied[1], {"endpoints"})[0].at("addresses").as_array()[0].as_string(), address(out));
}

FakeView view_without_pool() {
  auto view = gateway_view();
  view.chosen.gateway_addresses.clear();
  view.chosen.service_name = "weir";
  view.put(R"(
apiVersion: v1
kind: Service
metadata: {name: weir, namespace: weir-system}
spec: {selector: {app: weir}, ports: [{port: 80, protocol: TCP}]}
)");
  return view;
}

TEST(GatewayService, leads_to_ports_of_the_pods) {
  auto view = view_without_pool();
  const auto out = translated(view, {"infra", "gate"});
  EXPECT_EQ(entries(out), std::vector<std::string>{}) << "there is no address yet";
  EXPECT_EQ(state(out, "Programmed"), "False/AddressNotAssigned");
  ASSERT_EQ(out.applied.size(), 1u);
  auto service = out.applied[0];
  EXPECT_EQ(text_of(object_of(service, {"metadata"}), "name"), "weir-infra-gate");
  EXPECT_EQ(text_of(object_of(service, {"metadata"}), "namespace"), "weir-system");
  EXPECT_EQ(text_of(object_of(service, {"spec", "selector"}), "app"), "weir");
  EXPECT_EQ(array_of(service, {"spec", "ports"})[0].at("targetPort"), 20080);

  service["spec"].as_object()["clusterIP"] = "10.7.7.7";
  view.put(service);
  const auto served = translated(view, {"infra", "gate"});
  EXPECT_EQ(entries(served), std::vector<std::string>{"0.0.0.0:20080>80 plain http@"});
  EXPECT_EQ(address(served), "10.7.7.7");
  EXPECT_EQ(state(served, "Programmed"), "True/Programmed");

  service["status"] = {{"loadBalancer", {{"ingress", {{{"ip", "192.0.2.1"}}, {{"hostname", "lb.example.com"}}}}}}};
  view.put(service);
  const auto balanced = translated(view, {"infra", "gate"});
  EXPECT_EQ(address(balanced), "192.0.2.1");
  EXPECT_EQ(address(balanced, 1), "lb.example.com");
  EXPECT_EQ(entries(balanced).size(), 1u);
}

TEST(GatewayService, keeps_ports_that_are_mapped_and_takes_none_of_others) {
  auto view = view_without_pool();
  view.put(R"(
apiVersion: v1
kind: Service
metadata: {name: weir-infra-gate, namespace: weir-system, labels: {weir.dev/gateway-namespace: infra}}
spec: {clusterIP: 10.7.7.7, ports: [{port: 80, targetPort: 20555, protocol: TCP}]}
)");
  view.put(gateway("second", "[{name: a, port: 80, protocol: HTTP}, {name: b, port: 555, protocol: HTTP}]"));
  EXPECT_EQ(entries(translated(view, {"infra", "gate"})), std::vector<std::string>{"0.0.0.0:20555>80 plain http@"});
  const auto second = translated(view, {"infra", "second"});
  const auto& ports = array_of(second.applied.at(0), {"spec", "ports"});
  EXPECT_EQ(ports[0].at("targetPort"), 20080);
  EXPECT_EQ(ports[1].at("targetPort"), 20556);
}

TEST(GatewayClassUnit, says_what_it_can_do) {
  auto view = gateway_view();
  view.put(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gatewayclasses.gateway.networking.k8s.io
  annotations: {gateway.networking.k8s.io/bundle-version: v1.6.3}
)");
  const auto out = translated(view, {"", "weir"}, kinds::gateway_class);
  EXPECT_EQ(state(out, "Accepted"), "True/Accepted");
  EXPECT_EQ(state(out, "SupportedVersion"), "True/SupportedVersion");
  std::vector<std::string> features;
  for (const auto& value : array_of(*out.status, {"supportedFeatures"}))
    features.push_back(text_of(object_in(value), "name"));
  EXPECT_TRUE(std::is_sorted(features.begin(), features.end()));
  EXPECT_TRUE(std::find(features.begin(), features.end(), "HTTPRoute") != features.end());
  EXPECT_FALSE(std::find(features.begin(), features.end(), "HTTPRouteBackendProtocolH2C") != features.end());
  EXPECT_FALSE(translated(view, {"", "other"}, kinds::gateway_class).status);
}

TEST(GatewayClassUnit, warns_of_versions_it_does_not_know) {
  for (const auto* version : {"v1.7.0", "v2.0.0", ""}) {
    auto view = gateway_view();
    view.put(fmt::format(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gatewayclasses.gateway.networking.k8s.io
  annotations: {{gateway.networking.k8s.io/bundle-version: "{}"}}
)",
                         version));
    EXPECT_EQ(state(translated(view, {"", "weir"}, kinds::gateway_class), "SupportedVersion"),
              "False/UnsupportedVersion")
        << version;
  }
}

TEST(AddressPool, hands_out_addresses_of_its_range_only) {
  struct Row {
    std::string_view cidr;
    std::uint64_t size;
    std::string_view first, last, outside;
  };
  for (const auto& row : {Row{"10.1.2.77/30", 2, "10.1.2.77", "10.1.2.78", "10.1.2.80"},
                          Row{"10.1.2.0/31", 2, "10.1.2.0", "10.1.2.1", "10.1.2.2"},
                          Row{"10.1.2.3/32", 1, "10.1.2.3", "10.1.2.3", "10.1.2.4"},
                          Row{"198.18.128.0/17", 32766, "198.18.128.1", "198.18.255.254", "198.18.127.255"},
                          Row{"fd00::/126", 4, "fd00::", "fd00::3", "fd00::4"}}) {
    const auto pool = AddressPool::parse(row.cidr);
    ASSERT_TRUE(pool) << row.cidr;
    EXPECT_EQ(pool->size(), row.size) << row.cidr;
    EXPECT_EQ(pool->at(0), row.first);
    EXPECT_EQ(pool->at(row.size - 1), row.last);
    EXPECT_TRUE(pool->contains(row.last));
    EXPECT_FALSE(pool->contains(row.outside)) << row.outside;
    EXPECT_FALSE(pool->contains("x"));
  }
  for (const auto* bad : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/8x", "x/8"})
    EXPECT_FALSE(AddressPool::parse(bad)) << bad;
}

}  // namespace
}  // namespace weir::reconcile
