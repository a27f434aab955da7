// Writes what a store holds in Kong's declarative format.
#include <map>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "store/store.h"
#include "store/table.h"
#include "store/yaml.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Field;
using model::Type;

// A null is left out when reading the field's absence gives null again; a default would take its place otherwise.
bool may_leave_out(const Field& field) {
  return field.initial.is_null() && field.type != Type::record;
}

const Field* named(std::span<const Field> fields, std::string_view name) {
  for (const auto& field : fields)
    if (field.name == name) return &field;
  return nullptr;
}

json::value without_nulls(const Field& field, const json::value& value);

json::object record_without_nulls(std::span<const Field> fields, const Object& record) {
  json::object out;
  for (const auto& [name, value] : record) {
    const auto* field = named(fields, name);
    if (field == nullptr)
      out.emplace(name, value);
    else if (!value.is_null() || !may_leave_out(*field))
      out.emplace(name, without_nulls(*field, value));
  }
  return out;
}

json::object entity_without_nulls(const Schema& schema, const Object& entity) {
  auto out = record_without_nulls(schema.fields(), entity);
  for (const auto& declared : schema.fields()) {
    const auto& field = schema.field_for(declared, entity);
    if (&field == &declared) continue;  // else: the configuration of a plugin
    if (const auto* value = entity.if_contains(declared.name)) out[declared.name] = without_nulls(field, *value);
  }
  return out;
}

json::value without_nulls(const Field& field, const json::value& value) {
  if (field.type == Type::record && value.is_object()) return record_without_nulls(field.fields, value.get_object());
  // A record in a list.
  if ((field.type == Type::array || field.type == Type::set) && value.is_array() && !field.elements.empty()) {
    json::array out;
    for (const auto& element : value.get_array()) out.push_back(without_nulls(field.elements.front(), element));
    return out;
  }
  // The format wants a text for a reference.
  if (field.type == Type::foreign && value.is_object()) return json::value(id_of(value.get_object()));
  return value;
}

// What is looked up is not loaded: it is read page by page.
Outcome<json::array> pages_of(Store& store, const Schema& schema) {
  json::array out;
  PageQuery query;
  query.size = 1000;
  for (;;) {
    auto page = store.page(schema, query);
    if (!page) return std::unexpected(std::move(page.error()));
    for (const auto& row : page->rows) out.push_back(entity_without_nulls(schema, row));
    if (!page->next_offset) return out;
    query.offset = *page->next_offset;
  }
}

}  // namespace

Outcome<std::string> print_declarative(Store& store) {
  std::map<std::string_view, json::array> lists;
  std::string faults;
  auto loaded = store.load([&](const Schema& schema,
                               Object entity) { lists[schema.name()].push_back(entity_without_nulls(schema, entity)); },
                           [&](Fault fault) {
                             auto line = fmt::format("# left out: {} {}: {}", fault.schema, fault.id, fault.message);
                             // A comment ends with its line, whatever a broken row holds.
                             for (auto& c : line)
                               if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
                                 c = '?';
                             faults += line + "\n";
                           });
  if (!loaded) return std::unexpected(model::database_failed(std::move(loaded.error().message)));
  json::object document{{"_format_version", "3.0"}};
  for (const auto* schema : model::schemas()) {
    auto& list = lists[schema->name()];
    if (!schema->core()) {
      auto rows = pages_of(store, *schema);
      if (!rows) return std::unexpected(std::move(rows.error()));
      list = std::move(*rows);
    }
    if (list.empty()) continue;
    if (schema->transforms()) document["_transform"] = false;  // passwords are written as they are stored
    document[schema->name()] = std::move(list);
  }
  std::string out = faults;
  print_yaml(out, document);
  return out;
}

}  // namespace weir::store
