#include "store/sqlite_store.h"

#include <charconv>
#include <chrono>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "store/migrations.h"
#include "store/offset.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Problem;

constexpr std::size_t page_rows_max = 1000;

// What only shows when rows are read: flipped bytes in the middle of the file. One page of report is enough.
Result<void> check_file(Database& db) {
  auto check = db.prepare("PRAGMA quick_check(1)");
  if (!check) return fail("{}", db.explain(check.error()));
  auto row = check->step();
  if (!row) return fail("{}", db.explain(row.error()));
  if (const auto said = check->text(0); said != "ok")
    return fail("{}", db.explain({SQLITE_CORRUPT, std::string(said)}));
  return {};
}

Result<std::string> default_workspace(Database& db) {
  auto query = db.prepare("SELECT id FROM workspaces WHERE name = 'default'");
  if (!query) return fail("{}", db.explain(query.error()));
  auto row = query->step();
  if (!row) return fail("{}", db.explain(row.error()));
  if (!*row)
    return fail("the database {} is damaged: it has no workspace 'default'; restore it from a backup", db.path());
  return std::string(query->text(0));
}

bool newest_first(const Schema& schema, const PageQuery& query) {
  return schema.name() == "targets" && query.parent_field == "upstream";
}

// Targets below an upstream: the offset counts rows.
Outcome<std::int64_t> plain_offset(std::string_view text) {
  std::int64_t out = 0;
  if (text.empty()) return out;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc{} || end != text.data() + text.size() || out < 0)
    return std::unexpected(bad_offset(text, "must be a number"));
  return out;
}

// A tag as it stands in the JSON text of a tags column. Quotes stand in such a text only around a tag or escaped inside
// one, and a tag holds no comma, so finding this is finding the tag.
std::string tag_pattern(std::string_view tag) {
  return json::serialize(json::value(tag));
}

void note_left_out(const Table& table, std::string_view id, const Error& error) {
  log::warn("a row was left out of a list", {{"table", table.name()}, {"id", id}, {"error", error.message}});
}

std::string list_sql(const Table& table, const PageQuery& query) {
  std::string where;
  const auto add = [&](std::string_view condition) {
    where += where.empty() ? " WHERE " : " AND ";
    where += condition;
  };
  if (!query.parent_field.empty()) add(fmt::format("\"{}_id\" = ?3", query.parent_field));
  if (!newest_first(table.schema(), query)) add("id > ?1");
  // Through the table `tags`, where only tagged rows are: those that match are often few among many.
  std::string tagged;
  for (std::size_t i = 0; i < query.tags.size(); i++)
    tagged += fmt::format("{}instr(tags, ?{}) > 0", i == 0 ? "" : query.any_tag ? " OR " : " AND ", 4 + i);
  if (!tagged.empty())
    add(fmt::format("id IN (SELECT entity_id FROM tags WHERE entity_name = '{}' AND ({}))", table.name(), tagged));
  return table.select() + where +
         (newest_first(table.schema(), query) ? " ORDER BY created_at DESC, id DESC LIMIT ?2 OFFSET ?1"
                                              : " ORDER BY id LIMIT ?2");
}

}  // namespace

double SqliteStore::unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, std::string_view source_name,
                                           References references) {
  auto db = Database::open(path, references == References::kept);
  if (!db) return std::unexpected(std::move(db.error()));
  if (auto good = check_file(*db); !good) return std::unexpected(std::move(good.error()));
  if (auto migrated = migrate(*db); !migrated) return std::unexpected(std::move(migrated.error()));
  auto workspace = default_workspace(*db);
  if (!workspace) return std::unexpected(std::move(workspace.error()));
  return std::make_unique<SqliteStore>(std::move(*db), std::move(*workspace), std::string(source_name));
}

Problem SqliteStore::failed(const SqlError& error) const {
  return model::database_failed(db_.explain(error));
}

Result<void> SqliteStore::load_table(const Table& table, const std::function<void(const Schema&, Object)>& each,
                                     const std::function<void(Fault)>& faulty) {
  auto query = db_.prepare(table.select());
  if (!query) return fail("{}", db_.explain(query.error()));
  for (;;) {
    auto row = query->step();
    if (!row) return fail("{}", db_.explain(row.error()));
    if (!*row) return {};
    auto entity = read(table, *query);
    if (!entity) {
      faulty({table.name(), std::string(query->text(0)), std::move(entity.error().message)});
    } else if (!*entity) {
      continue;
    } else if (auto good = table.schema().check(**entity); !good) {
      faulty({table.name(), std::string(id_of(**entity)), std::move(good.error().message)});
    } else {
      each(table.schema(), std::move(**entity));
    }
  }
}

Result<void> SqliteStore::load(const std::function<void(const Schema&, Object)>& each,
                               const std::function<void(Fault)>& faulty) {
  // One read transaction: parents and children of the same moment.
  auto transaction = Transaction::begin(db_, false);
  if (!transaction) return fail("{}", db_.explain(transaction.error()));
  for (const auto& table : tables()) {
    if (!table.schema().core()) continue;
    if (auto loaded = load_table(table, each, faulty); !loaded) return loaded;
  }
  return {};
}

Result<std::optional<Object>> SqliteStore::read(const Table& table, const Statement& row) const {
  auto entity = table.read(row);
  if (!entity) return std::unexpected(std::move(entity.error()));
  if (table.schema().has_ttl()) {
    auto& ttl = (*entity)[model::ttl_field];
    if (ttl.is_number()) {
      const auto left = ttl.to_number<double>() - unix_now();
      if (left < 0) return std::optional<Object>();
      ttl = static_cast<std::int64_t>(std::min(left, 1e15));
    }
  }
  table.schema().adapt(*entity);
  return std::optional<Object>(std::move(*entity));
}

Outcome<std::optional<Object>> SqliteStore::first_row(const Table& table, Statement& query) {
  auto row = query.step();
  if (!row) return std::unexpected(failed(row.error()));
  if (!*row) return std::optional<Object>{};
  auto entity = read(table, query);
  if (!entity)
    return std::unexpected(model::database_failed(fmt::format("a row of {} in the database {} cannot be read: {}",
                                                              table.name(), db_.path(), entity.error().message)));
  return std::move(*entity);
}

Outcome<std::optional<Object>> SqliteStore::find(const Schema& schema, const Uuid& id) {
  const auto& table = table_of(schema);
  const auto key = id.text();
  auto query = db_.prepare(table.select() + " WHERE id = ?1");
  if (!query) return std::unexpected(failed(query.error()));
  query->bind(1, key);
  return first_row(table, *query);
}

// A unique field is found by its index, which begins with the workspace.
std::string SqliteStore::where(const Table& table, const model::Field& field) const {
  const auto* column = table.column_of(field);
  return fmt::format("{} WHERE {}\"{}\" = ?1", table.select(), field.unique ? "ws_id = ?3 AND " : "", column->name);
}

Outcome<std::optional<Object>> SqliteStore::find_by(const Schema& schema, std::string_view field,
                                                    std::string_view value, const Uuid* parent) {
  const auto& table = table_of(schema);
  const auto* declared = schema.field(field);
  WEIR_ASSERT(declared != nullptr && declared->type == model::Type::string);
  auto sql = where(table, *declared);
  std::string parent_id;  // narrows only what is unique below a parent; a unique name says it all by itself
  if (parent != nullptr && !declared->unique)
    for (const auto& key : schema.fields())
      if (key.type == model::Type::foreign && key.cascade) {
        sql += fmt::format(" AND \"{}_id\" = ?2", key.name);
        parent_id = parent->text();
      }
  auto query = db_.prepare(sql + " LIMIT 1");
  if (!query) return std::unexpected(failed(query.error()));
  query->bind(1, value);
  if (!parent_id.empty()) query->bind(2, parent_id);
  if (declared->unique) query->bind(3, workspace_);
  return first_row(table, *query);
}

Outcome<std::vector<Object>> SqliteStore::find_all(const Schema& schema, std::string_view field,
                                                   std::string_view value) {
  const auto& table = table_of(schema);
  const auto* declared = schema.field(field);
  WEIR_ASSERT(declared != nullptr &&
              (declared->unique || declared->automatic == model::Auto::uuid || declared->type == model::Type::foreign));
  auto query = db_.prepare(where(table, *declared) + " ORDER BY id");
  if (!query) return std::unexpected(failed(query.error()));
  query->bind(1, value);
  if (declared->unique) query->bind(3, workspace_);
  std::vector<Object> out;
  for (;;) {
    auto row = query->step();
    if (!row) return std::unexpected(failed(row.error()));
    if (!*row) return out;
    // One damaged row does not hide the others.
    auto entity = read(table, *query);
    if (entity && *entity)
      out.push_back(std::move(**entity));
    else if (!entity)
      note_left_out(table, query->text(0), entity.error());
  }
}

Outcome<Page> SqliteStore::page(const Schema& schema, const PageQuery& asked) {
  const auto& table = table_of(schema);
  const auto size = std::clamp<std::size_t>(asked.size, 1, page_rows_max);
  const bool counted = newest_first(schema, asked);
  std::int64_t skipped = 0;
  std::string after, parent;
  if (counted) {
    auto offset = plain_offset(asked.offset);
    if (!offset) return std::unexpected(std::move(offset.error()));
    skipped = *offset;
  } else if (!asked.offset.empty()) {
    auto key = parse_offset(asked.offset, "s");
    if (!key) return std::unexpected(std::move(key.error()));
    after = std::string_view((*key)[0].get_string());
  }

  auto query = db_.prepare(list_sql(table, asked));
  if (!query) return std::unexpected(failed(query.error()));
  if (counted)
    query->bind(1, skipped);
  else
    query->bind(1, after);
  query->bind(2, static_cast<std::int64_t>(size) + 1);
  if (!asked.parent_field.empty()) query->bind(3, parent = asked.parent.text());
  for (std::size_t i = 0; i < asked.tags.size(); i++)
    query->bind_copy(4 + static_cast<int>(i), tag_pattern(asked.tags[i]));

  Page page;
  std::size_t seen = 0;
  std::string last;
  for (;;) {
    auto row = query->step();
    if (!row) return std::unexpected(failed(row.error()));
    if (!*row) return page;
    if (seen == size) break;
    seen++;
    last = query->text(0);
    // One damaged row does not hide the others; load() reports it.
    auto entity = read(table, *query);
    if (entity && *entity)
      page.rows.push_back(std::move(**entity));
    else if (!entity)
      note_left_out(table, last, entity.error());
  }
  page.next_offset =
      counted ? std::to_string(skipped + static_cast<std::int64_t>(size)) : print_offset({json::value(last)});
  return page;
}

Outcome<TagPage> SqliteStore::tags(const std::optional<std::string>& tag, std::size_t size, std::string_view offset) {
  size = std::clamp<std::size_t>(size, 1, page_rows_max);
  std::string after;
  std::int64_t position = -1;
  if (!offset.empty()) {
    auto key = parse_offset(offset, "si");
    if (!key) return std::unexpected(std::move(key.error()));
    after = std::string_view((*key)[0].get_string());
    position = (*key)[1].get_int64();
  }
  std::string sql =
      "SELECT t.entity_id, t.entity_name, e.value, e.key FROM tags AS t, json_each(CASE WHEN json_valid(t.tags) THEN "
      "t.tags ELSE "
      "'[]' END) AS e WHERE t.entity_id >= ?1 AND (t.entity_id > ?1 OR e.key > ?2)";
  if (tag) sql += " AND instr(t.tags, ?4) > 0 AND e.value = ?5";
  auto query = db_.prepare(sql + " ORDER BY t.entity_id, e.key LIMIT ?3");
  if (!query) return std::unexpected(failed(query.error()));
  query->bind(1, after).bind(2, position).bind(3, static_cast<std::int64_t>(size) + 1);
  if (tag) query->bind_copy(4, tag_pattern(*tag)).bind(5, *tag);

  TagPage page;
  for (;;) {
    auto row = query->step();
    if (!row) return std::unexpected(failed(row.error()));
    if (!*row) return page;
    if (page.rows.size() == size) break;
    page.rows.push_back({std::string(query->text(2)), std::string(query->text(1)), std::string(query->text(0))});
    position = query->integer(3);
  }
  page.next_offset = print_offset({json::value(page.rows.back().entity_id), json::value(position)});
  return page;
}

bool SqliteStore::reachable() {
  if (db_.moved()) return false;
  auto query = db_.prepare("SELECT 1 FROM schema_meta LIMIT 1");
  if (!query) return false;
  const auto row = query->step();
  return row.has_value();
}

}  // namespace weir::store
