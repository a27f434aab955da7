#include "model/schema.h"

#include <cmath>

#include "model/schema_builder.h"
#include "model/values.h"

namespace weir::model {
namespace {

namespace json = boost::json;

json::value timestamp(const Field& field, double now) {
  if (!field.milliseconds) return static_cast<std::int64_t>(now);
  const double rounded = std::round(now * 1000) / 1000;
  if (rounded == std::trunc(rounded)) return static_cast<std::int64_t>(rounded);
  return rounded;
}

}  // namespace

bool Schema::has_tags() const {
  return field("tags") != nullptr;
}

bool Schema::has_ttl() const {
  return field("ttl") != nullptr;
}

const Field* Schema::field(std::string_view name) const {
  for (const auto& field : fields_)
    if (field.name == name) return &field;
  return nullptr;
}

// Declared fields in their order, then what is not declared, so that it is found and named.
Object Schema::complete(Object input, Occasion occasion, double now) const {
  Object out;
  out.reserve(fields_.size() + input.size());
  for (std::size_t i = 0; i < fields_.size(); i++) {
    const auto& field = fields_[i];
    auto& slot = out[field.name];
    if (auto* given = input.if_contains(field.name)) {
      slot = std::move(*given);
    } else {
      slot = field.initial;
    }
    canonicalise(field, slot);
    if (occasion == Occasion::validate) continue;
    const bool renewed = field.automatic == Auto::updated_at && occasion == Occasion::upsert;
    if (slot.is_null() && field.automatic == Auto::uuid) slot = Uuid::random().text();
    if (renewed || (slot.is_null() && (field.automatic == Auto::created_at || field.automatic == Auto::updated_at)))
      slot = timestamp(field, now);
  }
  for (auto& pair : input)
    if (!out.contains(pair.key())) out[pair.key()] = std::move(pair.value());
  return out;
}

Object Schema::faults(const Object& entity, bool stored) const {
  Object out;
  std::size_t known = 0;
  for (std::size_t i = 0; i < fields_.size(); i++) {
    const auto& field = fields_[i];
    const auto* value = look_up(entity, i, field.name);
    if (value) known++;
    if (value && !value->is_null()) {
      if (auto fault = fault_of(field, *value); !fault.is_null()) out[field.name] = std::move(fault);
    } else if (field.required || (stored && field.automatic == Auto::uuid)) {
      out[field.name] = "required field missing";
    }
  }
  if (known != entity.size())
    for (const auto& pair : entity)
      if (!field(pair.key()) && out.size() < faults_max) out[shown(pair.key())] = "unknown field";
  std::vector<std::string> messages;
  for (const auto& check : entity_checks_) check(entity, out, messages);
  if (!messages.empty()) out["@entity"] = json::array(messages.begin(), messages.end());
  return out;
}

namespace {

// Faults of the input's own shape (shorthands, ids) come before those of the entity made from it.
Outcome<Object> finish(std::span<const Field> fields, Object entity, Object faults, Object early) {
  for (auto& pair : early) faults[pair.key()] = std::move(pair.value());
  if (!faults.empty()) return std::unexpected(schema_violation(std::move(faults)));
  for (const auto& field : fields)
    if (auto* value = entity.if_contains(field.name)) normalise(field, *value);
  return entity;
}

// An id in the body must be the one that the request is about.
void pin_id(Object& input, std::string_view id, Object& faults) {
  auto* given = input.if_contains("id");
  if (given && !given->is_null()) {
    const auto* text = given->if_string();
    const auto uuid = text ? Uuid::parse(*text) : std::nullopt;
    if (uuid && uuid->text() != id) faults["id"] = "immutable field cannot be updated";
    if (uuid || !text) return;  // what is no UUID is reported as such
  }
  if (!given || given->is_null()) input["id"] = id;
}

}  // namespace

Outcome<Object> Schema::insert(Object input, double now) const {
  Object early;
  if (shorthand_) shorthand_(input, early);
  auto entity = complete(std::move(input), Occasion::insert, now);
  auto found = faults(entity, true);
  return finish(fields_, std::move(entity), std::move(found), std::move(early));
}

Outcome<Object> Schema::upsert(Object input, const Uuid& id, double now) const {
  Object early;
  if (shorthand_) shorthand_(input, early);
  pin_id(input, id.text(), early);
  auto entity = complete(std::move(input), Occasion::upsert, now);
  auto found = faults(entity, true);
  return finish(fields_, std::move(entity), std::move(found), std::move(early));
}

Outcome<Object> Schema::update(const Object& current, Object patch, double now) const {
  Object early;
  if (shorthand_) shorthand_(patch, early);
  pin_id(patch, text_of(value_of(current, "id")), early);
  Object entity;
  entity.reserve(fields_.size() + patch.size());
  for (const auto& field : fields_) {
    auto& slot = entity[field.name];
    slot = value_of(current, field.name);
    if (auto* given = patch.if_contains(field.name); given && !(given->is_null() && field.automatic != Auto::none)) {
      slot = merged(field, slot, std::move(*given));
      canonicalise(field, slot);
    }
    if (field.automatic == Auto::updated_at) slot = timestamp(field, now);
  }
  for (auto& pair : patch)
    if (!entity.contains(pair.key())) entity[pair.key()] = std::move(pair.value());
  auto found = faults(entity, true);
  return finish(fields_, std::move(entity), std::move(found), std::move(early));
}

Outcome<void> Schema::validate(Object input) const {
  Object early;
  if (shorthand_) shorthand_(input, early);
  const auto entity = complete(std::move(input), Occasion::validate, 0);
  auto found = faults(entity, false);
  for (auto& pair : early) found[pair.key()] = std::move(pair.value());
  if (!found.empty()) return std::unexpected(schema_violation(std::move(found)));
  return {};
}

Outcome<void> Schema::check(const Object& entity) const {
  auto found = faults(entity, true);
  if (!found.empty()) return std::unexpected(schema_violation(std::move(found)));
  return {};
}

const Schema* find_schema(std::string_view name) {
  for (const auto* schema : schemas())
    if (schema->name() == name) return schema;
  return nullptr;
}

}  // namespace weir::model
