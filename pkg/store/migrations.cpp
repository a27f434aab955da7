#include "store/migrations.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/uuid.h"
#include "store/table.h"

namespace weir::store {
namespace {

namespace json = boost::json;

struct Migration {
  std::string_view name;
  Sql<> (*run)(Database&);
};

// Kong's tables beside the entities. Times are Unix seconds.
constexpr const char* common_tables[] = {
    "CREATE TABLE IF NOT EXISTS workspaces (id TEXT NOT NULL PRIMARY KEY, name TEXT UNIQUE, comment TEXT, created_at "
    "INTEGER, "
    "meta TEXT, config TEXT, updated_at INTEGER)",
    "CREATE TABLE IF NOT EXISTS tags (entity_id TEXT NOT NULL PRIMARY KEY, entity_name TEXT, tags TEXT)",
    "CREATE TABLE IF NOT EXISTS parameters (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, created_at INTEGER)",
    "CREATE TABLE IF NOT EXISTS cluster_events (id TEXT NOT NULL PRIMARY KEY, node_id TEXT NOT NULL, at REAL NOT NULL, "
    "nbf REAL, "
    "expire_at REAL NOT NULL, channel TEXT, data TEXT)",
    "CREATE INDEX IF NOT EXISTS cluster_events_at_idx ON cluster_events (at)",
    "CREATE INDEX IF NOT EXISTS cluster_events_expire_at_idx ON cluster_events (expire_at)",
};

Sql<std::set<std::string>> columns_in(Database& db, const std::string& table) {
  auto query = db.prepare("SELECT name FROM pragma_table_info(?1)");
  if (!query) return std::unexpected(std::move(query.error()));
  query->bind(1, table);
  std::set<std::string> out;
  for (;;) {
    auto row = query->step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    out.emplace(query->text(0));
  }
}

// Makes what the declarations ask for and the file lacks. A release that declares a new field or entity lists this
// function once more under a new name.
Sql<> complete_tables(Database& db) {
  for (const auto& table : tables()) {
    const auto held = columns_in(db, table.name());
    if (!held) return std::unexpected(held.error());
    for (const auto& column : table.columns()) {
      if (held->empty() || held->contains(column.name)) continue;
      if (auto added = db.execute(table.add_column(column)); !added) return added;
    }
    for (const auto& statement : table.create())
      if (auto made = db.execute(statement); !made) return made;
  }
  return {};
}

Sql<> make_base(Database& db) {
  for (const char* statement : common_tables)
    if (auto made = db.execute(statement); !made) return made;
  auto workspace = db.prepare(
      "INSERT OR IGNORE INTO workspaces (id, name, created_at, updated_at) VALUES (?1, 'default', unixepoch(), "
      "unixepoch())");
  if (!workspace) return std::unexpected(workspace.error());
  workspace->bind_copy(1, Uuid::random().text());
  if (auto done = workspace->run(); !done) return done;
  auto cluster =
      db.prepare("INSERT OR IGNORE INTO parameters (key, value, created_at) VALUES ('cluster_id', ?1, unixepoch())");
  if (!cluster) return std::unexpected(cluster.error());
  cluster->bind_copy(1, Uuid::random().text());
  if (auto done = cluster->run(); !done) return done;
  return complete_tables(db);
}

// Never renamed, never reordered; a new one goes to the end.
constexpr Migration migrations[] = {{"000_base", make_base},
                                    {"001_consumers_plugins_credentials", complete_tables},
                                    {"002_certificates", complete_tables}};

// The steps that the file has seen; nothing when it is a new, empty file.
Result<std::vector<std::string>> executed_in(Database& db) {
  const auto broken = [&](const SqlError& error) { return std::unexpected(Error{db.explain(error)}); };
  auto meta = columns_in(db, "schema_meta");
  if (!meta) return broken(meta.error());
  std::vector<std::string> out;
  if (meta->empty()) {
    auto others = db.prepare("SELECT count(*) FROM sqlite_schema");
    if (!others) return broken(others.error());
    auto row = others->step();
    if (!row) return broken(row.error());
    if (others->integer(0) > 0)
      return fail(
          "the file {} is an SQLite database of another program (it has no table schema_meta); name another path",
          db.path());
    return out;
  }
  auto query = db.prepare("SELECT executed FROM schema_meta WHERE key = 'schema_meta' AND subsystem = 'core'");
  if (!query) return broken(query.error());
  auto row = query->step();
  if (!row) return broken(row.error());
  if (!*row) return out;
  json::error_code failed;
  const auto list = json::parse(query->text(0), failed);
  if (failed || !list.is_array())
    return fail("the database {} is damaged: schema_meta.executed holds no list; restore it from a backup", db.path());
  for (const auto& name : list.get_array())
    if (name.is_string()) out.emplace_back(name.get_string());
  return out;
}

Sql<> note(Database& db, const std::vector<std::string>& executed) {
  json::array list(executed.begin(), executed.end());
  const auto text = json::serialize(list);
  auto write = db.prepare(
      "INSERT INTO schema_meta (key, subsystem, last_executed, executed, pending) VALUES ('schema_meta', 'core', ?1, "
      "?2, '[]') "
      "ON CONFLICT (key, subsystem) DO UPDATE SET last_executed = ?1, executed = ?2");
  if (!write) return std::unexpected(write.error());
  write->bind(1, executed.back()).bind(2, text);
  return write->run();
}

Sql<> run_step(Database& db, const Migration& step, const std::vector<std::string>& executed) {
  auto transaction = Transaction::begin(db);
  if (!transaction) return std::unexpected(transaction.error());
  if (auto made = db.execute(
          "CREATE TABLE IF NOT EXISTS schema_meta (key TEXT NOT NULL, subsystem TEXT NOT NULL, last_executed TEXT, "
          "executed TEXT, pending TEXT, PRIMARY KEY (key, subsystem))");
      !made)
    return made;
  if (auto done = step.run(db); !done) return done;
  if (auto noted = note(db, executed); !noted) return noted;
  return transaction->commit();
}

}  // namespace

std::vector<std::string> migration_names() {
  std::vector<std::string> out;
  for (const auto& step : migrations) out.emplace_back(step.name);
  return out;
}

Result<void> migrate(Database& db) {
  auto executed = executed_in(db);
  if (!executed) return std::unexpected(std::move(executed.error()));
  const auto known = migration_names();
  for (const auto& name : *executed)
    if (std::ranges::find(known, name) == known.end())
      return fail(
          "the database {} was written by a newer version of Weir (it has seen the migration '{}'); run that version, "
          "or "
          "restore a backup from before the upgrade",
          db.path(), name);
  for (const auto& step : migrations) {
    if (std::ranges::find(*executed, step.name) != executed->end()) continue;
    executed->emplace_back(step.name);
    if (auto done = run_step(db, step, *executed); !done)
      return fail("migration {} did not run: {}", step.name, db.explain(done.error()));
  }
  return {};
}

}  // namespace weir::store
