#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "model/rules.h"
#include "store/cache_keys.h"
#include "store/same.h"
#include "store/sqlite_store.h"

namespace weir::store {

namespace json = boost::json;
using model::Problem;
using model::Type;

namespace {

Uuid uuid_of(std::string_view id) {
  return Uuid::parse(id).value_or(Uuid{});
}

// before: null when it is new, or cannot be read.
Change change(const Schema& schema, const Object* before, const Object& entity) {
  return {&schema, uuid_of(id_of(entity)), entity, cache_keys(schema, before, &entity)};
}
Change deletion(const Schema& schema, std::string_view id, const Object* before) {
  const Object only_id{{"id", id}};
  return {&schema, uuid_of(id), std::nullopt, cache_keys(schema, before != nullptr ? before : &only_id, nullptr)};
}

}  // namespace

template <class T, class Work>
Outcome<T> SqliteStore::write(Work work) {
  if (db_.moved())
    return std::unexpected(model::database_failed(fmt::format(
        "the database {} was moved or deleted while in use; put it back, or start again with a new one", db_.path())));
  auto transaction = Transaction::begin(db_);
  if (!transaction) return std::unexpected(failed(transaction.error()));
  Outcome<T> result = work();
  if (!result) return result;
  if (auto done = transaction->commit(); !done) return std::unexpected(failed(done.error()));
  return result;
}

Outcome<void> SqliteStore::put(const Table& table, const std::string& sql, const Object& entity) {
  if (table.schema().has_ttl()) {
    if (auto dropped = drop_ended(table); !dropped) return dropped;
    const auto stored = with_end(table, entity);
    if (!stored) return std::unexpected(stored.error());
    return put_row(table, sql, *stored);
  }
  return put_row(table, sql, entity);
}

Outcome<void> SqliteStore::put_row(const Table& table, const std::string& sql, const Object& stored) {
  auto statement = db_.prepare(sql);
  if (!statement) return std::unexpected(failed(statement.error()));
  table.bind(*statement, stored, workspace_);
  if (auto done = statement->run(); !done) return std::unexpected(refused(table, stored, done.error()));
  return {};
}

// The entity with the moment of its end in place of the seconds that are left. An update that does not change them
// does not move the end: they come from a read a moment ago, rounded down.
Outcome<Object> SqliteStore::with_end(const Table& table, const Object& entity) {
  const auto& ttl = model::value_of(entity, model::ttl_field);
  if (!ttl.is_number()) return entity;
  Object out = entity;
  double end = unix_now() + ttl.to_number<double>();
  auto query = db_.prepare(fmt::format("SELECT ttl FROM \"{}\" WHERE id = ?1 AND ttl IS NOT NULL", table.name()));
  if (!query) return std::unexpected(failed(query.error()));
  query->bind(1, id_of(entity));
  auto row = query->step();
  if (!row) return std::unexpected(failed(row.error()));
  constexpr double reading = 2;  // seconds
  if (*row && query->real(0) >= end - reading && query->real(0) <= end + 1) end = query->real(0);
  out[model::ttl_field] = end;
  return out;
}

// Rows that have run out no longer hold their unique values.
Outcome<void> SqliteStore::drop_ended(const Table& table) {
  auto statement = db_.prepare(fmt::format("DELETE FROM \"{}\" WHERE ttl < ?1", table.name()));
  if (!statement) return std::unexpected(failed(statement.error()));
  statement->bind(1, unix_now());
  if (auto done = statement->run(); !done) return std::unexpected(failed(done.error()));
  return {};
}

Outcome<void> SqliteStore::put_existing(const Table& table, const Object& entity) {
  if (auto done = put(table, table.update(), entity); !done) return done;
  if (db_.changed_rows() == 0) return std::unexpected(model::missing(id_of(entity)));
  return {};
}

// The row as it is before a write, for its cache keys; nothing when it is not there or cannot be read, in which case it
// is replaced like any other.
std::optional<Object> SqliteStore::before(const Schema& schema, std::string_view id) {
  auto held = find(schema, uuid_of(id));
  return held ? std::move(*held) : std::nullopt;
}

Outcome<Written> SqliteStore::insert(const Schema& schema, const Object& entity) {
  return write<Written>([&]() -> Outcome<Written> {
    const auto& table = table_of(schema);
    if (auto done = put(table, table.insert(), entity); !done) return std::unexpected(std::move(done.error()));
    return Written{entity, {change(schema, nullptr, entity)}};
  });
}

Outcome<Written> SqliteStore::update(const Schema& schema, const Object& entity) {
  return write<Written>([&]() -> Outcome<Written> {
    const auto held = before(schema, id_of(entity));
    if (auto done = put_existing(table_of(schema), entity); !done) return std::unexpected(std::move(done.error()));
    return Written{entity, {change(schema, held ? &*held : nullptr, entity)}};
  });
}

Outcome<Written> SqliteStore::upsert(const Schema& schema, const Object& entity) {
  return write<Written>([&]() -> Outcome<Written> {
    const auto& table = table_of(schema);
    const auto held = before(schema, id_of(entity));
    if (auto done = put(table, table.upsert(), entity); !done) return std::unexpected(std::move(done.error()));
    return Written{entity, {change(schema, held ? &*held : nullptr, entity)}};
  });
}

Outcome<Changes> SqliteStore::insert_all(const std::vector<std::pair<const Schema*, Object>>& entities) {
  return write<Changes>([&]() -> Outcome<Changes> {
    Changes changes;
    changes.reserve(entities.size());
    for (const auto& [schema, entity] : entities) {
      const auto& table = table_of(*schema);
      if (auto done = put(table, table.insert(), entity); !done) return std::unexpected(std::move(done.error()));
      changes.push_back(change(*schema, nullptr, entity));
    }
    return changes;
  });
}

Outcome<Changes> SqliteStore::upsert_all(const std::vector<std::pair<const Schema*, Object>>& entities) {
  return write<Changes>([&]() -> Outcome<Changes> {
    Changes changes;
    for (const auto& [schema, entity] : entities) {
      const auto& table = table_of(*schema);
      const auto held = before(*schema, id_of(entity));
      const Object* row = held ? &*held : nullptr;
      if (row != nullptr && same_but_times(*schema, *row, entity)) continue;
      const Object now = row != nullptr ? with_held_times(*schema, *row, entity) : entity;
      if (auto done = put(table, table.upsert(), now); !done) return std::unexpected(std::move(done.error()));
      changes.push_back(change(*schema, row, now));
    }
    return changes;
  });
}

Outcome<Changes> SqliteStore::remove(const Schema& schema, const Uuid& id) {
  const auto key = id.text();
  return write<Changes>([&]() -> Outcome<Changes> {
    Changes changes;
    if (auto done = erase(table_of(schema), key, changes); !done) return std::unexpected(std::move(done.error()));
    return changes;
  });
}

// The children are deleted one by one, although SQLite knows ON DELETE CASCADE: those who follow changes must hear of
// each of them, and a store without checked references has nobody else to do it.
Outcome<void> SqliteStore::erase_children(const Table& parent, std::string_view id, Changes& changes) {
  for (const auto& child : tables()) {
    for (const auto& field : child.schema().fields()) {
      if (field.type != Type::foreign || !field.cascade || field.reference != parent.schema().name()) continue;
      std::vector<std::string> ids;
      {
        auto query = db_.prepare(fmt::format("SELECT id FROM \"{}\" WHERE \"{}_id\" = ?1", child.name(), field.name));
        if (!query) return std::unexpected(failed(query.error()));
        query->bind(1, id);
        for (;;) {
          auto row = query->step();
          if (!row) return std::unexpected(failed(row.error()));
          if (!*row) break;
          ids.emplace_back(query->text(0));
        }
      }
      for (const auto& child_id : ids)
        if (auto done = erase(child, child_id, changes); !done) return done;
    }
  }
  return {};
}

// known: the row as it was, when the caller has read it before; else it is read here.
Outcome<void> SqliteStore::erase(const Table& table, std::string_view id, Changes& changes, const Object* known) {
  if (auto done = erase_children(table, id, changes); !done) return done;
  std::optional<Object> held;
  if (known == nullptr && (held = before(table.schema(), id))) known = &*held;
  auto statement = db_.prepare(fmt::format("DELETE FROM \"{}\" WHERE id = ?1", table.name()));
  if (!statement) return std::unexpected(failed(statement.error()));
  statement->bind(1, id);
  if (auto done = statement->run(); !done) {
    if (done.error().code == SQLITE_CONSTRAINT_FOREIGNKEY)
      return std::unexpected(still_referenced(table, id, done.error()));
    return std::unexpected(failed(done.error()));
  }
  if (db_.changed_rows() > 0) changes.push_back(deletion(table.schema(), id, known));
  return {};
}

// ---- replacing everything -------------------------------------------------------------------------------------------

struct SqliteStore::Held {
  struct Row {
    Object entity;
    bool readable = true;
    bool wanted = false;
  };
  std::unordered_map<const Schema*, std::map<std::string, Row, std::less<>>> rows;
};

Outcome<SqliteStore::Held> SqliteStore::read_held() {
  Held held;
  for (const auto& table : tables()) {
    auto& rows = held.rows[&table.schema()];
    if (table.schema().has_ttl())
      if (auto dropped = drop_ended(table); !dropped) return std::unexpected(std::move(dropped.error()));
    auto query = db_.prepare(table.select());
    if (!query) return std::unexpected(failed(query.error()));
    for (;;) {
      auto row = query->step();
      if (!row) return std::unexpected(failed(row.error()));
      if (!*row) break;
      auto entity = read(table, *query);
      const bool readable = entity && *entity;
      rows.emplace(std::string(query->text(0)), Held::Row{readable ? std::move(**entity) : Object{}, readable, false});
    }
  }
  return held;
}

// So that two rows can exchange their names: the row keeps its place, its unique values are free for another one.
Outcome<void> SqliteStore::release_unique(const Table& table, std::string_view id) {
  std::string sets;
  for (const auto& column : table.columns())
    if (column.name == "cache_key" || (column.field != nullptr && column.field->unique))
      sets += fmt::format("{}\"{}\" = NULL", sets.empty() ? "" : ", ", column.name);
  if (sets.empty()) return {};
  auto statement = db_.prepare(fmt::format("UPDATE \"{}\" SET {} WHERE id = ?1", table.name(), sets));
  if (!statement) return std::unexpected(failed(statement.error()));
  statement->bind(1, id);
  if (auto done = statement->run(); !done) return std::unexpected(failed(done.error()));
  return {};
}

Outcome<Changes> SqliteStore::replace_all(const std::vector<std::pair<const Schema*, Object>>& entities) {
  return write<Changes>([&]() -> Outcome<Changes> {
    auto held = read_held();
    if (!held) return std::unexpected(std::move(held.error()));

    // What is new or differs, by table.
    struct Wanted {
      Object entity;
      bool is_new;
      const Object* before;
    };
    std::unordered_map<const Schema*, std::vector<Wanted>> wanted;
    for (const auto& [schema, entity] : entities) {
      auto& rows = held->rows[schema];
      const auto row = rows.find(id_of(entity));
      if (row == rows.end()) {
        wanted[schema].push_back({entity, true, nullptr});
        continue;
      }
      if (row->second.wanted) return std::unexpected(model::primary_key_violation(id_of(entity)));
      row->second.wanted = true;
      const Object* before = row->second.readable ? &row->second.entity : nullptr;
      if (before != nullptr && same_but_times(*schema, *before, entity)) continue;
      wanted[schema].push_back({before != nullptr ? with_held_times(*schema, *before, entity) : entity, false, before});
    }
    for (const auto& table : tables()) {
      for (const auto& row : wanted[&table.schema()])
        if (!row.is_new)
          if (auto done = release_unique(table, id_of(row.entity)); !done)
            return std::unexpected(std::move(done.error()));
      for (const auto& [id, row] : held->rows[&table.schema()])
        if (!row.wanted)
          if (auto done = release_unique(table, id); !done) return std::unexpected(std::move(done.error()));
    }

    // Parents first, so that every reference holds; then deletions, children first. A child that moved to another
    // parent has left before the old one goes.
    Changes changes;
    for (const auto& table : tables()) {
      for (auto& row : wanted[&table.schema()]) {
        auto done = put(table, row.is_new ? table.insert() : table.upsert(), row.entity);
        if (!done) return std::unexpected(std::move(done.error()));
        changes.push_back(change(table.schema(), row.before, row.entity));
      }
    }
    const auto all = tables();
    for (auto table = all.rbegin(); table != all.rend(); ++table)
      for (const auto& [id, row] : held->rows[&table->schema()])
        if (!row.wanted)
          if (auto done = erase(*table, id, changes, row.readable ? &row.entity : nullptr); !done)
            return std::unexpected(std::move(done.error()));
    return changes;
  });
}

// ---- why a write was refused ----------------------------------------------------------------------------------------

Problem SqliteStore::refused(const Table& table, const Object& entity, const SqlError& error) {
  switch (error.code) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
      return model::primary_key_violation(id_of(entity));
    case SQLITE_CONSTRAINT_UNIQUE:
      return not_unique(table, entity, error);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return lacks_parent(table, entity, error);
    default:
      return failed(error);
  }
}

// error.message: "UNIQUE constraint failed: routes.ws_id, routes.name".
Problem SqliteStore::not_unique(const Table& table, const Object& entity, const SqlError& error) const {
  Object key;
  const auto add = [&](std::string_view field) {
    const auto* value = entity.if_contains(field);
    key[field] = value != nullptr ? *value : json::value(nullptr);
  };
  const std::string_view message = error.message;
  if (message.find(table.name() + ".cache_key") != std::string_view::npos) {
    for (const auto& field : table.schema().cache_key()) add(field);
  } else {
    for (const auto& column : table.columns())
      if (column.field != nullptr && column.field->unique && message.ends_with(table.name() + "." + column.name))
        add(column.field->name);
  }
  return key.empty() ? failed(error) : model::unique_violation(key);
}

Outcome<bool> SqliteStore::exists(const std::string& sql, std::string_view id) {
  auto query = db_.prepare(sql);
  if (!query) return std::unexpected(failed(query.error()));
  query->bind(1, id);
  auto row = query->step();
  if (!row) return std::unexpected(failed(row.error()));
  return *row;
}

// SQLite does not say which reference fails, so each is looked up.
Problem SqliteStore::lacks_parent(const Table& table, const Object& entity, const SqlError& error) {
  for (const auto& field : table.schema().fields()) {
    if (field.type != Type::foreign || model::find_schema(field.reference) == nullptr) continue;
    const auto id = foreign_id(entity, field.name);
    if (id.empty()) continue;
    auto there = exists(fmt::format("SELECT 1 FROM \"{}\" WHERE id = ?1", field.reference), id);
    if (!there) return std::move(there.error());
    if (!*there) return model::foreign_missing(field.name, Object{{"id", id}}, field.reference);
  }
  return failed(error);
}

Problem SqliteStore::still_referenced(const Table& table, std::string_view id, const SqlError& error) {
  for (const auto& child : tables()) {
    for (const auto& field : child.schema().fields()) {
      if (field.type != Type::foreign || field.cascade || field.reference != table.schema().name()) continue;
      auto there =
          exists(fmt::format("SELECT 1 FROM \"{}\" WHERE \"{}_id\" = ?1 LIMIT 1", child.name(), field.name), id);
      if (!there) return std::move(there.error());
      if (*there) return model::foreign_referenced(child.schema().name(), table.schema().name());
    }
  }
  return failed(error);
}

}  // namespace weir::store
