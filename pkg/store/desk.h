// The thread that owns a node's store: runs what the control thread and others hand it, in order, and follows the
// database in between. So no slow disk or database ever holds up the control thread, and what changes reach it in the
// order in which they happened.
#pragma once
#include <functional>
#include <memory>

#include "store/lookup.h"
#include "store/postgres.h"
#include "store/store.h"

namespace weir::store {

class Desk {
 public:
  using Work = std::move_only_function<void()>;
  // followed: called on the desk's thread. postgres: null for other stores.
  static std::unique_ptr<Desk> start(Postgres* postgres, std::function<void(Followed)> followed);
  virtual ~Desk() = default;  // runs what was posted, then ends the thread

  virtual void post(Work) = 0;  // any thread
};

// For stores without a server: lookups run on the desk.
std::unique_ptr<Lookup> desk_lookup(Desk&, Store&);

}  // namespace weir::store
