// Weir's own kinds as entities: names, references, targets, Secrets, and what the status says of faults.
#include <gtest/gtest.h>

#include <algorithm>

#include "kube/access.h"
#include "model/pem_for_tests.h"
#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "reconcile/view_for_tests.h"
#include "reconcile/weir_kinds.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

class WeirUnits : public ::testing::Test {
 protected:
  FakeView view;

  Output translated(std::string_view kind, const std::string& name, const std::string& space = "shop") {
    const Name full{space, name};
    for (const auto& unit : weir_units())
      if (unit.kind.kind == kind) return unit.translate(full, view.object(unit.kind, full), view);
    throw std::runtime_error("no such kind");
  }
  Output applied(const std::string& kind, const std::string& spec) {
    view.put(
        fmt::format("{{apiVersion: weir.dev/v1, kind: {}, metadata: {{namespace: shop, name: x, generation: 3, "
                    "creationTimestamp: \"2026-01-02T03:04:05Z\"}}, spec: {}}}",
                    kind, spec));
    return translated(kind, "x");
  }
  void upstream(const std::string& name, const std::string& spec = "{}") {
    view.put(fmt::format("{{kind: WeirUpstream, metadata: {{namespace: shop, name: {}}}, spec: {}}}", name, spec));
  }
  void other(const std::string& kind, const std::string& name, const std::string& spec) {
    view.put(fmt::format("{{kind: {}, metadata: {{namespace: shop, name: {}}}, spec: {}}}", kind, name, spec));
  }
};

std::string text(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(field);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string parent(const Object& entity, std::string_view field) {
  return text(entity.at(field).as_object(), "id");
}

Object condition_in(const Output& out, std::string_view type) {
  for (const auto& one : out.status->at("conditions").as_array())
    if (text(one.as_object(), "type") == type) return one.as_object();
  return {};
}

void expect_conditions(const Output& out, std::string_view accepted, std::string_view resolved,
                       std::string_view served) {
  EXPECT_EQ(text(condition_in(out, "Accepted"), "status"), accepted);
  EXPECT_EQ(text(condition_in(out, "ResolvedRefs"), "status"), resolved);
  EXPECT_EQ(text(condition_in(out, "Programmed"), "status"), served);
  EXPECT_EQ(text(condition_in(out, "weir.dev/Served"), "status"), served);
}

std::string uuid(std::string_view kind, const std::string& name, std::string_view part = {}) {
  return entity_id(kind, {"shop", name}, part).text();
}

TEST_F(WeirUnits, name_entities_by_namespace_and_name_and_date_them_by_the_object) {
  const auto out = applied("WeirUpstream", "{}");
  ASSERT_EQ(out.entities.size(), 1u);
  const auto& entity = out.entities[0];
  EXPECT_EQ(text(entity.now, "name"), "shop.x");
  EXPECT_EQ(text(entity.now, "id"), uuid("WeirUpstream", "x"));
  EXPECT_EQ(entity.now.at("created_at"), json::value(1767323045));
  EXPECT_EQ(entity.now.at("updated_at"), json::value(1767323045));
  EXPECT_EQ(entity.id, entity_id("WeirUpstream", {"shop", "x"}));
  EXPECT_EQ(out.by->kind, "WeirUpstream");
  EXPECT_EQ(out.by->name, "shop/x");
  EXPECT_EQ(out.by->generation, 3);
  EXPECT_FALSE(out.keep_last);
  expect_conditions(out, "True", "True", "True");
  EXPECT_EQ(condition_in(out, "weir.dev/Served").at("observedGeneration"), json::value(3));
}

TEST_F(WeirUnits, make_the_same_entity_each_time) {
  const auto first = applied("WeirUpstream", "{targets: [{target: \"a:1\"}]}");
  const auto second = translated("WeirUpstream", "x");
  ASSERT_EQ(first.entities.size(), second.entities.size());
  for (std::size_t i = 0; i < first.entities.size(); i++) EXPECT_EQ(first.entities[i].now, second.entities[i].now);
}

TEST_F(WeirUnits, keep_a_name_that_the_spec_gives) {
  EXPECT_EQ(text(applied("WeirUpstream", "{name: given.example}").entities.at(0).now, "name"), "given.example");
  EXPECT_EQ(text(applied("WeirService", "{name: given, host: a}").entities.at(0).now, "name"), "given");
}

TEST_F(WeirUnits, take_inline_targets_of_an_upstream) {
  const auto out = applied("WeirUpstream", "{targets: [{target: \"10.0.0.1:80\", weight: 7}, {target: b}]}");
  ASSERT_EQ(out.entities.size(), 3u);
  const auto& first = out.entities[1];
  EXPECT_EQ(first.schema->name(), "targets");
  EXPECT_EQ(text(first.now, "target"), "10.0.0.1:80");
  EXPECT_EQ(first.now.at("weight"), json::value(7));
  EXPECT_EQ(parent(first.now, "upstream"), uuid("WeirUpstream", "x"));
  EXPECT_EQ(text(out.entities[2].now, "target"), "b:8000");
  EXPECT_EQ(out.status->at("targets"), json::value(2));
  EXPECT_EQ(out.status->at("healthy"), json::value(2));
}

TEST_F(WeirUnits, an_inline_target_keeps_its_id_when_others_come_before_it) {
  const auto alone = applied("WeirUpstream", "{targets: [{target: \"a:1\"}]}").entities.at(1).id;
  const auto second = applied("WeirUpstream", "{targets: [{target: \"b:1\"}, {target: \"a:1\"}]}").entities.at(2).id;
  EXPECT_EQ(alone, second);
}

TEST_F(WeirUnits, refuse_one_address_given_twice) {
  const auto out = applied("WeirUpstream", "{targets: [{target: \"a:8000\"}, {target: a}]}");
  EXPECT_TRUE(out.keep_last);
  EXPECT_EQ(out.fault, "spec.targets[1].target: the same as targets[0]");
}

TEST_F(WeirUnits, count_targets_that_are_objects_of_their_own) {
  upstream("u");
  const auto out = applied("WeirTarget", "{upstream: {name: u}, target: \"a:1\", weight: 0}");
  ASSERT_EQ(out.entities.size(), 1u);
  EXPECT_EQ(parent(out.entities[0].now, "upstream"), uuid("WeirUpstream", "u"));
  ASSERT_EQ(out.tells.size(), 1u);
  EXPECT_EQ(out.tells[0].name, (Name{"shop", "u"}));
  EXPECT_EQ(out.tells[0].about, kinds::weir("WeirUpstream"));
  view.tells["WeirUpstream shop/u"] = {{out.tells[0].text, 2}};
  EXPECT_EQ(translated("WeirUpstream", "u").status->at("targets"), json::value(2));
}

TEST_F(WeirUnits, follow_the_ready_endpoints_of_a_service) {
  view.put(R"(
kind: Service
metadata: {namespace: shop, name: web}
spec: {ports: [{name: http, port: 80}, {name: admin, port: 81}]}
---
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: admin, port: 9090}]
endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true}}
- {addresses: [10.0.0.2], conditions: {ready: false}}
- {addresses: [10.0.0.3]}
)");
  for (const auto* port : {"80", "http"}) {
    const auto out = applied("WeirUpstream", fmt::format("{{serviceRef: {{name: web, port: {}}}}}", port));
    ASSERT_EQ(out.entities.size(), 3u) << port;
    EXPECT_EQ(text(out.entities[0].now, "name"), "shop.x");
    EXPECT_EQ(text(out.entities[1].now, "target"), "10.0.0.1:8080");
    EXPECT_EQ(text(out.entities[2].now, "target"), "10.0.0.3:8080");
    EXPECT_EQ(out.status->at("targets"), json::value(2));
  }
  EXPECT_TRUE(view.read.contains("EndpointSlice of shop/web"));
  const auto wrong = applied("WeirUpstream", "{serviceRef: {name: web, port: 99}}");
  EXPECT_TRUE(wrong.keep_last);
  EXPECT_EQ(wrong.fault, "service 'web' has no port 99");
  expect_conditions(wrong, "True", "False", "False");
  EXPECT_EQ(applied("WeirUpstream", "{serviceRef: {name: nobody, port: 80}}").fault, "service 'nobody' not found");
  EXPECT_TRUE(view.read.contains("Service shop/nobody"));
  EXPECT_EQ(applied("WeirUpstream", "{serviceRef: {name: web}}").fault,
            "spec.serviceRef.port: expected a port's number or name");
}

TEST_F(WeirUnits, a_service_whose_host_is_an_upstream_of_the_namespace_means_that) {
  EXPECT_EQ(text(applied("WeirService", "{host: u}").entities.at(0).now, "host"), "u");
  EXPECT_TRUE(view.read.contains("WeirUpstream shop/u"));
  upstream("u");
  EXPECT_EQ(text(applied("WeirService", "{host: u}").entities.at(0).now, "host"), "shop.u");
  EXPECT_EQ(text(applied("WeirService", "{url: \"http://u/path\"}").entities.at(0).now, "host"), "shop.u");
  upstream("u", "{name: named}");
  EXPECT_EQ(text(applied("WeirService", "{host: u}").entities.at(0).now, "host"), "named");
}

TEST_F(WeirUnits, a_route_refers_to_a_service_by_name) {
  other("WeirService", "s", "{host: a}");
  const auto out = applied("WeirRoute", "{paths: [/a], service: {name: s}}");
  ASSERT_EQ(out.entities.size(), 1u);
  EXPECT_EQ(parent(out.entities[0].now, "service"), uuid("WeirService", "s"));
  EXPECT_EQ(text(out.entities[0].now, "name"), "shop.x");
}

TEST_F(WeirUnits, a_route_to_an_upstream_has_a_service_of_its_own) {
  upstream("u");
  const auto out = applied("WeirRoute", "{paths: [/a], upstream: {name: u}}");
  ASSERT_EQ(out.entities.size(), 2u);
  EXPECT_EQ(out.entities[0].schema->name(), "services");
  EXPECT_EQ(text(out.entities[0].now, "host"), "shop.u");
  EXPECT_EQ(text(out.entities[0].now, "id"), uuid("WeirRoute", "x", "service"));
  EXPECT_EQ(parent(out.entities[1].now, "service"), uuid("WeirRoute", "x", "service"));
}

TEST_F(WeirUnits, a_missing_reference_is_told_and_leaves_what_was_in_force) {
  const auto out = applied("WeirRoute", "{paths: [/a], upstream: {name: gone}}");
  EXPECT_TRUE(out.keep_last);
  EXPECT_TRUE(out.entities.empty());
  expect_conditions(out, "True", "False", "False");
  EXPECT_EQ(text(condition_in(out, "ResolvedRefs"), "reason"), "RefNotFound");
  EXPECT_EQ(text(condition_in(out, "ResolvedRefs"), "message"), "upstream 'gone' not found");
  EXPECT_EQ(out.fault_reason, "RefNotFound");
  EXPECT_TRUE(view.read.contains("WeirUpstream shop/gone"));
}

TEST_F(WeirUnits, references_stay_in_their_namespace) {
  view.put("{kind: WeirUpstream, metadata: {namespace: other, name: u}, spec: {}}");
  EXPECT_EQ(applied("WeirRoute", "{paths: [/a], upstream: {name: u}}").fault, "upstream 'u' not found");
}

TEST_F(WeirUnits, faults_name_their_fields) {
  struct {
    const char *kind, *spec, *fault;
  } const cases[] = {
      {"WeirTarget", "{upstream: {name: u}, target: \"a:1\", weight: 65536}",
       "spec.weight: value should be between 0 and 65535"},
      {"WeirRoute", "{paths: [a], hosts: [ok, \"a b\"]}",
       "spec.hosts[1]: invalid hostname: a b; spec.paths[0]: should start with: / (fixed path) or ~/ (regex path)"},
      {"WeirUpstream", "{targets: [{target: \"a:1\"}, {target: \"b:1\", weight: -1}]}",
       "spec.targets[1].weight: value should be between 0 and 65535"},
      {"WeirUpstream", "{healthchecks: {active: {timeout: -1}}}",
       "spec.healthchecks.active.timeout: value should be between 0 and 65535"},
      {"WeirRoute", "{paths: [/a], hots: [a]}", "spec.hots: unknown field"},
      {"WeirConsumer", "{tags: [a]}", "spec: at least one of these fields must be non-empty: 'custom_id', 'username'"},
      {"WeirRoute", "{paths: [/a], service: {}}", "spec.service.name: required field missing"},
      {"WeirRoute", "{paths: [/a], service: s}", "spec.service.name: required field missing"},
      {"WeirKeyAuthCredential", "{consumer: {name: c}}", "spec.key: required field missing"},
      {"WeirKeyAuthCredential", "{consumer: {name: c}, key: k, ttl: 5}",
       "spec.ttl: an object does not end by itself; delete it instead"},
      {"WeirUpstream", "{targets: 5}", "spec.targets: expected a list"},
      {"WeirUpstream", "{targets: [5]}", "spec.targets[0]: expected a record"},
      {"WeirTarget", "{target: \"a:1\"}", "spec.upstream: required field missing"},
  };
  upstream("u");
  other("WeirConsumer", "c", "{username: c}");
  for (const auto& one : cases) {
    const auto out = applied(one.kind, one.spec);
    EXPECT_EQ(out.fault, one.fault) << one.kind << " " << one.spec;
    EXPECT_EQ(out.fault_reason, "Invalid");
    EXPECT_TRUE(out.keep_last);
    EXPECT_TRUE(out.entities.empty());
    expect_conditions(out, "False", "True", "False");
    EXPECT_EQ(text(condition_in(out, "Accepted"), "reason"), "Invalid");
    EXPECT_EQ(text(condition_in(out, "Accepted"), "message"), one.fault);
  }
}

TEST_F(WeirUnits, many_faults_are_told_in_a_message_of_bounded_length) {
  std::string list;
  for (int i = 0; i < 1000; i++) list += "bad,";
  const auto out = applied("WeirRoute", "{paths: [" + list + "]}");
  EXPECT_TRUE(out.fault.ends_with("more")) << out.fault;
  EXPECT_LT(out.fault.size(), 2000u);
}

TEST_F(WeirUnits, an_object_without_spec_is_a_fault_and_nothing_else) {
  view.put("{kind: WeirRoute, metadata: {namespace: shop, name: x}}");
  EXPECT_TRUE(translated("WeirRoute", "x").fault.starts_with("spec: required field missing"));
  view.put("{kind: WeirRoute, metadata: {namespace: shop, name: x}, spec: [1]}");
  EXPECT_TRUE(translated("WeirRoute", "x").keep_last);
}

TEST_F(WeirUnits, credentials_take_their_secrets_from_secrets) {
  other("WeirConsumer", "c", "{username: c}");
  view.put("{kind: Secret, metadata: {namespace: shop, name: s}, data: {key: \"c2VjcmV0\", other: \"b3RoZXI=\"}}");
  const auto key = applied("WeirKeyAuthCredential", "{consumer: {name: c}, keyFrom: {name: s}}");
  ASSERT_EQ(key.entities.size(), 1u) << key.fault;
  EXPECT_EQ(text(key.entities[0].now, "key"), "secret");
  EXPECT_EQ(parent(key.entities[0].now, "consumer"), uuid("WeirConsumer", "c"));
  const auto chosen = applied("WeirKeyAuthCredential", "{consumer: {name: c}, keyFrom: {name: s, key: other}}");
  EXPECT_EQ(text(chosen.entities.at(0).now, "key"), "other");
  const auto none = applied("WeirKeyAuthCredential", "{consumer: {name: c}, keyFrom: {name: s, key: no}}");
  EXPECT_EQ(none.fault, "secret 's' has no key 'no'");
  EXPECT_TRUE(none.keep_last);
  const auto password =
      applied("WeirBasicAuthCredential", "{consumer: {name: c}, username: u, passwordFrom: {name: s, key: other}}");
  ASSERT_EQ(password.entities.size(), 1u) << password.fault;
  EXPECT_EQ(text(password.entities[0].now, "password").size(), 40u);  // hashed
  EXPECT_EQ(applied("WeirKeyAuthCredential", "{consumer: {name: c}, keyFrom: {name: gone}}").fault,
            "secret 'gone' not found");
}

TEST_F(WeirUnits, a_certificate_is_taken_from_a_tls_secret_and_shown_by_its_names) {
  const auto pem = model::testing::make_pem();
  const auto put = [&](std::string_view certificate, std::string_view key) {
    view.put(Object{{"kind", "Secret"},
                    {"metadata", {{"namespace", "shop"}, {"name", "tls"}}},
                    {"data", {{"tls.crt", kube::encode_base64(certificate)}, {"tls.key", kube::encode_base64(key)}}}});
  };
  put(pem.certificate, pem.key);
  const auto out = applied("WeirCertificate", "{secretRef: {name: tls}}");
  ASSERT_EQ(out.entities.size(), 1u) << out.fault;
  EXPECT_EQ(text(out.entities[0].now, "cert"), pem.certificate);
  EXPECT_EQ(text(out.entities[0].now, "key"), pem.key);
  const auto sni = applied("WeirSni", "{name: a.example, certificate: {name: x}}");
  ASSERT_EQ(sni.entities.size(), 1u) << sni.fault;
  EXPECT_EQ(parent(sni.entities[0].now, "certificate"), uuid("WeirCertificate", "x"));

  put(pem.certificate, "secret words");
  const auto wrong = applied("WeirCertificate", "{secretRef: {name: tls}}");
  EXPECT_TRUE(wrong.keep_last);
  EXPECT_TRUE(wrong.fault.starts_with("spec.key: ")) << wrong.fault;
  EXPECT_EQ(wrong.fault.find("secret words"), std::string::npos);
  EXPECT_EQ(applied("WeirCertificate", "{secretRef: {name: gone}}").fault, "secret 'gone' not found");
}

struct Config {
  std::int64_t minute = 0;
};

TEST_F(WeirUnits, a_plugin_is_attached_by_name_and_its_configuration_checked) {
  static const auto schema = model::SchemaBuilder<Config>("limit")
                                 .field("minute", &Config::minute, "Requests.", model::between(1, 100))
                                 .build();
  model::install_plugin_schemas({{"limit", &schema.schema, true, 1}});
  upstream("u");
  other("WeirRoute", "r", "{paths: [/a]}");
  const auto out = applied("WeirPlugin", "{name: limit, route: {name: r}, config: {minute: 5}}");
  ASSERT_EQ(out.entities.size(), 1u) << out.fault;
  EXPECT_EQ(parent(out.entities[0].now, "route"), uuid("WeirRoute", "r"));
  EXPECT_EQ(applied("WeirPlugin", "{name: limit, config: {minute: 500}}").fault,
            "spec.config.minute: value should be between 1 and 100");
  EXPECT_EQ(applied("WeirPlugin", "{name: limit, route: {name: gone}, config: {minute: 5}}").fault,
            "route 'gone' not found");
  model::install_plugin_schemas({});
}

TEST(WeirKinds, each_entity_has_a_kind_and_each_kind_a_translation) {
  for (const auto* schema : model::schemas()) EXPECT_TRUE(weir_kind_of_entity(schema->name())) << schema->name();
  EXPECT_EQ(weir_units().size(), weir_kinds().size());
  EXPECT_EQ(kinds::weir("WeirRoute").path("a", "b"), "/apis/weir.dev/v1/namespaces/a/weirroutes/b");
}

TEST(WeirKinds, parents_come_before_their_children) {
  const auto kinds = weir_kinds();
  for (std::size_t i = 0; i < kinds.size(); i++)
    for (const auto& field : kinds[i]->schema()->fields()) {
      if (field.type != model::Type::foreign) continue;
      const auto* parent = weir_kind_of_entity(field.reference);
      if (!parent || !parent->schema()) continue;
      EXPECT_LT(std::find(kinds.begin(), kinds.end(), parent) - kinds.begin(), static_cast<std::ptrdiff_t>(i))
          << kinds[i]->kind << " refers to " << parent->kind;
    }
}

}  // namespace
}  // namespace weir::reconcile
