#include "model/form.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "model/formats.h"

namespace weir::model {
namespace {

namespace json = boost::json;

constexpr std::size_t index_max = form_fields_max;
constexpr std::size_t index_ahead_max = 64;  // how far an index may run ahead of those seen: bounds what it allocates
constexpr std::size_t lists_max = 4;         // lists of lists in one name

// One step from a value to a part of it.
struct Step {
  enum class Kind { key, index, append } kind = Kind::key;
  std::string_view key;
  std::size_t index = 0;  // from 1
};

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

std::optional<std::string> decode_percent(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      unsigned byte = 0;
      if (i + 2 >= text.size()) return std::nullopt;
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
      if (error != std::errc{} || end != text.data() + i + 3) return std::nullopt;
      out += static_cast<char>(byte);
      i += 2;
    }
  }
  return out;
}

// The name up to the next dot outside of brackets.
std::string_view next_part(std::string_view name) {
  std::size_t brackets = 0;
  for (std::size_t i = 0; i < name.size(); i++) {
    if (name[i] == '[') brackets++;
    if (name[i] == ']' && brackets > 0) brackets--;
    if (name[i] == '.' && brackets == 0) return name.substr(0, i);
  }
  return name;
}

// "x[1][k]" -> x, 1, k. What does not close its brackets is a name as it stands.
Result<void> split_part(std::string_view part, std::vector<Step>& steps) {
  const auto open = part.find('[');
  if (open == part.npos || open == 0 || !part.ends_with(']')) {
    steps.push_back({Step::Kind::key, part, 0});
    return {};
  }
  std::vector<Step> inner;
  auto rest = part.substr(open);
  while (!rest.empty()) {
    const auto close = rest.find(']');
    if (rest.front() != '[' || close == rest.npos || rest.substr(1, close - 1).find('[') != rest.npos) {
      steps.push_back({Step::Kind::key, part, 0});
      return {};
    }
    const auto label = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (label.empty()) {
      inner.push_back({Step::Kind::append, {}, 0});
    } else if (is_digits(label)) {
      std::size_t index = 0;
      const auto read = std::from_chars(label.data(), label.data() + label.size(), index);
      if (read.ec != std::errc{} || index == 0 || index > index_max)
        return fail("the position in '{}' is not between 1 and {}", shown(part), index_max);
      inner.push_back({Step::Kind::index, {}, index});
    } else {
      inner.push_back({Step::Kind::key, label, 0});
    }
  }
  steps.push_back({Step::Kind::key, part.substr(0, open), 0});
  steps.insert(steps.end(), inner.begin(), inner.end());
  return {};
}

Result<std::vector<Step>> split_name(std::string_view name) {
  std::vector<Step> steps;
  if (name.starts_with('.') || name.ends_with('.')) {  // Kong takes such a name literally
    steps.push_back({Step::Kind::key, name, 0});
    return steps;
  }
  auto rest = name;
  while (!rest.empty()) {
    const auto part = next_part(rest);
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part.empty()) continue;
    if (auto split = split_part(part, steps); !split) return std::unexpected(split.error());
    if (steps.size() >= form_depth_max) return fail("the name '{}' is nested too deep", shown(name));
  }
  std::size_t lists = 0;
  for (const auto& step : steps) lists += step.kind == Step::Kind::key ? 0 : 1;
  if (lists > lists_max) return fail("the name '{}' is nested too deep", shown(name));
  if (steps.empty()) steps.push_back({Step::Kind::key, name, 0});
  return steps;
}

// The slot that a step leads to; null when what is there is of another kind.
json::value* descend(json::value& from, const Step& step, bool last) {
  if (step.kind == Step::Kind::key) {
    if (from.is_null()) from.emplace_object();
    auto* object = from.if_object();
    return object ? &(*object)[step.key] : nullptr;
  }
  if (from.is_null()) from.emplace_array();
  auto* array = from.if_array();
  if (!array) return nullptr;
  if (step.kind == Step::Kind::append && last) return &array->emplace_back(nullptr);
  const std::size_t index = step.kind == Step::Kind::append ? 1 : step.index;  // a[].x means the first, as in Kong
  if (index > array->size() + index_ahead_max) return nullptr;
  if (index > array->size()) array->resize(index);
  return &(*array)[index - 1];
}

}  // namespace

Result<void> place(Object& into, std::string_view name, json::value value) {
  const auto steps = split_name(name);
  if (!steps) return std::unexpected(steps.error());
  json::value* slot = &into[steps->front().key];
  for (std::size_t i = 1; i < steps->size(); i++) {
    slot = descend(*slot, (*steps)[i], i + 1 == steps->size());
    if (!slot) return fail("the name '{}' does not fit the names before it", shown(name));
  }
  if (slot->is_null()) {
    *slot = std::move(value);
  } else if (auto* array = slot->if_array()) {
    array->push_back(std::move(value));
  } else if (slot->is_object()) {
    return fail("the name '{}' does not fit the names before it", shown(name));
  } else if (steps->back().kind == Step::Kind::index) {
    return fail("the name '{}' is given twice", shown(name));
  } else {
    *slot = json::array{std::move(*slot), std::move(value)};
  }
  return {};
}

Result<Object> decode_form(std::string_view body) {
  Object out;
  std::size_t count = 0;
  while (!body.empty()) {
    const auto pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(pair.size() + 1, body.size()));
    if (pair.empty()) continue;
    if (++count > form_fields_max) return fail("Too many arguments");
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = decode_percent(pair.substr(0, equals));
    const auto value = decode_percent(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) return fail("broken percent escape in '{}'", shown(pair));
    if (auto placed = place(out, *name, json::value(*value)); !placed) return std::unexpected(placed.error());
  }
  return out;
}

namespace {

std::optional<json::value> number_of(std::string_view text) {
  if (text.empty() || text.find_first_not_of("+-.0123456789eE") != text.npos) return {};  // no "inf", "nan"
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto read = std::from_chars(text.data(), end, whole); read.ec == std::errc{} && read.ptr == end)
    return json::value(whole);
  double real = 0;
  if (const auto read = std::from_chars(text.data(), end, real); read.ec == std::errc{} && read.ptr == end)
    return json::value(real);
  return {};
}

void infer_value(const Field& field, json::value& value) {
  const auto* text = value.if_string();
  if (text && text->empty()) {
    value = nullptr;
    return;
  }
  switch (field.type) {
    case Type::integer:
    case Type::number:
      if (text)
        if (auto number = number_of(*text)) value = std::move(*number);
      break;
    case Type::boolean:
      if (text && *text == "true") {
        value = true;
      } else if (text && *text == "false") {
        value = false;
      }
      break;
    case Type::array:
    case Type::set: {
      if (value.is_null()) break;
      if (!value.is_array()) value = json::array{std::move(value)};
      for (auto& element : value.get_array()) infer_value(field.elements.front(), element);
      break;
    }
    case Type::map:
      if (auto* map = value.if_object())
        for (auto& pair : *map) infer_value(field.values.front(), pair.value());
      break;
    case Type::record:
      if (auto* record = value.if_object()) {
        for (const auto& part : field.fields)
          if (auto* inner = record->if_contains(part.name)) infer_value(part, *inner);
        for (const auto& part : field.shorthand_fields)
          if (auto* inner = record->if_contains(part.name)) infer_value(part, *inner);
      }
      break;
    case Type::foreign:
      if (auto* key = value.if_object())
        for (auto& pair : *key)
          if (pair.value().is_string() && pair.value().get_string().empty()) pair.value() = nullptr;
      break;
    case Type::string:
      break;
  }
}

}  // namespace

void infer(const Schema& schema, Object& form, const Object* current) {
  for (const auto& field : schema.fields()) {
    auto* value = form.if_contains(field.name);
    if (!value) continue;
    const auto* typed = &schema.field_for(field, form);
    if (typed == &field && current) typed = &schema.field_for(field, *current);
    infer_value(*typed, *value);
  }
}

}  // namespace weir::model
