#include "model/problem.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace weir::model {
namespace {

namespace json = boost::json;

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (text.empty() || !letter(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

void print_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\{:03}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

std::vector<const json::key_value_pair*> sorted(const Object& object) {
  std::vector<const json::key_value_pair*> pairs;
  pairs.reserve(object.size());
  for (const auto& pair : object) pairs.push_back(&pair);
  std::sort(pairs.begin(), pairs.end(), [](auto* a, auto* b) { return a->key() < b->key(); });
  return pairs;
}

// depth: bounds the recursion, whatever the caller hands in.
void print(std::string& out, const json::value& value, int depth) {
  if (depth > 64) {
    out += "...";
  } else if (const auto* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto* pair : sorted(*object)) {
      if (!std::exchange(first, false)) out += ',';
      if (is_identifier(pair->key())) {
        out += std::string_view(pair->key());
      } else {
        out += '[';
        print_string(out, pair->key());
        out += ']';
      }
      out += '=';
      print(out, pair->value(), depth + 1);
    }
    out += '}';
  } else if (const auto* array = value.if_array()) {
    out += '{';
    for (std::size_t i = 0; i < array->size(); i++) {
      if (i > 0) out += ',';
      print(out, (*array)[i], depth + 1);
    }
    out += '}';
  } else if (const auto* text = value.if_string()) {
    print_string(out, *text);
  } else if (const auto* number = value.if_double()) {
    out += fmt::format("{:.14g}", *number);  // Lua's way
  } else {
    out += json::serialize(value);
  }
}

Object id_key(std::string_view id) {
  return Object{{"id", id}};
}

// Leaves of a tree of faults as "a.b.1: message"; positions count from 1 as in Lua.
void list_faults(std::vector<std::string>& out, const std::string& path, const json::value& fault) {
  if (const auto* text = fault.if_string()) {
    out.push_back(path.empty() ? std::string(*text) : fmt::format("{}: {}", path, std::string_view(*text)));
  } else if (const auto* array = fault.if_array()) {
    for (std::size_t i = 0; i < array->size(); i++)
      if (!(*array)[i].is_null()) list_faults(out, fmt::format("{}.{}", path, i + 1), (*array)[i]);
  } else if (const auto* object = fault.if_object()) {
    // What concerns the whole comes first and without a name of its own.
    if (const auto* entity = object->if_contains("@entity"); entity && entity->is_array())
      for (const auto& message : entity->get_array()) list_faults(out, path, message);
    for (const auto* pair : sorted(*object)) {
      if (pair->key() == "@entity") continue;
      const std::string_view key = pair->key();
      list_faults(out, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key), pair->value());
    }
  }
}

std::string summary(const Object& fields, std::string_view one, std::string_view several) {
  std::vector<std::string> list;
  list_faults(list, "", fields);
  if (list.size() == 1) return fmt::format("{} ({})", one, list.front());
  return fmt::format("{} {} ({})", list.size(), several, fmt::join(list, "; "));
}

}  // namespace

std::string Problem::name() const {
  switch (code) {
    case invalid_primary_key:
      return "invalid primary key";
    case Code::schema_violation:
      return "schema violation";
    case Code::primary_key_violation:
      return "primary key violation";
    case foreign_key_violation:
      return "foreign key violation";
    case Code::unique_violation:
      return "unique constraint violation";
    case not_found:
      return "not found";
    case invalid_offset:
      return "invalid offset";
    case database_error:
      return "database error";
    case invalid_size:
      return "invalid size";
    case Code::invalid_unique:
      return fmt::format("invalid unique {}", unique_field);
    case Code::invalid_options:
      return "invalid options";
    case operation_unsupported:
      return "operation unsupported";
    case foreign_keys_unresolved:
      return "foreign keys unresolved";
    case Code::declarative_invalid:
      return "invalid declarative configuration";
    case referenced_by_others:
      return "referenced by others";
  }
  return "unknown";
}

unsigned Problem::http_status() const {
  switch (code) {
    case Code::unique_violation:
      return 409;
    case not_found:
      return 404;
    case database_error:
      return unavailable ? 503 : 500;
    case operation_unsupported:
      return 405;
    default:
      return 400;
  }
}

Object Problem::body() const {
  if (code == database_error)
    return Object{{"message", unavailable ? std::string_view(message) : "An unexpected error occurred"}};
  Object out{{"code", static_cast<int>(code)}, {"name", name()}, {"message", message}};
  if (!fields.empty()) out[code == Code::invalid_options ? "options" : "fields"] = fields;
  return out;
}

std::string key_text(const Object& key) {
  std::string out;
  print(out, key, 0);
  return out;
}

Problem schema_violation(Object fields) {
  auto message = summary(fields, "schema violation", "schema violations");
  return {Problem::schema_violation, std::move(message), std::move(fields), {}};
}

Problem invalid_options(Object options) {
  auto message = summary(options, "invalid option", "option violations");
  return {Problem::invalid_options, std::move(message), std::move(options), {}};
}

Problem declarative_invalid(Object fields) {
  auto message = fmt::format("declarative config is invalid: {}", key_text(fields));
  return {Problem::declarative_invalid, std::move(message), std::move(fields), {}};
}

Problem invalid_unique(std::string_view field, std::string message) {
  return {Problem::invalid_unique, std::move(message), {}, std::string(field)};
}

Problem unique_violation(const Object& key) {
  return {Problem::unique_violation, fmt::format("UNIQUE violation detected on '{}'", key_text(key)), key, {}};
}

Problem primary_key_violation(std::string_view id) {
  const auto key = id_key(id);
  return {Problem::primary_key_violation, fmt::format("primary key violation on key '{}'", key_text(key)), key, {}};
}

Problem foreign_missing(std::string_view field, const Object& key, std::string_view entity) {
  return {Problem::foreign_key_violation,
          fmt::format("the foreign key '{}' does not reference an existing '{}' entity.", key_text(key), entity),
          Object{{field, key}},
          {}};
}

Problem foreign_referenced(std::string_view by, std::string_view entity) {
  return {Problem::foreign_key_violation,
          fmt::format("an existing '{}' entity references this '{}' entity", by, entity),
          Object{{"@referenced_by", by}},
          {}};
}

Problem foreign_unresolved(std::string_view field, const Object& key, std::string_view entity) {
  Object faults;
  for (const auto& pair : key)
    faults[pair.key()] = fmt::format("the foreign key cannot be resolved with '{}' for an existing '{}' entity",
                                     key_text(Object{{pair.key(), pair.value()}}), entity);
  Object fields{{field, std::move(faults)}};
  auto message = summary(fields, "foreign key unresolved", "foreign keys unresolved");
  return {Problem::foreign_keys_unresolved, std::move(message), std::move(fields), {}};
}

Problem missing(std::string_view id) {
  const auto key = id_key(id);
  return {Problem::not_found, fmt::format("could not find the entity with primary key '{}'", key_text(key)), key, {}};
}

Problem missing_by(std::string_view field, std::string_view value) {
  Object key{{field, value}};
  auto message = fmt::format("could not find the entity with '{}'", key_text(key));
  return {Problem::not_found, std::move(message), std::move(key), {}};
}

Problem database_failed(std::string message) {
  return {Problem::database_error, std::move(message), {}, {}};
}

Problem database_unavailable(std::string message) {
  return {Problem::database_error, std::move(message), {}, {}, true};
}

}  // namespace weir::model
