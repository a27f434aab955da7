// Entities by what a client calls them by: an id, or the value of the endpoint key.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "admin/endpoint.h"
#include "base/uuid.h"
#include "model/schema.h"

namespace weir::admin {

// An entity as clients see it: every declared field, null when unset.
Object shown(const model::Schema&, const Object& entity);

Uuid id_of(const Object& entity);
// The id in a foreign field; nothing when it is null.
std::optional<Uuid> foreign_id(const Object& entity, std::string_view field);
Object foreign_key(const Uuid& id);  // {"id": "..."}

// The entity below which others are: its id, in this foreign field of theirs.
struct Parent {
  std::string field;
  Uuid id;
};

// A path segment as a key: an id when it has the form of a UUID, else a value of this field in its stored form.
struct Key {
  std::optional<Uuid> id;
  std::string field, value;
};
// field: the endpoint key; below a parent it may be one that is unique there only (targets: target, acls: group). Code
// 10 when it could not have this value ("no ip addresses allowed"), code 1 when there is no such field.
model::Outcome<Key> read_key(const model::Schema&, const std::string& segment, const Parent* parent = nullptr);

// parent: only an entity that belongs to it. Null: any.
model::Outcome<std::optional<Object>> find(const Context&, const model::Schema&, const Key&, const Parent* parent);
model::Outcome<std::optional<Object>> find(const Context&, const model::Schema&, const std::string& segment);

// What code 6 says of a key that finds nothing.
model::Problem missing(const Key&);

// Turns foreign keys given by name ({"service":{"name":"x"}}) into ids. Code 13 when there is no such entity.
model::Outcome<> resolve_foreign_keys(const Context&, const model::Schema&, Object& input);

}  // namespace weir::admin
