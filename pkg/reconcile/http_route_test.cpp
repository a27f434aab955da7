#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "reconcile/gateway_test_support.h"
#include "reconcile/http_route_filters.h"
#include "reconcile/http_route_parents.h"

namespace weir::reconcile {
namespace {

using Path = model::GatewayRoute::Path;

std::vector<const model::GatewayRoute*> routes(const Output& out) {
  std::vector<const model::GatewayRoute*> found;
  for (const auto& change : out.gateway)
    if (change.route) found.push_back(change.route.get());
  return found;
}
const Entity* entity(const Output& out, const Uuid& id) {
  for (const auto& one : out.entities)
    if (one.id == id) return &one;
  return nullptr;
}

constexpr std::string_view simple = "parentRefs: [{name: gate}], rules: [{backendRefs: [{name: one, port: 8080}]}]";

TEST(HttpRouteUnit, becomes_a_route_for_each_match_of_each_rule) {
  auto view = gateway_view();
  const auto out = translated_route(view, R"(parentRefs: [{name: gate}], hostnames: [Foo.example.com], rules: [
    {matches: [{path: {type: Exact, value: /a}, method: GET}, {path: {type: RegularExpression, value: "/b.*"}}],
     backendRefs: [{name: one, port: 8080, weight: 9}, {name: two, port: 8080}],
     timeouts: {request: 1m30s, backendRequest: 500ms}},
    {matches: [{headers: [{name: X-Version, value: two}, {name: x-version, value: three}, {name: y, value: "z+", type: RegularExpression}],
                queryParams: [{name: animal, value: whale}]}],
     backendRefs: [{name: two, port: 8080}]}])");
  const auto made = routes(out);
  ASSERT_EQ(made.size(), 3u);
  EXPECT_EQ(made[0]->path, "/a");
  EXPECT_EQ(made[0]->path_kind, Path::exact);
  EXPECT_EQ(made[0]->method, "GET");
  EXPECT_EQ(made[1]->path_kind, Path::regex);
  EXPECT_EQ(made[2]->path, "/");
  EXPECT_EQ(made[2]->path_kind, Path::prefix);
  ASSERT_EQ(made[2]->headers.size(), 2u) << "of equivalent names the first counts";
  EXPECT_EQ(made[2]->headers[0].name + "=" + made[2]->headers[0].value, "x-version=two");
  EXPECT_TRUE(made[2]->headers[1].regex);
  EXPECT_EQ(made[2]->queries.at(0).name, "animal");
  EXPECT_EQ(made[0]->order, "infra/route/0000/0000");
  EXPECT_EQ(made[2]->order, "infra/route/0001/0000");
  EXPECT_EQ(made[0]->created_at, 1767323045);
  EXPECT_EQ(made[0]->request_timeout.count(), 90000);
  EXPECT_EQ(made[0]->backend_timeout.count(), 500);
  ASSERT_EQ(made[0]->services.size(), 2u);
  EXPECT_EQ(made[0]->services[0].weight, 9u);
  EXPECT_EQ(made[0]->services[1].weight, 1u);
  EXPECT_EQ(made[0]->services[1].service, made[2]->services.at(0).service) << "one service for one Service";

  const auto* service = entity(out, made[0]->services[0].service);
  ASSERT_TRUE(service);
  EXPECT_EQ(service->now.at("host").as_string(), "one.infra.8080.svc");
  ASSERT_EQ(out.backends.size(), 2u);
  EXPECT_EQ(upstream_name(out.backends[0]), "one.infra.8080.svc");

  ASSERT_EQ(made[0]->attached.size(), 1u);
  EXPECT_EQ(made[0]->attached[0].hosts, std::vector<std::string>{"foo.example.com"});
  const auto gate = translated(view, {"infra", "gate"});
  EXPECT_EQ(made[0]->attached[0].entry, gate.gateway.at(0).entry->id);
  EXPECT_EQ(made[0]->attached[0].listener, gate.gateway.at(0).entry->listeners.at(0).id);
  EXPECT_EQ(made[0]->by->kind + " " + made[0]->by->name, "HTTPRoute infra/route");
  ASSERT_EQ(out.tells.size(), 1u);
  EXPECT_EQ(out.tells[0].name.text() + " " + out.tells[0].text, "infra/gate listener/http");
  EXPECT_EQ(parent_state(out, "Accepted"), "True/Accepted");
  EXPECT_EQ(parent_state(out, "ResolvedRefs"), "True/ResolvedRefs");
  EXPECT_EQ(parent_state(out, "weir.dev/Served"), "True/Served");
}

TEST(HttpRouteUnit, reads_nothing_of_other_routes) {
  auto view = gateway_view();
  translated_route(view, simple);
  EXPECT_FALSE(view.read.contains("HTTPRoute *"));
  EXPECT_FALSE(view.read.contains("Gateway *"));
  EXPECT_FALSE(view.read.contains("ListenerSet *")) << "the Gateway allows none";
  EXPECT_TRUE(view.read.contains("Gateway infra/gate"));
  EXPECT_TRUE(view.read.contains("Service infra/one"));
}

TEST(HttpRouteUnit, keeps_what_other_controllers_say) {
  auto view = gateway_view();
  view.put(http_route(simple));
  auto object = view.object(kinds::http_route, {"infra", "route"});
  const Object other{{"controllerName", "example.com/other"}, {"parentRef", {{"name", "x"}}}};
  const Object ours{{"controllerName", "weir.dev/gateway-controller"}, {"parentRef", {{"name", "old"}}}};
  object["status"] = {{"parents", {other, ours}}};
  view.put(object);
  auto out = translated(view, {"infra", "route"}, kinds::http_route);
  ASSERT_EQ(array_of(*out.status, {"parents"}).size(), 2u);
  EXPECT_EQ(array_of(*out.status, {"parents"})[0], other);
  EXPECT_EQ(parent_state(out, "Accepted", 1), "True/Accepted");

  object["spec"].as_object()["parentRefs"].as_array()[0].as_object()["name"] = "nobody";
  view.put(object);
  out = translated(view, {"infra", "route"}, kinds::http_route);
  ASSERT_TRUE(out.status) << "what we said before must go";
  EXPECT_EQ(array_of(*out.status, {"parents"}), (boost::json::array{other}));
  EXPECT_TRUE(out.gateway.empty());
}

struct ParentRow {
  std::string_view listeners, space, parent, hostnames;
  std::string_view accepted;
  std::size_t attached;
};
class HttpRouteParents : public testing::TestWithParam<ParentRow> {};

TEST_P(HttpRouteParents, are_accepted_or_not) {
  const auto& p = GetParam();
  auto view = gateway_view();
  view.put(gateway("parent", p.listeners));
  const auto out =
      translated_route(view,
                       fmt::format("parentRefs: [{{name: parent, namespace: infra{}}}], hostnames: [{}], rules: [{{}}]",
                                   p.parent, p.hostnames),
                       std::string(p.space));
  EXPECT_EQ(parent_state(out, "Accepted"), p.accepted);
  EXPECT_EQ(out.tells.size(), p.attached);
  EXPECT_EQ(routes(out).empty() ? 0 : routes(out)[0]->attached.size(), p.attached);
}

constexpr std::string_view one = "[{name: a, port: 80, protocol: HTTP}]";
constexpr std::string_view two =
    "[{name: a, port: 80, protocol: HTTP, hostname: foo.com}, {name: b, port: 81, protocol: HTTP}]";
constexpr std::string_view selected =
    "[{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: "
    "b}}}}}]";
constexpr std::string_view expressed =
    "[{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: "
    "[{key: team, operator: NotIn, values: [a]}, {key: kubernetes.io/metadata.name, operator: Exists}]}}}}]";
constexpr std::string_view everybody =
    "[{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]";
INSTANTIATE_TEST_SUITE_P(
    Attachment, HttpRouteParents,
    testing::Values(
        ParentRow{one, "infra", "", "", "True/Accepted", 1}, ParentRow{two, "infra", "", "", "True/Accepted", 2},
        ParentRow{two, "infra", ", sectionName: b", "", "True/Accepted", 1},
        ParentRow{two, "infra", ", port: 81", "", "True/Accepted", 1},
        ParentRow{two, "infra", ", port: 82", "", "False/NoMatchingParent", 0},
        ParentRow{two, "infra", ", sectionName: a, port: 81", "", "False/NoMatchingParent", 0},
        ParentRow{two, "infra", ", sectionName: c", "", "False/NoMatchingParent", 0},
        ParentRow{two, "infra", ", sectionName: a", "bar.com", "False/NoMatchingListenerHostname", 0},
        ParentRow{two, "infra", "", "bar.com", "True/Accepted", 1},
        ParentRow{one, "web", "", "", "False/NotAllowedByListeners", 0},
        ParentRow{everybody, "web", "", "", "True/Accepted", 1}, ParentRow{selected, "web", "", "", "True/Accepted", 1},
        ParentRow{selected, "infra", "", "", "False/NotAllowedByListeners", 0},
        ParentRow{expressed, "web", "", "", "True/Accepted", 1},
        ParentRow{expressed, "infra", "", "", "False/NotAllowedByListeners", 0},
        ParentRow{"[{name: a, port: 443, protocol: TLS}]", "infra", "", "", "False/NotAllowedByListeners", 0},
        ParentRow{"[{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TLSRoute}]}}]", "infra", "", "",
                  "False/NotAllowedByListeners", 0}));

TEST(HttpRouteParents, counts_where_the_listener_has_no_valid_certificate) {
  auto view = gateway_view();
  view.put(gateway("parent", "[{name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: missing}]}}]"));
  const auto out =
      translated_route(view, "parentRefs: [{name: parent}], rules: [{backendRefs: [{name: missing, port: 1}]}]");
  EXPECT_EQ(out.tells.size(), 1u);
  EXPECT_EQ(parent_state(out, "ResolvedRefs"), "False/BackendNotFound");
}

TEST(CommonHosts, takes_the_more_specific_of_two) {
  using Hosts = std::vector<std::string>;
  EXPECT_EQ(common_hosts("", {}), Hosts{});
  EXPECT_EQ(common_hosts("a.com", {}), Hosts{"a.com"});
  EXPECT_EQ(common_hosts("", {"a.com", "*.b.com"}), (Hosts{"a.com", "*.b.com"}));
  EXPECT_EQ(common_hosts("very.specific.com", {"non.matching.com", "*.com", "very.specific.com"}),
            Hosts{"very.specific.com"});
  EXPECT_EQ(common_hosts("*.wildcard.io", {"foo.wildcard.io", "foo.bar.wildcard.io", "foo.io", "wildcard.io"}),
            (Hosts{"foo.wildcard.io", "foo.bar.wildcard.io"}));
  EXPECT_EQ(common_hosts("*.anotherwildcard.io", {"*.anotherwildcard.io", "*.x.anotherwildcard.io"}),
            (Hosts{"*.anotherwildcard.io", "*.x.anotherwildcard.io"}));
  EXPECT_EQ(common_hosts("*.a.b.com", {"*.b.com"}), Hosts{"*.a.b.com"});
  EXPECT_EQ(common_hosts("a.com", {"b.com"}), std::nullopt);
  EXPECT_EQ(common_hosts("*.a.com", {"a.com", "xa.com"}), std::nullopt);
}

struct BackendRow {
  std::string_view reference, resolved;
  bool usable;
};
class HttpRouteBackends : public testing::TestWithParam<BackendRow> {};

TEST_P(HttpRouteBackends, are_resolved_or_answered_500) {
  auto view = gateway_view();
  view.put(R"(
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: infra}
spec: {type: ExternalName, externalName: example.com, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: secured, namespace: infra}
spec: {ports: [{name: btls, port: 443, protocol: TCP}, {name: open, port: 80, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: policy, namespace: infra}
spec:
  targetRefs: [{group: "", kind: Service, name: secured, sectionName: btls}]
  validation: {hostname: a.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: nobody}]}
)");
  const auto out = translated_route(
      view, fmt::format("parentRefs: [{{name: gate}}], rules: [{{backendRefs: [{}, {{name: two, port: 8080}}]}}]",
                        GetParam().reference));
  EXPECT_EQ(parent_state(out, "ResolvedRefs"), GetParam().resolved);
  EXPECT_EQ(parent_state(out, "Accepted"), "True/Accepted");
  const auto& services = routes(out).at(0)->services;
  ASSERT_EQ(services.size(), 2u);
  EXPECT_EQ(!services[0].service.is_nil(), GetParam().usable);
  EXPECT_EQ(services[0].weight, 1u) << "an invalid backend keeps its share";
  EXPECT_FALSE(services[1].service.is_nil()) << "the other one is not touched";
}

INSTANTIATE_TEST_SUITE_P(
    References, HttpRouteBackends,
    testing::Values(BackendRow{"{name: one, port: 8080}", "True/ResolvedRefs", true},
                    BackendRow{"{name: nobody, port: 8080}", "False/BackendNotFound", false},
                    BackendRow{"{name: one, port: 9999}", "False/BackendNotFound", false},
                    BackendRow{"{name: outside, port: 80}", "False/BackendNotFound", false},
                    BackendRow{"{group: x.io, kind: NonExistent, name: one, port: 8080}", "False/InvalidKind", false},
                    BackendRow{"{name: far, namespace: web, port: 8080}", "False/RefNotPermitted", false},
                    BackendRow{"{name: one, port: 53}", "False/UnsupportedProtocol", false},
                    BackendRow{"{name: two, port: 8081}", "False/UnsupportedProtocol", false},
                    BackendRow{"{name: secured, port: 443}", "True/ResolvedRefs", false},
                    BackendRow{"{name: secured, port: 80}", "True/ResolvedRefs", true}));

struct GrantRow {
  std::string_view space, from_group, from_kind, from_space, to_group, to_kind, to_name;
  bool allowed;
};
class Grants : public testing::TestWithParam<GrantRow> {};

TEST_P(Grants, allow_just_what_they_name) {
  const auto& p = GetParam();
  auto view = gateway_view();
  view.put(fmt::format(R"(
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {{name: grant, namespace: {}}}
spec:
  from: [{{group: {}, kind: {}, namespace: {}}}]
  to: [{{group: "{}", kind: {}{}}}]
)",
                       p.space, p.from_group, p.from_kind, p.from_space, p.to_group, p.to_kind, p.to_name));
  const auto out = translated_route(
      view, "parentRefs: [{name: gate}], rules: [{backendRefs: [{name: far, namespace: web, port: 8080}]}]");
  EXPECT_EQ(parent_state(out, "ResolvedRefs"), p.allowed ? "True/ResolvedRefs" : "False/RefNotPermitted");
}

constexpr std::string_view group = "gateway.networking.k8s.io";
INSTANTIATE_TEST_SUITE_P(
    ReferenceGrant, Grants,
    testing::Values(GrantRow{"web", group, "HTTPRoute", "infra", "", "Service", "", true},
                    GrantRow{"web", group, "HTTPRoute", "infra", "", "Service", ", name: far", true},
                    GrantRow{"infra", group, "HTTPRoute", "infra", "", "Service", "", false},
                    GrantRow{"web", "x.io", "HTTPRoute", "infra", "", "Service", "", false},
                    GrantRow{"web", group, "Gateway", "infra", "", "Service", "", false},
                    GrantRow{"web", group, "HTTPRoute", "elsewhere", "", "Service", "", false},
                    GrantRow{"web", group, "HTTPRoute", "infra", "x.io", "Service", "", false},
                    GrantRow{"web", group, "HTTPRoute", "infra", "", "Secret", "", false},
                    GrantRow{"web", group, "HTTPRoute", "infra", "", "Service", ", name: near", false}));

TEST(HttpRouteFilters, of_all_kinds_are_read) {
  auto view = gateway_view();
  const auto out = translated_route(view, R"(parentRefs: [{name: gate}], rules: [
    {filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, value: b}, {name: a, value: c}], add: [{name: D, value: e}], remove: [F]}},
               {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: G, value: h}]}},
               {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}, percent: 20}},
               {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}, fraction: {numerator: 1, denominator: 3}}},
               {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}}},
               {type: URLRewrite, urlRewrite: {hostname: h.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}},
               {type: CORS, cors: {allowOrigins: ["https://*.a.com"], allowMethods: [GET], allowHeaders: [x], exposeHeaders: [y], allowCredentials: true, maxAge: 60}}],
     backendRefs: [{name: one, port: 8080, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [Z]}}]}]},
    {filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: r.example, port: 8443, statusCode: 308, path: {type: ReplaceFullPath, replaceFullPath: /full}}}]},
    {filters: [{type: RequestRedirect, requestRedirect: {}}]}])");
  const auto made = routes(out);
  ASSERT_EQ(made.size(), 3u) << out.fault;
  const auto& f = *made[0]->filters;
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(f.request.set, (Pairs{{"A", "b"}}));
  EXPECT_EQ(f.request.add, (Pairs{{"D", "e"}}));
  EXPECT_EQ(f.request.remove, std::vector<std::string>{"F"});
  EXPECT_EQ(f.response.add, (Pairs{{"G", "h"}}));
  ASSERT_EQ(f.mirrors.size(), 3u);
  EXPECT_EQ(fmt::format("{}/{} {}/{} {}/{}", f.mirrors[0].numerator, f.mirrors[0].denominator, f.mirrors[1].numerator,
                        f.mirrors[1].denominator, f.mirrors[2].numerator, f.mirrors[2].denominator),
            "20/100 1/3 1/1");
  EXPECT_TRUE(entity(out, f.mirrors[0].service));
  ASSERT_TRUE(f.rewrite);
  EXPECT_EQ(f.rewrite->hostname, "h.example");
  EXPECT_EQ(f.rewrite->path.kind, model::PathModifier::Kind::prefix);
  EXPECT_EQ(f.rewrite->path.value, "/x");
  ASSERT_TRUE(f.cors);
  EXPECT_EQ(f.cors->origins, std::vector<std::string>{"https://*.a.com"});
  EXPECT_TRUE(f.cors->credentials);
  EXPECT_EQ(f.cors->max_age, 60);
  ASSERT_TRUE(made[0]->services.at(0).filters);
  EXPECT_EQ(made[0]->services[0].filters->request.remove, std::vector<std::string>{"Z"});
  const auto& redirect = *made[1]->filters->redirect;
  EXPECT_EQ(fmt::format("{} {} {} {} {}", redirect.scheme, redirect.hostname, *redirect.port, redirect.status,
                        redirect.path.value),
            "https r.example 8443 308 /full");
  EXPECT_EQ(made[2]->filters->redirect->status, 302);
  EXPECT_FALSE(made[2]->filters->redirect->port);
}

TEST(HttpRouteRules, that_are_invalid_fall_out_alone) {
  for (
      const auto* bad :
      {R"({matches: [{path: {type: RegularExpression, value: "("}}], backendRefs: [{name: one, port: 8080}]})",
       R"({matches: [{headers: [{name: a, value: "[", type: RegularExpression}]}], backendRefs: [{name: one, port: 8080}]})",
       R"({retry: {attempts: 3}, backendRefs: [{name: one, port: 8080}]})",
       R"({timeouts: {request: 1x}, backendRefs: [{name: one, port: 8080}]})"}) {
    auto view = gateway_view();
    const auto partly = translated_route(
        view,
        fmt::format("parentRefs: [{{name: gate}}], rules: [{}, {{backendRefs: [{{name: two, port: 8080}}]}}]", bad));
    EXPECT_EQ(parent_state(partly, "Accepted"), "True/Accepted") << bad;
    EXPECT_EQ(parent_state(partly, "PartiallyInvalid"), "True/UnsupportedValue") << bad;
    ASSERT_EQ(routes(partly).size(), 1u) << bad;
    EXPECT_EQ(routes(partly)[0]->order, "infra/route/0001/0000");
    EXPECT_EQ(partly.fault_reason, "UnsupportedValue");
    EXPECT_TRUE(partly.fault.starts_with("Dropped Rule 0")) << partly.fault;

    const auto wholly = translated_route(view, fmt::format("parentRefs: [{{name: gate}}], rules: [{}]", bad));
    EXPECT_EQ(parent_state(wholly, "Accepted"), "False/UnsupportedValue") << bad;
    EXPECT_EQ(parent_state(wholly, "weir.dev/Served"), "False/NotAccepted") << bad;
    EXPECT_TRUE(routes(wholly).empty()) << bad;
    EXPECT_TRUE(wholly.tells.empty()) << bad;
  }
}

TEST(HttpRouteRules, never_skip_a_filter) {
  for (const auto* filter :
       {"{type: ExternalAuth}", "{type: ExtensionRef, extensionRef: {group: x.io, kind: X, name: y}}",
        "{type: ExtensionRef, extensionRef: {group: configuration.konghq.com, kind: KongPlugin, name: missing}}"}) {
    auto view = gateway_view();
    const auto out = translated_route(
        view, fmt::format(
                  "parentRefs: [{{name: gate}}], rules: [{{filters: [{}], backendRefs: [{{name: one, port: 8080}}]}}]",
                  filter));
    ASSERT_EQ(routes(out).size(), 1u) << filter;
    EXPECT_TRUE(routes(out)[0]->services.empty()) << "answered 500: " << filter;
    EXPECT_FALSE(out.fault.empty()) << filter;
  }
}

struct NoFields {};

TEST(HttpRouteRules, have_plugins_of_their_own) {
  static const auto schema = model::SchemaBuilder<NoFields>("correlation-id").build();
  model::install_plugin_schemas({{"correlation-id", &schema.schema, true, 1}});
  auto view = gateway_view();
  view.put(R"(
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: id, namespace: infra}
plugin: correlation-id
)");
  const auto out = translated_route(view, R"(parentRefs: [{name: gate}], rules: [
    {filters: [{type: ExtensionRef, extensionRef: {group: configuration.konghq.com, kind: KongPlugin, name: id}}], backendRefs: [{name: one, port: 8080}]},
    {matches: [{path: {value: /other}}], backendRefs: [{name: one, port: 8080}]}])");
  ASSERT_EQ(routes(out).size(), 2u);
  std::vector<std::string> bound;
  for (const auto& one : out.entities)
    if (one.schema->name() == "plugins") bound.push_back(text_of(object_of(one.now, {"route"}), "id"));
  EXPECT_EQ(bound, std::vector<std::string>{routes(out)[0]->id.text()});
  EXPECT_EQ(routes(out)[0]->services.size(), 1u);
  EXPECT_TRUE(out.fault.empty()) << out.fault;
  model::install_plugin_schemas({});
}

TEST(Durations, are_those_of_gep_2257) {
  const std::pair<std::string_view, int> good[] = {
      {"0s", 0}, {"500ms", 500}, {"1m30s", 90000}, {"1h", 3600000}, {"1s500ms", 1500}};
  for (const auto& [text, ms] : good)
    EXPECT_EQ(parse_duration(text).value_or(std::chrono::milliseconds(-1)).count(), ms) << text;
  for (const auto* bad : {"", "s", "1", "1.5s", "-1s", "123456s", "1h1m1s1ms1s", "1d", "1s ", "999999999999999999999s"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

}  // namespace
}  // namespace weir::reconcile
