#include "store/cache_keys.h"

#include <algorithm>

#include "model/rules.h"
#include "store/lookup.h"
#include "store/table.h"

namespace weir::store {
namespace {

using model::Object;
using model::Schema;
using model::Type;

constexpr std::size_t parts_max = 5;

// What a key holds of a field: text, or the id of a parent; empty when there is none.
std::string_view part_of(const Schema& schema, const Object& entity, std::string_view name) {
  const auto* field = schema.field(name);
  if (field != nullptr && field->type == Type::foreign) return foreign_id(entity, name);
  return model::text_of(model::value_of(entity, name));
}

void add(std::vector<std::string>& keys, std::string key) {
  if (std::ranges::find(keys, key) == keys.end()) keys.push_back(std::move(key));
}

void add_keys_of(std::vector<std::string>& keys, const Schema& schema, const Object& entity) {
  add(keys, cache_key(schema, entity));
  if (schema.core()) return;  // found in the snapshot, never looked up
  // A row may be looked up by its id although it has cache_key fields.
  add(keys, cache_key_of(schema.name(), id_of(entity)));
  for (const auto& field : schema.fields()) {
    if (!field.unique && field.type != Type::foreign) continue;
    if (const auto value = part_of(schema, entity, field.name); !value.empty())
      add(keys, cache_key_of(schema.name(), value));
  }
}

}  // namespace

std::string cache_key(const Schema& schema, const Object& entity) {
  if (schema.cache_key().empty()) return cache_key_of(schema.name(), id_of(entity));
  std::string out(schema.name());
  for (const auto& name : schema.cache_key()) {
    out += ':';
    out += part_of(schema, entity, name);
  }
  out.append(parts_max - std::min(parts_max, schema.cache_key().size()) + 1, ':');
  return out;
}

std::vector<std::string> cache_keys(const Schema& schema, const Object* before, const Object* after) {
  std::vector<std::string> out;
  if (before != nullptr) add_keys_of(out, schema, *before);
  if (after != nullptr) add_keys_of(out, schema, *after);
  return out;
}

std::string cache_key_of(std::string_view schema, std::string_view value) {
  std::string out;
  out.reserve(schema.size() + value.size() + parts_max + 1);
  out.append(schema).append(1, ':').append(value).append(parts_max, ':');
  return out;
}

std::string_view without_workspace(std::string_view key) {
  return key.substr(0, key.rfind(':') + 1);  // nothing when there is no colon
}

std::string LookupKey::text() const {
  return cache_key_of(schema->name(), value);
}

}  // namespace weir::store
