#include "reconcile/crd_extras.h"

#include <algorithm>

#include <fmt/format.h>

#include "reconcile/crd_rules.h"
#include "reconcile/crd_schema.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

constexpr std::string_view missing = "FieldValueRequired", forbidden = "FieldValueForbidden";

Object& properties(Object& spec) {
  return spec["properties"].get_object();
}

void add_rule(Object& spec, Object rule) {
  auto& rules = spec["x-kubernetes-validations"];
  if (!rules.is_array()) rules.emplace_array();
  rules.get_array().push_back(std::move(rule));
}

void not_required(Object& spec, std::string_view field) {
  auto* required = spec.if_contains("required");
  if (!required) return;
  auto& list = required->get_array();
  list.erase(std::remove(list.begin(), list.end(), json::value(field)), list.end());
  if (list.empty()) spec.erase("required");
}

void exactly_one(Object& spec, std::string_view field, std::string_view other) {
  not_required(spec, field);
  add_rule(spec, cel_rule(fmt::format("has(self.{}) != has(self.{})", field, other),
                          fmt::format("exactly one of '{}' and '{}' must be set", field, other), field, missing));
}

Object text_schema(std::string_view help, std::size_t length_max = 253) {
  return {{"description", help}, {"type", "string"}, {"minLength", 1}, {"maxLength", length_max}};
}

// {name, key}: a value in a Secret.
Object secret_key_schema(std::string_view help, std::string_view key) {
  return {{"description", fmt::format("{} From a Secret of the same namespace.", help)},
          {"type", "object"},
          {"required", json::array{"name"}},
          {"properties", Object{{"name", text_schema("The Secret's name.")},
                                {"key", text_schema(fmt::format("The key in its data. Default: {}.", key))}}}};
}

void service(Object& spec) {
  not_required(spec, "host");
  add_rule(spec, cel_rule("has(self.host) || has(self.url)", "one of 'host' and 'url' must be set", "host", missing));
}

void route(Object& spec) {
  properties(spec)["upstream"] =
      reference_schema("WeirUpstream", "Where requests go, when a service with its defaults is enough.");
  add_rule(spec, cel_rule("!has(self.service) || !has(self.upstream)",
                          "'upstream' stands for a service of its own: it cannot be set together with 'service'",
                          "upstream", forbidden));
  if (properties(spec).contains("sources"))
    add_rule(spec, cel_rule("!(has(self.protocols) ? self.protocols : ['http']).exists(x, x in ['http', 'https']) || "
                            "(!has(self.sources) && !has(self.destinations))",
                            "cannot set 'sources' or 'destinations' when 'protocols' is 'http' or 'https'", "sources",
                            forbidden));
}

void upstream(Object& spec) {
  not_required(spec, "name");  // that of the object, behind its namespace
  const auto* kind = weir_kind_of_entity("targets");
  Object target = spec_schema(*kind);
  target["description"] = "One address.";
  target.erase("x-kubernetes-validations");
  properties(target).erase("upstream");
  target["required"] = json::array{"target"};
  // The key of a list is compared with that of every other element: it has to be bounded.
  properties(target)["target"].get_object()["maxLength"] = 260;
  properties(spec)["targets"] = Object{{"description", "Its targets; further ones may be WeirTargets."},
                                       {"type", "array"},
                                       {"maxItems", 4096},
                                       {"x-kubernetes-list-type", "map"},
                                       {"x-kubernetes-list-map-keys", json::array{"target"}},
                                       {"items", std::move(target)}};
  properties(spec)["serviceRef"] =
      Object{{"description", "The ready endpoints of a Service of the same namespace are its targets."},
             {"type", "object"},
             {"required", json::array{"name", "port"}},
             {"properties", Object{{"name", text_schema("The Service's name.")},
                                   {"port", Object{{"description", "The Service's port, by number or by name."},
                                                   {"x-kubernetes-int-or-string", true}}}}}};
  add_rule(spec, cel_rule("!has(self.targets) || !has(self.serviceRef)",
                          "targets are either given or taken from a Service", "targets", forbidden));
}

void certificate(Object& spec) {
  properties(spec)["secretRef"] =
      Object{{"description", "A Secret of type kubernetes.io/tls in the same namespace, instead of 'cert' and 'key'."},
             {"type", "object"},
             {"required", json::array{"name"}},
             {"properties", Object{{"name", text_schema("The Secret's name.")}}}};
  exactly_one(spec, "cert", "secretRef");
  not_required(spec, "key");
  add_rule(spec, cel_rule("has(self.cert) == has(self.key)", "'cert' and 'key' must be set together", "key", missing));
}

struct Extra {
  std::string_view entity;
  std::vector<std::string_view> fields;
  void (*add)(Object& spec);
};

const std::vector<Extra>& extras() {
  static const std::vector<Extra> all{
      {"services", {}, service},
      {"routes", {"upstream"}, route},
      {"upstreams", {"targets", "serviceRef"}, upstream},
      {"keyauth_credentials",
       {"keyFrom"},
       [](Object& spec) {
         properties(spec)["keyFrom"] = secret_key_schema("What the consumer sends.", "key");
         properties(spec).erase("ttl");  // an object that goes by itself is deleted by whoever made it
         exactly_one(spec, "key", "keyFrom");
       }},
      {"basicauth_credentials",
       {"passwordFrom"},
       [](Object& spec) {
         properties(spec)["passwordFrom"] = secret_key_schema("What the consumer sends as password.", "password");
         exactly_one(spec, "password", "passwordFrom");
       }},
      {"certificates", {"secretRef"}, certificate},
      {"ca_certificates", {}, [](Object& spec) { properties(spec).erase("cert_digest"); }},  // Weir makes it
  };
  return all;
}

}  // namespace

void add_extras(const WeirKind& kind, Object& spec) {
  for (const auto& extra : extras())
    if (extra.entity == kind.entity) extra.add(spec);
}

std::vector<std::string_view> extra_fields(std::string_view entity) {
  for (const auto& extra : extras())
    if (extra.entity == entity) return extra.fields;
  return {};
}

}  // namespace weir::reconcile
