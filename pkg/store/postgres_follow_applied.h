// What this node has applied of the core entities, by content: so that of what the database holds only the differences
// are handed on, however often it is read. Some tens of bytes an entity; no I/O.
#pragma once
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"
#include "model/schema.h"
#include "store/mirror.h"

namespace weir::store {

class Applied {
 public:
  // True when it differs from what was applied.
  bool put(const model::Schema&, const Uuid&, const model::Object&);
  bool remove(const model::Schema&, const Uuid&);  // true when it was there
  bool has(const model::Schema&, const Uuid&) const;
  const Digest* digest(const model::Schema&, const Uuid&) const;
  std::size_t size() const;

  // Rows that may have this cache key (without its workspace), or that belong to a parent; a few more than that, since
  // they are found by hashes.
  std::vector<Uuid> by_key(const model::Schema&, std::string_view cache_key) const;
  std::vector<Uuid> by_parent(const model::Schema&, std::string_view field, const Uuid& parent) const;

  // A round over all rows of a schema: what was neither put nor kept since begin() is no longer in the database.
  void begin(const model::Schema&);
  void keep(const model::Schema&, const Uuid&);  // it is there, but cannot be read
  std::vector<Uuid> missing(const model::Schema&) const;

 private:
  struct Row {
    Digest digest{};
    std::uint32_t round = 0;
    std::vector<std::uint64_t> hashes;  // under which it stands in the index
  };
  struct Rows {
    std::unordered_map<Uuid, Row> rows;
    std::unordered_multimap<std::uint64_t, Uuid> index;
    std::uint32_t round = 0;
  };
  static void unlink(Rows&, const Uuid&, const Row&);
  std::vector<Uuid> find(const model::Schema&, std::uint64_t hash) const;

  std::unordered_map<const model::Schema*, Rows> all_;
};

}  // namespace weir::store
