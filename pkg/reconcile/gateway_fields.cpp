#include "reconcile/gateway_fields.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace weir::reconcile {

namespace json = boost::json;

std::string text_of(const Object& object, std::string_view field, std::string_view otherwise) {
  const auto* found = object.if_contains(field);
  return found && found->is_string() ? std::string(found->get_string()) : std::string(otherwise);
}

std::optional<std::int64_t> number_of(const Object& object, std::string_view field) {
  const auto* found = object.if_contains(field);
  if (!found) return {};
  if (const auto* number = found->if_int64()) return *number;
  if (const auto* number = found->if_uint64()) return static_cast<std::int64_t>(*number);
  return {};
}

std::optional<bool> flag_of(const Object& object, std::string_view field) {
  const auto* found = object.if_contains(field);
  return found && found->is_bool() ? std::optional(found->get_bool()) : std::nullopt;
}

const Object& object_in(const json::value& value) {
  static const Object none;
  return value.is_object() ? value.get_object() : none;
}

const Object& object_of(const Object& object, std::initializer_list<std::string_view> path) {
  static const Object none;
  const auto* at = &object;
  for (const auto field : path) {
    const auto* found = at->if_contains(field);
    if (!found || !found->is_object()) return none;
    at = &found->get_object();
  }
  return *at;
}

const json::array& array_of(const Object& object, std::initializer_list<std::string_view> path) {
  static const json::array none;
  const json::value* found = nullptr;
  const auto* at = &object;
  for (const auto field : path) {
    found = at ? at->if_contains(field) : nullptr;
    if (!found) return none;
    at = found->if_object();
  }
  return found && found->is_array() ? found->get_array() : none;
}

bool has(const Object& object, std::string_view field) {
  const auto* found = object.if_contains(field);
  return found && !found->is_null();
}

std::int64_t generation_of(const Object& object) {
  return number_of(object_of(object, {"metadata"}), "generation").value_or(0);
}

std::int64_t created_at(const Object& object) {
  const auto text = text_of(object_of(object, {"metadata"}), "creationTimestamp");
  int year = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0, day = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d:%2dZ", &year, &month, &day, &hour, &minute, &second) != 6)
    return 0;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return 0;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return std::int64_t{days} * 86400 + hour * 3600 + minute * 60 + second;
}

model::DeclaredByPtr declared_by(std::string_view kind, const Name& name, const Object& object) {
  return std::make_shared<const model::DeclaredBy>(
      model::DeclaredBy{std::string(kind), name.text(), generation_of(object)});
}

namespace {

bool holds(const Object& expression, const Object& labels) {
  const auto* label = labels.if_contains(text_of(expression, "key"));
  const auto& values = array_of(expression, {"values"});
  const bool among = label && std::find(values.begin(), values.end(), *label) != values.end();
  const auto operation = text_of(expression, "operator");
  if (operation == "In") return among;
  if (operation == "NotIn") return !among;
  if (operation == "Exists") return label != nullptr;
  return operation == "DoesNotExist" && !label;
}

}  // namespace

bool selects(const Object* selector, const Object& labels) {
  if (!selector) return false;
  for (const auto& [key, value] : object_of(*selector, {"matchLabels"})) {
    const auto* label = labels.if_contains(key);
    if (!label || *label != value) return false;
  }
  const auto& expressions = array_of(*selector, {"matchExpressions"});
  return std::all_of(expressions.begin(), expressions.end(),
                     [&](const auto& expression) { return holds(object_in(expression), labels); });
}

bool allows_namespace(const Object& namespaces, std::string_view otherwise, const std::string& own,
                      const std::string& space, View& view) {
  const auto from = text_of(namespaces, "from", otherwise);
  if (from == "All") return true;
  if (from == "Same") return own == space;
  if (from != "Selector" || !has(namespaces, "selector")) return false;
  const auto labels = view.labels_of_namespace(space);
  return labels && selects(&object_of(namespaces, {"selector"}), *labels);
}

bool refers_to(const Object& reference, const Kind& kind, std::string_view group_otherwise,
               std::string_view kind_otherwise) {
  return text_of(reference, "group", group_otherwise) == kind.group &&
         text_of(reference, "kind", kind_otherwise) == kind.kind;
}

}  // namespace weir::reconcile
