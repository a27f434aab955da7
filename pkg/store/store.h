// Where entities are kept, and how changes of them are told.
//
// A Source yields entities and says when something changed; SQLite and the declarative file are here, PostgreSQL and
// Kubernetes follow the same interface. A Store is a source that the Admin API can write. All of it belongs to the
// control thread; nothing here is called by a worker.
#pragma once
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "model/gateway.h"
#include "model/schema.h"

namespace weir::store {

using model::Object;
using model::Outcome;
using model::Schema;

// One entity that was made, changed or deleted, with what the source holds now. Level-triggered: applying one twice, or
// only the last of several, gives the same configuration.
struct Change {
  const Schema* schema = nullptr;
  Uuid id;
  std::optional<Object> now;  // nothing: deleted
  // Cache keys (cache_keys.h) of what it made stale, old and new: "keyauth_credentials:<key>:::::".
  std::vector<std::string> keys = {};
  // The object that declares it, when that is not the row itself (Kubernetes).
  model::DeclaredByPtr by = {};
};
using Changes = std::vector<Change>;

// A row that does not satisfy its schema: left out, named in /status and the log; the rest goes on.
struct Fault {
  std::string schema;
  std::string id;
  std::string message;
};

class Source {
 public:
  virtual ~Source() = default;
  // "sqlite", "file", "postgres", "kube": part of every entity's origin.
  virtual std::string_view name() const = 0;
  // Calls `each` for every entity of a schema that is core(), parents before children; faulty ones go to `faulty`
  // instead. The others may be millions: they are read by find_all() and page().
  virtual Result<void> load(const std::function<void(const Schema&, Object)>& each,
                            const std::function<void(Fault)>& faulty) = 0;
};

// A page of a list. Rows are in id order; targets of one upstream newest first.
struct PageQuery {
  std::size_t size = 100;  // 1..1000
  std::string offset;      // as given by the page before; empty for the first
  std::vector<std::string> tags;
  bool any_tag = false;      // true: OR, false: AND
  std::string parent_field;  // "service": only rows whose foreign key is `parent`
  Uuid parent;
};
struct Page {
  std::vector<Object> rows;
  std::optional<std::string> next_offset;  // nothing on the last page
};
struct Tagged {
  std::string tag, entity_name, entity_id;
};
struct TagPage {
  std::vector<Tagged> rows;
  std::optional<std::string> next_offset;
};

// What a write did: the entity as it is now, and all that changed with it (children that were deleted by cascade too).
struct Written {
  Object entity;
  Changes changes;
};

// Reads and writes. A write is one transaction; when it returns a value, it survives kill -9 and power loss.
// Entities given to insert/update are complete: they come from Schema::insert, upsert or update.
class Store : public Source {
 public:
  virtual Outcome<std::optional<Object>> find(const Schema&, const Uuid& id) = 0;
  // By a unique text field ("name"). Targets: by their upstream and "target"; see parent.
  virtual Outcome<std::optional<Object>> find_by(const Schema&, std::string_view field, std::string_view value,
                                                 const Uuid* parent = nullptr) = 0;
  // All rows whose `field` is `value`, in id order; what a LookupKey asks for. field: "id", a unique text field, or a
  // foreign field (value: the id of the parent). Rows that have run out (TTL) are left out.
  virtual Outcome<std::vector<Object>> find_all(const Schema&, std::string_view field, std::string_view value) = 0;
  virtual Outcome<Page> page(const Schema&, const PageQuery&) = 0;
  virtual Outcome<TagPage> tags(const std::optional<std::string>& tag, std::size_t size, std::string_view offset) = 0;

  virtual Outcome<Written> insert(const Schema&, const Object& entity) = 0;  // codes 3, 4, 5
  virtual Outcome<Written> update(const Schema&, const Object& entity) = 0;  // by its id; codes 4, 5, 6
  virtual Outcome<Written> upsert(const Schema&, const Object& entity) = 0;  // by its id; codes 4, 5
  // Deletes by id; a missing one is no problem (no changes). Code 4 when it is still referenced without cascade.
  virtual Outcome<Changes> remove(const Schema&, const Uuid& id) = 0;
  // Several inserts in one transaction, all or nothing: /apis makes a service and a route, config import many.
  virtual Outcome<Changes> insert_all(const std::vector<std::pair<const Schema*, Object>>& entities) = 0;
  // The same, replacing rows of the same id; rows that would not change give no Change (`weir config import`).
  virtual Outcome<Changes> upsert_all(const std::vector<std::pair<const Schema*, Object>>& entities) = 0;
  // Makes the store hold exactly these entities and says what differed; used by the declarative file.
  virtual Outcome<Changes> replace_all(const std::vector<std::pair<const Schema*, Object>>& entities) = 0;

  virtual bool reachable() = 0;  // GET /status: database.reachable
};

// Opens or makes the database file, brings its tables up to date. path ":memory:" keeps nothing (database=off).
// Errors name the file and the remedy: corrupt, read-only, newer than this version, not writable folder.
// references: whether rows must have their parents; a mirror of core entities holds plugins of consumers that it has
// not.
enum class References : bool { unchecked, kept };
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, std::string_view source_name = "sqlite",
                                           References references = References::kept);

// A declarative file in Kong's format (_format_version "1.1", "2.1" or "3.0"), YAML or JSON by content.
struct Declarative {
  std::vector<std::pair<const Schema*, Object>> entities;  // complete, parents before children, ids stable by UUIDv5
};
// Errors: model::Problem code 14 with `fields` that mirror the input.
Outcome<Declarative> parse_declarative(std::string_view text, double now);
// The whole store as a declarative document, for `weir config export`.
Outcome<std::string> print_declarative(Store&);

}  // namespace weir::store
