#include "store/table.h"

#include <cmath>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "store/cache_keys.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Field;
using model::Object;
using model::Type;

constexpr std::size_t json_depth_max = 64;

// Columns of Kong's tables that belong to features without a declared field yet (router flavour "expressions").
struct Extra {
  std::string_view table, name, type;
};
constexpr Extra extras[] = {{"routes", "expression", "TEXT"}, {"routes", "priority", "INTEGER"}};

bool is_json(Type type) {
  return type == Type::array || type == Type::set || type == Type::map || type == Type::record;
}

std::string_view sql_type(const Field& field) {
  if (field.name == model::ttl_field) return "REAL";  // the moment of its end, with fractions
  switch (field.type) {
    case Type::integer:
      return field.milliseconds ? "REAL" : "INTEGER";
    case Type::boolean:
      return "INTEGER";
    case Type::number:
      return "REAL";
    default:
      return "TEXT";
  }
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

// What rows have that were written before the column was there.
std::string default_clause(const Field& field) {
  if (field.initial.is_null() || field.type == Type::foreign) return {};
  const auto& value = field.initial;
  if (is_json(field.type)) return " DEFAULT " + quoted(json::serialize(value));
  if (value.is_string()) return " DEFAULT " + quoted(value.get_string());
  if (value.is_bool()) return value.get_bool() ? " DEFAULT 1" : " DEFAULT 0";
  return " DEFAULT " + json::serialize(value);
}

std::string definition(const Column& column) {
  std::string out = fmt::format("\"{}\" {}", column.name, column.type);
  if (column.field == nullptr) return out;
  if (column.field->automatic == model::Auto::uuid) return out + " NOT NULL PRIMARY KEY";
  if (column.field->type == Type::foreign && model::find_schema(column.field->reference) != nullptr)
    return out + fmt::format(" REFERENCES \"{}\"(id){}", column.field->reference,
                             column.field->cascade ? " ON DELETE CASCADE" : "");
  return out + default_clause(*column.field);
}

void bind_value(Statement& statement, int at, const Field& field, const json::value* value) {
  if (value == nullptr || value->is_null()) {
    statement.bind_null(at);
  } else if (field.type == Type::foreign) {
    const auto* key = value->if_object();
    const auto id = key != nullptr ? id_of(*key) : std::string_view{};
    if (id.empty())
      statement.bind_null(at);
    else
      statement.bind(at, id);
  } else if (is_json(field.type)) {
    statement.bind_copy(at, json::serialize(*value));
  } else if (const auto* text = value->if_string()) {
    statement.bind(at, std::string_view(*text));
  } else if (const auto* number = value->if_int64()) {
    statement.bind(at, std::int64_t{*number});
  } else if (const auto* large = value->if_uint64()) {
    statement.bind(at, static_cast<double>(*large));
  } else if (const auto* real = value->if_double()) {
    statement.bind(at, *real);
  } else if (const auto* truth = value->if_bool()) {
    statement.bind(at, std::int64_t{*truth});
  } else {
    statement.bind_copy(at, json::serialize(*value));
  }
}

json::value number_value(double number) {
  // A whole number is shown as one: 5, not 5E0.
  constexpr double exact = 9007199254740992.0;  // 2^53
  if (std::trunc(number) == number && std::abs(number) <= exact) return static_cast<std::int64_t>(number);
  return number;
}

// False: not what the field can hold. A scalar of a wrong type is passed on; the schema's check names it.
bool read_value(const Statement& row, int at, const Field& field, json::value& out) {
  switch (row.type(at)) {
    case SQLITE_NULL:
      return true;
    case SQLITE_BLOB:
      return false;
    case SQLITE_FLOAT:
      out = number_value(row.real(at));
      return true;
    case SQLITE_INTEGER: {
      const auto number = row.integer(at);
      if (field.type == Type::boolean && (number == 0 || number == 1))
        out = number == 1;
      else
        out = number;
      return true;
    }
    default:
      break;
  }
  const auto text = row.text(at);
  if (field.type == Type::foreign) {
    out = json::object{{"id", text}};
  } else if (is_json(field.type)) {
    json::error_code failed;
    json::parse_options options;
    options.max_depth = json_depth_max;
    out = json::parse(text, failed, {}, options);
    return !failed;
  } else {
    out = text;
  }
  return true;
}

}  // namespace

std::string_view id_of(const Object& entity) {
  const auto* id = entity.if_contains("id");
  return id != nullptr && id->is_string() ? std::string_view(id->get_string()) : std::string_view{};
}

std::string_view foreign_id(const Object& entity, std::string_view field) {
  const auto* value = entity.if_contains(field);
  return value != nullptr && value->is_object() ? id_of(value->get_object()) : std::string_view{};
}

Table::Table(const model::Schema& schema) : schema_(&schema) {
  for (const auto& field : schema.fields())
    columns_.push_back(
        {field.type == Type::foreign ? field.name + "_id" : field.name, std::string(sql_type(field)), &field});
  declared_ = columns_.size();
  for (const auto& extra : extras)
    if (extra.table == schema.name() && schema.field(extra.name) == nullptr)
      columns_.push_back({std::string(extra.name), std::string(extra.type), nullptr});
  columns_.push_back({"ws_id", "TEXT", nullptr});
  if (!schema.cache_key().empty()) columns_.push_back({"cache_key", "TEXT", nullptr});

  std::string names, marks, sets;
  int at = 0;
  for (const auto& column : columns_) {
    at++;
    if (column.field == nullptr && column.name != "ws_id" && column.name != "cache_key") continue;
    // The numbers of bind(): position in columns_, so that all statements bind alike.
    const auto comma = names.empty() ? "" : ", ";
    names += fmt::format("{}\"{}\"", comma, column.name);
    marks += fmt::format("{}?{}", comma, at);
    if (column.name != "id") sets += fmt::format("{}\"{}\" = ?{}", sets.empty() ? "" : ", ", column.name, at);
  }
  std::string declared;
  for (std::size_t i = 0; i < declared_; i++) declared += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", columns_[i].name);
  const int id_at = 1 + static_cast<int>(column_of(*schema.field("id")) - columns_.data());
  select_ = fmt::format("SELECT {} FROM \"{}\"", declared, name());
  insert_ = fmt::format("INSERT INTO \"{}\" ({}) VALUES ({})", name(), names, marks);
  update_ = fmt::format("UPDATE \"{}\" SET {} WHERE id = ?{}", name(), sets, id_at);
  upsert_ = fmt::format("{} ON CONFLICT (id) DO UPDATE SET {}", insert_, sets);
}

const Column* Table::column_of(const Field& field) const {
  for (const auto& column : columns_)
    if (column.field == &field) return &column;
  return nullptr;
}

const Field* Table::field_of(std::string_view column) const {
  for (const auto& held : columns_)
    if (held.name == column) return held.field;
  return nullptr;
}

std::vector<std::string> Table::create() const {
  const auto table = name();
  std::string body;
  for (const auto& column : columns_) {
    if (!body.empty()) body += ", ";
    if (column.name == "ws_id")
      body += "\"ws_id\" TEXT REFERENCES workspaces(id)";
    else if (column.name == "cache_key")
      body += "\"cache_key\" TEXT UNIQUE";
    else
      body += definition(column);
  }
  for (const auto& column : columns_)
    if (column.field != nullptr && column.field->unique) body += fmt::format(", UNIQUE (ws_id, \"{}\")", column.name);

  std::vector<std::string> out{fmt::format("CREATE TABLE IF NOT EXISTS \"{}\" ({})", table, body)};
  for (const auto& column : columns_) {
    if (column.field == nullptr || column.field->type != Type::foreign) continue;
    // With what a list below the parent is ordered by: id, or newest first for targets.
    const auto order = schema_->name() == "targets" ? "created_at, id" : "id";
    out.push_back(
        fmt::format("CREATE INDEX IF NOT EXISTS \"{0}_{1}_idx\" ON \"{0}\" (\"{1}\", {2})", table, column.name, order));
  }
  if (schema_->has_ttl())
    out.push_back(fmt::format("CREATE INDEX IF NOT EXISTS \"{0}_ttl_idx\" ON \"{0}\" (ttl)", table));
  if (!schema_->has_tags()) return out;
  // The table `tags` follows by triggers, as in Kong; a row without tags has no row there.
  const auto keep =
      fmt::format("INSERT OR REPLACE INTO tags (entity_id, entity_name, tags) VALUES (new.id, '{}', new.tags);", table);
  out.push_back(
      fmt::format("CREATE TRIGGER IF NOT EXISTS \"{0}_sync_tags_insert\" AFTER INSERT ON \"{0}\" WHEN new.tags IS NOT "
                  "NULL BEGIN {1} END",
                  table, keep));
  out.push_back(fmt::format(
      "CREATE TRIGGER IF NOT EXISTS \"{0}_sync_tags_update\" AFTER UPDATE OF tags ON \"{0}\" "
      "WHEN new.tags IS NOT old.tags BEGIN DELETE FROM tags WHERE entity_id = old.id; "
      "INSERT INTO tags (entity_id, entity_name, tags) SELECT new.id, '{0}', new.tags WHERE new.tags IS NOT NULL; END",
      table));
  out.push_back(
      fmt::format("CREATE TRIGGER IF NOT EXISTS \"{0}_sync_tags_delete\" AFTER DELETE ON \"{0}\" "
                  "WHEN old.tags IS NOT NULL BEGIN DELETE FROM tags WHERE entity_id = old.id; END",
                  table));
  return out;
}

std::string Table::add_column(const Column& column) const {
  return fmt::format("ALTER TABLE \"{}\" ADD COLUMN {}", name(), definition(column));
}

std::string Table::cache_key(const Object& entity, std::string_view workspace) const {
  return store::cache_key(*schema_, entity).append(workspace);
}

void Table::bind(Statement& statement, const Object& entity, std::string_view workspace) const {
  int at = 0;
  for (const auto& column : columns_) {
    at++;
    if (column.field != nullptr)
      bind_value(statement, at, *column.field, entity.if_contains(column.field->name));
    else if (column.name == "ws_id")
      statement.bind(at, workspace);
    else if (column.name == "cache_key")
      statement.bind_copy(at, cache_key(entity, workspace));
  }
}

Result<Object> Table::read(const Statement& row) const {
  Object out;
  out.reserve(declared_);
  for (std::size_t i = 0; i < declared_; i++) {
    json::value value;
    if (!read_value(row, static_cast<int>(i), *columns_[i].field, value))
      return fail("{}: the column holds no valid {}", columns_[i].name,
                  is_json(columns_[i].field->type) ? "JSON" : "text");
    out.emplace(columns_[i].field->name, std::move(value));
  }
  return out;
}

std::span<const Table> tables() {
  static const auto all = [] {
    std::vector<Table> made;
    for (const auto* schema : model::schemas()) made.emplace_back(*schema);
    return made;
  }();
  return all;
}

const Table& table_of(const model::Schema& schema) {
  for (const auto& table : tables())
    if (&table.schema() == &schema) return table;
  WEIR_ASSERT(!"a schema that is not in model::schemas()");
  std::abort();
}

}  // namespace weir::store
