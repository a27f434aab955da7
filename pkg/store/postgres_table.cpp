#include "store/postgres_table.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "model/rules.h"
#include "store/cache_keys.h"
#include "store/table.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Field;
using model::Object;
using model::Type;

constexpr std::size_t json_depth_max = 64;

bool is_time(const Field& field) {
  return field.automatic == model::Auto::created_at || field.automatic == model::Auto::updated_at;
}
bool is_list(const Field& field) {
  return field.type == Type::array || field.type == Type::set;
}

std::string read_expression(const Field& field, const std::string& column) {
  if (field.name == model::ttl_field)
    return fmt::format("floor(extract(epoch FROM {} - CURRENT_TIMESTAMP))::bigint", column);
  if (is_time(field)) return fmt::format("extract(epoch FROM {})::float8", column);
  if (is_list(field)) return fmt::format("array_to_json({})", column);
  return column;
}

std::string write_expression(const Field& field, int at) {
  if (field.name == model::ttl_field) return fmt::format("CURRENT_TIMESTAMP + ${}::float8 * interval '1 second'", at);
  if (is_time(field)) return fmt::format("to_timestamp(${}::float8)", at);
  return fmt::format("${}", at);
}

// The seconds that an update carries come from a read a moment ago, rounded down: they do not move the end.
std::string kept_end(const std::string& held, const std::string& now) {
  return fmt::format(
      "CASE WHEN {0} BETWEEN {1} - interval '1 second' AND {1} + interval '2 seconds' THEN {0} ELSE {1} END", held,
      now);
}

bool append_array_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '\0') return false;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
  return true;
}

// False: a value that PostgreSQL cannot hold, since it knows no NUL.
bool print(const Field& field, const json::value& value, PostgresValue& out) {
  if (value.is_null()) return true;
  if (field.type == Type::foreign) {
    const auto* key = value.if_object();
    if (const auto id = key != nullptr ? id_of(*key) : std::string_view{}; !id.empty()) out = std::string(id);
    return true;
  }
  if (is_list(field)) {
    const auto* list = value.if_array();
    if (list == nullptr) return false;
    std::string text = "{";
    for (const auto& element : *list) {
      if (text.size() > 1) text += ',';
      const auto* word = element.if_string();
      const auto shown = word != nullptr ? std::string(*word) : json::serialize(element);
      if (word == nullptr && shown.find("\\u0000") != std::string::npos) return false;
      if (!append_array_text(text, shown)) return false;
    }
    out = text + '}';
    return true;
  }
  if (field.type == Type::record || field.type == Type::map) {
    out = json::serialize(value);
    return out->find("\\u0000") == std::string::npos;
  }
  if (const auto* text = value.if_string()) {
    out = std::string(*text);
    return out->find('\0') == std::string::npos;
  }
  if (const auto* truth = value.if_bool())
    out = *truth ? "true" : "false";
  else if (const auto* real = value.if_double())
    out = fmt::format("{}", *real);
  else
    out = json::serialize(value);
  return true;
}

bool read_number(std::string_view text, const Field& field, json::value& out) {
  constexpr double exact = 9007199254740992.0;  // 2^53
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) return false;
  // Kong writes its seconds from other clocks with a fraction, too; shown are whole ones.
  if (is_time(field)) number = field.milliseconds ? std::round(number * 1000) / 1000 : std::floor(number);
  if (std::trunc(number) == number && std::abs(number) <= exact)
    out = static_cast<std::int64_t>(number);
  else
    out = number;
  return true;
}

bool read_json(std::string_view text, json::value& out) {
  json::error_code failed;
  json::parse_options options;
  options.max_depth = json_depth_max;
  out = json::parse(text, failed, {}, options);
  return !failed;
}

bool read_value(std::string_view text, const Field& field, json::value& out) {
  switch (field.type) {
    case Type::foreign:
      out = json::object{{"id", text}};
      return true;
    case Type::boolean:
      out = text == "t";
      return text == "t" || text == "f";
    case Type::integer:
    case Type::number:
      return read_number(text, field, out);
    case Type::string:
      out = text;
      return true;
    default:
      return read_json(text, out);
  }
}

}  // namespace

PostgresTable::PostgresTable(const model::Schema& schema) : schema_(&schema) {
  std::string read, names, marks, sets, updates;
  int at = 0;
  const auto add = [&](const std::string& column, const std::string& expression, const Field* field) {
    const auto* comma = names.empty() ? "" : ", ";
    names += comma + column;
    marks += comma + expression;
    if (column == "\"id\"") return;
    const bool ends = field != nullptr && field->name == model::ttl_field;
    const auto target = fmt::format("\"{}\".{}", schema.name(), column);
    const auto* between = sets.empty() ? "" : ", ";
    sets +=
        fmt::format("{}{} = {}", between, column, ends ? kept_end(target, "EXCLUDED." + column) : "EXCLUDED." + column);
    updates += fmt::format("{}{} = {}", between, column, ends ? kept_end(column, expression) : expression);
  };
  for (const auto& field : schema.fields()) {
    const auto column = fmt::format("\"{}\"", column_of(field));
    if (field.name == "id") id_column_ = at;
    read += fmt::format("{}{}", at == 0 ? "" : ", ", read_expression(field, column));
    at++;
    add(column, write_expression(field, at), &field);
  }
  if (schema.workspaced()) add("\"ws_id\"", fmt::format("${}", ++at), nullptr);
  if (!schema.cache_key().empty()) add("\"cache_key\"", fmt::format("${}", ++at), nullptr);

  select_ = fmt::format("SELECT {} FROM \"{}\"", read, schema.name());
  live_ = schema.has_ttl() ? "(ttl IS NULL OR ttl >= CURRENT_TIMESTAMP)" : "true";
  insert_ = fmt::format("INSERT INTO \"{}\" ({}) VALUES ({})", schema.name(), names, marks);
  update_ = fmt::format("UPDATE \"{}\" SET {} WHERE \"id\" = ${}", schema.name(), updates, id_column_ + 1);
  upsert_ = fmt::format("{} ON CONFLICT (id) DO UPDATE SET {}", insert_, sets);
}

std::string PostgresTable::column_of(const Field& field) const {
  return field.type == Type::foreign ? field.name + "_id" : field.name;
}

Result<Object> PostgresTable::read(const PostgresResult& rows, int row) const {
  Object out;
  const auto fields = schema_->fields();
  out.reserve(fields.size());
  for (std::size_t i = 0; i < fields.size(); i++) {
    const int at = static_cast<int>(i);
    json::value value;
    if (!rows.null(row, at) && !read_value(rows.text(row, at), fields[i], value))
      return fail("{}: the column holds no valid {}", column_of(fields[i]), model::name(fields[i].type));
    out.emplace(fields[i].name, std::move(value));
  }
  schema_->adapt(out);
  return out;
}

Result<std::vector<PostgresValue>> PostgresTable::values(const Object& entity, std::string_view workspace) const {
  std::vector<PostgresValue> out;
  out.reserve(schema_->fields().size() + 2);
  for (const auto& field : schema_->fields()) {
    const auto* value = entity.if_contains(field.name);
    auto& slot = out.emplace_back();
    if (value != nullptr && !print(field, *value, slot))
      return fail("{}: a value with the character NUL cannot be stored", field.name);
  }
  if (schema_->workspaced()) out.emplace_back(workspace);
  if (!schema_->cache_key().empty()) out.emplace_back(cache_key(*schema_, entity).append(workspace));
  return out;
}

std::span<const PostgresTable> postgres_tables() {
  static const auto all = [] {
    std::vector<PostgresTable> made;
    for (const auto* schema : model::schemas()) made.emplace_back(*schema);
    return made;
  }();
  return all;
}

const PostgresTable& postgres_table_of(const model::Schema& schema) {
  for (const auto& table : postgres_tables())
    if (&table.schema() == &schema) return table;
  WEIR_ASSERT(!"a schema that is not in model::schemas()");
  std::abort();
}

std::string postgres_array(std::span<const std::string> texts) {
  std::string out = "{";
  for (const auto& text : texts) {
    if (out.size() > 1) out += ',';
    (void)append_array_text(out, text);
  }
  return out + '}';
}

}  // namespace weir::store
