// The CRDs of Weir's kinds: equal to the files of the repository, and no stricter than the entities themselves.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "reconcile/crd_definitions.h"
#include "reconcile/crd_extras.h"
#include "reconcile/crd_patterns.h"
#include "reconcile/crd_schema.h"
#include "store/yaml.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::string text_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(CrdDefinitions, manifests_are_what_the_declarations_give) {
  const auto folder = fs::path(WEIR_SOURCE_DIR) / "manifests" / "crds";
  std::set<std::string> expected;
  for (const auto& [name, text] : crd_files()) {
    expected.insert(name);
    EXPECT_TRUE(text_of_file(folder / name) == text)
        << name << " is not up to date; run: weir crds --directory manifests/crds";
  }
  for (const auto& file : fs::directory_iterator(folder))
    EXPECT_TRUE(expected.contains(file.path().filename().string())) << file.path() << " belongs to no kind";
}

const Object& spec_of(const Object& definition) {
  return definition.at("spec")
      .at("versions")
      .as_array()
      .at(0)
      .at("schema")
      .at("openAPIV3Schema")
      .at("properties")
      .at("spec")
      .as_object();
}

Object spec_for(std::string_view entity) {
  return spec_of(crd_definition(*weir_kind_of_entity(entity)));
}

TEST(CrdDefinitions, documents_are_yaml_that_says_the_same) {
  for (const auto* kind : weir_kinds()) {
    const auto definition = crd_definition(*kind);
    std::string text;
    store::print_yaml(text, definition);
    const auto read = store::parse_yaml(text);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->at("spec").at("names"), definition.at("spec").at("names"));
    EXPECT_EQ(read->at("metadata").at("name"), json::value(fmt::format("{}.weir.dev", kind->plural)));
  }
}

TEST(CrdDefinitions, offer_each_field_but_those_that_weir_fills_in_or_cannot_honour) {
  const auto upstream = spec_for("upstreams").at("properties").as_object();
  for (const auto field : {"id", "created_at", "updated_at"}) EXPECT_FALSE(upstream.contains(field)) << field;
  for (const auto field : {"name", "slots", "host_header", "targets", "serviceRef", "healthchecks"})
    EXPECT_TRUE(upstream.contains(field)) << field;
  for (const auto* kind : weir_kinds())
    for (const auto& field : kind->schema()->fields()) {
      if (field.automatic != model::Auto::none || field.unsupported || field.type == model::Type::foreign) continue;
      if (field.name == model::ttl_field || field.name == "cert_digest") continue;
      EXPECT_TRUE(spec_for(kind->entity).at("properties").as_object().contains(field.name))
          << kind->kind << " " << field.name;
    }
}

TEST(CrdDefinitions, limits_are_those_of_the_declaration) {
  const auto target = spec_for("targets");
  const auto& weight = target.at("properties").at("weight").as_object();
  EXPECT_EQ(weight.at("minimum"), json::value(0));
  EXPECT_EQ(weight.at("maximum"), json::value(65535));
  EXPECT_EQ(weight.at("type"), json::value("integer"));
  EXPECT_EQ(target.at("required"), (json::array{"upstream", "target"}));
}

TEST(CrdDefinitions, required_fields_that_something_else_may_stand_for_are_not_required) {
  EXPECT_FALSE(spec_for("upstreams").contains("required"));
  EXPECT_FALSE(spec_for("services").contains("required"));
  EXPECT_EQ(spec_for("basicauth_credentials").at("required"), (json::array{"consumer", "username"}));
}

TEST(CrdDefinitions, a_plugins_configuration_is_free) {
  const auto plugin = spec_for("plugins");
  EXPECT_EQ(plugin.at("properties").at("config").at("x-kubernetes-preserve-unknown-fields"), json::value(true));
}

bool has_rule(const Object& spec, std::string_view part) {
  const auto* rules = spec.if_contains("x-kubernetes-validations");
  if (!rules) return false;
  for (const auto& rule : rules->as_array())
    if (std::string_view(rule.at("rule").as_string()).find(part) != std::string_view::npos) return true;
  return false;
}

TEST(CrdDefinitions, rules_over_several_fields_are_there) {
  EXPECT_TRUE(has_rule(spec_for("routes"), "size(self.hosts) > 0"));
  EXPECT_TRUE(has_rule(spec_for("routes"), "!has(self.service) || !has(self.upstream)"));
  EXPECT_TRUE(has_rule(spec_for("services"), "has(self.host) || has(self.url)"));
  EXPECT_TRUE(has_rule(spec_for("consumers"), "size(self.username) > 0"));
  EXPECT_TRUE(has_rule(spec_for("upstreams"), "self.hash_on_header != self.hash_fallback_header"));
  EXPECT_TRUE(has_rule(spec_for("keyauth_credentials"), "has(self.key) != has(self.keyFrom)"));
}

// Every object and list says what it holds, and no keyword is used that a structural schema may not have.
void expect_structural(const json::value& schema, const std::string& at) {
  static const std::set<std::string, std::less<>> known{"type",
                                                        "description",
                                                        "properties",
                                                        "required",
                                                        "items",
                                                        "additionalProperties",
                                                        "enum",
                                                        "minimum",
                                                        "maximum",
                                                        "minLength",
                                                        "exclusiveMinimum",
                                                        "maxItems",
                                                        "minItems",
                                                        "maxLength",
                                                        "pattern",
                                                        "format"};
  const auto& object = schema.as_object();
  EXPECT_TRUE(object.contains("type") || object.contains("x-kubernetes-int-or-string")) << at;
  for (const auto& pair : object)
    EXPECT_TRUE(known.contains(pair.key()) || pair.key().starts_with("x-kubernetes-")) << at << " " << pair.key();
  const auto* type = object.if_contains("type");
  EXPECT_EQ(type && *type == "array", object.contains("items")) << at;
  if (const auto* items = object.if_contains("items")) expect_structural(*items, at + "[]");
  if (const auto* values = object.if_contains("additionalProperties")) expect_structural(*values, at + "{}");
  if (const auto* properties = object.if_contains("properties"))
    for (const auto& pair : properties->as_object())
      expect_structural(pair.value(), at + "." + std::string(pair.key()));
}

TEST(CrdDefinitions, schemas_are_structural) {
  for (const auto* kind : weir_kinds()) expect_structural(spec_schema(*kind), std::string(kind->entity));
}

TEST(CrdDefinitions, each_kind_is_known_by_names_of_its_own) {
  std::set<std::string> names;
  for (const auto* kind : weir_kinds()) {
    EXPECT_TRUE(names.insert(std::string(kind->short_name)).second) << kind->short_name;
    EXPECT_TRUE(names.insert(std::string(kind->plural)).second) << kind->plural;
  }
}

// The field that a path means, below the declaration of an entity.
const model::Field* field_at(std::string_view path) {
  const auto* schema = model::find_schema(path.substr(0, path.find('.')));
  if (!schema) return nullptr;
  const auto* at = &schema->as_record();
  path.remove_prefix(path.find('.'));
  while (at && !path.empty()) {
    if (path.starts_with("[]")) {
      at = at->elements.empty() ? nullptr : &at->elements.front();
      path.remove_prefix(2);
      continue;
    }
    path.remove_prefix(1);
    const auto name = path.substr(0, path.find_first_of(".["));
    const model::Field* next = nullptr;
    for (const auto& field : at->fields)
      if (field.name == name) next = &field;
    at = next;
    path.remove_prefix(name.size());
  }
  return at;
}

TEST(CrdPatterns, refuse_nothing_that_the_entity_accepts) {
  const std::vector<std::string> samples{"a",         "a.b-c_d~e",   "\u00fc",        "/",         "/a/b%20c",
                                         "~/a/\\d+$", "GET",         "*.example.com", "example.*", "example.com:8080",
                                         "10.0.0.1",  "10.0.0.1:80", "[::1]:80",      "::1",       "[fd00::1]",
                                         "x-header",  "x_header",    "with space",    "a,b",       "a/b",
                                         "*",         "a b",         "example.com.",  "A1-b"};
  for (const auto& [path, pattern] : crd_patterns()) {
    const auto* field = field_at(path);
    if (!model::find_schema(path.substr(0, path.find('.')))) continue;
    ASSERT_TRUE(field) << path << " is no field";
    ASSERT_FALSE(field->checks.empty()) << path;
    const RE2 compiled{std::string(pattern)};
    ASSERT_TRUE(compiled.ok()) << path;
    std::size_t refused = 0;
    for (const auto& sample : samples) {
      bool accepted = true;
      for (const auto& check : field->checks) accepted = accepted && !check(json::value(sample));
      const bool matches = RE2::PartialMatch(sample, compiled);
      EXPECT_TRUE(matches || !accepted) << path << " accepts " << sample << ", its pattern does not";
      refused += !matches;
    }
    EXPECT_GT(refused, 0u) << path << " has a pattern that refuses nothing";
  }
}

}  // namespace
}  // namespace weir::reconcile
