#include "store/postgres_store.h"

#include <charconv>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "store/offset.h"
#include "store/table.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Problem;

constexpr std::size_t page_rows_max = 1000;
constexpr int load_rows = 2000;  // at a time: what is in memory beside what the caller keeps
constexpr auto first_id = "00000000-0000-0000-0000-000000000000";

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

// The id behind which the next page begins.
Outcome<std::string> id_offset(std::string_view text) {
  if (text.empty()) return std::string();
  auto key = parse_offset(text, "s");
  if (!key) return std::unexpected(std::move(key.error()));
  const std::string_view id = (*key)[0].get_string();
  if (!Uuid::parse(id)) return std::unexpected(bad_offset(text, "bad json encoding"));
  return std::string(id);
}

// A list and its values: how many to skip, or behind which id to begin.
struct ListSql {
  std::string condition;
  std::vector<PostgresValue> values;
  std::string mark(std::string value) {
    values.emplace_back(std::move(value));
    return fmt::format("${}", values.size());
  }
};

ListSql list_sql(const PostgresTable& table, const PageQuery& query, std::size_t rows, const std::string& after,
                 std::int64_t skipped) {
  ListSql out;
  out.condition = " WHERE " + table.live();
  if (!query.parent_field.empty())
    out.condition += fmt::format(" AND \"{}_id\" = {}", query.parent_field, out.mark(query.parent.text()));
  if (!query.tags.empty())
    out.condition +=
        fmt::format(" AND tags {} {}::text[]", query.any_tag ? "&&" : "@>", out.mark(postgres_array(query.tags)));
  if (newest_first(table.schema(), query)) {
    out.condition += fmt::format(" ORDER BY created_at DESC, id DESC LIMIT {} OFFSET {}", rows, skipped);
    return out;
  }
  if (!after.empty()) out.condition += fmt::format(" AND id > {}", out.mark(after));
  out.condition += fmt::format(" ORDER BY id LIMIT {}", rows);
  return out;
}

bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

void note_left_out(const PostgresTable& table, std::string_view id, const Error& error) {
  log::warn("a row was left out of a list", {{"table", table.name()}, {"id", id}, {"error", error.message}});
}

}  // namespace

PostgresStore::PostgresStore(const PostgresOptions& options, PostgresHooks hooks)
    : options_(options), hooks_(std::move(hooks)), primary_(options.server) {
  if (options.read_only)
    read_only_ = std::make_unique<PostgresConnection>(*options.read_only, PostgresConnection::Role::any);
}

Problem PostgresStore::failed(const PostgresError& error) {
  again_ = error.retriable();
  return error.away ? model::database_unavailable(error.message)
                    : model::database_failed(
                          fmt::format("the database refused a statement: {} ({})", error.message, error.state));
}

Outcome<std::string> PostgresStore::workspace(PostgresConnection& connection) {
  if (!workspace_.empty() && workspace_of_ == connection.generation()) return workspace_;
  auto rows = connection.query("SELECT id FROM workspaces WHERE name = 'default'");
  if (!rows) return std::unexpected(failed(rows.error()));
  if (rows->rows() == 0)
    return std::unexpected(
        model::database_failed("the database is damaged: it has no workspace 'default'; restore it from a backup"));
  workspace_ = rows->text(0, 0);
  workspace_of_ = connection.generation();
  return workspace_;
}

Pg<PostgresResult> PostgresStore::ask_lists(const std::string& sql, const std::vector<PostgresValue>& values) {
  if (read_only_) {
    auto answer = read_only_->query(sql, values);
    if (answer || !answer.error().away) return answer;
  }
  return primary_.query(sql, values);
}

Result<void> PostgresStore::load(const std::function<void(const Schema&, Object)>& each,
                                 const std::function<void(Fault)>& faulty) {
  // One transaction that sees one moment: parents and children of it.
  auto begun = primary_.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  if (!begun) return std::unexpected(Error{begun.error().message});
  Pg<> loaded;
  for (const auto& table : postgres_tables()) {
    if (!table.schema().core()) continue;
    loaded = load_table(table, each, faulty);
    if (!loaded) break;
  }
  if (primary_.in_transaction()) (void)primary_.query("ROLLBACK");
  if (!loaded) return std::unexpected(Error{loaded.error().message});
  return {};
}

Pg<> PostgresStore::load_table(const PostgresTable& table, const std::function<void(const Schema&, Object)>& each,
                               const std::function<void(Fault)>& faulty) {
  const auto sql = fmt::format("{} WHERE id > $1 ORDER BY id LIMIT {}", table.select(), load_rows);
  for (std::string after = first_id;;) {
    auto rows = primary_.query(sql, {after});
    if (!rows) return std::unexpected(std::move(rows.error()));
    for (int row = 0; row < rows->rows(); row++) {
      after = rows->text(row, table.id_column());
      auto entity = table.read(*rows, row);
      if (!entity)
        faulty({table.name(), after, std::move(entity.error().message)});
      else if (auto good = table.schema().check(*entity); !good)
        faulty({table.name(), after, std::move(good.error().message)});
      else
        each(table.schema(), std::move(*entity));
    }
    if (rows->rows() < load_rows) return {};
  }
}

Outcome<std::optional<Object>> PostgresStore::first(const PostgresTable& table, const std::string& condition,
                                                    const std::vector<PostgresValue>& values) {
  auto rows =
      primary_.query(fmt::format("{} WHERE {} AND {} LIMIT 1", table.select(), table.live(), condition), values);
  if (!rows) return std::unexpected(failed(rows.error()));
  if (rows->rows() == 0) return std::optional<Object>{};
  auto entity = table.read(*rows, 0);
  if (!entity)
    return std::unexpected(model::database_failed(
        fmt::format("a row of {} in the database cannot be read: {}", table.name(), entity.error().message)));
  return std::optional<Object>(std::move(*entity));
}

Outcome<std::optional<Object>> PostgresStore::find(const Schema& schema, const Uuid& id) {
  return first(postgres_table_of(schema), "id = $1", {id.text()});
}

Outcome<std::optional<Object>> PostgresStore::find_by(const Schema& schema, std::string_view field,
                                                      std::string_view value, const Uuid* parent) {
  const auto* declared = schema.field(field);
  WEIR_ASSERT(declared != nullptr && declared->type == model::Type::string);
  if (has_nul(value)) return std::optional<Object>{};
  auto condition = fmt::format("\"{}\" = $1", declared->name);
  std::vector<PostgresValue> values{std::string(value)};
  if (declared->unique && schema.workspaced()) {
    // By its index, which begins with the workspace.
    auto space = workspace(primary_);
    if (!space) return std::unexpected(std::move(space.error()));
    values.emplace_back(std::move(*space));
    condition += " AND ws_id = $2";
  } else if (!declared->unique && parent != nullptr) {
    for (const auto& key : schema.fields())
      if (key.type == model::Type::foreign && key.cascade) {
        values.emplace_back(parent->text());
        condition += fmt::format(" AND \"{}_id\" = ${}", key.name, values.size());
      }
  }
  return first(postgres_table_of(schema), condition, values);
}

Outcome<std::vector<Object>> PostgresStore::find_all(const Schema& schema, std::string_view field,
                                                     std::string_view value) {
  const auto& table = postgres_table_of(schema);
  const auto* declared = schema.field(field);
  WEIR_ASSERT(declared != nullptr &&
              (declared->unique || declared->automatic == model::Auto::uuid || declared->type == model::Type::foreign));
  std::vector<Object> out;
  if (has_nul(value) || (!declared->unique && !Uuid::parse(value))) return out;
  auto sql = fmt::format("{} WHERE {} AND \"{}\" = $1", table.select(), table.live(), table.column_of(*declared));
  std::vector<PostgresValue> values{std::string(value)};
  if (declared->unique && schema.workspaced()) {
    auto space = workspace(primary_);
    if (!space) return std::unexpected(std::move(space.error()));
    values.emplace_back(std::move(*space));
    sql += " AND ws_id = $2";
  }
  auto rows = primary_.query(sql + " ORDER BY id", values);
  if (!rows) return std::unexpected(failed(rows.error()));
  for (int row = 0; row < rows->rows(); row++) {
    // One damaged row does not hide the others.
    if (auto entity = table.read(*rows, row))
      out.push_back(std::move(*entity));
    else
      note_left_out(table, rows->text(row, table.id_column()), entity.error());
  }
  return out;
}

Outcome<Page> PostgresStore::page(const Schema& schema, const PageQuery& asked) {
  const auto& table = postgres_table_of(schema);
  const auto size = std::clamp<std::size_t>(asked.size, 1, page_rows_max);
  const bool counted = newest_first(schema, asked);
  std::int64_t skipped = 0;
  std::string after;
  if (counted) {
    auto offset = plain_offset(asked.offset);
    if (!offset) return std::unexpected(std::move(offset.error()));
    skipped = *offset;
  } else {
    auto offset = id_offset(asked.offset);
    if (!offset) return std::unexpected(std::move(offset.error()));
    after = std::move(*offset);
  }
  Page page;
  if (std::ranges::any_of(asked.tags, has_nul)) return page;
  const auto list = list_sql(table, asked, size + 1, after, skipped);
  auto rows = ask_lists(table.select() + list.condition, list.values);
  if (!rows) return std::unexpected(failed(rows.error()));
  const auto shown = std::min(static_cast<std::size_t>(rows->rows()), size);
  for (std::size_t i = 0; i < shown; i++) {
    const int row = static_cast<int>(i);
    // One damaged row does not hide the others; load() reports it.
    if (auto entity = table.read(*rows, row))
      page.rows.push_back(std::move(*entity));
    else
      note_left_out(table, rows->text(row, table.id_column()), entity.error());
  }
  if (static_cast<std::size_t>(rows->rows()) > size)
    page.next_offset = counted ? std::to_string(skipped + static_cast<std::int64_t>(size))
                               : print_offset({json::value(rows->text(static_cast<int>(size) - 1, table.id_column()))});
  return page;
}

Outcome<TagPage> PostgresStore::tags(const std::optional<std::string>& tag, std::size_t size, std::string_view offset) {
  size = std::clamp<std::size_t>(size, 1, page_rows_max);
  std::string after = first_id;
  std::int64_t position = -1;
  if (!offset.empty()) {
    auto key = parse_offset(offset, "si");
    if (!key) return std::unexpected(std::move(key.error()));
    after = std::string_view((*key)[0].get_string());
    position = (*key)[1].get_int64();
    if (!Uuid::parse(after)) return std::unexpected(bad_offset(offset, "bad json encoding"));
  }
  TagPage page;
  if (tag && has_nul(*tag)) return page;
  std::vector<PostgresValue> values{after, std::to_string(position)};
  std::string only;
  if (tag) {
    values.emplace_back(*tag);
    only = "t.tags @> ARRAY[$3::text] AND e.tag = $3::text AND ";
  }
  // Kong's table of vaults has another name than the entity.
  auto rows = ask_lists(
      fmt::format(
          "SELECT e.tag, CASE t.entity_name WHEN 'sm_vaults' THEN 'vaults' ELSE t.entity_name END, t.entity_id, "
          "e.place - 1 FROM tags AS t, unnest(t.tags) WITH ORDINALITY AS e(tag, place) WHERE {}t.entity_id >= "
          "$1::uuid AND (t.entity_id > $1::uuid OR e.place - 1 > $2::bigint) ORDER BY t.entity_id, e.place "
          "LIMIT {}",
          only, size + 1),
      values);
  if (!rows) return std::unexpected(failed(rows.error()));
  const auto shown = std::min(static_cast<std::size_t>(rows->rows()), size);
  for (std::size_t i = 0; i < shown; i++) {
    const int row = static_cast<int>(i);
    page.rows.push_back(
        {std::string(rows->text(row, 0)), std::string(rows->text(row, 1)), std::string(rows->text(row, 2))});
    const auto place = rows->text(row, 3);
    std::from_chars(place.data(), place.data() + place.size(), position);
  }
  if (static_cast<std::size_t>(rows->rows()) > size)
    page.next_offset = print_offset({json::value(page.rows.back().entity_id), json::value(position)});
  return page;
}

bool PostgresStore::reachable() {
  return primary_.query("SELECT 1").has_value();
}

}  // namespace weir::store
