#include "admin/lookup.h"

#include "base/result.h"
#include "model/formats.h"

namespace weir::admin {

using model::Outcome;
using model::Problem;
using model::Schema;

Object shown(const Schema& schema, const Object& entity) {
  return schema.shown(entity);
}

Uuid id_of(const Object& entity) {
  const auto* id = entity.if_contains("id");
  WEIR_ASSERT(id && id->is_string());
  const auto parsed = Uuid::parse({id->get_string().data(), id->get_string().size()});
  WEIR_ASSERT(parsed);
  return *parsed;
}

std::optional<Uuid> foreign_id(const Object& entity, std::string_view field) {
  const auto* key = entity.if_contains(field);
  if (!key || !key->is_object()) return std::nullopt;
  const auto* id = key->get_object().if_contains("id");
  if (!id || !id->is_string()) return std::nullopt;
  return Uuid::parse({id->get_string().data(), id->get_string().size()});
}

Object foreign_key(const Uuid& id) {
  return Object{{"id", id.text()}};
}

namespace {

// Null when only the id finds an entity.
const model::Field* key_field(const Schema& schema, const Parent* parent) {
  const auto* field = schema.field(schema.endpoint_key());
  if (field && (field->unique || parent)) return field;
  if (!parent || schema.cache_key().size() != 2) return nullptr;
  for (const auto& part : schema.cache_key())  // with the parent it makes a row unique
    if (const auto* other = schema.field(part); other && part != parent->field && other->type == model::Type::string)
      return other;
  return nullptr;
}

}  // namespace

Outcome<Key> read_key(const Schema& schema, const std::string& segment, const Parent* parent) {
  if (const auto id = Uuid::parse(segment)) return Key{id, {}, {}};
  const auto* field = key_field(schema, parent);
  if (!field) {
    const auto message = fmt::format("invalid primary key: '{}'", model::key_text({{"id", model::shown(segment)}}));
    return std::unexpected(Problem{Problem::invalid_primary_key, message, Object{{"id", "expected a valid UUID"}}, {}});
  }
  const boost::json::value value(segment);
  for (const auto& check : field->checks) {
    const auto fault = check(value);
    if (!fault) continue;
    return std::unexpected(Problem{Problem::invalid_unique, *fault, Object{{field->name, *fault}}, field->name});
  }
  if (!field->normalise) return Key{std::nullopt, field->name, segment};
  const auto stored = field->normalise(value);
  return Key{std::nullopt, field->name, stored.is_string() ? std::string(stored.get_string()) : segment};
}

Outcome<std::optional<Object>> find(const Context& context, const Schema& schema, const Key& key,
                                    const Parent* parent) {
  auto found = key.id ? context.store.find(schema, *key.id)
                      : context.store.find_by(schema, key.field, key.value, parent ? &parent->id : nullptr);
  if (found && *found && parent && foreign_id(**found, parent->field) != parent->id) return std::optional<Object>();
  return found;
}

Outcome<std::optional<Object>> find(const Context& context, const Schema& schema, const std::string& segment) {
  const auto key = read_key(schema, segment);
  if (!key) return std::unexpected(key.error());
  return find(context, schema, *key, nullptr);
}

Problem missing(const Key& key) {
  return key.id ? model::missing(key.id->text()) : model::missing_by(key.field, key.value);
}

Outcome<> resolve_foreign_keys(const Context& context, const Schema& schema, Object& input) {
  for (const auto& field : schema.fields()) {
    if (field.type != model::Type::foreign) continue;
    auto* given = input.if_contains(field.name);
    const auto* parent = model::find_schema(field.reference);
    if (!given || !given->is_object() || !parent || given->get_object().contains("id")) continue;
    const auto* name = given->get_object().if_contains(parent->endpoint_key());
    if (parent->endpoint_key().empty() || !name || !name->is_string()) continue;
    const Object key{{parent->endpoint_key(), model::shown(std::string(name->get_string()))}};
    const auto found = context.store.find_by(*parent, parent->endpoint_key(), std::string(name->get_string()));
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::unexpected(model::foreign_unresolved(field.name, key, parent->name()));
    *given = foreign_key(id_of(**found));
  }
  return {};
}

}  // namespace weir::admin
