#include "reconcile/crd_definitions.h"

#include <fmt/format.h>

#include "base/text.h"
#include "reconcile/crd_schema.h"
#include "store/yaml.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

struct Column {
  std::string_view entity, name, type, path;
};
// Before SERVED and AGE, which all kinds have.
constexpr Column columns[] = {
    {"services", "Host", "string", ".spec.host"},
    {"services", "Port", "integer", ".spec.port"},
    {"routes", "Hosts", "string", ".spec.hosts"},
    {"routes", "Paths", "string", ".spec.paths"},
    {"routes", "Service", "string", ".spec.service.name"},
    {"routes", "Upstream", "string", ".spec.upstream.name"},
    {"upstreams", "Targets", "integer", ".status.targets"},
    {"upstreams", "Healthy", "integer", ".status.healthy"},
    {"targets", "Upstream", "string", ".spec.upstream.name"},
    {"targets", "Target", "string", ".spec.target"},
    {"targets", "Weight", "integer", ".spec.weight"},
    {"plugins", "Plugin", "string", ".spec.name"},
    {"plugins", "Enabled", "boolean", ".spec.enabled"},
    {"consumers", "Username", "string", ".spec.username"},
    {"consumers", "Custom-Id", "string", ".spec.custom_id"},
    {"keyauth_credentials", "Consumer", "string", ".spec.consumer.name"},
    {"basicauth_credentials", "Consumer", "string", ".spec.consumer.name"},
    {"basicauth_credentials", "Username", "string", ".spec.username"},
    {"acls", "Consumer", "string", ".spec.consumer.name"},
    {"acls", "Group", "string", ".spec.group"},
    {"certificates", "Secret", "string", ".spec.secretRef.name"},
    {"snis", "Name", "string", ".spec.name"},
    {"snis", "Certificate", "string", ".spec.certificate.name"},
};

json::array printer_columns(std::string_view entity) {
  json::array out;
  for (const auto& column : columns)
    if (column.entity == entity)
      out.push_back(Object{{"name", column.name}, {"type", column.type}, {"jsonPath", column.path}});
  out.push_back(Object{{"name", "Served"},
                       {"type", "string"},
                       {"description", "Whether every live replica serves this generation."},
                       {"jsonPath", R"(.status.conditions[?(@.type=="weir.dev/Served")].status)"}});
  out.push_back(Object{{"name", "Reason"},
                       {"type", "string"},
                       {"description", "Why it is not served, or by how many replicas."},
                       {"priority", 1},
                       {"jsonPath", R"(.status.conditions[?(@.type=="weir.dev/Served")].message)"}});
  out.push_back(Object{{"name", "Age"}, {"type", "date"}, {"jsonPath", ".metadata.creationTimestamp"}});
  return out;
}

Object plain(std::string_view type, std::string_view help) {
  return {{"type", type}, {"description", help}};
}

Object whole_number(std::string_view help) {
  return {{"type", "integer"}, {"format", "int64"}, {"description", help}};
}

Object condition_schema() {
  Object time = plain("string", "When the status last changed.");
  time["format"] = "date-time";
  Object status = plain("string", "True, False or Unknown.");
  status["enum"] = json::array{"True", "False", "Unknown"};
  return {{"type", "object"},
          {"required", json::array{"type", "status", "lastTransitionTime", "reason", "message"}},
          {"properties", Object{{"type", plain("string", "Accepted, ResolvedRefs, Programmed or weir.dev/Served.")},
                                {"status", std::move(status)},
                                {"observedGeneration", whole_number("metadata.generation that this is about.")},
                                {"lastTransitionTime", std::move(time)},
                                {"reason", plain("string", "Why, in one word.")},
                                {"message", plain("string", "Why, as a sentence.")}}}};
}

Object status_schema(std::string_view entity) {
  Object properties{{"conditions", Object{{"type", "array"},
                                          {"description", "What became of the object."},
                                          {"x-kubernetes-list-type", "map"},
                                          {"x-kubernetes-list-map-keys", json::array{"type"}},
                                          {"items", condition_schema()}}}};
  if (entity == "upstreams") {
    properties["targets"] = whole_number("How many targets it has.");
    properties["healthy"] = whole_number("How many of them take requests.");
  }
  return {{"type", "object"}, {"description", "Written by Weir."}, {"properties", std::move(properties)}};
}

Object whole_schema(const WeirKind& kind) {
  return {{"type", "object"},
          {"description", kind.summary},
          {"required", json::array{"spec"}},
          {"properties", Object{{"apiVersion", Object{{"type", "string"}}},
                                {"kind", Object{{"type", "string"}}},
                                {"metadata", Object{{"type", "object"}}},
                                {"spec", spec_schema(kind)},
                                {"status", status_schema(kind.entity)}}}};
}

}  // namespace

Object crd_definition(const WeirKind& kind) {
  Object names{{"kind", kind.kind},
               {"listKind", fmt::format("{}List", kind.kind)},
               {"plural", kind.plural},
               {"singular", text::lower(kind.kind)},
               {"shortNames", json::array{kind.short_name}},
               {"categories", json::array{"weir"}}};
  Object version{{"name", "v1"},
                 {"served", true},
                 {"storage", true},
                 {"subresources", Object{{"status", Object{}}}},
                 {"additionalPrinterColumns", printer_columns(kind.entity)},
                 {"schema", Object{{"openAPIV3Schema", whole_schema(kind)}}}};
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "CustomResourceDefinition"},
          {"metadata", Object{{"name", fmt::format("{}.weir.dev", kind.plural)}}},
          {"spec", Object{{"group", "weir.dev"},
                          {"scope", "Namespaced"},
                          {"names", std::move(names)},
                          {"versions", json::array{std::move(version)}}}}};
}

std::vector<std::pair<std::string, std::string>> crd_files() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto* kind : weir_kinds()) {
    std::string text =
        "# Made by `weir crds --directory`; a test keeps it equal to the declarations of the entities.\n";
    store::print_yaml(text, crd_definition(*kind));
    out.emplace_back(fmt::format("{}.yaml", kind->plural), std::move(text));
  }
  return out;
}

std::string crd_documents() {
  std::string out;
  for (const auto& [name, text] : crd_files()) {
    if (!out.empty()) out += "---\n";
    out += text;
  }
  return out;
}

}  // namespace weir::reconcile
