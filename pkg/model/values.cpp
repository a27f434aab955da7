#include "model/values.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <unordered_set>

#include <fmt/format.h>

#include "base/text.h"
#include "model/formats.h"

namespace weir::model {
namespace {

namespace json = boost::json;

// Beyond it a double no longer holds every integer, and neither do most JSON readers (RFC 8259 section 6).
constexpr double integer_max = 9007199254740991;
constexpr double timestamp_max = 253402300800;  // the year 10000

std::string expected(Type type) {
  const auto word = name(type);
  const bool vowel = std::string_view("aeiou").find(word.front()) != std::string_view::npos;
  return fmt::format("expected {} {}", vowel ? "an" : "a", word);
}

std::optional<double> number_of(const json::value& value) {
  if (const auto* whole = value.if_int64()) return static_cast<double>(*whole);
  if (const auto* large = value.if_uint64()) return static_cast<double>(*large);
  if (const auto* real = value.if_double(); real && std::isfinite(*real)) return *real;
  return {};
}

json::value message(Wrong wrong) {
  return wrong ? json::value(*wrong) : json::value();
}

bool is_one_of(const Field& field, std::string_view word) {
  return field.one_of.empty() || std::find(field.one_of.begin(), field.one_of.end(), word) != field.one_of.end();
}

Wrong wrong_length(const Field& field, std::size_t length, std::size_t least) {
  if (length < field.len_min.value_or(least))
    return fmt::format("length must be at least {}", field.len_min.value_or(least));
  if (field.len_max && length > *field.len_max) return fmt::format("length must be at most {}", *field.len_max);
  return {};
}

Wrong wrong_string(const Field& field, const json::value& value) {
  const auto* text = value.if_string();
  if (!text) return expected(Type::string);
  if (!is_text(*text)) return "invalid value: expected valid utf-8 without NUL characters";
  if (!is_one_of(field, *text)) return fmt::format("expected one of: {}", fmt::join(field.one_of, ", "));
  for (const auto& word : field.not_one_of)
    if (std::string_view(*text) == word)
      return fmt::format("must not be one of: {}", fmt::join(field.not_one_of, ", "));
  if (field.uuid && !Uuid::parse(*text)) return "expected a valid UUID";
  return wrong_length(field, text->size(), 1);
}

Wrong wrong_number(const Field& field, const json::value& value) {
  const auto number = number_of(value);
  if (!number) return expected(field.type);
  const bool whole = field.type == Type::integer;
  if (whole && *number != std::trunc(*number)) return expected(field.type);
  if (!field.one_of.empty() && !is_one_of(field, fmt::format("{}", *number)))
    return fmt::format("expected one of: {}", fmt::join(field.one_of, ", "));
  if (field.automatic == Auto::created_at || field.automatic == Auto::updated_at) {
    if (*number > 0 && *number < timestamp_max) return {};
    return "expected a valid timestamp";
  }
  if (field.greater_than && *number <= *field.greater_than)
    return fmt::format("value must be greater than {}", *field.greater_than);
  const auto [low, high] = field.between.value_or(std::pair(-integer_max, integer_max));
  if (*number < low || *number > high)
    return fmt::format("value should be between {} and {}", static_cast<std::int64_t>(low),
                       static_cast<std::int64_t>(high));
  return {};
}

json::value fault_of_list(const Field& field, const json::value& value) {
  const auto* array = value.if_array();
  if (!array) return json::value(expected(field.type));
  if (auto wrong = wrong_length(field, array->size(), 0)) return json::value(*wrong);
  json::array faults;
  std::size_t count = 0;
  for (std::size_t i = 0; i < array->size() && count < faults_max; i++) {
    auto fault = fault_of(field.elements.front(), (*array)[i]);
    if (fault.is_null()) continue;
    faults.resize(i);  // nulls for the good ones before it
    faults.push_back(std::move(fault));
    count++;
  }
  return faults.empty() ? json::value() : json::value(std::move(faults));
}

json::value fault_of_map(const Field& field, const json::value& value) {
  const auto* map = value.if_object();
  if (!map) return json::value(expected(field.type));
  if (auto wrong = wrong_length(field, map->size(), 0)) return json::value(*wrong);
  Object faults;
  for (const auto& pair : *map) {
    if (faults.size() >= faults_max) break;
    auto fault = fault_of(field.keys.front(), json::value(pair.key()));
    if (fault.is_null()) fault = fault_of(field.values.front(), pair.value());
    if (!fault.is_null()) faults[shown(pair.key())] = std::move(fault);
  }
  return faults.empty() ? json::value() : json::value(std::move(faults));
}

const Field* find(const std::vector<Field>& fields, std::string_view name) {
  for (const auto& field : fields)
    if (field.name == name) return &field;
  return nullptr;
}

json::value fault_of_record(const Field& field, const json::value& value) {
  const auto* record = value.if_object();
  if (!record) return json::value(expected(field.type));
  Object faults;
  std::size_t known = 0;
  for (const auto& part : field.fields) {
    const auto* given = record->if_contains(part.name);
    if (given) known++;
    if (given && !given->is_null()) {
      if (auto fault = fault_of(part, *given); !fault.is_null()) faults[part.name] = std::move(fault);
    } else if (part.required) {
      faults[part.name] = "required field missing";
    }
  }
  if (known != record->size())
    for (const auto& pair : *record)
      if (!find(field.fields, pair.key()) && faults.size() < faults_max) faults[shown(pair.key())] = "unknown field";
  if (!field.at_least_one_of.empty()) {
    bool any = false;
    for (const auto& name : field.at_least_one_of)
      if (const auto* given = record->if_contains(name)) any = any || !given->is_null();
    std::string list;
    for (const auto& name : field.at_least_one_of) list += fmt::format("{}'{}'", list.empty() ? "" : ", ", name);
    if (!any) faults["@entity"] = json::array{json::value("at least one of these fields must be non-empty: " + list)};
  }
  std::vector<std::string> messages;
  for (const auto& check : field.entity_checks) check(*record, faults, messages);
  if (!messages.empty()) faults["@entity"] = json::array(messages.begin(), messages.end());
  return faults.empty() ? json::value() : json::value(std::move(faults));
}

// {"id": "<uuid>"} and nothing else: whoever took the input has resolved names to ids.
json::value fault_of_foreign(const json::value& value) {
  const auto* key = value.if_object();
  if (!key) return json::value(expected(Type::record));
  Object faults;
  const auto* id = key->if_contains("id");
  if (!id || id->is_null()) {
    faults["id"] = "missing primary key";
  } else if (!id->is_string()) {
    faults["id"] = expected(Type::string);
  } else if (!Uuid::parse(id->get_string())) {
    faults["id"] = "expected a valid UUID";
  }
  for (const auto& pair : *key)
    if (pair.key() != "id" && faults.size() < faults_max) faults[shown(pair.key())] = "not a primary key";
  return faults.empty() ? json::value() : json::value(std::move(faults));
}

json::value fault_of_type(const Field& field, const json::value& value) {
  switch (field.type) {
    case Type::string:
      return message(wrong_string(field, value));
    case Type::integer:
    case Type::number:
      return message(wrong_number(field, value));
    case Type::boolean:
      return value.is_bool() ? json::value() : json::value(expected(Type::boolean));
    case Type::array:
    case Type::set:
      return fault_of_list(field, value);
    case Type::map:
      return fault_of_map(field, value);
    case Type::record:
      return fault_of_record(field, value);
    case Type::foreign:
      return fault_of_foreign(value);
  }
  return nullptr;
}

void drop_repetitions(json::array& set) {
  if (set.size() < 2) return;
  std::unordered_set<std::string_view> seen;
  seen.reserve(set.size());
  json::array once;
  once.reserve(set.size());
  for (const auto& element : set)  // the views stay valid: `set` is not touched before the end
    if (!element.is_string() || seen.insert(element.get_string()).second) once.push_back(element);
  if (once.size() != set.size()) set = std::move(once);
}

void lower_uuid(json::value& value) {
  if (auto* text = value.if_string(); text && text->size() == 36)
    for (char& c : *text) c = text::lower(c);
}

}  // namespace

std::string_view name(Type type) {
  constexpr std::string_view names[] = {"string", "integer", "number", "boolean", "array",
                                        "set",    "map",     "record", "foreign"};
  return names[static_cast<std::size_t>(type)];
}

json::value fault_of(const Field& field, const json::value& value) {
  auto fault = fault_of_type(field, value);
  if (!fault.is_null()) return fault;
  for (const auto& check : field.checks)
    if (auto wrong = check(value)) return json::value(*wrong);
  if (field.unsupported) return message(field.unsupported(value));
  return fault;
}

void canonicalise(const Field& field, json::value& value) {
  switch (field.type) {
    case Type::integer:
    case Type::number:
      if (const auto number = number_of(value);
          number && *number == std::trunc(*number) && std::abs(*number) <= integer_max)
        value = static_cast<std::int64_t>(*number);
      break;
    case Type::string:
      if (field.uuid) lower_uuid(value);
      break;
    case Type::foreign:
      if (auto* key = value.if_object())
        if (auto* id = key->if_contains("id")) lower_uuid(*id);
      break;
    case Type::array:
    case Type::set:
      if (auto* array = value.if_array()) {
        for (auto& element : *array) canonicalise(field.elements.front(), element);
        if (field.type == Type::set) drop_repetitions(*array);
      }
      break;
    case Type::map:
      if (auto* map = value.if_object())
        for (auto& pair : *map) canonicalise(field.values.front(), pair.value());
      break;
    case Type::record:
      if (auto* record = value.if_object())
        for (const auto& part : field.fields) {
          const bool filled = !record->contains(part.name);
          auto& slot = (*record)[part.name];
          if (filled) slot = part.initial;
          canonicalise(part, slot);
        }
      break;
    case Type::boolean:
      break;
  }
}

namespace {

// The value at a path of records; with `make`, records on the way are made from their defaults.
json::value* at_path(const Field& record, Object& in, const std::vector<std::string>& path, bool make) {
  const auto* fields = &record.fields;
  Object* level = &in;
  for (std::size_t i = 0; i < path.size(); i++) {
    const auto* part = find(*fields, path[i]);
    auto* slot = level->if_contains(path[i]);
    if (i + 1 == path.size()) return slot || !make ? slot : &(*level)[path[i]];
    if (!part || (!make && (!slot || !slot->is_object()))) return nullptr;
    // Only what is given: in a patch, a default would overwrite what is held.
    if (!slot || slot->is_null()) slot = &((*level)[path[i]] = Object{});
    if (!slot->is_object()) return nullptr;  // named as a fault later
    level = &slot->get_object();
    fields = &part->fields;
  }
  return nullptr;
}

void take_old_name(const Field& record, const Field& old, Object& input, Object& faults) {
  const auto* given = input.if_contains(old.name);
  if (!given) return;
  auto value = *given;
  input.erase(old.name);
  canonicalise(old, value);
  if (!value.is_null()) {
    if (auto fault = fault_of(old, value); !fault.is_null()) {
      faults[old.name] = std::move(fault);
      return;
    }
  }
  const auto* present = at_path(record, input, old.replaced_by, false);
  if (present && !present->is_null()) {
    auto other = *present;
    canonicalise(old, other);
    if (!value.is_null() && other != value)
      faults[old.name] =
          fmt::format("both deprecated and new field are used but their values mismatch: {} = {} vs {} = {}", old.name,
                      shown(json::serialize(value)), fmt::join(old.replaced_by, "."), shown(json::serialize(other)));
    return;
  }
  if (auto* slot = at_path(record, input, old.replaced_by, true)) *slot = std::move(value);
}

}  // namespace

void expand(const Field& record, Object& input, Object& faults) {
  if (record.shorthand) record.shorthand(input, faults);
  for (const auto& field : record.shorthand_fields)
    if (!field.replaced_by.empty()) take_old_name(record, field, input, faults);
}

void echo_old_names(const Field& record, Object& shown) {
  for (const auto& field : record.shorthand_fields) {
    if (field.replaced_by.empty()) continue;
    const auto* value = at_path(record, shown, field.replaced_by, false);
    const json::value copy = value ? *value : json::value();
    shown[field.name] = copy;
  }
}

void adapt(const Field& field, json::value& value) {
  if (value.is_null()) {
    if (field.required && !field.initial.is_null()) value = field.initial;
    if (value.is_null()) return;
  }
  if (auto* array = value.if_array(); array && !field.elements.empty()) {
    if (field.elements.front().type == Type::record)
      for (auto& element : *array) adapt(field.elements.front(), element);
    return;
  }
  auto* given = value.if_object();
  if (field.type != Type::record || !given || field.fields.empty()) return;
  Object ignored;
  for (const auto& old : field.shorthand_fields) {
    const auto* held = given->if_contains(old.name);
    if (held && !held->is_null() && !old.replaced_by.empty()) take_old_name(field, old, *given, ignored);
  }
  Object whole;
  whole.reserve(field.fields.size());
  for (const auto& part : field.fields) {
    auto* held = given->if_contains(part.name);
    auto& slot = whole[part.name];
    slot = held ? std::move(*held) : part.initial;
    adapt(part, slot);
  }
  *given = std::move(whole);
}

void normalise(const Field& field, json::value& value) {
  if (value.is_null()) return;
  if (field.normalise) value = field.normalise(value);
  if (auto* array = value.if_array(); array && !field.elements.empty())
    for (auto& element : *array) normalise(field.elements.front(), element);
  if (auto* object = value.if_object())
    for (const auto& part : field.fields)
      if (auto* inner = object->if_contains(part.name)) normalise(part, *inner);
}

json::value merged(const Field& field, const json::value& current, json::value patch) {
  if (field.type != Type::record || !current.is_object() || !patch.is_object()) return patch;
  Object out = current.get_object();
  for (auto& pair : patch.get_object()) {
    const auto* part = find(field.fields, pair.key());
    auto& slot = out[pair.key()];
    slot = part ? merged(*part, slot, std::move(pair.value())) : std::move(pair.value());
  }
  return out;
}

}  // namespace weir::model
