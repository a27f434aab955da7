#include <gtest/gtest.h>

#include <functional>

#include "reconcile/unit.h"
#include "reconcile/view_for_tests.h"

namespace weir::reconcile {
namespace {

constexpr std::string_view web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, uid: "u1", creationTimestamp: "2026-01-02T03:04:05Z"}
spec: {type: ClusterIP, ports: [{name: http, port: 80}, {name: alt, port: 8080}]}
)";

Output translate(FakeView& view, const Kind& kind, const Name& name) {
  for (const auto& unit : ingress_units())
    if (unit.kind == kind) return unit.translate(name, view.object(kind, name), view);
  ADD_FAILURE() << "no unit of kind " << kind.kind;
  return {};
}

// An Ingress "i" in the namespace "shop" with these annotations and this spec, as flow YAML.
Output of_ingress(FakeView& view, std::string_view annotations, std::string_view spec) {
  view.put(fmt::format(R"({{kind: Ingress, metadata: {{name: i, namespace: shop, uid: u2, generation: 7,
    creationTimestamp: "2026-01-01T00:00:00Z", annotations: {}}}, spec: {}}})",
                       annotations, spec));
  return translate(view, kinds::ingress, {"shop", "i"});
}

std::vector<const Entity*> of_schema(const Output& out, std::string_view schema) {
  std::vector<const Entity*> found;
  for (const auto& entity : out.entities)
    if (entity.schema->name() == schema) found.push_back(&entity);
  return found;
}

const Object& only(const Output& out, std::string_view schema) {
  const auto found = of_schema(out, schema);
  static const Object none;
  EXPECT_EQ(found.size(), 1u) << schema << " " << out.fault;
  return found.size() == 1 ? found.front()->now : none;
}

std::string text(const boost::json::value& value) {
  return boost::json::serialize(value);
}

std::string rule(std::string_view host, std::string_view path, std::string_view type, std::string_view service = "web",
                 std::string_view port = "number: 80") {
  return fmt::format(
      "{{host: '{}', http: {{paths: [{{path: '{}', pathType: {}, backend: {{service: {{name: {}, port: "
      "{{{}}}}}}}}}]}}}}",
      host, path, type, service, port);
}
std::string rules(std::initializer_list<std::string> all) {
  return fmt::format("{{ingressClassName: weir, rules: [{}]}}", fmt::join(all, ", "));
}

TEST(Ingress, becomes_a_service_of_the_port_and_a_route_of_the_host) {
  FakeView view;
  view.put(web);
  const auto out = of_ingress(view, "{}", rules({rule("*.A.example", "/x", "Prefix")}));
  EXPECT_EQ(out.fault, "");

  const auto& service = only(out, "services");
  EXPECT_EQ(text(service.at("name")), R"("shop.web.80")");
  EXPECT_EQ(text(service.at("host")), R"("web.shop.80.svc")");
  EXPECT_EQ(text(service.at("created_at")), "1767323045");
  EXPECT_EQ(text(service.at("id")), '"' + entity_id("Service", {"shop", "web"}, "80").text() + '"');
  EXPECT_EQ(text(service.at("tags")), R"(["k8s-name:web","k8s-namespace:shop","k8s-kind:Service","k8s-uid:u1",)"
                                      R"("k8s-version:v1"])");

  const auto& route = only(out, "routes");
  EXPECT_EQ(text(route.at("name")), R"("shop.i.web._.a.example.80")");
  EXPECT_EQ(text(route.at("hosts")), R"(["*.a.example"])");
  EXPECT_EQ(text(route.at("service").at("id")), text(service.at("id")));
  EXPECT_EQ(text(route.at("created_at")), "1767225600");
  EXPECT_EQ(text(route.at("strip_path")), "false");
  EXPECT_EQ(text(route.at("preserve_host")), "true");
  EXPECT_EQ(text(route.at("tags")), R"(["k8s-name:i","k8s-namespace:shop","k8s-kind:Ingress","k8s-uid:u2",)"
                                    R"("k8s-group:networking.k8s.io","k8s-version:v1"])");

  ASSERT_EQ(out.backends.size(), 1u);
  EXPECT_EQ(out.backends[0], (Backend{{"shop", "web"}, 80, "", false}));
  ASSERT_TRUE(out.by);
  EXPECT_EQ(out.by->kind + " " + out.by->name, "Ingress shop/i");
  EXPECT_EQ(out.by->generation, 7);
  EXPECT_EQ(text(*out.status), R"({"loadBalancer":{}})");
}

TEST(Ingress, paths_follow_their_types) {
  struct Case {
    std::string_view path, type, annotations, paths;
  };
  for (const auto& one : {
           Case{"/", "Prefix", "{}", R"(["/"])"},
           Case{"/x", "Prefix", "{}", R"(["/x/","~/x$"])"},
           Case{"/x/", "Prefix", "{}", R"(["/x/","~/x$"])"},
           Case{"/a.b/(c)", "Prefix", "{}", R"(["/a.b/(c)/","~/a\\.b/\\(c\\)$"])"},
           Case{"/x", "Exact", "{}", R"(["~/x\\z"])"},
           Case{"/x/", "Exact", "{}", R"(["~/x/\\z"])"},
           Case{"/x", "ImplementationSpecific", "{}", R"(["/x"])"},
           Case{"", "ImplementationSpecific", "{}", R"(["/"])"},
           Case{"/a//b", "ImplementationSpecific", "{}", R"(["/a/b"])"},
           Case{"/~/x/\\d+$", "ImplementationSpecific", "{}", R"(["~/x/\\d+$"])"},
           Case{"/@/x", "ImplementationSpecific", "{konghq.com/regex-prefix: '/@'}", R"(["~/x"])"},
           Case{"/%7Ex", "Prefix", "{}", R"(["/~x/","~/~x$"])"},
       }) {
    FakeView view;
    view.put(web);
    const auto out = of_ingress(view, one.annotations, rules({rule("a", one.path, one.type)}));
    EXPECT_EQ(out.fault, "") << one.path;
    EXPECT_EQ(text(only(out, "routes").at("paths")), one.paths) << one.path << " " << one.type;
  }
}

TEST(Ingress, paths_of_one_host_and_port_are_one_route) {
  FakeView view;
  view.put(web);
  const auto out =
      of_ingress(view, "{}",
                 rules({rule("a", "/x", "ImplementationSpecific"), rule("a", "/y", "ImplementationSpecific"),
                        rule("b", "/x", "ImplementationSpecific"),
                        rule("a", "/z", "ImplementationSpecific", "web", "name: alt")}));
  EXPECT_EQ(out.fault, "");
  std::map<std::string, std::string> found;
  for (const auto* route : of_schema(out, "routes")) found[text(route->now.at("name"))] = text(route->now.at("paths"));
  EXPECT_EQ(found, (std::map<std::string, std::string>{{R"("shop.i.web.a.80")", R"(["/x","/y"])"},
                                                       {R"("shop.i.web.b.80")", R"(["/x"])"},
                                                       {R"("shop.i.web.a.alt")", R"(["/z"])"}}));
  EXPECT_EQ(of_schema(out, "services").size(), 2u);
}

TEST(Ingress, counts_by_its_class) {
  struct Case {
    std::string_view annotations, spec, classes;
    bool ours;
  };
  constexpr std::string_view ours =
      "{kind: IngressClass, metadata: {name: blue}, spec: {controller: weir.dev/ingress-controller}}";
  constexpr std::string_view theirs = "{kind: IngressClass, metadata: {name: weir}, spec: {controller: other}}";
  constexpr std::string_view by_default =
      "{kind: IngressClass, metadata: {name: blue, annotations: {ingressclass.kubernetes.io/is-default-class: "
      "'true'}}, "
      "spec: {controller: weir.dev/ingress-controller}}";
  for (const auto& one : {
           Case{"{}", "{ingressClassName: weir}", "", true},
           Case{"{}", "{ingressClassName: weir}", theirs, false},
           Case{"{}", "{ingressClassName: blue}", ours, true},
           Case{"{}", "{ingressClassName: blue}", "", false},
           Case{"{}", "{}", "", false},
           Case{"{}", "{}", ours, false},
           Case{"{}", "{}", by_default, true},
           Case{"{kubernetes.io/ingress.class: weir}", "{}", "", true},
           Case{"{kubernetes.io/ingress.class: nginx}", "{}", by_default, false},
           Case{"{kubernetes.io/ingress.class: nginx}", "{ingressClassName: weir}", "", false},
       }) {
    FakeView view;
    view.put(one.classes);
    const auto out = of_ingress(view, one.annotations, one.spec);
    EXPECT_EQ(out.status.has_value(), one.ours) << one.annotations << one.spec << one.classes;
    EXPECT_TRUE(out.entities.empty());
    EXPECT_EQ(out.fault, "");
  }
}

TEST(Ingress, what_is_wrong_is_left_out_and_told_and_the_rest_served) {
  struct Case {
    std::string faulty, fault;
    std::size_t routes;
  };
  for (const auto& one : {
           Case{rule("b", "/~/(", "ImplementationSpecific"), "path '/~/(': invalid regex", 1},
           Case{rule("b", "/%zz", "Prefix"), "path '/%zz' has a broken percent escape", 1},
           Case{rule("b", "/x", "Fuzzy"), "pathType 'Fuzzy'", 1},
           Case{rule("b", "x", "Prefix"), "does not start with /", 1},
           Case{rule("b_", "/", "Prefix", "gone"), "there is no Service shop/gone", 2},
           Case{rule("b", "/", "Prefix", "web", "number: 81"), "Service shop/web has no port 81", 2},
           Case{rule("b", "/", "Prefix", "web", "name: no"), "Service shop/web has no port no", 2},
           Case{rule("b..c", "/", "Prefix"), "host 'b..c' is not served: schema violation (hosts.1: invalid hostname",
                1},
           Case{"{host: b, http: {paths: [{path: /, pathType: Prefix, backend: {resource: {kind: X, name: y}}}]}}",
                "a backend is a resource", 1},
       }) {
    FakeView view;
    view.put(web);
    const auto out = of_ingress(view, "{}", rules({rule("a", "/", "Prefix"), one.faulty}));
    EXPECT_NE(out.fault.find(one.fault), std::string::npos) << out.fault;
    EXPECT_EQ(out.fault_reason, "KongConfigurationTranslationFailed");
    EXPECT_EQ(of_schema(out, "routes").size(), one.routes) << one.faulty;
    EXPECT_TRUE(out.status);
  }
}

// A request for it must not be answered by a route that is less specific.
TEST(Ingress, a_route_without_its_service_keeps_its_requests) {
  FakeView view;
  const auto out = of_ingress(view, "{}", rules({rule("a", "/", "Prefix")}));
  EXPECT_TRUE(only(out, "routes").at("service").is_null());
  EXPECT_TRUE(out.backends.empty());
  EXPECT_TRUE(view.read.contains("Service shop/web"));
}

TEST(Ingress, default_backend_takes_what_no_rule_takes) {
  FakeView view;
  view.put(web);
  const auto out = of_ingress(view, "{}",
                              "{ingressClassName: weir, defaultBackend: {service: {name: web, port: {number: 80}}}, "
                              "rules: [{host: only.host}]}");
  EXPECT_EQ(out.fault, "");
  std::map<std::string, std::string> found;
  for (const auto* route : of_schema(out, "routes"))
    found[text(route->now.at("name"))] = text(route->now.at("hosts")) + text(route->now.at("paths"));
  EXPECT_EQ(found, (std::map<std::string, std::string>{{R"("shop.i")", R"(null["/"])"},
                                                       {R"("shop.i.web.only.host.80")", R"(["only.host"]["/"])"}}));
  EXPECT_EQ(of_schema(out, "services").size(), 1u);
}

TEST(Ingress, two_of_them_make_the_same_service) {
  FakeView view;
  view.put(web);
  const auto first = of_ingress(view, "{konghq.com/tags: one}", rules({rule("a", "/", "Prefix")}));
  const auto second =
      of_ingress(view, "{konghq.com/tags: two}", rules({rule("b", "/", "Prefix", "web", "name: http")}));
  EXPECT_EQ(text(only(first, "services")), text(only(second, "services")));
  EXPECT_EQ(first.backends, second.backends);
}

}  // namespace
}  // namespace weir::reconcile
