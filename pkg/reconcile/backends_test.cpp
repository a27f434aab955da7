#include "reconcile/backends.h"

#include <gtest/gtest.h>

#include <random>

#include "reconcile/kube_for_tests.h"
#include "reconcile/unit_table.h"
#include "reconcile/view_for_tests.h"

namespace weir::reconcile {
namespace {

using Targets = std::vector<std::string>;

constexpr std::string_view service = R"(
{kind: Service, metadata: {namespace: ns, name: web}, spec: {clusterIP: 10.0.0.1,
 ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 81, targetPort: adm}]}}
)";

std::string slice(std::string name, std::string endpoints, std::string ports = "[{name: http, port: 8080}]") {
  return fmt::format(
      "---\n{{kind: EndpointSlice, metadata: {{namespace: ns, name: {}, labels: {{kubernetes.io/service-name: web}}}},"
      " ports: {}, endpoints: {}}}\n",
      name, ports, endpoints);
}

Targets targets(const std::string& yaml, Backend backend = {{"ns", "web"}, 80, "", false}) {
  FakeView view;
  view.put(yaml);
  return targets_of(backend, *view.get(kinds::service, backend.service), view);
}

struct Row {
  std::string why, endpoints;
  Targets expected;
};

TEST(Backends, takes_endpoints_as_kube_proxy_does) {
  const std::vector<Row> rows{
      {"no condition means ready", "[{addresses: [10.1.0.1]}]", {"10.1.0.1:8080"}},
      {"not ready leaves",
       "[{addresses: [10.1.0.1], conditions: {ready: true}}, {addresses: [10.1.0.2], conditions: {ready: false}}]",
       {"10.1.0.1:8080"}},
      {"a terminating one is not used while one is ready",
       "[{addresses: [10.1.0.1], conditions: {ready: true}},"
       " {addresses: [10.1.0.2], conditions: {ready: false, serving: true, terminating: true}}]",
       {"10.1.0.1:8080"}},
      {"terminating ones that serve are used when none is ready",
       "[{addresses: [10.1.0.1], conditions: {ready: false, serving: false, terminating: true}},"
       " {addresses: [10.1.0.2], conditions: {ready: false, serving: true, terminating: true}}]",
       {"10.1.0.2:8080"}},
      {"serving alone is not enough", "[{addresses: [10.1.0.1], conditions: {ready: false, serving: true}}]", {}},
      {"all addresses, each once",
       "[{addresses: [10.1.0.2, 10.1.0.1]}, {addresses: [10.1.0.1]}]",
       {"10.1.0.1:8080", "10.1.0.2:8080"}},
      {"IPv6 in brackets", "[{addresses: ['fd00::1']}]", {"[fd00::1]:8080"}},
      {"what is not understood is left out", "[5, {addresses: 7}, {addresses: [1, '', 10.1.0.1]}]", {"10.1.0.1:8080"}},
      {"none", "[]", {}},
  };
  for (const auto& row : rows)
    EXPECT_EQ(targets(std::string(service) + slice("a", row.endpoints)), row.expected) << row.why;
}

TEST(Backends, takes_the_port_of_each_slice_by_its_name) {
  const auto slices = slice("a", "[{addresses: [10.1.0.1]}]", "[{name: adm, port: 1}, {name: admin, port: 9090}]") +
                      slice("b", "[{addresses: [10.1.0.2]}]", "[{name: admin, port: 9091}, {name: http, port: 8080}]");
  const auto yaml = std::string(service) + slices;
  EXPECT_EQ(targets(yaml, {{"ns", "web"}, 81, "", false}), (Targets{"10.1.0.1:9090", "10.1.0.2:9091"}));
  EXPECT_EQ(targets(yaml, {{"ns", "web"}, 0, "admin", false}), (Targets{"10.1.0.1:9090", "10.1.0.2:9091"}));
  EXPECT_EQ(targets(yaml), (Targets{"10.1.0.2:8080"}));
  EXPECT_EQ(targets(yaml, {{"ns", "web"}, 82, "", false}), Targets{}) << "the Service has no such port";
}

TEST(Backends, a_headless_service_without_ports_uses_the_number_asked_for) {
  const std::string headless = "{kind: Service, metadata: {namespace: ns, name: web}, spec: {clusterIP: None}}\n";
  EXPECT_EQ(targets(headless + slice("a", "[{addresses: [10.1.0.1]}]", "[]"), {{"ns", "web"}, 9000, "", false}),
            (Targets{"10.1.0.1:9000"}));
}

TEST(Backends, the_cluster_ip_stands_for_the_endpoints_when_asked_for) {
  EXPECT_EQ(targets(std::string(service) + slice("a", "[{addresses: [10.1.0.1]}]"), {{"ns", "web"}, 80, "", true}),
            (Targets{"web.ns.svc:80"}));
}

TEST(Backends, an_external_name_is_the_only_target) {
  EXPECT_EQ(targets("{kind: Service, metadata: {namespace: ns, name: web}, spec: {type: ExternalName, externalName: "
                    "db.example.com}}"),
            (Targets{"db.example.com:80"}));
}

TEST(Backends, a_missing_service_has_an_upstream_without_targets) {
  FakeView view;
  const auto out = translate_backend({{"ns", "web"}, 80, "", false}, view);
  ASSERT_EQ(out.entities.size(), 1u);
  EXPECT_EQ(out.entities[0].now.at("name").as_string(), "web.ns.80.svc");
  EXPECT_TRUE(view.read.contains("Service ns/web"));
}

// A fleet of endpoints that come, go and change their conditions: each batch has just the targets that differ.
TEST(Backends, a_change_of_endpoints_costs_the_endpoints_that_changed) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  static const Kind user{"test.dev", "v1", "User", "users"};
  FakeInformers informers;
  Settings settings;
  UnitTable table(informers, settings,
                  {{user,
                    [](const Name&, const Object&, View&) {
                      Output out;
                      out.backends.push_back({{"ns", "web"}, 80, "", false});
                      return out;
                    }}},
                  read_kinds(), {kinds::secret, kinds::config_map});
  const auto set = [&](const Kind& kind, std::string_view json) {
    table.changed(kind, informers.set(kind, boost::json::parse(json).as_object()), {}, false);
  };
  set(user, R"({"metadata": {"namespace": "ns", "name": "u"}})");
  set(kinds::service, R"({"metadata": {"namespace": "ns", "name": "web"}, "spec": {"ports": [{"port": 80}]}})");
  std::map<std::string, bool> endpoints;  // in two slices; true: ready
  std::map<Uuid, std::string> served;     // targets by id
  std::size_t upstreams = 0;
  for (int round = 0; round < 500; ++round) {
    for (auto n = 1 + random() % 3; n > 0; --n) {
      const auto address = fmt::format("10.0.{}.{}", random() % 2, random() % 8);
      if (random() % 3 == 0)
        endpoints.erase(address);
      else
        endpoints[address] = random() % 4 != 0;
    }
    for (const std::string_view part : {"0", "1"}) {
      boost::json::array list;
      for (const auto& [address, ready] : endpoints)
        if (address.substr(5, 1) == part)
          list.push_back({{"addresses", {address}}, {"conditions", {{"ready", ready}}}});
      set(kinds::endpoint_slice, fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "web-{}",
              "labels": {{"kubernetes.io/service-name": "web"}}}}, "ports": [{{"name": "", "port": 8080}}],
              "endpoints": {}}})",
                                             part, boost::json::serialize(list)));
    }
    std::set<std::string> expected, before, after;
    for (const auto& [address, ready] : endpoints)
      if (ready) expected.insert(address + ":8080");
    for (const auto& [id, target] : served) before.insert(target);
    const auto turn = table.turn(500);
    std::size_t changed = 0;
    if (turn.batch)
      for (const auto& change : turn.batch->entities) {
        if (change.schema->name() == "upstreams") {
          ++upstreams;
          continue;
        }
        ++changed;
        if (change.now)
          served[change.id] = change.now->at("target").as_string();
        else
          served.erase(change.id);
      }
    for (const auto& [id, target] : served) after.insert(target);
    ASSERT_EQ(after, expected) << "round " << round;
    std::vector<std::string> difference;
    std::ranges::set_symmetric_difference(before, after, std::back_inserter(difference));
    ASSERT_EQ(changed, difference.size()) << "round " << round;
  }
  EXPECT_EQ(upstreams, 1u);
}

}  // namespace
}  // namespace weir::reconcile
