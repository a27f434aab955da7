// A schema as others read it: Kong's form for GET /schemas/{entity}, and JSON Schema for the OpenAPI document.
#include <charconv>
#include <cmath>
#include <limits>

#include "model/entities.h"
#include "model/plugin_schemas.h"
#include "model/schema.h"

namespace weir::model {
namespace {

namespace json = boost::json;

json::value number(double value) {
  if (value == std::trunc(value)) return static_cast<std::int64_t>(value);
  return value;
}

// one_of of a field of numbers is written as numbers.
json::array choices(const Field& field, const std::vector<std::string>& words) {
  json::array out;
  for (const auto& word : words) {
    std::int64_t whole = 0;
    const bool is_number = field.type == Type::integer || field.type == Type::number;
    if (is_number && std::from_chars(word.data(), word.data() + word.size(), whole).ec == std::errc{}) {
      out.push_back(whole);
    } else {
      out.push_back(json::value(word));
    }
  }
  return out;
}

json::array described(const std::vector<Field>& fields);

Object described(const Field& field) {
  Object out{{"type", name(field.type)}};
  if (!field.help.empty()) out["description"] = field.help;
  if (field.type == Type::foreign) {
    out["reference"] = field.reference;
    if (field.cascade) out["on_delete"] = "cascade";
  }
  if (field.uuid) out["uuid"] = true;
  if (field.automatic != Auto::none) out["auto"] = true;
  if (field.automatic == Auto::created_at || field.automatic == Auto::updated_at) out["timestamp"] = true;
  if (field.required) out["required"] = true;
  if (field.unique) out["unique"] = true;
  if (!field.initial.is_null()) out["default"] = field.initial;
  if (field.between) out["between"] = json::array{number(field.between->first), number(field.between->second)};
  if (field.greater_than) out["gt"] = number(*field.greater_than);
  if (!field.one_of.empty()) out["one_of"] = choices(field, field.one_of);
  if (!field.not_one_of.empty()) out["not_one_of"] = choices(field, field.not_one_of);
  if (field.len_min) out["len_min"] = *field.len_min;
  if (field.len_max) out["len_max"] = *field.len_max;
  for (const auto& pair : field.shown) out[pair.key()] = pair.value();
  if (!field.elements.empty()) out["elements"] = described(field.elements.front());
  if (!field.keys.empty()) out["keys"] = described(field.keys.front());
  if (!field.values.empty()) out["values"] = described(field.values.front());
  if (field.type == Type::record) {
    if (!field.shown.contains("abstract")) out["fields"] = described(field.fields);
    json::array checks(field.described_checks.begin(), field.described_checks.end());
    if (!field.at_least_one_of.empty())
      checks.push_back(
          Object{{"at_least_one_of", json::array(field.at_least_one_of.begin(), field.at_least_one_of.end())}});
    if (!checks.empty()) out["entity_checks"] = std::move(checks);
    if (!field.shorthand_fields.empty()) out["shorthand_fields"] = described(field.shorthand_fields);
  }
  return out;
}

json::array described(const std::vector<Field>& fields) {
  json::array out;
  for (const auto& field : fields) out.push_back(Object{{field.name, described(field)}});
  return out;
}

Object object_schema(const std::vector<Field>& fields);

std::string_view json_type(Type type) {
  switch (type) {
    case Type::set:
      return "array";
    case Type::map:
    case Type::record:
    case Type::foreign:
      return "object";
    default:
      return name(type);
  }
}

Object value_schema(const Field& field) {
  Object out;
  // OpenAPI 3.1 writes "may be null" as a list of types.
  if (field.required || field.automatic == Auto::uuid) {
    out["type"] = json_type(field.type);
  } else {
    out["type"] = json::array{json_type(field.type), "null"};
  }
  if (!field.help.empty()) out["description"] = field.help;
  if (!field.initial.is_null()) out["default"] = field.initial;
  if (field.automatic != Auto::none && field.automatic != Auto::secret) out["readOnly"] = true;
  if (field.uuid) out["format"] = "uuid";
  if (field.between) {
    out["minimum"] = number(field.between->first);
    out["maximum"] = number(field.between->second);
  }
  if (field.greater_than) out["exclusiveMinimum"] = number(*field.greater_than);
  if (!field.one_of.empty()) {
    out["enum"] = choices(field, field.one_of);
    if (!field.required) out["enum"].get_array().push_back(nullptr);
  }
  const bool is_list = field.type == Type::array || field.type == Type::set;
  if (field.type == Type::string && !field.uuid && field.one_of.empty()) out["minLength"] = field.len_min.value_or(1);
  if (field.type == Type::string && field.len_max) out["maxLength"] = *field.len_max;
  if (is_list && field.len_min) out["minItems"] = *field.len_min;
  if (is_list && field.len_max) out["maxItems"] = *field.len_max;
  if (field.type == Type::set) out["uniqueItems"] = true;
  const auto part = [](const Field& inner) {
    Field strict = inner;
    strict.required = true;  // lists and maps hold no nulls
    return value_schema(strict);
  };
  if (!field.elements.empty()) out["items"] = part(field.elements.front());
  if (!field.values.empty()) out["additionalProperties"] = part(field.values.front());
  if (field.type == Type::record && !field.shown.contains("abstract"))
    for (auto& pair : object_schema(field.fields))
      if (pair.key() != "type") out[pair.key()] = pair.value();
  if (field.type == Type::foreign) {
    out["properties"] = Object{{"id", Object{{"type", "string"}, {"format", "uuid"}}}};
    out["required"] = json::array{"id"};
    out["additionalProperties"] = false;
  }
  return out;
}

Object object_schema(const std::vector<Field>& fields) {
  Object properties;
  json::array required;
  for (const auto& field : fields) {
    properties[field.name] = value_schema(field);
    if (field.required && field.initial.is_null()) required.push_back(json::value(field.name));
  }
  Object out{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

}  // namespace

Object Schema::describe() const {
  Object out{{"fields", described(whole_.fields)}};
  out["entity_checks"] = json::array(whole_.described_checks.begin(), whole_.described_checks.end());
  if (!whole_.shorthand_fields.empty()) out["shorthand_fields"] = described(whole_.shorthand_fields);
  return out;
}

Object Schema::json_schema() const {
  auto out = object_schema(whole_.fields);
  for (const auto& field : whole_.shorthand_fields) {
    auto shown = value_schema(field);
    shown["writeOnly"] = true;
    out["properties"].get_object()[field.name] = std::move(shown);
  }
  return out;
}

Object describe_plugin(const PluginSchema& plugin) {
  auto fields = schema<Plugin>().fields();
  json::array out;
  for (const auto& field : fields) {
    if (field.name == "config") {
      // Not required by itself: the defaults of its fields make it.
      auto config = described(plugin.config->as_record());
      config.erase("default");
      out.push_back(Object{{"config", std::move(config)}});
      continue;
    }
    const bool scope = field.type == Type::foreign;
    if (!scope && field.name != "protocols") continue;
    auto shown = described(field);
    if (field.name == "consumer" && !plugin.consumer_scope) shown["eq"] = nullptr;
    out.push_back(Object{{field.name, std::move(shown)}});
  }
  return Object{{"fields", std::move(out)}, {"entity_checks", json::array{}}};
}

}  // namespace weir::model
