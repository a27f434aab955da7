#include <algorithm>
#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "model/rules.h"
#include "store/cache_keys.h"
#include "store/postgres_store.h"
#include "store/same.h"
#include "store/table.h"

namespace weir::store {

namespace json = boost::json;
using model::Problem;
using model::Type;

namespace {

constexpr int attempts_max = 5;
constexpr double event_seconds_min = 3600;  // Kong: how long an event stays, at least
constexpr std::size_t events_at_once = 5000;

// `at` is when the event is written, just before the commit: a Kong node looks only a moment back.
constexpr auto events_sql =
    "WITH written AS (INSERT INTO cluster_events (id, node_id, at, nbf, expire_at, channel, data) SELECT "
    "gen_random_uuid(), $1::uuid, t.at, CASE WHEN $2::float8 > 0 THEN t.at + $2::float8 * interval '1 second' END, "
    "t.at + $3::float8 * interval '1 second', e.channel, e.data FROM (SELECT clock_timestamp()::timestamptz(3) AS at) "
    "AS t, unnest($4::text[], $5::text[]) AS e(channel, data)) SELECT {}";
constexpr auto notify = "pg_notify('weir_cluster_events', $1::text)";

// "Key (service_id, ws_id)=(...) is not present": the columns, in whatever language the rest is.
std::vector<std::string> key_columns(std::string_view detail) {
  std::vector<std::string> out;
  const auto open = detail.find('(');
  const auto close = detail.find(")=(");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return out;
  auto list = detail.substr(open + 1, close - open - 1);
  while (!list.empty()) {
    const auto comma = list.find(", ");
    auto name = list.substr(0, comma);
    if (name.size() > 2 && name.front() == '"') name = name.substr(1, name.size() - 2);
    out.emplace_back(name);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 2);
  }
  return out;
}

}  // namespace

template <class Work>
Outcome<Changes> PostgresStore::write(Work work) {
  for (int attempt = 1;; attempt++) {
    again_ = false;
    further_.clear();
    std::vector<RowChange> done;
    Outcome<void> result;
    if (auto begun = primary_.query("BEGIN"); !begun) {
      result = std::unexpected(failed(begun.error()));
    } else if (auto space = workspace(primary_); !space) {
      result = std::unexpected(std::move(space.error()));
    } else {
      result = work(done);
      if (result) result = commit(done);
    }
    if (primary_.in_transaction()) (void)primary_.query("ROLLBACK");
    if (result) {
      Changes changes;
      changes.reserve(done.size());
      for (const auto& one : done) changes.push_back(change_of(one));
      if (hooks_.wrote && !changes.empty()) hooks_.wrote(changes);
      return changes;
    }
    if (!again_ || attempt == attempts_max) return std::unexpected(std::move(result.error()));
  }
}

Outcome<void> PostgresStore::run(const std::string& sql, const std::vector<PostgresValue>& values) {
  if (auto done = primary_.query(sql, values); !done) return std::unexpected(failed(done.error()));
  return {};
}

// The rows and the events that tell of them become visible together, or not at all.
Outcome<void> PostgresStore::commit(const std::vector<RowChange>& done) {
  auto events = cluster_events(done, workspace_);
  std::ranges::move(further_, std::back_inserter(events));
  const double propagation = std::chrono::duration<double>(options_.update_propagation).count();
  for (std::size_t from = 0; from < events.size(); from += events_at_once) {
    std::vector<std::string> channels, data;
    for (auto at = from; at < std::min(from + events_at_once, events.size()); at++) {
      channels.push_back(events[at].channel);
      data.push_back(events[at].data);
    }
    auto told = run(fmt::format(fmt::runtime(events_sql), options_.listen ? notify : "1"),
                    {options_.node_id.text(), fmt::format("{}", propagation),
                     fmt::format("{}", std::max(10 * propagation, event_seconds_min)), postgres_array(channels),
                     postgres_array(data)});
    if (!told) return told;
  }
  auto committed = primary_.query("COMMIT");
  if (committed) return {};
  const auto& error = committed.error();
  if (!error.away) return std::unexpected(failed(error));
  if (hooks_.write_failed) hooks_.write_failed();
  return std::unexpected(model::database_unavailable(
      error.message + "; whether the change was made is not known: look, or send it once more"));
}

// ---- rows -----------------------------------------------------------------------------------------------------------

// Rows that have run out no longer hold their unique values.
Outcome<void> PostgresStore::drop_ended(const PostgresTable& table, const Object& entity) {
  if (!table.schema().has_ttl()) return {};
  std::vector<PostgresValue> values{std::string(id_of(entity))};
  std::string holders = "id = $1";
  for (const auto& field : table.schema().fields()) {
    const auto& value = model::value_of(entity, field.name);
    if (!field.unique || !value.is_string()) continue;
    values.emplace_back(std::string(value.get_string()));
    holders += fmt::format(" OR (ws_id = '{}' AND \"{}\" = ${})", workspace_, field.name, values.size());
  }
  return run(fmt::format("DELETE FROM \"{}\" WHERE ttl < CURRENT_TIMESTAMP AND ({})", table.name(), holders), values);
}

// before: null when there is none, or it cannot be read.
Outcome<void> PostgresStore::put(How how, const PostgresTable& table, const Object& entity, const Object* before,
                                 std::vector<RowChange>& done) {
  auto values = table.values(entity, workspace_);
  if (!values) {
    const auto& message = values.error().message;
    const auto colon = message.find(": ");
    return std::unexpected(model::schema_violation(Object{{message.substr(0, colon), message.substr(colon + 2)}}));
  }
  if (auto dropped = drop_ended(table, entity); !dropped) return dropped;
  const auto& sql = how == How::insert ? table.insert() : how == How::update ? table.update() : table.upsert();
  auto put = primary_.query(sql, *values);
  if (!put) return std::unexpected(refused(table, entity, put.error()));
  if (put->changed() == 0) return std::unexpected(model::missing(id_of(entity)));
  done.push_back({&table.schema(), Uuid::parse(id_of(entity)).value_or(Uuid{}),
                  before != nullptr ? std::optional(*before) : std::nullopt, entity});
  return {};
}

// The row as it is, held until the end of the transaction. Nothing: it is not there, or cannot be read.
Outcome<std::optional<Object>> PostgresStore::lock(const PostgresTable& table, std::string_view id, bool& there) {
  auto rows = primary_.query(table.select() + " WHERE id = $1 FOR UPDATE", {std::string(id)});
  if (!rows) return std::unexpected(failed(rows.error()));
  there = rows->rows() > 0;
  if (!there) return std::optional<Object>{};
  auto entity = table.read(*rows, 0);
  return entity ? std::optional<Object>(std::move(*entity)) : std::nullopt;
}

Outcome<Written> PostgresStore::put_one(How how, const Schema& schema, const Object& entity) {
  const auto& table = postgres_table_of(schema);
  auto changes = write([&](std::vector<RowChange>& done) -> Outcome<void> {
    std::optional<Object> before;
    if (how != How::insert) {
      bool there = false;
      auto held = lock(table, id_of(entity), there);
      if (!held) return std::unexpected(std::move(held.error()));
      before = std::move(*held);
    }
    return put(how, table, entity, before ? &*before : nullptr, done);
  });
  if (!changes) return std::unexpected(std::move(changes.error()));
  return Written{entity, std::move(*changes)};
}

Outcome<Written> PostgresStore::insert(const Schema& schema, const Object& entity) {
  return put_one(How::insert, schema, entity);
}
Outcome<Written> PostgresStore::update(const Schema& schema, const Object& entity) {
  return put_one(How::update, schema, entity);
}
Outcome<Written> PostgresStore::upsert(const Schema& schema, const Object& entity) {
  return put_one(How::upsert, schema, entity);
}

Outcome<Changes> PostgresStore::insert_all(const std::vector<std::pair<const Schema*, Object>>& entities) {
  return write([&](std::vector<RowChange>& done) -> Outcome<void> {
    for (const auto& [schema, entity] : entities)
      if (auto stored = put(How::insert, postgres_table_of(*schema), entity, nullptr, done); !stored) return stored;
    return {};
  });
}

// All rows that are to be replaced, by id. Locked in one order, whatever order they were given in: two writers of the
// same rows wait for each other instead of both being stuck.
Outcome<void> PostgresStore::lock_all(const PostgresTable& table, const std::vector<std::string>& ids,
                                      std::unordered_map<std::string, Object>& held) {
  auto rows =
      primary_.query(table.select() + " WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", {postgres_array(ids)});
  if (!rows) return std::unexpected(failed(rows.error()));
  for (int row = 0; row < rows->rows(); row++)
    // A row that cannot be read is replaced like any other.
    if (auto entity = table.read(*rows, row))
      held.emplace(table.name() + '/' + std::string(rows->text(row, table.id_column())), std::move(*entity));
  return {};
}

Outcome<Changes> PostgresStore::upsert_all(const std::vector<std::pair<const Schema*, Object>>& entities) {
  return write([&](std::vector<RowChange>& done) -> Outcome<void> {
    std::unordered_map<std::string, Object> held;
    for (const auto& table : postgres_tables()) {
      std::vector<std::string> ids;
      for (const auto& [schema, entity] : entities)
        if (schema == &table.schema()) ids.emplace_back(id_of(entity));
      if (ids.empty()) continue;
      if (auto locked = lock_all(table, ids, held); !locked) return locked;
    }
    for (const auto& [schema, entity] : entities) {
      const auto& table = postgres_table_of(*schema);
      const auto found = held.find(table.name() + '/' + std::string(id_of(entity)));
      const Object* row = found != held.end() ? &found->second : nullptr;
      if (row != nullptr && same_but_times(*schema, *row, entity)) continue;
      const Object now = row != nullptr ? with_held_times(*schema, *row, entity) : entity;
      if (auto stored = put(How::upsert, table, now, row, done); !stored) return stored;
      held.insert_or_assign(table.name() + '/' + std::string(id_of(entity)), now);
    }
    return {};
  });
}

Outcome<Changes> PostgresStore::remove(const Schema& schema, const Uuid& id) {
  return write([&](std::vector<RowChange>& done) { return erase(postgres_table_of(schema), id.text(), done); });
}

// PostgreSQL deletes them by ON DELETE CASCADE; they are listed before, because those who follow changes must hear of
// each of them. The parent is locked, so no child can be added in between.
Outcome<void> PostgresStore::list_children(const PostgresTable& parent, std::string_view id,
                                           std::vector<RowChange>& done) {
  if (parent.name() == "consumers")
    if (auto listed = list_kongs_children(id); !listed) return listed;
  for (const auto& child : postgres_tables()) {
    for (const auto& field : child.schema().fields()) {
      if (field.type != Type::foreign || !field.cascade || field.reference != parent.schema().name()) continue;
      auto rows = primary_.query(
          fmt::format("{} WHERE \"{}_id\" = $1 ORDER BY id FOR UPDATE", child.select(), field.name), {std::string(id)});
      if (!rows) return std::unexpected(failed(rows.error()));
      for (int row = 0; row < rows->rows(); row++) {
        const auto child_id = rows->text(row, child.id_column());
        if (auto listed = list_children(child, child_id, done); !listed) return listed;
        auto entity = child.read(*rows, row);
        done.push_back({&child.schema(), Uuid::parse(child_id).value_or(Uuid{}),
                        entity ? std::optional(std::move(*entity)) : std::nullopt, std::nullopt});
      }
      // Kong deletes these by itself, too: their reference has no ON DELETE CASCADE.
      if (child.name() == "snis")
        if (auto deleted = run("DELETE FROM snis WHERE certificate_id = $1", {std::string(id)}); !deleted)
          return deleted;
    }
  }
  return {};
}

// Credentials of plugins that only Kong has go with their consumer, too: its nodes must forget them.
Outcome<void> PostgresStore::list_kongs_children(std::string_view consumer) {
  // They may be missing where Kong ran without these plugins; naming a missing table would end the transaction.
  constexpr std::pair<std::string_view, std::string_view> kongs[] = {
      {"hmacauth_credentials", "username"}, {"jwt_secrets", "key"}, {"oauth2_credentials", "client_id"}};
  for (const auto& [table, column] : kongs) {
    auto there = primary_.query("SELECT to_regclass($1) IS NOT NULL", {std::string(table)});
    if (!there) return std::unexpected(failed(there.error()));
    if (there->text(0, 0) != "t") continue;
    auto rows = primary_.query(fmt::format("SELECT \"{}\" FROM {} WHERE consumer_id = $1", column, table),
                               {std::string(consumer)});
    if (!rows) return std::unexpected(failed(rows.error()));
    for (int row = 0; row < rows->rows(); row++)
      if (!rows->null(row, 0))
        further_.push_back({"invalidations", cache_key_of(table, rows->text(row, 0)) + workspace_});
  }
  return {};
}

Outcome<void> PostgresStore::erase(const PostgresTable& table, std::string_view id, std::vector<RowChange>& done) {
  bool there = false;
  auto held = lock(table, id, there);
  if (!held) return std::unexpected(std::move(held.error()));
  if (!there) return {};
  if (auto listed = list_children(table, id, done); !listed) return listed;
  auto deleted = primary_.query(fmt::format("DELETE FROM \"{}\" WHERE id = $1", table.name()), {std::string(id)});
  if (!deleted) {
    if (deleted.error().foreign_key())
      return std::unexpected(model::foreign_referenced(deleted.error().table, table.name()));
    return std::unexpected(failed(deleted.error()));
  }
  done.push_back({&table.schema(), Uuid::parse(id).value_or(Uuid{}), std::move(*held), std::nullopt});
  return {};
}

// ---- replacing everything -------------------------------------------------------------------------------------------

struct PostgresStore::Held {
  struct Row {
    std::optional<Object> entity;  // nothing: it cannot be read
    bool wanted = false;
  };
  std::unordered_map<const Schema*, std::map<std::string, Row, std::less<>>> rows;
};

Outcome<PostgresStore::Held> PostgresStore::read_held() {
  Held held;
  for (const auto& table : postgres_tables()) {
    auto& held_rows = held.rows[&table.schema()];
    if (table.schema().has_ttl())
      if (auto ended = run(fmt::format("DELETE FROM \"{}\" WHERE ttl < CURRENT_TIMESTAMP", table.name()), {}); !ended)
        return std::unexpected(std::move(ended.error()));
    auto rows = primary_.query(table.select() + " FOR UPDATE");
    if (!rows) return std::unexpected(failed(rows.error()));
    for (int row = 0; row < rows->rows(); row++) {
      auto entity = table.read(*rows, row);
      held_rows.emplace(std::string(rows->text(row, table.id_column())),
                        Held::Row{entity ? std::optional(std::move(*entity)) : std::nullopt});
    }
  }
  return held;
}

// So that two rows can exchange their names: the row keeps its place, its unique values are free for another one.
Outcome<void> PostgresStore::release_unique(const PostgresTable& table, std::string_view id) {
  std::string sets;
  const auto add = [&](std::string_view column, std::string_view value) {
    sets += fmt::format("{}\"{}\" = {}", sets.empty() ? "" : ", ", column, value);
  };
  if (!table.schema().cache_key().empty()) add("cache_key", "NULL");
  for (const auto& field : table.schema().fields())
    if (field.unique) add(field.name, "id::text");  // not NULL, which Kong's tables do not all take
  if (sets.empty()) return {};
  return run(fmt::format("UPDATE \"{}\" SET {} WHERE id = $1", table.name(), sets), {std::string(id)});
}

Outcome<Changes> PostgresStore::replace_all(const std::vector<std::pair<const Schema*, Object>>& entities) {
  return write([&](std::vector<RowChange>& done) -> Outcome<void> {
    auto held = read_held();
    if (!held) return std::unexpected(std::move(held.error()));
    struct Wanted {
      Object entity;
      bool is_new;
      const Object* before;
    };
    std::unordered_map<const Schema*, std::vector<Wanted>> wanted;  // what is new or differs
    for (const auto& [schema, entity] : entities) {
      auto& rows = held->rows[schema];
      const auto row = rows.find(id_of(entity));
      if (row == rows.end()) {
        wanted[schema].push_back({entity, true, nullptr});
        continue;
      }
      if (row->second.wanted) return std::unexpected(model::primary_key_violation(id_of(entity)));
      row->second.wanted = true;
      const Object* before = row->second.entity ? &*row->second.entity : nullptr;
      if (before != nullptr && same_but_times(*schema, *before, entity)) continue;
      wanted[schema].push_back({before != nullptr ? with_held_times(*schema, *before, entity) : entity, false, before});
    }
    for (const auto& table : postgres_tables()) {
      for (const auto& row : wanted[&table.schema()])
        if (!row.is_new)
          if (auto freed = release_unique(table, id_of(row.entity)); !freed) return freed;
      for (const auto& [id, row] : held->rows[&table.schema()])
        if (!row.wanted)
          if (auto freed = release_unique(table, id); !freed) return freed;
    }
    // Parents first, so that every reference holds; then deletions, children first. A child that moved to another
    // parent has left before the old one goes.
    for (const auto& table : postgres_tables())
      for (const auto& row : wanted[&table.schema()])
        if (auto stored = put(row.is_new ? How::insert : How::update, table, row.entity, row.before, done); !stored)
          return stored;
    const auto all = postgres_tables();
    for (auto table = all.rbegin(); table != all.rend(); ++table)
      for (const auto& [id, row] : held->rows[&table->schema()])
        if (!row.wanted) {
          const auto from = done.size();
          if (auto erased = erase(*table, id, done); !erased) return erased;
          // As it was before its unique values were taken from it.
          if (done.size() > from) done.back().before = row.entity;
        }
    return {};
  });
}

// ---- why a write was refused ----------------------------------------------------------------------------------------

Problem PostgresStore::refused(const PostgresTable& table, const Object& entity, const PostgresError& error) {
  const auto& schema = table.schema();
  const auto columns = key_columns(error.detail);
  const auto is_column = [&](std::string_view name) { return std::ranges::find(columns, name) != columns.end(); };
  if (error.foreign_key()) {
    for (const auto& field : schema.fields())
      if (field.type == Type::foreign && is_column(table.column_of(field)))
        return model::foreign_missing(field.name, Object{{"id", foreign_id(entity, field.name)}}, field.reference);
  }
  if (!error.unique()) return failed(error);
  if (columns.size() == 1 && columns[0] == "id") return model::primary_key_violation(id_of(entity));
  Object key;
  const auto add = [&](std::string_view field) { key[field] = model::value_of(entity, field); };
  if (is_column("cache_key")) {
    for (const auto& field : schema.cache_key()) add(field);
  } else {
    for (const auto& field : schema.fields())
      if (field.unique && is_column(field.name)) add(field.name);
  }
  return key.empty() ? failed(error) : model::unique_violation(key);
}

}  // namespace weir::store
