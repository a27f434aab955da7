// Entities in PostgreSQL, in Kong 3.9's schema: a Store, its migrations, and how changes by other nodes are followed.
//
// Everything here belongs to the store's thread (desk.h) but where it says otherwise. Nothing waits longer than the
// timeout; while the server is away writes give Problem::unavailable.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "store/lookup.h"
#include "store/store.h"

namespace weir::store {

// Settings pg_* (or pg_ro_*). host and port may be lists ("a,b"): the one that is a primary is used.
struct PostgresServer {
  std::string host = "127.0.0.1", port = "5432", database = "kong", user = "kong", password, schema;
  std::chrono::milliseconds timeout{5000};  // to connect, and for each statement
  bool ssl = false, ssl_required = false, ssl_verify = false;
  std::string ssl_version, trusted_certificate;  // lua_ssl_trusted_certificate: file, or empty for the system's
};
struct PostgresOptions {
  PostgresServer server;
  std::optional<PostgresServer> read_only;  // lists of the Admin API; null: the same server
  Uuid node_id;
  std::chrono::milliseconds update_frequency{5000};  // db_update_frequency
  std::chrono::milliseconds update_propagation{0};   // db_update_propagation
  bool listen = true;                                // LISTEN/NOTIFY; off for tests and poolers that cannot
  std::string mirror_path;                           // SQLite file with the last configuration; empty: none
};

// --- migrations ---
struct MigrationState {
  bool reachable = true, bootstrapped = false;
  std::vector<std::string> executed, pending, missing;  // "core: 024_380_to_390"
  std::vector<std::string> newer;                       // executed ones that this version does not know
};
Result<MigrationState> migration_state(const PostgresServer&);
// Each holds the lock row of table `locks`; a second node waits up to lock_timeout and then finds it done. What was
// done is told line by line.
using Tell = std::function<void(const std::string&)>;
Result<> migrations_bootstrap(const PostgresServer&, std::chrono::seconds lock_timeout, const Tell&);
Result<> migrations_up(const PostgresServer&, std::chrono::seconds lock_timeout, const Tell&);
Result<> migrations_finish(const PostgresServer&, std::chrono::seconds lock_timeout, const Tell&);
Result<> migrations_reset(const PostgresServer&, const Tell&);

// --- what the gateway runs ---

// Changes that came from the database, for the control thread.
struct Followed {
  Changes changes;
  std::vector<double> committed_at;  // Unix s by the database's clock, one of each event, for the lag
  double database_now = 0;           // when they were read, by the same clock
  bool all_stale = false;            // what is cached may be stale altogether (events were missed while away)
  std::vector<std::string> keys;     // cache keys that no change above names
  std::vector<Fault> faults;         // rows left out now
};

// The store and the feed of one node. Made without connecting.
class Postgres {
 public:
  static std::unique_ptr<Postgres> make(const PostgresOptions&);
  virtual ~Postgres() = default;

  virtual Store& store() = 0;

  // At start: all core entities, from the database or, when it is away, from the mirror. from_mirror says which. The
  // error is about a database that is there but cannot be used (behind: names the command to run).
  struct Loaded {
    bool from_mirror = false, empty = false;
  };
  virtual Result<Loaded> load(const std::function<void(const Schema&, Object)>& each,
                              const std::function<void(Fault)>& faulty) = 0;

  // Follows: call when `fd` is readable, when `due` has come, and after a write of our own. Never waits longer than the
  // timeout. fd: of the LISTEN connection, -1 when there is none.
  virtual Followed follow() = 0;
  virtual int fd() const = 0;
  virtual std::chrono::steady_clock::time_point due() const = 0;

  virtual bool reachable() const = 0;  // any thread
};

// Looks rows up over a connection and a thread of its own.
std::unique_ptr<Lookup> postgres_lookup(const PostgresServer&);

}  // namespace weir::store
