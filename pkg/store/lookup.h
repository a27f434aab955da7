// Rows that are not in the snapshot because there may be millions (consumers, credentials): found one by one, through a
// cache per worker (cache.h).
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/schema.h"

namespace weir::store {

// A complete entity, shared by those who use it. TTL entities that have run out are never in one.
using Row = std::shared_ptr<const model::Object>;

// All rows of `schema` whose `field` is `value`. field: "id", a unique text field, or a foreign field (value: the id).
struct LookupKey {
  const model::Schema* schema = nullptr;
  std::string_view field, value;

  // Its cache key (cache_keys.h): "keyauth_credentials:<key>:::::", "consumers:<id or username>:::::",
  // "acls:<consumer id>:::::". The same text invalidates it.
  std::string text() const;
};

struct Found {
  bool failed = false;    // the database could not be asked; `rows` says nothing
  std::vector<Row> rows;  // empty: there is none (negative)
};

// Asks the store. Any thread; several lookups are answered by one query where that is possible. done: on some other
// thread, once, within the store's timeout.
class Lookup {
 public:
  virtual ~Lookup() = default;
  virtual void find(const LookupKey&, std::function<void(Found, double expires_at)> done) = 0;  // Unix s; 0: never
};

// Asks `first`, and `then` where that has nothing: two sources of one node.
std::unique_ptr<Lookup> layered_lookup(std::unique_ptr<Lookup> first, std::unique_ptr<Lookup> then);

}  // namespace weir::store
