#include "model/schema.h"

#include <algorithm>
#include <cmath>

#include <openssl/rand.h>

#include "base/result.h"

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

// 32 letters and digits, each equally likely.
std::string random_secret() {
  constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::size_t length = 32, fair = 256 / alphabet.size() * alphabet.size();
  std::string out;
  while (out.size() < length) {
    unsigned char bytes[48];
    WEIR_ASSERT(RAND_bytes(bytes, sizeof bytes) == 1);
    for (const auto byte : bytes)
      if (byte < fair && out.size() < length) out += alphabet[byte % alphabet.size()];
  }
  return out;
}

bool filled_in(const Field& field) {
  return field.automatic == Auto::uuid || field.automatic == Auto::secret;
}

}  // namespace

bool Schema::has_tags() const {
  return field("tags") != nullptr;
}

bool Schema::has_ttl() const {
  return field(ttl_field) != nullptr;
}

const Field* Schema::field(std::string_view name) const {
  for (const auto& field : whole_.fields)
    if (field.name == name) return &field;
  return nullptr;
}

const Field& Schema::field_for(const Field& field, const Object& entity) const {
  if (!choose_ || field.name != chosen_) return field;
  const auto* chosen = choose_(text_of(value_of(entity, chosen_by_)));
  return chosen ? *chosen : field;
}

// Declared fields in their order, then what is not declared, so that it is found and named.
Object Schema::complete(Object input, Occasion occasion, double now) const {
  Object out;
  out.reserve(whole_.fields.size() + input.size());
  for (const auto& declared : whole_.fields) {
    const auto& field = field_for(declared, out);
    auto& slot = out[declared.name];
    if (auto* given = input.if_contains(declared.name)) {
      slot = std::move(*given);
    } else {
      slot = field.initial;
    }
    canonicalise(field, slot);
    if (occasion == Occasion::validate) continue;
    const bool renewed = field.automatic == Auto::updated_at && occasion == Occasion::upsert;
    if (slot.is_null() && field.automatic == Auto::uuid) slot = Uuid::random().text();
    if (slot.is_null() && field.automatic == Auto::secret) slot = random_secret();
    if (renewed || (slot.is_null() && (field.automatic == Auto::created_at || field.automatic == Auto::updated_at)))
      slot = timestamp(field, now);
  }
  for (auto& pair : input)
    if (!out.contains(pair.key())) out[pair.key()] = std::move(pair.value());
  return out;
}

void Schema::rewrite(Object& input, const Object& named_by, Object& faults) const {
  expand(whole_, input, faults);
  if (!choose_) return;
  const auto* chosen = choose_(text_of(value_of(named_by, chosen_by_)));
  auto* part = input.if_contains(chosen_);
  if (!chosen || !part || !part->is_object()) return;
  Object wrong;
  expand(*chosen, part->get_object(), wrong);
  if (!wrong.empty()) faults[chosen_] = std::move(wrong);
}

Object Schema::faults(const Object& entity, bool stored) const {
  Object out;
  std::size_t known = 0;
  for (std::size_t i = 0; i < whole_.fields.size(); i++) {
    const auto& declared = whole_.fields[i];
    const auto* value = look_up(entity, i, declared.name);
    if (value) known++;
    if (value && !value->is_null()) {
      const auto& field = field_for(declared, entity);
      // Whose parts these are is not known; the field that should say so has a fault of its own.
      const bool unknown = choose_ && &field == &declared && field.name == chosen_ && value->is_object();
      if (unknown) continue;
      if (auto fault = fault_of(field, *value); !fault.is_null()) out[declared.name] = std::move(fault);
    } else if (declared.required || (stored && filled_in(declared))) {
      out[declared.name] = "required field missing";
    }
  }
  if (known != entity.size())
    for (const auto& pair : entity)
      if (!field(pair.key()) && out.size() < faults_max) out[model::shown(pair.key())] = "unknown field";
  std::vector<std::string> messages;
  for (const auto& check : whole_.entity_checks) check(entity, out, messages);
  if (!messages.empty()) out["@entity"] = json::array(messages.begin(), messages.end());
  return out;
}

namespace {

// `more` goes before what is there, part by part.
void put_over(Object& faults, Object more) {
  for (auto& pair : more) {
    auto& slot = faults[pair.key()];
    if (slot.is_object() && pair.value().is_object()) {
      put_over(slot.get_object(), std::move(pair.value().get_object()));
    } else {
      slot = std::move(pair.value());
    }
  }
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

Outcome<Object> Schema::finish(Object entity, Object early, bool transform) const {
  auto found = faults(entity, true);
  put_over(found, std::move(early));
  if (!found.empty()) return std::unexpected(schema_violation(std::move(found)));
  for (const auto& field : whole_.fields)
    if (auto* value = entity.if_contains(field.name)) normalise(field_for(field, entity), *value);
  if (transform && transform_) transform_(entity);
  return entity;
}

Outcome<Object> Schema::insert(Object input, double now, bool transform) const {
  Object early;
  rewrite(input, input, early);
  return finish(complete(std::move(input), Occasion::insert, now), std::move(early), transform);
}

Outcome<Object> Schema::upsert(Object input, const Uuid& id, double now) const {
  Object early;
  rewrite(input, input, early);
  pin_id(input, id.text(), early);
  return finish(complete(std::move(input), Occasion::upsert, now), std::move(early), true);
}

Outcome<Object> Schema::update(const Object& current, Object patch, double now) const {
  Object early;
  rewrite(patch, patch.contains(chosen_by_) ? patch : current, early);
  pin_id(patch, text_of(value_of(current, "id")), early);
  const bool transform = std::any_of(transformed_.begin(), transformed_.end(),
                                     [&](const auto& name) { return !value_of(patch, name).is_null(); });
  Object entity;
  entity.reserve(whole_.fields.size() + patch.size());
  for (const auto& declared : whole_.fields) {
    auto& slot = entity[declared.name];
    slot = value_of(current, declared.name);
    if (auto* given = patch.if_contains(declared.name);
        given && !(given->is_null() && declared.automatic != Auto::none)) {
      const auto& field = field_for(declared, entity);
      slot = merged(field, slot, std::move(*given));
      canonicalise(field, slot);
    }
    if (declared.automatic == Auto::updated_at) slot = timestamp(declared, now);
  }
  for (auto& pair : patch)
    if (!entity.contains(pair.key())) entity[pair.key()] = std::move(pair.value());
  return finish(std::move(entity), std::move(early), transform);
}

Outcome<void> Schema::validate(Object input) const {
  Object early;
  rewrite(input, input, early);
  const auto entity = complete(std::move(input), Occasion::validate, 0);
  auto found = faults(entity, false);
  put_over(found, std::move(early));
  if (!found.empty()) return std::unexpected(schema_violation(std::move(found)));
  return {};
}

Outcome<void> Schema::check(const Object& entity) const {
  auto found = faults(entity, true);
  if (!found.empty()) return std::unexpected(schema_violation(std::move(found)));
  return {};
}

void Schema::adapt(Object& row) const {
  for (const auto& declared : whole_.fields) {
    const bool defaults = declared.required && !declared.initial.is_null();
    if (!defaults && declared.type != Type::record && declared.type != Type::array && declared.type != Type::set)
      continue;
    auto* value = row.if_contains(declared.name);
    if (value) model::adapt(field_for(declared, row), *value);
  }
}

Object Schema::shown(const Object& entity) const {
  Object out;
  out.reserve(whole_.fields.size());
  for (const auto& declared : whole_.fields) {
    auto& slot = out[declared.name];
    slot = value_of(entity, declared.name);
    if (choose_ && declared.name == chosen_ && slot.is_object())
      echo_old_names(field_for(declared, entity), slot.get_object());
  }
  return out;
}

const Schema* find_schema(std::string_view name) {
  for (const auto* schema : schemas())
    if (schema->name() == name) return schema;
  return nullptr;
}

}  // namespace weir::model
