#include <gtest/gtest.h>

#include "snapshot/gateway_test_support.h"
#include "snapshot/plugin_test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

const Route* route_of(const SnapshotPtr& snapshot, std::string_view request) {
  const auto asked = by_entry(Asked(request));
  return snapshot->match(asked.request()).route;
}

TEST(CompileGateway, a_route_asks_its_services_by_their_weights) {
  const auto snapshot =
      compile_gateway({put_entry(entry_number, {""}), put_gateway_route(1, {.services = {{5, 3}, {6, 0}, {0, 1}}})},
                      nullptr, {put_service(5, R"({"host":"a"})"), put_service(6, R"({"host":"b"})")});
  const auto* route = route_of(snapshot, "GET h/");
  ASSERT_TRUE(route);
  EXPECT_TRUE(route->gateway);
  EXPECT_TRUE(route->preserve_host);
  EXPECT_EQ(route->weights, 4u);
  ASSERT_EQ(route->services.size(), 3u);
  EXPECT_EQ(snapshot->service(route->services[0].service)->host, "a");
  EXPECT_EQ(snapshot->service(route->services[1].service)->host, "b");
  EXPECT_EQ(route->services[0].weight, 3u);
  EXPECT_EQ(route->services[2].service, no_slot);
  EXPECT_EQ(route->service, no_slot);
  EXPECT_EQ(snapshot->find_route(id(1)), route);
  EXPECT_EQ(snapshot->routes(), 1u);
}

TEST(CompileGateway, services_come_and_go_behind_a_route) {
  auto snapshot =
      compile_gateway({put_entry(entry_number, {""}), put_gateway_route(1, {.services = {{5, 1}, {6, 1}}})});
  EXPECT_EQ(faults(*snapshot), "1: its service 00000000-0000-0000-0000-000000000005 is missing\n");
  const auto* route = route_of(snapshot, "GET h/");
  EXPECT_FALSE(snapshot->service(route->services[0].service));
  snapshot = compile_gateway({}, snapshot, {put_service(5, R"({"host":"a"})")});
  EXPECT_EQ(faults(*snapshot), "1: its service 00000000-0000-0000-0000-000000000006 is missing\n");
  snapshot = compile_gateway({}, snapshot, {put_service(6, R"({"host":"b"})")});
  EXPECT_EQ(faults(*snapshot), "");
  EXPECT_EQ(route_of(snapshot, "GET h/"), route);  // not made again
  EXPECT_EQ(snapshot->service(route->services[0].service)->host, "a");
  snapshot = compile_gateway({}, snapshot, {drop<model::Service>(5)});
  EXPECT_FALSE(snapshot->service(route->services[0].service));
  EXPECT_EQ(faults(*snapshot), "1: its service 00000000-0000-0000-0000-000000000005 is missing\n");
  snapshot = compile_gateway({drop_gateway(1)}, snapshot, {drop<model::Service>(6)});
  EXPECT_EQ(faults(*snapshot), "");
  EXPECT_EQ(snapshot->routes(), 0u);
  EXPECT_FALSE(route_of(snapshot, "GET h/"));
}

TEST(CompileGateway, a_faulty_route_keeps_its_last_good_version_and_says_why) {
  auto good = put_gateway_route(1, {.path = "prefix /good"});
  auto snapshot = compile_gateway({put_entry(entry_number, {""}), good});
  for (const auto& [bad, message] :
       {std::pair{RouteSpec{.path = "regex /(("},
                  "path '/((': the regular expression does not compile: missing ): /(("},
        std::pair{RouteSpec{.path = "prefix good"}, "path 'good' is malformed: it begins with '/'"},
        std::pair{RouteSpec{.headers = {{"x", "[", true}}},
                  "header 'x': the regular expression does not compile: missing ]: ["},
        std::pair{RouteSpec{.queries = {{"q", "[", true}}},
                  "query parameter 'q': the regular expression does not compile: missing ]: ["}}) {
    snapshot = compile_gateway({put_gateway_route(1, bad)}, snapshot);
    EXPECT_EQ(faults(*snapshot), fmt::format("1: {}\n", message));
    EXPECT_TRUE(route_of(snapshot, "GET h/good"));
  }
  snapshot = compile_gateway({good}, snapshot);
  EXPECT_EQ(faults(*snapshot), "");
}

TEST(CompileGateway, routes_wait_for_their_entry_and_survive_its_changes) {
  auto snapshot = compile_gateway({put_gateway_route(1, {})});
  EXPECT_FALSE(route_of(snapshot, "GET h/"));
  snapshot = compile_gateway({put_entry(entry_number, {""})}, snapshot);
  EXPECT_TRUE(route_of(snapshot, "GET h/"));
  ASSERT_TRUE(snapshot->entry(id(entry_number)));
  snapshot = compile_gateway({put_entry(entry_number, {"only.example"})}, snapshot);
  EXPECT_FALSE(route_of(snapshot, "GET h/"));
  EXPECT_TRUE(route_of(snapshot, "GET only.example/"));
  snapshot = compile_gateway({drop_gateway(entry_number)}, snapshot);
  EXPECT_FALSE(snapshot->entry(id(entry_number)));
  EXPECT_FALSE(route_of(snapshot, "GET only.example/"));
}

TEST(CompileGateway, of_two_listeners_with_one_name_the_first_has_it) {
  const auto snapshot = compile_gateway({put_entry(7, {"a.example", "a.example"})});
  EXPECT_EQ(faults(*snapshot), "7: listener 'l1' is left out: its host name 'a.example' is that of listener 'l0'\n");
}

TEST(CompileGateway, every_piece_names_the_object_that_declares_it) {
  const auto by = std::make_shared<const model::DeclaredBy>(model::DeclaredBy{"HTTPRoute", "ns/name", 4});
  auto declared = put_gateway_route(1, {.path = "regex /.*"});
  auto route = *declared.route;
  route.by = by;
  declared.route = std::make_shared<const model::GatewayRoute>(route);
  auto service = put_service(5, R"({"host":"u"})");
  auto upstream = put_upstream(6, R"({"name":"u"})");
  auto target = put_target(7, 6, "t:1");
  auto kong_route = put_route(8, R"({"paths":["/"]})");
  for (auto* change : {&service, &upstream, &target, &kong_route}) change->by = by;
  const auto snapshot =
      compile_gateway({put_entry(entry_number, {""}), declared}, nullptr, {service, upstream, target, kong_route});
  const auto& origin = snapshot->find_route(id(1))->origin;
  EXPECT_EQ(origin.source, "kube");
  EXPECT_EQ(origin.kind, "HTTPRoute");
  EXPECT_EQ(origin.name, "ns/name");
  EXPECT_EQ(origin.generation, 4);
  EXPECT_EQ(origin.by, by);
  EXPECT_EQ(snapshot->find_service(id(5))->origin.by, by);
  EXPECT_EQ(snapshot->find_backend("u")->origin.by, by);
  EXPECT_EQ(snapshot->find_backend("u")->targets.at(0)->origin.by, by);
  EXPECT_EQ(snapshot->find_route(id(8))->origin.by, by);
}

TEST(CompileGateway, filters_and_plugins_of_a_route_are_in_its_chain) {
  install_test_kinds();
  const auto chain_of = [](const SnapshotPtr& snapshot) {
    std::string out;
    if (const auto* chain = snapshot->chain(snapshot->find_route(id(1))))
      for (const auto& plugin : chain->plugins) out += fmt::format("{} ", plugin->kind->name);
    return out;
  };
  const std::vector plain{put_gateway_route(1, {.services = {{5, 1}}})};
  const std::vector filtered{put_gateway_route(1, {.services = {{5, 1}}, .filters = true})};
  auto snapshot = compile_plugins({put_service(5, R"({"host":"h"})")}, nullptr, plain);
  EXPECT_FALSE(snapshot->chain(snapshot->find_route(id(1))));
  snapshot = compile_plugins({}, snapshot, filtered);
  EXPECT_EQ(chain_of(snapshot), "filters ");
  EXPECT_EQ(snapshot->plugins(), 0u);  // nobody configured it
  snapshot = compile_plugins({put_plugin(8, "high", {.route = 1})}, snapshot);
  EXPECT_EQ(chain_of(snapshot), "filters high ");
  snapshot = compile_plugins({put_plugin(9, "low", {.service = 5})}, snapshot);
  EXPECT_EQ(chain_of(snapshot), "filters high low ");
  snapshot = compile_plugins({drop<model::Plugin>(8)}, snapshot, plain);
  EXPECT_EQ(chain_of(snapshot), "low ");
  snapshot = compile_plugins({}, snapshot, filtered);
  EXPECT_EQ(chain_of(snapshot), "filters low ");
  snapshot = compile_plugins({}, snapshot, std::vector{drop_gateway(1)});
  EXPECT_FALSE(snapshot->find_route(id(1)));
}

TEST(CompileSources, of_upstreams_with_one_name_kubernetes_goes_before_the_database_and_that_before_the_file) {
  const auto by = std::make_shared<const model::DeclaredBy>(model::DeclaredBy{"WeirUpstream", "ns/u", 1});
  auto of_kube = put_upstream(3, R"({"name":"u"})");
  of_kube.by = by;
  auto snapshot = compile(nullptr, {put_upstream(1, R"({"name":"u"})")}, "file");
  snapshot = compile(snapshot, {put_upstream(2, R"({"name":"U"})")}, "postgres");
  EXPECT_EQ(snapshot->find_backend("u")->origin.source, "postgres");
  EXPECT_EQ(faults(*snapshot),
            "1: its name 'u' is that of upstream 00000000-0000-0000-0000-000000000002 of postgres\n");
  snapshot = compile(snapshot, {of_kube}, "kube");
  EXPECT_EQ(snapshot->find_backend("u")->origin.source, "kube");
  EXPECT_EQ(
      faults(*snapshot),
      "1: its name 'u' is that of WeirUpstream ns/u of kube\n2: its name 'u' is that of WeirUpstream ns/u of kube\n");
  snapshot = compile(snapshot, {drop<model::Upstream>(3)}, "kube");
  EXPECT_EQ(snapshot->find_backend("u")->origin.source, "postgres");
  snapshot = compile(snapshot, {drop<model::Upstream>(2)}, "postgres");
  EXPECT_EQ(snapshot->find_backend("u")->origin.source, "file");
  EXPECT_EQ(faults(*snapshot), "");
}

}  // namespace
}  // namespace weir::snapshot
