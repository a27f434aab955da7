// Weir as a whole: makes the parts, connects them, starts and stops them.
//
// The thread that calls run() is the control thread: it owns the compiler, the Admin API and the status listener. The
// store, workers and the resolver have threads of their own.
#pragma once
#include <memory>

#include "base/result.h"
#include "gateway/options.h"
#include "gateway/settings.h"
#include "store/postgres.h"
#include "store/store.h"

namespace weir::gateway {

class Gateway {
 public:
  // Everything up to listening. Errors are one sentence for the person who must act.
  static Result<std::unique_ptr<Gateway>> start(const Settings&, const Options&);
  virtual ~Gateway() = default;

  // Where it listens, with three requests to try, for a person at a terminal.
  virtual std::string greeting() const = 0;
  // Serves until SIGTERM, SIGINT or SIGQUIT; then drains. SIGHUP reads files again. Returns the exit code.
  virtual int run() = 0;
};

// An open store; PostgreSQL's has a feed beside.
class OpenStore {
 public:
  explicit OpenStore(std::unique_ptr<store::Store> store) : store_(std::move(store)) {}
  explicit OpenStore(std::unique_ptr<store::Postgres> postgres) : postgres_(std::move(postgres)) {}
  store::Store& operator*() const { return postgres_ ? postgres_->store() : *store_; }
  store::Store* operator->() const { return &**this; }
  store::Postgres* postgres() const { return postgres_.get(); }  // null for other stores

 private:
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Postgres> postgres_;
};

// The store that the options name; with database=off one in memory that holds the declarative file.
Result<OpenStore> open_store(const Options&);
// Reads and checks a declarative file; faults one a line.
Result<store::Declarative> read_declarative(const std::string& path);

}  // namespace weir::gateway
