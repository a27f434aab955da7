// The configuration as it was applied last, in an SQLite file beside the node: so that a node starts and serves while
// its database is away.
//
// Holds what another store holds; losing it costs nothing but that. Written after a change was handed over, in
// transactions that are not synced: kill -9 leaves the last one or the one before. Belongs to the store's thread.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/uuid.h"
#include "model/schema.h"
#include "store/sqlite_db.h"

namespace weir::store {

// Tells entities apart by content: the order of keys, and 1 or 1.0, make no difference.
using Digest = std::array<std::uint8_t, 16>;
Digest digest_of(const model::Schema&, const model::Object& entity);

class Mirror {
 public:
  // Opens or makes the file. One that is damaged is thrown away; nothing when none can be made there. Both are logged.
  static std::unique_ptr<Mirror> open(const std::string& path);

  // Every entity it holds, parents before children. False: it is damaged, and was thrown away; nothing was told.
  bool load(const std::function<void(const model::Schema&, model::Object)>& each);
  // The contents it holds, by schema and id.
  using Digests = std::unordered_map<const model::Schema*, std::unordered_map<Uuid, Digest>>;
  Digests digests();

  // Notes what it shall hold; now: null, nothing any more. Written by flush().
  void note(const model::Schema&, const Uuid&, const model::Object* now);
  bool pending() const { return !notes_.empty(); }
  // Writes some of what was noted, so that it takes some ms only; when nothing is left, all of it is
  // there at once. False: it could not; what was noted is kept for another try.
  bool flush();

 private:
  struct Key {
    const model::Schema* schema;
    Uuid id;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<Uuid>{}(key.id) ^ std::hash<const void*>{}(key.schema);
    }
  };
  struct Note {
    Digest digest{};
    std::string text;  // empty: gone
  };

  Mirror(std::string path, Database db) : path_(std::move(path)), db_(std::move(db)) {}
  bool make_tables();
  bool reopen();  // a new, empty file
  Sql<> write(const Key&, const Note&);
  Sql<> write_some();

  std::string path_;
  Database db_;
  bool warned_ = false;  // that it cannot be written
  std::unordered_map<Key, Note, Hash> notes_;
  std::unordered_map<Key, Note, Hash> written_;  // in the open transaction
};

}  // namespace weir::store
