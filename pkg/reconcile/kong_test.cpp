// What Kong's annotations and kinds make of Ingresses and Services, and consumers.
#include <gtest/gtest.h>

#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "reconcile/kong_plugins.h"
#include "reconcile/kong_upstream.h"
#include "reconcile/unit.h"
#include "reconcile/view_for_tests.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

// Stand-ins for plugins: this folder knows none.
struct Limit {
  std::int64_t minute = 0;
  std::optional<std::string> secret;
};
struct Stop {
  std::int64_t status_code = 503;
  std::optional<std::string> message;
};
struct Transform {
  struct Replace {
    std::optional<std::string> uri;
  } replace;
};
}  // namespace
}  // namespace weir::reconcile
namespace weir::model {
template <>
const Members<reconcile::Transform::Replace>& members<reconcile::Transform::Replace>() {
  static const auto built =
      Members<reconcile::Transform::Replace>().field("uri", &reconcile::Transform::Replace::uri, "The path.");
  return built;
}
}  // namespace weir::model
namespace weir::reconcile {
namespace {

class Kong : public testing::Test {
 protected:
  void SetUp() override {
    static const auto limit =
        model::SchemaBuilder<Limit>("rate-limiting")
            .field("minute", &Limit::minute, "Requests.", model::between(1, 100))
            .field("secret", &Limit::secret, "A secret.", model::check([](std::string_view text) -> model::Wrong {
                     if (text == "good") return {};
                     return fmt::format("'{}' is not good", text);
                   }))
            .build();
    static const auto keys = model::SchemaBuilder<Limit>("key-auth")
                                 .field("minute", &Limit::minute, "Requests.", model::between(0, 100))
                                 .build();
    static const auto stop = model::SchemaBuilder<Stop>("request-termination")
                                 .field("status_code", &Stop::status_code, "Status.")
                                 .field("message", &Stop::message, "Message.")
                                 .build();
    static const auto transform = model::SchemaBuilder<Transform>("request-transformer")
                                      .field("replace", &Transform::replace, "What to replace.")
                                      .build();
    model::install_plugin_schemas({{"rate-limiting", &limit.schema, true, 910},
                                   {"key-auth", &keys.schema, false, 1250},
                                   {"request-termination", &stop.schema, true, 2},
                                   {"request-transformer", &transform.schema, true, 801}});
    view.put(R"({kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80}]}})");
  }
  void TearDown() override { model::install_plugin_schemas({}); }

  Output translate(const Kind& kind, const Name& name) {
    for (const auto& unit : ingress_units())
      if (unit.kind == kind) return unit.translate(name, view.object(kind, name), view);
    ADD_FAILURE() << "no unit of kind " << kind.kind;
    return {};
  }
  // One route of the host "a" to the Service web.
  Output ingress(std::string_view annotations, std::string_view more = "") {
    view.put(fmt::format(R"({{kind: Ingress, metadata: {{name: i, namespace: shop, annotations: {}}},
      spec: {{ingressClassName: weir, {} rules: [{{host: a, http: {{paths: [{{path: /, pathType: Prefix,
      backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]}}}})",
                         annotations, more));
    return translate(kinds::ingress, {"shop", "i"});
  }
  Output service(std::string_view annotations) {
    view.put(
        fmt::format("{{kind: Service, metadata: {{name: web, namespace: shop, annotations: {}}}, "
                    "spec: {{ports: [{{port: 80}}]}}}}",
                    annotations));
    return ingress("{}");
  }
  Output plugin(std::string_view fields, std::string_view name = "p") {
    view.put(
        fmt::format("{{kind: KongPlugin, metadata: {{name: {}, namespace: shop, generation: 3}}, {}}}", name, fields));
    return translate(kinds::kong_plugin, {"shop", std::string(name)});
  }
  // values: as they are; the API server keeps them as base64.
  void secret(std::string_view name, const std::map<std::string, std::string>& values, std::string_view labels = "{}",
              std::string_view space = "shop") {
    Object data;
    for (const auto& [key, value] : values) data[key] = base64(value);
    Object object{{"kind", "Secret"}, {"metadata", Object{{"name", name}, {"namespace", space}}}, {"data", data}};
    if (labels != "{}") object["metadata"].as_object()["labels"] = Object{{"konghq.com/credential", labels}};
    view.put(std::move(object));
  }
  static std::string base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 3) {
      const auto at = [&](std::size_t n) { return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0u; };
      const unsigned word = at(0) << 16 | at(1) << 8 | at(2);
      for (int digit = 0; digit < 4; digit++)
        out += static_cast<std::size_t>(digit) <= text.size() - i ? digits[word >> (18 - 6 * digit) & 63] : '=';
    }
    return out;
  }

  static std::string text(const json::value& value) { return json::serialize(value); }
  static std::vector<const Object*> all(const Output& out, std::string_view schema) {
    std::vector<const Object*> found;
    for (const auto& entity : out.entities)
      if (entity.schema->name() == schema) found.push_back(&entity.now);
    return found;
  }
  static const Object& only(const Output& out, std::string_view schema) {
    static const Object none;
    const auto found = all(out, schema);
    EXPECT_EQ(found.size(), 1u) << schema << ": " << out.fault;
    return found.size() == 1 ? *found.front() : none;
  }
  static std::string field(const Object& entity, std::string_view name) {
    const auto* value = entity.if_contains(name);
    return value ? text(*value) : "missing";
  }
  static std::string condition_of(const Output& out) {
    if (!out.status) return "";
    const auto& condition = out.status->at("conditions").as_array().at(0).as_object();
    return fmt::format("{} {} {}", text(condition.at("type")), text(condition.at("status")),
                       text(condition.at("observedGeneration")));
  }

  FakeView view;
};

bool tells(const std::string& fault, std::string_view part) {
  return part.empty() ? fault.empty() : fault.find(part) != fault.npos;
}

struct Annotated {
  std::string_view annotations, field, value, fault;
};

TEST_F(Kong, annotations_of_an_ingress_are_fields_of_its_routes) {
  for (const auto& one : {
           Annotated{"{konghq.com/protocols: 'http'}", "protocols", R"(["http"])", ""},
           Annotated{"{konghq.com/protocols: 'grpc'}", "protocols", R"(["http","https"])", "use http or https"},
           Annotated{"{konghq.com/https-redirect-status-code: '301'}", "https_redirect_status_code", "301", ""},
           Annotated{"{konghq.com/https-redirect-status-code: '300'}", "https_redirect_status_code", "426",
                     "annotation konghq.com/https-redirect-status-code is left out"},
           Annotated{"{konghq.com/strip-path: 'true'}", "strip_path", "true", ""},
           Annotated{"{konghq.com/strip-path: 'yes'}", "strip_path", "false", "'yes' is not true or false"},
           Annotated{"{konghq.com/preserve-host: 'false'}", "preserve_host", "false", ""},
           Annotated{"{konghq.com/regex-priority: '-4'}", "regex_priority", "-4", ""},
           Annotated{"{konghq.com/regex-priority: '4x'}", "regex_priority", "0", "'4x' is not a whole number"},
           Annotated{"{konghq.com/methods: 'get, POST'}", "methods", R"(["GET","POST"])", ""},
           Annotated{"{konghq.com/methods: 'G-T'}", "methods", "null", "annotation konghq.com/methods is left out"},
           Annotated{"{konghq.com/snis: 'a.b, *.c.d'}", "snis", R"(["a.b","*.c.d"])", ""},
           Annotated{"{konghq.com/host-aliases: 'B.c,a'}", "hosts", R"(["a","b.c"])", ""},
           Annotated{"{konghq.com/host-aliases: 'b..c,d'}", "hosts", R"(["a","d"])", "host alias is left out"},
           Annotated{"{konghq.com/request-buffering: 'false'}", "request_buffering", "false", ""},
           Annotated{"{konghq.com/response-buffering: 'false'}", "response_buffering", "false", ""},
           Annotated{"{konghq.com/path-handling: 'v1'}", "path_handling", R"("v1")", ""},
           Annotated{"{konghq.com/headers.x-a: '1, 2'}", "headers", R"({"x-a":["1","2"]})", ""},
           Annotated{"{konghq.com/headers.x-a: '1,2;3', konghq.com/headers-separator: ';'}", "headers",
                     R"({"x-a":["1,2","3"]})", ""},
           Annotated{"{konghq.com/headers.host: 'x'}", "headers", "null", "annotation konghq.com/headers is left out"},
           Annotated{"{konghq.com/tags: 'x, y'}", "tags",
                     R"(["k8s-name:i","k8s-namespace:shop","k8s-kind:Ingress","k8s-group:networking.k8s.io",)"
                     R"("k8s-version:v1","x","y"])",
                     ""},
           Annotated{"{konghq.com/override: 'x'}", "strip_path", "false", "konghq.com/override is left out"},
           Annotated{"{ingress.kubernetes.io/force-ssl-redirect: 'true'}", "protocols", R"(["https"])", ""},
           Annotated{"{ingress.kubernetes.io/force-ssl-redirect: 'true'}", "https_redirect_status_code", "302", ""},
           Annotated{"{ingress.kubernetes.io/force-ssl-redirect: 'true', konghq.com/https-redirect-status-code: '308'}",
                     "https_redirect_status_code", "308", ""},
       }) {
    const auto out = ingress(one.annotations);
    EXPECT_EQ(field(only(out, "routes"), one.field), one.value) << one.annotations;
    EXPECT_TRUE(tells(out.fault, one.fault)) << one.annotations << ": " << out.fault;
  }
}

TEST_F(Kong, annotations_of_a_service_are_fields_of_the_entity) {
  for (const auto& one : {
           Annotated{"{konghq.com/protocol: https}", "protocol", R"("https")", ""},
           Annotated{"{konghq.com/path: /base}", "path", R"("/base")", ""},
           Annotated{"{konghq.com/path: base}", "path", "null", "konghq.com/path is left out"},
           Annotated{"{konghq.com/retries: '0'}", "retries", "0", ""},
           Annotated{"{konghq.com/retries: '99999'}", "retries", "5", "konghq.com/retries is left out"},
           Annotated{"{konghq.com/connect-timeout: '10'}", "connect_timeout", "10", ""},
           Annotated{"{konghq.com/write-timeout: '20'}", "write_timeout", "20", ""},
           Annotated{"{konghq.com/read-timeout: '30'}", "read_timeout", "30", ""},
           Annotated{"{konghq.com/read-timeout: '30s'}", "read_timeout", "60000", "'30s' is not a whole number"},
           Annotated{"{konghq.com/client-cert: c}", "host", R"("web.shop.80.svc")",
                     "konghq.com/client-cert is left out"},
           Annotated{"{konghq.com/protocol: https, konghq.com/tls-verify: 'false'}", "tls_verify", "false", ""},
       }) {
    const auto out = service(one.annotations);
    EXPECT_EQ(field(only(out, "services"), one.field), one.value) << one.annotations;
    EXPECT_TRUE(tells(out.fault, one.fault)) << one.annotations << ": " << out.fault;
  }
}

// Plain text, or a peer that nobody has verified, instead of what was asked for would be worse than no answer.
TEST_F(Kong, a_service_that_cannot_be_as_safe_as_it_should_be_is_not_served) {
  for (const std::string_view annotations :
       {"{konghq.com/protocol: grpcs}", "{konghq.com/protocol: nonsense}",
        "{konghq.com/protocol: https, konghq.com/tls-verify: maybe}", "{konghq.com/tls-verify: 'true'}"}) {
    const auto out = service(annotations);
    EXPECT_TRUE(all(out, "services").empty()) << annotations;
    EXPECT_TRUE(only(out, "routes").at("service").is_null()) << annotations;
    EXPECT_TRUE(tells(out.fault, "Service shop/web is not served")) << out.fault;
  }
}

TEST_F(Kong, service_upstream_sends_to_the_name_of_the_service) {
  auto out = service("{ingress.kubernetes.io/service-upstream: 'true'}");
  ASSERT_EQ(out.backends.size(), 1u);
  EXPECT_TRUE(out.backends[0].by_cluster_ip);
  EXPECT_EQ(field(only(out, "services"), "host"), R"("web.shop.80.svc")");

  service("{}");
  out = ingress("{ingress.kubernetes.io/service-upstream: 'true'}");
  EXPECT_TRUE(out.backends.empty());
  EXPECT_EQ(field(only(out, "services"), "host"), R"("web.shop.svc")");
  EXPECT_EQ(field(only(out, "services"), "port"), "80");
  EXPECT_NE(field(only(out, "services"), "id"), field(only(ingress("{}"), "services"), "id"));
}

TEST_F(Kong, an_external_service_needs_no_ports) {
  view.put("{kind: Service, metadata: {name: web, namespace: shop}, spec: {type: ExternalName, externalName: x.y}}");
  const auto out = ingress("{}");
  EXPECT_EQ(out.fault, "");
  EXPECT_EQ(out.backends, (std::vector{Backend{{"shop", "web"}, 80, "", false}}));
}

TEST_F(Kong, rewrite_is_a_request_transformer_with_captures) {
  const auto out = ingress("{konghq.com/rewrite: '/to/$1/x$2'}");
  EXPECT_EQ(out.fault, "");
  const auto& plugin = only(out, "plugins");
  EXPECT_EQ(field(plugin, "name"), R"("request-transformer")");
  EXPECT_EQ(field(plugin, "config"), R"j({"replace":{"uri":"/to/$(uri_captures[1])/x$(uri_captures[2])"}})j");
  EXPECT_EQ(text(plugin.at("route").at("id")), field(only(out, "routes"), "id"));

  for (const std::string_view wrong : {"to", "/$(headers.host)", "/a$"}) {
    const auto refused = ingress(fmt::format("{{konghq.com/rewrite: '{}'}}", wrong));
    EXPECT_TRUE(all(refused, "plugins").empty()) << wrong;
    EXPECT_TRUE(tells(refused.fault, "konghq.com/rewrite is left out")) << refused.fault;
  }
}

TEST_F(Kong, status_shows_the_chosen_addresses_or_those_of_the_own_service) {
  struct Case {
    std::vector<std::string> chosen;
    std::string_view service, status;
  };
  for (const auto& one : {
           Case{{"192.0.2.1", "a.example"}, "{}", R"([{"ip":"192.0.2.1"},{"hostname":"a.example"}])"},
           Case{{},
                "{spec: {type: LoadBalancer, clusterIP: 10.0.0.1}, status: {loadBalancer: {ingress: [{ip: 192.0.2.7}, "
                "{hostname: lb.example}]}}}",
                R"([{"ip":"192.0.2.7"},{"hostname":"lb.example"}])"},
           Case{{}, "{spec: {type: LoadBalancer, clusterIP: 10.0.0.1}}", ""},
           Case{{}, "{spec: {type: ClusterIP, clusterIP: 10.0.0.1}}", R"([{"ip":"10.0.0.1"}])"},
           Case{{}, "{spec: {type: ClusterIP, clusterIP: None}}", ""},
           Case{{}, "{spec: {clusterIP: 10.0.0.1, externalIPs: [192.0.2.9]}}", R"([{"ip":"192.0.2.9"}])"},
       }) {
    view.chosen.service_name = "weir";
    view.chosen.own_namespace = "system";
    view.chosen.publish_addresses = one.chosen;
    view.put(
        one.service.substr(0, 1) == "{" && one.service != "{}"
            ? fmt::format("{{kind: Service, metadata: {{name: weir, namespace: system}}, {}", one.service.substr(1))
            : "{kind: Service, metadata: {name: weir, namespace: system}}");
    const auto out = ingress("{}");
    const auto* shown = out.status->at("loadBalancer").as_object().if_contains("ingress");
    EXPECT_EQ(shown ? text(*shown) : "", one.status) << one.service;
  }
}

TEST_F(Kong, plugins_are_attached_to_what_names_them) {
  plugin("plugin: rate-limiting, config: {minute: 5}, instance_name: mine, protocols: [http]");
  auto out = ingress("{konghq.com/plugins: 'p'}");
  EXPECT_EQ(out.fault, "");
  const auto& of_route = only(out, "plugins");
  const auto route = Uuid::parse(only(out, "routes").at("id").as_string());
  ASSERT_TRUE(route);
  EXPECT_EQ(text(of_route.at("route").at("id")), '"' + route->text() + '"');
  EXPECT_EQ(field(of_route, "service"), "null");
  EXPECT_EQ(field(of_route, "config"), R"({"minute":5,"secret":null})");
  EXPECT_EQ(field(of_route, "protocols"), R"(["http"])");
  EXPECT_EQ(field(of_route, "instance_name"), fmt::format(R"("mine-{}")", route->text().substr(0, 8)));
  EXPECT_EQ(field(of_route, "id"),
            '"' + entity_id("Ingress", {"shop", "i"}, "plugin/rate-limiting/" + route->text()).text() + '"');
  EXPECT_TRUE(tells(field(of_route, "tags"), R"("k8s-kind:KongPlugin")"));

  out = service("{konghq.com/plugins: 'p'}");
  EXPECT_EQ(out.fault, "");
  EXPECT_EQ(text(only(out, "plugins").at("service").at("id")), field(only(out, "services"), "id"));
  EXPECT_EQ(field(only(out, "plugins"), "route"), "null");
}

TEST_F(Kong, a_disabled_plugin_does_not_run) {
  plugin("plugin: key-auth, disabled: true");
  const auto out = ingress("{konghq.com/plugins: 'p'}");
  EXPECT_EQ(field(only(out, "plugins"), "enabled"), "false");
  EXPECT_EQ(out.fault, "");
}

TEST_F(Kong, a_cluster_plugin_is_found_by_name_after_those_of_the_namespace) {
  view.put(
      "{kind: KongClusterPlugin, metadata: {name: p, annotations: {kubernetes.io/ingress.class: weir}}, "
      "plugin: rate-limiting, config: {minute: 7}}");
  EXPECT_EQ(field(only(ingress("{konghq.com/plugins: 'p'}"), "plugins"), "config"), R"({"minute":7,"secret":null})");
  plugin("plugin: rate-limiting, config: {minute: 5}");
  EXPECT_EQ(field(only(ingress("{konghq.com/plugins: 'p'}"), "plugins"), "config"), R"({"minute":5,"secret":null})");
}

TEST_F(Kong, a_plugin_of_another_namespace_needs_a_grant) {
  view.put("{kind: KongPlugin, metadata: {name: p, namespace: other}, plugin: rate-limiting, config: {minute: 5}}");
  auto out = ingress("{konghq.com/plugins: 'other:p'}");
  EXPECT_TRUE(tells(out.fault, "no ReferenceGrant in namespace other allows")) << out.fault;
  view.put(
      "{kind: ReferenceGrant, metadata: {name: g, namespace: other}, spec: {from: [{group: networking.k8s.io, "
      "kind: Ingress, namespace: shop}], to: [{group: configuration.konghq.com, kind: KongPlugin}]}}");
  out = ingress("{konghq.com/plugins: 'other:p'}");
  EXPECT_EQ(out.fault, "");
  EXPECT_EQ(field(only(out, "plugins"), "name"), R"("rate-limiting")");
}

TEST_F(Kong, a_faulty_plugin_is_left_out_and_without_a_guard_nobody_passes) {
  struct Case {
    std::string_view fields, fault, plugins;  // plugins: names in force
  };
  for (const auto& one : {
           Case{"plugin: rate-limiting, config: {minute: 500}", "value should be between 1 and 100", ""},
           Case{"plugin: opentelemetry", "plugin 'opentelemetry' not enabled", ""},
           Case{"plugin: key-auth, config: {minute: 500}", "value should be between 0 and 100", "request-termination"},
           Case{"plugin: jwt", "plugin 'jwt' not enabled", "request-termination"},
           Case{"plugin: jwt, disabled: true", "plugin 'jwt' not enabled", ""},
           Case{"plugin: key-auth, configFrom: {secretKeyRef: {name: gone, key: x}}", "there is no Secret shop/gone",
                "request-termination"},
           Case{"plugin: key-auth, ordering: {before: {access: [x]}}", "ordering is left out", "key-auth"},
       }) {
    plugin(one.fields);
    const auto out = ingress("{konghq.com/plugins: 'p'}");
    EXPECT_TRUE(tells(out.fault, one.fault)) << one.fields << ": " << out.fault;
    std::string found;
    for (const auto* entity : all(out, "plugins")) found += std::string(entity->at("name").as_string());
    EXPECT_EQ(found, one.plugins) << one.fields;
    EXPECT_EQ(all(out, "routes").size(), 1u);
  }
  EXPECT_EQ(field(only(ingress("{konghq.com/plugins: 'gone'}"), "plugins"), "name"), R"("request-termination")");
}

TEST_F(Kong, of_two_plugins_of_one_type_the_first_counts) {
  plugin("plugin: rate-limiting, config: {minute: 1}", "p");
  plugin("plugin: rate-limiting, config: {minute: 2}", "q");
  const auto out = ingress("{konghq.com/plugins: 'q, p'}");
  EXPECT_EQ(field(only(out, "plugins"), "config"), R"({"minute":2,"secret":null})");
  EXPECT_TRUE(tells(out.fault, "KongPlugin shop/p is left out: another plugin rate-limiting")) << out.fault;
}

TEST_F(Kong, configuration_comes_from_secrets_whose_values_nobody_is_told) {
  struct Case {
    std::string_view fields, config, fault;
  };
  secret("s", {{"whole", R"({"minute": 9})"},
               {"yaml", "minute: 8\nsecret: good\n"},
               {"bad", "minute: [}"},
               {"text", "\"hunter2\""},
               {"fine", "good"}});
  for (const auto& one : {
           Case{"configFrom: {secretKeyRef: {name: s, key: whole}}", R"({"minute":9,"secret":null})", ""},
           Case{"configFrom: {secretKeyRef: {name: s, key: yaml}}", R"({"minute":8,"secret":"good"})", ""},
           Case{"configFrom: {secretKeyRef: {name: s, key: bad}}", "", "key 'bad' is neither JSON nor YAML"},
           Case{"configFrom: {secretKeyRef: {name: s, key: none}}", "", "Secret shop/s has no key 'none'"},
           Case{"configFrom: {secretKeyRef: {name: s, key: text}}", "", "what the Secret holds is not an object"},
           Case{"configFrom: {secretKeyRef: {name: s}}", "", "secretKeyRef is not complete"},
           Case{"config: {minute: 1}, configFrom: {secretKeyRef: {name: s, key: whole}}", "",
                "Using both config and configFrom fields is not allowed."},
           Case{
               "config: {minute: 3}, configPatches: [{path: /secret, valueFrom: {secretKeyRef: {name: s, key: fine}}}]",
               R"({"minute":3,"secret":"good"})", ""},
           Case{
               "config: {minute: 3}, configPatches: [{path: /secret, valueFrom: {secretKeyRef: {name: s, key: text}}}]",
               "", "schema violation (config.secret)"},
           Case{"config: {minute: 3}, configPatches: [{path: /a/b, valueFrom: {secretKeyRef: {name: s, key: fine}}}]",
                "", "the path '/a/b' cannot be set"},
       }) {
    const auto own = plugin(fmt::format("plugin: rate-limiting, {}", one.fields));
    const auto out = ingress("{konghq.com/plugins: 'p'}");
    EXPECT_TRUE(tells(out.fault, one.fault)) << one.fields << ": " << out.fault;
    EXPECT_EQ(out.fault.find("hunter2"), std::string::npos) << out.fault;
    EXPECT_EQ(own.fault, out.fault);
    if (!one.config.empty()) {
      EXPECT_EQ(field(only(out, "plugins"), "config"), one.config) << one.fields;
    }
    EXPECT_EQ(all(out, "plugins").size(), one.config.empty() ? 0u : 1u);
  }
}

TEST_F(Kong, a_plugin_says_whether_it_is_sound) {
  auto out = plugin("plugin: rate-limiting, config: {minute: 5}");
  EXPECT_EQ(condition_of(out), R"("Programmed" "True" 3)");
  EXPECT_TRUE(out.entities.empty());
  out = plugin("plugin: rate-limiting, config: {minute: 500}");
  EXPECT_EQ(condition_of(out), R"("Programmed" "False" 3)");
  EXPECT_TRUE(tells(out.fault, "value should be between 1 and 100"));
  view.put(
      "{kind: KongPlugin, metadata: {name: p, namespace: shop, annotations: {kubernetes.io/ingress.class: kong}}, "
      "plugin: x}");
  EXPECT_FALSE(translate(kinds::kong_plugin, {"shop", "p"}).status);
}

TEST_F(Kong, a_global_cluster_plugin_is_for_all_requests) {
  const auto cluster = [&](std::string_view metadata) {
    view.put(
        fmt::format("{{kind: KongClusterPlugin, metadata: {{name: g, generation: 2{}}}, plugin: rate-limiting, "
                    "configFrom: {{secretKeyRef: {{namespace: vault, name: s, key: c}}}}}}",
                    metadata));
    return translate(kinds::kong_cluster_plugin, {"", "g"});
  };
  secret("s", {{"c", "minute: 5"}}, "{}", "vault");
  auto out = cluster(", annotations: {kubernetes.io/ingress.class: weir}, labels: {global: 'true'}");
  EXPECT_EQ(out.fault, "");
  const auto& entity = only(out, "plugins");
  EXPECT_EQ(field(entity, "route") + field(entity, "service") + field(entity, "consumer"), "nullnullnull");
  EXPECT_EQ(condition_of(out), R"("Programmed" "True" 2)");

  out = cluster(", annotations: {kubernetes.io/ingress.class: weir}");
  EXPECT_TRUE(out.entities.empty());
  EXPECT_TRUE(out.status);
  out = cluster(", labels: {global: 'true'}");
  EXPECT_TRUE(out.entities.empty());
  EXPECT_FALSE(out.status);
}

class KongConsumer : public Kong {
 protected:
  Output consumer(std::string_view fields, std::string_view more = "") {
    view.put(
        fmt::format("{{kind: KongConsumer, metadata: {{name: c, namespace: shop, generation: 4, annotations: "
                    "{{kubernetes.io/ingress.class: weir{}}}}}, {}}}",
                    more, fields));
    return translate(kinds::kong_consumer, {"shop", "c"});
  }
};

TEST_F(KongConsumer, has_credentials_from_secrets) {
  secret("k", {{"key", "open"}}, "key-auth");
  secret("b", {{"username", "u"}, {"password", "secret"}, {"kongCredType", "basic-auth"}});
  secret("g", {{"group", "staff"}}, "acl");
  plugin("plugin: rate-limiting, config: {minute: 5}");
  const auto out = consumer("username: alice, custom_id: a1, credentials: [k, b, g]", ", konghq.com/plugins: p");
  EXPECT_EQ(out.fault, "");
  EXPECT_EQ(condition_of(out), R"("Programmed" "True" 4)");
  const auto id = '"' + entity_id("KongConsumer", {"shop", "c"}).text() + '"';
  EXPECT_EQ(field(only(out, "consumers"), "id"), id);
  EXPECT_EQ(field(only(out, "consumers"), "username") + field(only(out, "consumers"), "custom_id"), R"("alice""a1")");
  EXPECT_EQ(field(only(out, "keyauth_credentials"), "key"), R"("open")");
  EXPECT_EQ(field(only(out, "acls"), "group"), R"("staff")");
  const auto& password = only(out, "basicauth_credentials");
  EXPECT_EQ(field(password, "username"), R"("u")");
  EXPECT_EQ(password.at("password").as_string().size(), 40u);  // Kong's hash of it
  for (const std::string_view schema : {"keyauth_credentials", "acls", "basicauth_credentials", "plugins"})
    EXPECT_EQ(text(only(out, schema).at("consumer").at("id")), id) << schema;
}

TEST_F(KongConsumer, leaves_out_what_it_cannot_use) {
  struct Case {
    std::string_view fields, fault;
    std::size_t entities;
  };
  secret("untyped", {{"key", "hunter2"}});
  secret("token", {{"key", "hunter2"}}, "jwt");
  secret("empty", {{"key", ""}}, "key-auth");
  secret("keyless", {{"name", "x"}}, "key-auth");
  secret("mortal", {{"key", "hunter2"}, {"ttl", "60"}}, "key-auth");
  secret("binary", {{"key", "\xff\xfe"}}, "key-auth");
  secret("ignored", {{"key", "x"}}, "konnect");
  for (const auto& one : {
           Case{"username: a, credentials: [gone]", "credential shop/gone: there is no such Secret", 1},
           Case{"username: a, credentials: [untyped]", "the type '' is not supported", 1},
           Case{"username: a, credentials: [token]", "the type 'jwt' is not supported", 1},
           Case{"username: a, credentials: [empty]", "the Secret lacks 'key'", 1},
           Case{"username: a, credentials: [keyless]", "the Secret lacks 'key'", 1},
           Case{"username: a, credentials: [mortal]", "ttl is not supported", 1},
           Case{"username: a, credentials: [binary]", "'key' is not a text", 1},
           Case{"username: a, credentials: [ignored]", "", 1},
           Case{"username: a, consumerGroups: [x]", "consumerGroups is left out", 1},
           Case{"credentials: []", "at least one of these fields must be non-empty: 'custom_id', 'username'", 0},
       }) {
    const auto out = consumer(one.fields);
    EXPECT_TRUE(tells(out.fault, one.fault)) << one.fields << ": " << out.fault;
    EXPECT_EQ(out.fault.find("hunter2"), std::string::npos);
    EXPECT_EQ(out.entities.size(), one.entities) << one.fields;
    EXPECT_EQ(condition_of(out), fmt::format(R"("Programmed" "{}" 4)", one.fault.empty() ? "True" : "False"));
  }
}

TEST_F(KongConsumer, of_another_class_is_left_alone) {
  view.put("{kind: KongConsumer, metadata: {name: d, namespace: shop}, username: x}");
  const auto out = translate(kinds::kong_consumer, {"shop", "d"});
  EXPECT_TRUE(out.entities.empty());
  EXPECT_FALSE(out.status);
}

TEST_F(Kong, an_upstream_is_as_its_policy_and_annotations_say) {
  struct Case {
    std::string_view annotations, policy, upstream, fault;
  };
  for (const auto& one : {
           Case{"{konghq.com/host-header: a.example}", "{}", R"({"name":"n","host_header":"a.example"})", ""},
           Case{"{konghq.com/host-header: 'a b'}", "{}", R"({"name":"n"})", "konghq.com/host-header is left out"},
           Case{"{konghq.com/upstream-policy: gone}", "{}", R"({"name":"n"})",
                "there is no KongUpstreamPolicy shop/gone"},
           Case{"{konghq.com/upstream-policy: u}", "{algorithm: round-robin, slots: 100}",
                R"({"name":"n","algorithm":"round-robin","slots":100})", ""},
           Case{"{konghq.com/upstream-policy: u}", "{slots: 5}", R"({"name":"n"})", "slots is left out"},
           Case{"{konghq.com/upstream-policy: u}", "{algorithm: consistent-hashing, hashOn: {header: x-a}, slots: 64}",
                R"({"name":"n","slots":64})", "KongUpstreamPolicy shop/u: algorithm is left out"},
           Case{"{konghq.com/upstream-policy: u}", "{healthchecks: {active: {healthy: {interval: 5}}}}",
                R"({"name":"n"})", "healthchecks is left out"},
           Case{"{konghq.com/upstream-policy: u}",
                "{healthchecks: {active: {httpPath: /up, healthy: {httpStatuses: [200]}, headers: {X-Ab: [c]}}}}",
                R"({"name":"n","healthchecks":{"active":{"http_path":"/up","healthy":{"http_statuses":[200]},)"
                R"("headers":{"X-Ab":["c"]}}}})",
                ""},
           Case{"{konghq.com/upstream-policy: u}", "{stickySessions: {cookie: c}}", R"({"name":"n"})",
                "stickySessions is left out"},
           Case{"{konghq.com/override: k}", "{}", R"({"name":"n","host_header":"old.example"})", "proxy is left out"},
       }) {
    view.put(fmt::format("{{kind: KongUpstreamPolicy, metadata: {{name: u, namespace: shop}}, spec: {}}}", one.policy));
    view.put(
        "{kind: KongIngress, metadata: {name: k, namespace: shop}, upstream: {host_header: old.example}, "
        "proxy: {retries: 3}}");
    view.put(
        fmt::format("{{kind: Service, metadata: {{name: web, namespace: shop, annotations: {}}}}}", one.annotations));
    Object upstream{{"name", "n"}};
    std::string fault;
    kong_upstream(view.object(kinds::service, {"shop", "web"}), view, upstream, fault);
    EXPECT_EQ(text(upstream), one.upstream) << one.annotations << one.policy;
    EXPECT_TRUE(tells(fault, one.fault)) << fault;
  }
}

}  // namespace
}  // namespace weir::reconcile
