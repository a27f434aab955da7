#include "store/same.h"

#include <algorithm>

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Auto;
using model::Object;

const json::value absent(nullptr);

const json::value& value_of(const Object& entity, std::string_view field) {
  const auto* value = entity.if_contains(field);
  return value != nullptr ? *value : absent;
}

bool created_was_filled_in(const model::Schema& schema, const Object& entity) {
  const json::value* created = nullptr;
  const json::value* updated = nullptr;
  for (const auto& field : schema.fields()) {
    if (field.automatic == Auto::created_at) created = &value_of(entity, field.name);
    if (field.automatic == Auto::updated_at) updated = &value_of(entity, field.name);
  }
  return created != nullptr && updated != nullptr && same(*created, *updated);
}

}  // namespace

bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.kind() == b.kind()) return a == b;
    return a.to_number<double>() == b.to_number<double>();
  }
  if (a.kind() != b.kind()) return false;
  if (const auto* list = a.if_array()) {
    const auto& other = b.get_array();
    return list->size() == other.size() && std::equal(list->begin(), list->end(), other.begin(), same);
  }
  if (const auto* object = a.if_object()) {
    const auto& other = b.get_object();
    if (object->size() != other.size()) return false;
    for (const auto& [name, value] : *object) {
      const auto* there = other.if_contains(name);
      if (there == nullptr || !same(value, *there)) return false;
    }
    return true;
  }
  return a == b;
}

bool same_but_times(const model::Schema& schema, const Object& held, const Object& now) {
  for (const auto& field : schema.fields()) {
    if (field.automatic == Auto::updated_at) continue;
    if (field.automatic == Auto::created_at && created_was_filled_in(schema, now)) continue;
    if (!same(value_of(held, field.name), value_of(now, field.name))) return false;
  }
  return true;
}

Object with_held_times(const model::Schema& schema, const Object& held, const Object& now) {
  Object out = now;
  if (!created_was_filled_in(schema, now)) return out;
  for (const auto& field : schema.fields())
    if (field.automatic == Auto::created_at) out[field.name] = value_of(held, field.name);
  return out;
}

}  // namespace weir::store
