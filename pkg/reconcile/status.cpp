#include "reconcile/status.h"

#include "reconcile/fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using fields::array_at;
using fields::text_at;

constexpr std::string_view served_type = "weir.dev/Served", programmed_type = "Programmed", accepted_type = "Accepted";
constexpr std::array<std::string_view, 2> shared_lists{"parents", "ancestors"};

// Calls back for each list of conditions, wherever it is.
template <class Call>
void each_conditions(Object& object, const Call& call) {
  for (auto& [name, value] : object) {
    auto* list = value.if_array();
    if (name == "conditions" && list) {
      call(*list);
      continue;
    }
    if (auto* inner = value.if_object()) each_conditions(*inner, call);
    if (!list) continue;
    for (auto& element : *list)
      if (auto* inner = element.if_object()) each_conditions(*inner, call);
  }
}

Object* find(json::array& conditions, std::string_view type) {
  for (auto& value : conditions)
    if (auto* condition = value.if_object(); condition && text_at(*condition, "type") == type) return condition;
  return nullptr;
}

bool is_true(const Object* condition) {
  return condition && text_at(*condition, "status") == "True";
}

void say_no(Object* condition, std::string_view reason, const std::string& message) {
  if (!is_true(condition)) return;
  (*condition)["status"] = "False";
  (*condition)["reason"] = reason;
  (*condition)["message"] = message;
}

void say_served(json::array& conditions, const ServedBy& by) {
  auto *served = find(conditions, served_type), *programmed = find(conditions, programmed_type);
  if (!by.refused.empty()) {
    say_no(served, "Invalid", by.refused);
    // A kind without Programmed has Accepted alone to say it.
    say_no(programmed ? programmed : find(conditions, accepted_type), "Invalid", by.refused);
  } else if (!by.all()) {
    say_no(served, "Pending", by.message());
    say_no(programmed, "Pending", by.message());
  } else if (is_true(served)) {
    (*served)["message"] = by.message();
  }
}

// What makes an element of a list the same one as before: a listener's name, a parent's reference and controller.
bool same_element(const Object& a, const Object& b) {
  for (const std::string_view field : {"name", "parentRef", "ancestorRef", "controllerName", "type"}) {
    const auto *one = a.if_contains(field), *other = b.if_contains(field);
    if (!one != !other || (one && *one != *other)) return false;
  }
  return true;
}

const Object* matching(const Object& element, const json::array* list) {
  if (!list) return nullptr;
  for (const auto& value : *list)
    if (const auto* other = value.if_object(); other && same_element(element, *other)) return other;
  return nullptr;
}

// A condition's time is that of its last change of status.
void carry_times(Object& wanted, const Object* present, std::string_view now) {
  for (auto& [name, value] : wanted) {
    const auto* before = present ? present->if_contains(name) : nullptr;
    if (auto* inner = value.if_object()) carry_times(*inner, before ? before->if_object() : nullptr, now);
    auto* list = value.if_array();
    if (!list) continue;
    const auto* old_list = before ? before->if_array() : nullptr;
    for (auto& element : *list) {
      auto* inner = element.if_object();
      if (!inner) continue;
      const auto* old = matching(*inner, old_list);
      if (name != "conditions") {
        carry_times(*inner, old, now);
        continue;
      }
      const bool same = old && text_at(*old, "status") == text_at(*inner, "status");
      const auto since = same ? text_at(*old, "lastTransitionTime") : std::string_view();
      (*inner)["lastTransitionTime"] = since.empty() ? now : since;
    }
  }
}

void keep_foreign(Object& wanted, const Object* present, const std::set<std::string_view>& ours) {
  if (!present) return;
  for (const auto name : shared_lists) {
    auto* value = wanted.if_contains(name);
    auto* list = value ? value->if_array() : nullptr;
    const auto* old = array_at(*present, name);
    if (!list || !old) continue;
    json::array merged;
    for (const auto& element : *old)
      if (const auto* entry = element.if_object(); entry && !ours.contains(text_at(*entry, "controllerName")))
        merged.push_back(element);
    for (auto& element : *list) merged.push_back(std::move(element));
    *list = std::move(merged);
  }
}

// Empty lists and objects come back from some kinds as nothing.
bool is_nothing(const json::value* value) {
  if (!value || value->is_null()) return true;
  if (const auto* list = value->if_array()) return list->empty();
  const auto* object = value->if_object();
  return object && std::ranges::all_of(*object, [](const auto& field) { return is_nothing(&field.value()); });
}

bool same_value(const json::value* wanted, const json::value* present);

bool same_object(const Object& wanted, const Object& present, bool counts_matter) {
  for (const auto& [name, value] : wanted)
    if (counts_matter || name != "message")
      if (!same_value(&value, present.if_contains(name))) return false;
  for (const auto& [name, value] : present)
    if (!wanted.contains(name) && !is_nothing(&value)) return false;
  return true;
}

// Conditions that others have added are theirs.
bool same_conditions(const json::array& wanted, const json::array& present) {
  return std::ranges::all_of(wanted, [&](const json::value& value) {
    const auto* condition = value.if_object();
    const auto* old = condition ? matching(*condition, &present) : nullptr;
    const bool all_serve = condition && text_at(*condition, "type") == served_type && is_true(condition);
    return old && same_object(*condition, *old, !all_serve);
  });
}

bool same_value(const json::value* wanted, const json::value* present) {
  if (is_nothing(wanted) || is_nothing(present)) return is_nothing(wanted) && is_nothing(present);
  if (wanted->is_object() && present->is_object()) {
    const auto &a = wanted->get_object(), &b = present->get_object();
    for (const auto& [name, value] : a)
      if (const auto *conditions = value.if_array(), *old = array_at(b, name);
          name == "conditions" && conditions && old) {
        if (!same_conditions(*conditions, *old)) return false;
      } else if (!same_value(&value, b.if_contains(name))) {
        return false;
      }
    return std::ranges::all_of(
        b, [&](const auto& field) { return a.contains(field.key()) || is_nothing(&field.value()); });
  }
  if (wanted->is_array() && present->is_array()) {
    const auto &a = wanted->get_array(), &b = present->get_array();
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!same_value(&a[i], &b[i])) return false;
    return true;
  }
  return *wanted == *present;
}

}  // namespace

std::string ServedBy::message() const {
  if (!refused.empty()) return refused;
  auto out = fmt::format("{} of {} replicas", served, replicas);
  if (!waiting_for.empty()) out += "; waiting for " + waiting_for;
  return out;
}

bool claims_served(const Object& status) {
  bool claims = false;
  each_conditions(const_cast<Object&>(status), [&](json::array& conditions) {
    claims = claims || is_true(find(conditions, served_type)) || is_true(find(conditions, programmed_type));
  });
  return claims;
}

Object finish_status(Object wanted, const ServedBy& by, const Object* present, const std::set<std::string_view>& ours,
                     std::string_view now) {
  each_conditions(wanted, [&](json::array& conditions) { say_served(conditions, by); });
  carry_times(wanted, present, now);
  keep_foreign(wanted, present, ours);
  return wanted;
}

bool same_status(const Object& finished, const Object* present) {
  static const Object none;
  if (!present) present = &none;
  // Only what is wanted counts: other fields of the status belong to somebody else.
  return std::ranges::all_of(finished, [&](const auto& field) {
    const auto* old = present->if_contains(field.key());
    if (field.key() == "conditions" && field.value().is_array() && old && old->is_array())
      return same_conditions(field.value().get_array(), old->get_array());
    return same_value(&field.value(), old);
  });
}

bool has_shared_lists(const Object& status) {
  return std::ranges::any_of(shared_lists, [&](std::string_view name) { return status.contains(name); });
}

}  // namespace weir::reconcile
