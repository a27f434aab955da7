// The declaration of an entity, and all that follows from it.
//
// An entity is declared once, in model/<entity>.cpp, by naming each field, its type, default, limits and help text.
// JSON in and out, form decoding, validation (all faults at once, Kong's wording), SQL columns, Admin API endpoints,
// /schemas/... and the OpenAPI document read it. Immutable after start-up, shared by all threads. No I/O.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/uuid.h"
#include "model/problem.h"

namespace weir::model {

enum class Type : std::uint8_t { string, integer, number, boolean, array, set, map, record, foreign };
std::string_view name(Type);  // Kong's word: "string", "integer", ...

// What Weir fills in by itself. secret: 32 random letters and digits, when none is given.
enum class Auto : std::uint8_t { none, uuid, created_at, updated_at, secret };

// Rule over several fields of a complete entity or record. Adds to `fields` (by name) or to `messages` ("@entity").
using EntityCheck = std::function<void(const Object& entity, Object& fields, std::vector<std::string>& messages)>;

struct Field {
  std::string name;
  std::string help;
  Type type = Type::string;
  Auto automatic = Auto::none;
  bool required = false;
  bool unique = false;
  bool uuid = false;                         // string in UUID form
  bool milliseconds = false;                 // timestamps: float seconds with ms (targets) instead of integer seconds
  bool cascade = false;                      // foreign: deleted with its parent
  boost::json::value initial;                // default; null when there is none
  std::string reference;                     // foreign: schema name of the parent
  std::vector<Field> elements;               // array, set: exactly one
  std::vector<Field> values;                 // map: exactly one (keys are strings); map keys' own checks are in `keys`
  std::vector<Field> keys;                   // map: exactly one
  std::vector<Field> fields;                 // record: its fields
  std::vector<std::string> at_least_one_of;  // record: names of fields of which one must be set
  Object shown;                              // further attributes for /schemas, as Kong shows them

  // Limits, shown by /schemas and OpenAPI.
  std::optional<std::pair<double, double>> between;
  std::optional<double> greater_than;
  std::vector<std::string> one_of;
  std::vector<std::string> not_one_of;
  std::optional<std::size_t> len_min;  // strings: 1 unless said otherwise
  std::optional<std::size_t> len_max;

  // Further rules. Each says what is wrong, in Kong's words, or nothing.
  std::vector<std::function<std::optional<std::string>(const boost::json::value&)>> checks;
  // Rewrites an accepted value into its stored form (targets: "h" -> "h:8000"); null when there is none.
  std::function<boost::json::value(const boost::json::value&)> normalise;
  // Says why this (valid) value cannot be honoured by this version, or nothing: never accepted and ignored.
  std::function<std::optional<std::string>(const boost::json::value&)> unsupported;

  // Records: rules over their fields, and what /schemas shows of them.
  std::vector<EntityCheck> entity_checks;
  std::vector<Object> described_checks;
  // Entities and configurations of plugins: rewrites a client's input before anything else (services: url -> protocol,
  // host, port, path); faults go to `faults` by name. And the write-only fields that exist only for it.
  std::function<void(Object& input, Object& faults)> shorthand;
  std::vector<Field> shorthand_fields;
  // Such a field that is an old name of another one: where its value stands now ("redis", "host"). Taken as input,
  // shown with the other's value, never stored.
  std::vector<std::string> replaced_by;
};

// The field of rows that may end by themselves.
inline constexpr std::string_view ttl_field = "ttl";

class Schema {
 public:
  std::string_view name() const { return name_; }                  // "services": also table and collection path
  std::string_view endpoint_key() const { return endpoint_key_; }  // "name", "target"; empty when only the id finds it
  bool has_tags() const;
  std::span<const Field> fields() const { return whole_.fields; }
  const Field* field(std::string_view name) const;
  // Fields that make a row unique together, where a cache_key column keeps that (targets: upstream, target).
  std::span<const std::string> cache_key() const { return cache_key_; }
  // Whether all of it is in the snapshot; else rows are looked up one by one (consumers, credentials).
  bool core() const { return core_; }
  // Whether rows belong to a workspace (Kong's table has a column ws_id).
  bool workspaced() const { return workspaced_; }
  // Where the Admin API shows it: "key-auths" and, below a parent, "key-auth"; the name when they are the same.
  std::string_view collection() const { return collection_.empty() ? name() : std::string_view(collection_); }
  std::string_view nested_collection() const { return nested_.empty() ? collection() : std::string_view(nested_); }
  // Rows that may end by themselves: `ttl` is seconds to live in an input, what is left of them when shown.
  bool has_ttl() const;
  // Whether some values are stored in another form than they are given (passwords).
  bool transforms() const { return static_cast<bool>(transform_); }
  // `field` as it is for this entity: the `config` of a plugin has the fields of the plugin that it names.
  const Field& field_for(const Field& field, const Object& entity) const;
  // All of it as one field, a record: how a plugin's configuration stands inside the entity `plugins`.
  const Field& as_record() const { return whole_; }

  // A new entity from a client's input: expands shorthands (services: url), fills auto fields and defaults (a field
  // given as null takes no default), checks everything, normalises. now: Unix seconds with fraction. transform: false
  // when values have their stored form already (a declarative file with "_transform: false").
  Outcome<Object> insert(Object input, double now, bool transform = true) const;
  // Full replacement by PUT: as insert, but with the given id.
  Outcome<Object> upsert(Object input, const Uuid& id, double now) const;
  // PATCH: `current` with `patch` merged in (records deeply, everything else whole, null clears), then checked.
  Outcome<Object> update(const Object& current, Object patch, double now) const;
  // Checks without filling in ids or times: POST /schemas/{entity}/validate.
  Outcome<void> validate(Object input) const;
  // The same for a complete entity that comes from a store: a row that does not satisfy its schema.
  Outcome<void> check(const Object& entity) const;
  // Before check(): a row that was written by another version. Unknown parts of records are dropped, missing ones and
  // nulls of required fields get their defaults.
  void adapt(Object& row) const;
  // The configuration of a plugin from a client's input: complete, nulls included.
  Outcome<Object> complete_config(Object input) const { return insert(std::move(input), 0); }

  Object describe() const;                   // GET /schemas/{entity}
  Object shown(const Object& entity) const;  // what the Admin API answers: all fields in order, old names echoed
  Object json_schema() const;                // for OpenAPI components: what is shown (readOnly marks auto fields)

 private:
  template <class T>
  friend class SchemaBuilder;

  // What an input is made complete for; decides about ids and times.
  enum class Occasion : std::uint8_t { insert, upsert, validate };
  Object complete(Object input, Occasion, double now) const;
  // Shorthands of the input, and of the configuration in it.
  void rewrite(Object& input, const Object& named_by, Object& faults) const;
  // Faults of a complete entity by field, empty when there are none. stored: its id must be there.
  Object faults(const Object& entity, bool stored) const;
  // Faults of the input's own shape (shorthands, ids) come before those of the entity made from it.
  Outcome<Object> finish(Object entity, Object early, bool transform) const;

  std::string name_, endpoint_key_;
  Field whole_;  // a record: the declared fields, the rules over them, the shorthands
  std::vector<std::string> cache_key_;
  bool core_ = true, workspaced_ = true;
  std::string collection_, nested_;
  // A field whose parts depend on the text of another one: plugins: "config" on "name".
  std::string chosen_, chosen_by_;
  const Field* (*choose_)(std::string_view) = nullptr;
  // Brings values to their stored form; by an update only when one of the fields is given.
  std::function<void(Object& entity)> transform_;
  std::vector<std::string> transformed_;
};

// All entities, parents before children. Listed by hand in model/all.cpp.
std::span<const Schema* const> schemas();
const Schema* find_schema(std::string_view name);

}  // namespace weir::model
