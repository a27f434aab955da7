#include "reconcile/crd_schema.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "reconcile/crd_extras.h"
#include "reconcile/crd_patterns.h"
#include "reconcile/crd_rules.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using model::Field;
using model::Type;

json::value number(double value) {
  if (value == std::trunc(value)) return static_cast<std::int64_t>(value);
  return value;
}

json::value choice(const Field& field, const std::string& word) {
  std::int64_t whole = 0;
  const bool is_number = field.type == Type::integer || field.type == Type::number;
  if (is_number && std::from_chars(word.data(), word.data() + word.size(), whole).ec == std::errc{}) return whole;
  return json::value(word);
}

// What may be chosen from, without what this version refuses; nothing when there is no such list. An empty list: no
// value can be honoured.
std::optional<json::array> choices(const Field& field) {
  json::array known;
  for (const auto& word : field.one_of) known.push_back(choice(field, word));
  if (known.empty() && field.unsupported) {
    if (field.type == Type::boolean) known = {true, false};
    if (field.between) known = {number(field.between->first), number(field.between->second)};
    if (field.type == Type::foreign) known.emplace_back(Object{});
    if (field.type == Type::array || field.type == Type::set) known.emplace_back(json::array{});
  }
  if (known.empty()) return {};
  json::array honoured;
  for (auto& value : known)
    if (!field.unsupported || !field.unsupported(value)) honoured.push_back(std::move(value));
  const bool restricted = honoured.size() < known.size();
  if (!restricted && field.one_of.empty()) return {};  // the values were only tried
  return honoured;
}

std::string help_of(const Field& field) {
  if (field.initial.is_null() || field.type == Type::record) return field.help;
  const auto* text = field.initial.if_string();
  return fmt::format("{} Default: {}.", field.help, text ? std::string(*text) : json::serialize(field.initial));
}

std::optional<Object> value_schema(const Field& field, const std::string& path);

void put_fields(Object& into, const Field& record, const std::string& path) {
  Object properties;
  json::array required;
  for (const auto& field : record.fields) {
    auto schema = value_schema(field, path + "." + field.name);
    if (!schema) continue;
    properties[field.name] = std::move(*schema);
    if (field.required && field.initial.is_null()) required.push_back(json::value(field.name));
  }
  auto rules = cel_rules(record, properties);
  into["properties"] = std::move(properties);
  if (!required.empty()) into["required"] = std::move(required);
  if (!rules.empty()) into["x-kubernetes-validations"] = std::move(rules);
}

void put_list(Object& out, const Field& field, Object items) {
  const bool set = field.type == Type::set;
  const bool scalar = items.at("type") != "object" && items.at("type") != "array";
  out["x-kubernetes-list-type"] = set && scalar ? "set" : "atomic";
  if (field.len_min) out["minItems"] = *field.len_min;
  if (field.len_max) out["maxItems"] = *field.len_max;
  // Rules look through such lists: the API server wants to know how long that can take.
  if (const auto* words = items.if_contains("enum"); words && set) out["maxItems"] = words->as_array().size();
  if (items.contains("x-kubernetes-validations") && !field.len_max) out["maxItems"] = 256;
  out["items"] = std::move(items);
}

void put_limits(Object& out, const Field& field, const std::string& path) {
  if (field.between) {
    out["minimum"] = number(field.between->first);
    out["maximum"] = number(field.between->second);
  }
  if (field.greater_than) {
    out["minimum"] = number(*field.greater_than);
    out["exclusiveMinimum"] = true;
  }
  if (field.type != Type::string) return;
  out["minLength"] = field.len_min.value_or(1);
  if (field.len_max) out["maxLength"] = *field.len_max;
  if (field.uuid) out["format"] = "uuid";
  if (const auto pattern = crd_pattern(path); !pattern.empty()) out["pattern"] = pattern;
}

// Nothing: no value of it can be honoured, or Weir fills it in.
std::optional<Object> value_schema(const Field& field, const std::string& path) {
  if (field.automatic != model::Auto::none && field.automatic != model::Auto::secret) return {};
  auto chosen = choices(field);
  if (chosen && chosen->empty()) return {};
  if (field.type == Type::foreign) {
    const auto* parent = weir_kind_of_entity(field.reference);
    return parent && parent->schema() ? std::optional(reference_schema(parent->kind, field.help)) : std::nullopt;
  }
  Object out;
  if (auto help = help_of(field); !help.empty()) out["description"] = std::move(help);
  switch (field.type) {
    case Type::array:
    case Type::set: {
      out["type"] = "array";
      auto items = value_schema(field.elements.front(), path + "[]");
      if (!items) return {};
      put_list(out, field, std::move(*items));
      return out;
    }
    case Type::map: {
      out["type"] = "object";
      auto values = value_schema(field.values.front(), path + "{}");
      if (!values) return {};
      out["additionalProperties"] = std::move(*values);
      return out;
    }
    case Type::record:
      out["type"] = "object";
      if (field.fields.empty())
        out["x-kubernetes-preserve-unknown-fields"] = true;  // of a plugin: its name says which
      else
        put_fields(out, field, path);
      return out;
    default:
      out["type"] = name(field.type);
      if (field.type == Type::integer) out["format"] = "int64";
      if (chosen)
        out["enum"] = std::move(*chosen);
      else
        put_limits(out, field, path);
      return out;
  }
}

}  // namespace

Object reference_schema(std::string_view kind, std::string help) {
  if (!help.empty()) help += ' ';
  return {{"description", fmt::format("{}By name: a {} of the same namespace.", help, kind)},
          {"type", "object"},
          {"required", json::array{"name"}},
          {"properties", Object{{"name", Object{{"type", "string"}, {"minLength", 1}, {"maxLength", 253}}}}}};
}

Object spec_schema(const WeirKind& kind) {
  const auto& schema = *kind.schema();
  Object out{{"description", fmt::format("The entity, as the Admin API's {}.", schema.collection())},
             {"type", "object"}};
  put_fields(out, schema.as_record(), std::string(kind.entity));
  for (const auto& field : schema.as_record().shorthand_fields)
    if (auto shown = value_schema(field, fmt::format("{}.{}", kind.entity, field.name)))
      out["properties"].get_object()[field.name] = std::move(*shown);
  add_extras(kind, out);
  return out;
}

}  // namespace weir::reconcile
