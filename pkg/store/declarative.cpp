// Reads Kong's declarative format: text -> values -> a flat list of items -> entities. All faults are gathered in a
// tree that mirrors the input.
#include <array>
#include <deque>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/text.h"
#include "model/formats.h"
#include "model/rules.h"
#include "store/cache_keys.h"
#include "store/store.h"
#include "store/table.h"
#include "store/yaml.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Field;
using model::Problem;
using model::Type;

// Kong's entities that this version has no declaration for. They are refused by name: a file that asks for a vault must
// not be served without it.
constexpr std::string_view unsupported_kinds[] = {"acme_storage",
                                                  "clustering_data_planes",
                                                  "consumer_group_consumers",
                                                  "consumer_group_plugins",
                                                  "consumer_groups",
                                                  "filter_chains",
                                                  "hmacauth_credentials",
                                                  "jwt_secrets",
                                                  "key_sets",
                                                  "keys",
                                                  "licenses",
                                                  "oauth2_authorization_codes",
                                                  "oauth2_credentials",
                                                  "oauth2_tokens",
                                                  "parameters",
                                                  "ratelimiting_metrics",
                                                  "sessions",
                                                  "vaults",
                                                  "workspaces"};

bool is_unsupported_kind(std::string_view key) {
  return model::find_schema(key) == nullptr && std::ranges::find(unsupported_kinds, key) != std::end(unsupported_kinds);
}
std::string unsupported_message(std::string_view kind) {
  return fmt::format("this version of Weir does not support '{}'; remove them", kind);
}

// The field of `child` that names its parent of this kind.
const Field* parent_field(const Schema& child, const Schema& parent) {
  for (const auto& field : child.fields())
    if (field.type == Type::foreign && field.reference == parent.name()) return &field;
  return nullptr;
}

// Where something stands in the input: names and positions.
using Path = std::vector<std::variant<std::string, std::size_t>>;

class Faults {
 public:
  void add_value(const Path& path, std::string_view field, json::value what) {
    auto* object = at(path);
    if (object != nullptr && !object->contains(field)) object->emplace(field, std::move(what));
  }
  void add(const Path& path, std::string_view field, std::string_view message) {
    add_value(path, field, json::value(message));
  }
  void merge(const Path& path, const json::object& fields) {
    for (const auto& [name, what] : fields) add_value(path, name, what);
  }
  // For a value that has no fields of its own.
  void replace(const Path& path, std::string_view message) {
    if (auto* node = reach(path)) *node = json::value(message);
  }
  bool none() const { return root_.get_object().empty(); }
  json::object take() { return std::move(root_.get_object()); }

 private:
  // Makes the way there: objects by name, arrays by position, padded with null.
  json::value* reach(const Path& path) {
    auto* node = &root_;
    for (const auto& step : path) {
      if (const auto* name = std::get_if<std::string>(&step)) {
        if (node->is_null()) node->emplace_object();
        if (!node->is_object()) return nullptr;
        node = &node->get_object()[*name];
      } else {
        if (node->is_null()) node->emplace_array();
        if (!node->is_array()) return nullptr;
        const auto index = std::get<std::size_t>(step);
        if (node->get_array().size() <= index) node->get_array().resize(index + 1);
        node = &node->get_array()[index];
      }
    }
    return node;
  }
  json::object* at(const Path& path) {
    auto* node = reach(path);
    if (node == nullptr) return nullptr;
    if (node->is_null()) node->emplace_object();
    return node->if_object();
  }

  json::value root_ = json::object{};
};

// One entity of the input, on its way.
struct Item {
  const Schema* schema = nullptr;
  Object input;
  Path path;
  const Item* parent = nullptr;  // the item that it is nested in
  const Field* parent_field = nullptr;
  std::string id;
};

class Reader {
 public:
  explicit Reader(double now) : now_(now) {}

  Outcome<Declarative> read(const Object& root) {
    read_head(root);
    for (const auto& [key, value] : root)
      if (!key.starts_with('_')) read_kind(key, value);
    for (const auto* schema : model::schemas())
      for (auto& item : items_[schema]) identify(item);
    for (const auto* schema : model::schemas())
      for (auto& item : items_[schema]) make(item);
    if (!faults_.none()) return std::unexpected(model::declarative_invalid(faults_.take()));
    return std::move(out_);
  }

 private:
  void read_head(const Object& root);
  void read_kind(std::string_view key, const json::value& value);
  void collect(const Schema&, const json::value& list, const Path&, const Item* parent);
  void identify(Item&);
  void resolve(Item&, const Field&);
  std::string stable_id(Item&);
  static std::string part_of_name(const Item&, const Field&);
  void migrate_paths(Object& route);
  void make(Item&);
  bool is_unique(const Item&, const Object& entity);

  double now_;
  bool old_paths_ = false;  // before "3.0": regular expressions are not marked
  bool transform_ = true;   // false: passwords and the like are hashed already
  Faults faults_;
  std::unordered_map<const Schema*, std::deque<Item>> items_;
  std::unordered_map<const Schema*, std::unordered_map<std::string, std::string>> id_by_key_;
  std::unordered_map<const Schema*, std::unordered_set<std::string>> ids_;
  std::unordered_set<std::string> taken_;  // unique values of entities that were made
  Declarative out_;
};

void Reader::read_head(const Object& root) {
  const auto* version = root.if_contains("_format_version");
  if (version == nullptr || version->is_null()) {
    faults_.add({}, "_format_version", "required field missing");
  } else {
    // 3.0 without quotes is a number for YAML; Kong takes it too.
    const auto text = version->is_string()   ? std::string(version->get_string())
                      : version->is_number() ? fmt::format("{:.1f}", version->to_number<double>())
                                             : std::string();
    if (text != "1.1" && text != "2.1" && text != "3.0")
      faults_.add({}, "_format_version", "expected one of: 1.1, 2.1, 3.0");
    old_paths_ = text == "1.1" || text == "2.1";
  }
  if (const auto* transform = root.if_contains("_transform"); transform && transform->is_bool())
    transform_ = transform->get_bool();
  for (const auto& [key, value] : root) {
    if (!key.starts_with('_') || key == "_format_version" || value.is_null()) continue;
    if (key == "_transform" && !value.is_bool())
      faults_.add({}, key, "expected a boolean");
    else if (key == "_comment" && !value.is_string())
      faults_.add({}, key, "expected a string");
    else if (key == "_ignore" && !value.is_array())
      faults_.add({}, key, "expected an array");
    else if (key != "_transform" && key != "_comment" && key != "_ignore")
      faults_.add({}, key, "unknown field");
  }
}

void Reader::read_kind(std::string_view key, const json::value& value) {
  if (const auto* schema = model::find_schema(key))
    collect(*schema, value, {std::string(key)}, nullptr);
  else
    faults_.add({}, key, is_unsupported_kind(key) ? unsupported_message(key) : std::string("unknown field"));
}

void Reader::collect(const Schema& schema, const json::value& list, const Path& path, const Item* parent) {
  if (list.is_null()) return;
  if (!list.is_array()) {
    faults_.replace(path, "expected an array");
    return;
  }
  for (std::size_t i = 0; i < list.get_array().size(); i++) {
    Path here = path;
    here.emplace_back(i);
    const auto* object = list.get_array()[i].if_object();
    if (object == nullptr) {
      faults_.replace(here, "expected a record");
      continue;
    }
    auto& item = items_[&schema].emplace_back(Item{&schema, {}, here, parent, nullptr, {}});
    if (parent != nullptr) item.parent_field = parent_field(schema, *parent->schema);
    for (const auto& [key, value] : *object) {
      if (schema.field(key) != nullptr) {
        item.input.emplace(key, value);
        continue;
      }
      const auto* child = model::find_schema(key);
      if (child != nullptr && parent_field(*child, schema) != nullptr) {
        Path below = here;
        below.emplace_back(std::string(key));
        collect(*child, value, below, &item);
      } else if (is_unsupported_kind(key)) {
        faults_.add(here, key, unsupported_message(key));
      } else {
        item.input.emplace(key, value);  // a shorthand, or the schema names it as unknown
      }
    }
  }
}

// Gives the item its id and its parents' ids. Parents have theirs already.
void Reader::identify(Item& item) {
  const auto* given = item.input.if_contains("id");
  const bool has_id = given != nullptr && !given->is_null();
  if (!has_id) {
    item.id = stable_id(item);
    item.input["id"] = item.id;
  } else if (given->is_string()) {
    const auto id = Uuid::parse(std::string_view(given->get_string()));
    item.id = id ? id->text() : std::string(given->get_string());
    item.input["id"] = item.id;
  }
  for (const auto& field : item.schema->fields())
    if (field.type == Type::foreign) resolve(item, field);

  ids_[item.schema].insert(item.id);
  const auto* key = item.schema->endpoint_key().empty() ? nullptr : item.input.if_contains(item.schema->endpoint_key());
  if (key != nullptr && key->is_string()) id_by_key_[item.schema].emplace(std::string(key->get_string()), item.id);
}

void Reader::resolve(Item& item, const Field& field) {
  const auto* given = item.input.if_contains(field.name);
  if (item.parent_field == &field) {
    if (given != nullptr && !given->is_null()) {
      faults_.add(item.path, field.name, "unknown field");  // Kong's word: a nested entity does not name its parent
      return;
    }
    item.input[field.name] = Object{{"id", item.parent->id}};
    return;
  }
  const auto* parent = model::find_schema(field.reference);
  if (given == nullptr || given->is_null() || parent == nullptr) return;
  // "name or id", {id: ...} or {name: ...}.
  const json::value* key = given;
  if (const auto* object = given->if_object(); object != nullptr && object->size() == 1)
    if (object->begin()->key() == "id" || object->begin()->key() == parent->endpoint_key())
      key = &object->begin()->value();
  std::string found;
  if (const auto* text = key->if_string()) {
    const auto named = id_by_key_[parent].find(std::string(*text));
    if (named != id_by_key_[parent].end())
      found = named->second;
    else if (const auto id = Uuid::parse(std::string_view(*text)); id && ids_[parent].contains(id->text()))
      found = id->text();
  }
  if (!found.empty()) {
    item.input[field.name] = Object{{"id", found}};
    return;
  }
  const auto shown = given->is_string() ? std::string(given->get_string()) : json::serialize(*given);
  faults_.add(item.path, field.name,
              fmt::format("invalid reference '{}: {}' (no such entry in '{}')", field.name, shown, field.reference));
}

// A text as it is given; a parent's id, or the name by which the input refers to it; empty when there is none.
std::string Reader::part_of_name(const Item& item, const Field& field) {
  if (item.parent_field == &field) return item.parent->id;
  const auto* given = item.input.if_contains(field.name);
  if (given != nullptr && given->is_string()) return std::string(given->get_string());
  return std::string(foreign_id(item.input, field.name));
}

// The same on every node and at every reload (kong/db/schema/others/declarative_config.lua): UUIDv5 of what names the
// entity within its kind. What has no name is told apart by its content, so that a reload without a change changes
// nothing.
std::string Reader::stable_id(Item& item) {
  static const Uuid entities = *Uuid::parse("fd02801f-0957-4a15-a55a-c8d9606f30b5");
  const auto space = Uuid::from_name(entities, item.schema->name());
  const auto* key = item.schema->endpoint_key().empty() ? nullptr : item.input.if_contains(item.schema->endpoint_key());
  std::string name;
  if (key != nullptr && key->is_string()) {
    name = std::string_view(key->get_string());
    if (const auto* field = item.schema->field(item.schema->endpoint_key()); field != nullptr && !field->unique)
      for (const auto& foreign : item.schema->fields())
        if (foreign.type == Type::foreign && foreign.cascade) name += ":" + part_of_name(item, foreign);
  } else if (!item.schema->cache_key().empty()) {
    name = fmt::format("{}:*", item.schema->name());  // of any workspace
    for (const auto& part : item.schema->cache_key()) name += ":" + part_of_name(item, *item.schema->field(part));
  }
  if (!name.empty()) return Uuid::from_name(space, name).text();
  const auto content = fmt::format("{}:{}", item.parent != nullptr ? item.parent->id : "", model::key_text(item.input));
  for (std::size_t copy = 0;; copy++) {
    auto id = Uuid::from_name(space, copy == 0 ? content : fmt::format("{}:{}", content, copy)).text();
    if (!ids_[item.schema].contains(id)) return id;
  }
}

// Before 3.0 a path was a prefix when it held only such characters, and else a regular expression.
void Reader::migrate_paths(Object& route) {
  auto* paths = route.if_contains("paths");
  if (paths == nullptr || !paths->is_array()) return;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._~/%-").find(c) != std::string_view::npos;
  };
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'                             ? c - '0'
           : text::lower(c) >= 'a' && text::lower(c) <= 'f' ? text::lower(c) - 'a' + 10
                                                            : -1;
  };
  for (auto& path : paths->get_array()) {
    if (!path.is_string()) continue;
    const std::string given(path.get_string());
    if (std::ranges::all_of(given, plain)) {
      std::string normal;
      if (given.starts_with('/') && model::normal_path(given, normal)) path = normal;
      continue;
    }
    std::string decoded = "~";
    for (std::size_t i = 0; i < given.size(); i++) {
      const int high = given[i] == '%' && i + 2 < given.size() ? digit(given[i + 1]) : -1;
      const int low = high >= 0 ? digit(given[i + 2]) : -1;
      if (low >= 0) {
        decoded += static_cast<char>(high << 4 | low);
        i += 2;
      } else {
        decoded += given[i];
      }
    }
    path = decoded;
  }
}

void Reader::make(Item& item) {
  if (old_paths_ && item.schema->name() == "routes") migrate_paths(item.input);
  auto entity = item.schema->insert(std::move(item.input), now_, transform_);
  if (!entity) {
    if (entity.error().fields.empty())
      faults_.add_value(item.path, "@entity", json::array{json::value(entity.error().message)});
    else
      faults_.merge(item.path, entity.error().fields);
    return;
  }
  if (is_unique(item, *entity)) out_.entities.emplace_back(item.schema, std::move(*entity));
}

bool Reader::is_unique(const Item& item, const Object& entity) {
  const auto refuse = [&](std::string_view field, std::string_view said, std::string_view value) {
    faults_.add(item.path, field,
                fmt::format("uniqueness violation: '{}' entity with {} set to '{}' already declared",
                            item.schema->name(), said, value));
    return false;
  };
  const auto take = [&](std::string_view field, std::string_view value) {
    return taken_.insert(fmt::format("{}:{}:{}", item.schema->name(), field, value)).second;
  };
  for (const auto& field : item.schema->fields()) {
    const auto* value = entity.if_contains(field.name);
    if (!field.unique || field.name == "id" || value == nullptr || !value->is_string()) continue;
    if (!take(field.name, value->get_string())) return refuse(field.name, field.name, value->get_string());
  }
  if (!item.schema->cache_key().empty() && !take("cache_key", cache_key(*item.schema, entity))) {
    // Named by the last of its texts: a target, a group, the name of a plugin.
    std::string_view named;
    for (const auto& part : item.schema->cache_key())
      if (item.schema->field(part)->type == Type::string) named = part;
    return refuse(named, named, model::text_of(model::value_of(entity, named)));
  }
  if (!take("id", id_of(entity))) return refuse("id", "primary key", id_of(entity));
  return true;
}

Result<json::value> parse_text(std::string_view text) {
  if (text.size() > document_bytes_max) return fail("the document is larger than {} MiB", document_bytes_max >> 20);
  const auto first = text::trim(text);
  if (!first.starts_with('{')) return parse_yaml(text);
  json::error_code failed;
  json::parse_options options;
  options.max_depth = document_depth_max;
  auto value = json::parse(first, failed, {}, options);
  if (!failed) return value;
  // {a: 1} is YAML, too.
  if (auto yaml = parse_yaml(text)) return yaml;
  return fail("invalid JSON: {}", failed.message());
}

}  // namespace

Outcome<Declarative> parse_declarative(std::string_view text, double now) {
  const auto unreadable = [](std::string_view why) {
    return std::unexpected(model::declarative_invalid(
        Object{{"error", fmt::format("failed parsing declarative configuration: {}", why)}}));
  };
  auto value = parse_text(text);
  if (!value) return unreadable(value.error().message);
  if (!value->is_object()) return unreadable("expected an object");
  return Reader(now).read(value->get_object());
}

}  // namespace weir::store
