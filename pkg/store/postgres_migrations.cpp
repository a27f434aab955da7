#include <algorithm>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "store/postgres_connection.h"
#include "store/postgres_schema.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

// While this advisory lock is held nobody else makes the table `locks`. Any number that others do not use.
constexpr auto advisory_lock = "5725810482013";
constexpr auto lock_key = "migrations";  // Kong's name in `locks`
constexpr auto migration_timeout = std::chrono::minutes(30);

constexpr auto not_bootstrapped =
    "Database needs bootstrapping or is older than Kong 1.0.\n\nTo start a new installation from scratch, run 'weir "
    "migrations bootstrap'.";

std::string words(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

struct Executed {
  std::vector<std::string> executed, pending;
};
using Meta = std::map<std::string, Executed, std::less<>>;

// Nothing: there is no table schema_meta, or it is empty.
Pg<std::optional<Meta>> read_meta(PostgresConnection& connection) {
  auto there = connection.query("SELECT to_regclass('schema_meta')");
  if (!there) return std::unexpected(std::move(there.error()));
  if (there->null(0, 0)) return std::nullopt;
  auto rows = connection.query(
      "SELECT subsystem, name, pending FROM (SELECT subsystem, unnest(executed) AS name, false AS pending FROM "
      "schema_meta WHERE key = 'schema_meta' UNION ALL SELECT subsystem, unnest(pending), true FROM schema_meta WHERE "
      "key = 'schema_meta') AS all_of_them");
  if (!rows) return std::unexpected(std::move(rows.error()));
  if (rows->rows() == 0) return std::nullopt;
  Meta out;
  for (int row = 0; row < rows->rows(); row++) {
    auto& held = out[std::string(rows->text(row, 0))];
    (rows->text(row, 2) == "t" ? held.pending : held.executed).emplace_back(rows->text(row, 1));
  }
  return out;
}

bool has(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

MigrationState judged(const std::optional<Meta>& meta) {
  MigrationState out;
  if (!meta) return out;
  const auto core = meta->find("core");
  out.bootstrapped = core != meta->end() && has(core->second.executed, "000_base");
  const auto listed = [](std::string_view subsystem, std::string_view name) {
    return fmt::format("{}: {}", subsystem, name);
  };
  for (const auto& [subsystem, held] : *meta) {
    for (const auto& name : held.executed) out.executed.push_back(listed(subsystem, name));
    for (const auto& name : held.pending) out.pending.push_back(listed(subsystem, name));
  }
  for (const auto& subsystem : postgres_subsystems()) {
    const auto held = meta->find(subsystem.name);
    const auto done = [&](std::string_view name) {
      return held != meta->end() && (has(held->second.executed, name) || has(held->second.pending, name));
    };
    if (subsystem.needed)
      for (const auto& name : subsystem.executed)
        if (!done(name)) out.missing.push_back(listed(subsystem.name, name));
    if (subsystem.name == "core" && held != meta->end())
      for (const auto& name : held->second.executed)
        if (!has(subsystem.executed, name) && !has(postgres_known_newer(), name))
          out.newer.push_back(listed("core", name));
  }
  return out;
}

std::unexpected<Error> failed(const PostgresError& error) {
  return std::unexpected(Error{error.away ? error.message : "the database refused a statement: " + error.message});
}

// The lock row of one run, given back at the end.
class MigrationLock {
 public:
  explicit MigrationLock(PostgresConnection& connection) : connection_(connection), owner_(Uuid::random().text()) {}
  ~MigrationLock() {
    if (held_)
      (void)connection_.query("DELETE FROM locks WHERE key = $1 AND owner = $2", {std::string(lock_key), owner_});
  }
  MigrationLock(const MigrationLock&) = delete;
  MigrationLock& operator=(const MigrationLock&) = delete;

  Result<> take(std::chrono::seconds timeout, const Tell& tell) {
    if (auto made = connection_.script(fmt::format("BEGIN; SELECT pg_advisory_xact_lock({}); "
                                                   "CREATE TABLE IF NOT EXISTS locks (key text PRIMARY KEY, owner "
                                                   "text, ttl timestamptz); COMMIT",
                                                   advisory_lock));
        !made) {
      (void)connection_.script("ROLLBACK");
      return failed(made.error());
    }
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    // The database's clock decides whether a lock is still held: clocks of nodes differ.
    const auto seconds = std::to_string(std::max<long long>(timeout.count(), 1));
    for (bool told = false;;) {
      auto taken = connection_.query(
          "WITH free AS (DELETE FROM locks WHERE key = $1 AND ttl < CURRENT_TIMESTAMP) INSERT INTO locks (key, owner, "
          "ttl) VALUES ($1, $2, CURRENT_TIMESTAMP + $3::int * interval '1 second') ON CONFLICT (key) DO NOTHING",
          {std::string(lock_key), owner_, seconds});
      if (!taken) return failed(taken.error());
      if (taken->changed() > 0) {
        held_ = true;
        return {};
      }
      if (std::chrono::steady_clock::now() >= deadline)
        return fail("another node is still migrating the database after {} s; try again when it has ended",
                    timeout.count());
      if (!std::exchange(told, true)) tell("another node is migrating the database, waiting...");
      std::this_thread::sleep_for(100ms);
    }
  }
  // Inside the transaction that migrates: nobody takes an expired lock over while it runs.
  std::string keep() const {
    return fmt::format(
        "DO $$ BEGIN PERFORM 1 FROM locks WHERE key = '{0}' AND owner = '{1}' FOR UPDATE; IF NOT FOUND THEN RAISE "
        "EXCEPTION 'the migration lock ran out and was taken by another node'; END IF; END $$; ",
        lock_key, owner_);
  }

 private:
  PostgresConnection& connection_;
  std::string owner_;
  bool held_ = false;
};

// A connection whose statements may take long.
Pg<std::unique_ptr<PostgresConnection>> opened(const PostgresServer& server) {
  auto out = std::make_unique<PostgresConnection>(server);
  if (auto there = out->connect(); !there) return std::unexpected(std::move(there.error()));
  out->allow(migration_timeout);
  if (auto set = out->script("SET statement_timeout = 0; SET client_min_messages = warning"); !set)
    return std::unexpected(std::move(set.error()));
  return out;
}

Result<> make_schema(PostgresConnection& connection) {
  const auto& schema = connection.server().schema;
  if (schema.empty()) return {};
  auto there = connection.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", {schema});
  if (!there) return failed(there.error());
  if (there->rows() > 0) return {};
  if (auto made = connection.script("CREATE SCHEMA IF NOT EXISTS " + quoted_identifier(schema)); !made)
    return failed(made.error());
  return {};
}

std::string note(const PostgresSubsystem& subsystem) {
  std::string names;
  for (const auto& name : subsystem.executed)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", quoted_literal(name));
  // Names that others have noted stay; order: ours, as Kong has them.
  return fmt::format(
      "INSERT INTO schema_meta (key, subsystem, last_executed, executed, pending) VALUES ('schema_meta', {0}, {1}, "
      "ARRAY[{2}], '{{}}') ON CONFLICT (key, subsystem) DO UPDATE SET last_executed = EXCLUDED.last_executed, executed "
      "= (SELECT array_agg(name ORDER BY name) FROM (SELECT unnest(schema_meta.executed) AS name UNION SELECT "
      "unnest(EXCLUDED.executed)) AS names);\n",
      quoted_literal(subsystem.name), quoted_literal(subsystem.executed.back()), names);
}

std::size_t tell_done(const PostgresSubsystem& subsystem, const std::vector<std::string>& missing,
                      const std::string& database, const Tell& tell) {
  std::vector<std::string_view> done;
  for (const auto& name : subsystem.executed)
    if (has(missing, fmt::format("{}: {}", subsystem.name, name))) done.push_back(name);
  if (done.empty()) return 0;
  tell(fmt::format("migrating {} on database '{}'...", subsystem.name, database));
  for (const auto& name : done) tell(fmt::format("{} migrated up to: {} (executed)", subsystem.name, name));
  return done.size();
}

Result<> migrate(PostgresConnection& connection, const MigrationLock& lock, const MigrationState& before,
                 bool everything, const Tell& tell) {
  auto missing = before.missing;
  std::string sql = "BEGIN; " + lock.keep() + postgres_schema_sql();
  if (!everything) sql += postgres_upgrade_sql();
  for (const auto& subsystem : postgres_subsystems()) {
    if (!everything && !subsystem.needed) continue;  // those were not brought up to date: not noted as if they were
    if (everything)
      for (const auto& name : subsystem.executed) missing.push_back(fmt::format("{}: {}", subsystem.name, name));
    sql += note(subsystem);
  }
  sql += "COMMIT";
  if (auto done = connection.script(sql); !done) {
    (void)connection.script("ROLLBACK");
    return failed(done.error());
  }
  std::size_t count = 0;
  for (const auto& subsystem : postgres_subsystems())
    count += tell_done(subsystem, missing, connection.server().database, tell);
  tell(fmt::format("{} migrations processed", count));
  tell(fmt::format("{} executed", count));
  tell("Database is up-to-date");
  return {};
}

std::unexpected<Error> too_new(const MigrationState& state) {
  return fail("the database was migrated by a newer Kong ({}); this version knows Kong 3.9: nothing was changed",
              words(state.newer));
}

}  // namespace

Result<MigrationState> migration_state(const PostgresServer& server) {
  PostgresConnection connection(server);
  auto meta = read_meta(connection);
  if (!meta) {
    if (!meta.error().away) return failed(meta.error());
    MigrationState away;
    away.reachable = false;
    return away;
  }
  return judged(*meta);
}

Result<> migrations_bootstrap(const PostgresServer& server, std::chrono::seconds lock_timeout, const Tell& tell) {
  auto connection = opened(server);
  if (!connection) return failed(connection.error());
  auto& open = **connection;
  const auto bootstrapped = [&]() -> Result<bool> {
    auto meta = read_meta(open);
    if (!meta) return failed(meta.error());
    return judged(*meta).bootstrapped;
  };
  auto done = bootstrapped();
  if (!done) return std::unexpected(std::move(done.error()));
  if (!*done) {
    if (auto made = make_schema(open); !made) return made;
    MigrationLock lock(open);
    if (auto taken = lock.take(lock_timeout, tell); !taken) return taken;
    done = bootstrapped();  // another node may have done it meanwhile
    if (!done) return std::unexpected(std::move(done.error()));
    if (!*done) {
      tell("bootstrapping database...");
      return migrate(open, lock, {}, true, tell);
    }
  }
  tell("Database is already bootstrapped");
  return {};
}

Result<> migrations_up(const PostgresServer& server, std::chrono::seconds lock_timeout, const Tell& tell) {
  auto connection = opened(server);
  if (!connection) return failed(connection.error());
  auto& open = **connection;
  // Nothing: there is something to do.
  const auto settled = [&](MigrationState& state) -> std::optional<Result<>> {
    auto meta = read_meta(open);
    if (!meta) return Result<>(failed(meta.error()));
    state = judged(*meta);
    if (!state.bootstrapped) return Result<>(fail("{}", not_bootstrapped));
    if (!state.newer.empty()) return Result<>(too_new(state));
    if (state.missing.empty()) {
      tell("Database is already up-to-date");
      return Result<>{};
    }
    const auto oldest = fmt::format("core: {}", postgres_oldest_core);
    if (!has(state.executed, oldest))
      return Result<>(
          fail("the database was made by a Kong older than 3.4 (it has not seen '{}'); run 'kong migrations "
               "up' and 'kong migrations finish' of Kong 3.9 on it first",
               oldest));
    return std::nullopt;
  };
  MigrationState state;
  if (auto end = settled(state)) return *end;
  MigrationLock lock(open);
  if (auto taken = lock.take(lock_timeout, tell); !taken) return taken;
  if (auto end = settled(state)) return *end;
  return migrate(open, lock, state, false, tell);
}

Result<> migrations_finish(const PostgresServer& server, std::chrono::seconds, const Tell& tell) {
  auto connection = opened(server);
  if (!connection) return failed(connection.error());
  auto meta = read_meta(**connection);
  if (!meta) return failed(meta.error());
  const auto state = judged(*meta);
  if (!state.bootstrapped) return fail("{}", not_bootstrapped);
  if (!state.missing.empty()) return fail("New migrations available; run 'weir migrations up' first");
  // What Weir runs is finished at once; only Kong's have a second half, which only Kong knows.
  if (!state.pending.empty())
    return fail("{}: begun by Kong; run 'kong migrations finish' with the version that began it", words(state.pending));
  tell("No pending migrations to finish");
  return {};
}

Result<> migrations_reset(const PostgresServer& server, const Tell& tell) {
  auto connection = opened(server);
  if (!connection) return failed(connection.error());
  auto& open = **connection;
  auto meta = read_meta(open);
  if (!meta) return failed(meta.error());
  if (!*meta) {
    tell("Database not bootstrapped, nothing to reset");
    return {};
  }
  tell("resetting database...");
  // Everything in this schema: tables that a Kong plugin added belong to it, too. Extensions stay.
  auto done = open.script(
      "DO $$ DECLARE one record; BEGIN "
      "FOR one IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace "
      "AND c.relkind IN ('r', 'p') LOOP EXECUTE 'DROP TABLE IF EXISTS ' || one.name || ' CASCADE'; END LOOP; "
      "DROP FUNCTION IF EXISTS sync_tags() CASCADE; DROP FUNCTION IF EXISTS batch_delete_expired_rows() CASCADE; "
      "END $$");
  if (!done) return failed(done.error());
  tell("Database successfully reset");
  return {};
}

}  // namespace weir::store
