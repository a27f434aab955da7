// Weir as a whole: makes the parts, connects them, starts and stops them.
//
// The thread that calls run() is the control thread: it owns the store, the compiler, the Admin API and the status
// listener. Workers and the resolver have threads of their own.
#pragma once
#include <memory>

#include "base/result.h"
#include "gateway/options.h"
#include "gateway/settings.h"
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

// The store that the options name; with database=off one in memory that holds the declarative file.
Result<std::unique_ptr<store::Store>> open_store(const Options&);
// Reads and checks a declarative file; faults one a line.
Result<store::Declarative> read_declarative(const std::string& path);

}  // namespace weir::gateway
