// Declares an entity once: the struct's members give types, defaults and whether null is possible, the rules add what
// C++ cannot say, and read() fills the struct by the same members.
//
//   SchemaBuilder<Target>("targets")
//       .field("weight", &Target::weight, "Share of traffic inside the upstream.", between(0, 65535))
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "model/rules.h"
#include "model/schema.h"

namespace weir::model {

// A field of `entity`; `place` is where it stands when the keys are in declaration order, as they nearly always are.
inline const boost::json::value* look_up(const Object& entity, std::size_t place, std::string_view name) {
  if (place < entity.size()) {
    const auto& pair = *(entity.begin() + static_cast<std::ptrdiff_t>(place));
    if (pair.key() == name) return &pair.value();
  }
  return entity.if_contains(name);
}

// The declared fields of a struct, each bound to its member.
template <class T>
class Members {
 public:
  template <class M, class... Rules>
  Members& field(std::string_view name, M T::* member, std::string_view help, Rules&&... rules);
  template <class... Rules>
  Members& field(std::string_view name, Type type, std::string_view help, Rules&&... rules) {
    fields.push_back(declare(std::string(name), type, std::string(help), {Rule(std::forward<Rules>(rules))...}));
    return *this;
  }
  // Null and absent fields keep the value that T is born with.
  void read(T& out, const Object& from) const {
    for (const auto& [place, take] : readers_)
      if (const auto* value = look_up(from, place, fields[place].name)) take(out, *value);
  }

  std::vector<Field> fields;

 private:
  std::vector<std::pair<std::size_t, std::function<void(T&, const boost::json::value&)>>> readers_;
};

// Records inside entities (Peer) specialise this.
template <class T>
const Members<T>& members();

// How a C++ type is declared (shape), written as a default (print) and read (take). Wrong JSON types leave the target
// as it is: a value that satisfies its schema has none.
template <class M>
struct Member {  // a record
  static void shape(Field& f) {
    f.type = Type::record;
    f.fields = members<M>().fields;
  }
  static void take(M& out, const boost::json::value& from) {
    if (const auto* object = from.if_object()) members<M>().read(out, *object);
  }
  static boost::json::value print(const M&) {  // the default of a record is that of its fields
    Object out;
    for (const auto& field : members<M>().fields)
      if (!field.initial.is_null()) out[field.name] = field.initial;
    return out;
  }
};
template <>
struct Member<std::string> {
  static void shape(Field& f) { f.type = Type::string; }
  static void take(std::string& out, const boost::json::value& from) {
    if (const auto* text = from.if_string()) out.assign(text->data(), text->size());
  }
  static boost::json::value print(const std::string& value) {
    return value.empty() ? boost::json::value() : boost::json::value(value);
  }
};
template <>
struct Member<bool> {
  static void shape(Field& f) { f.type = Type::boolean; }
  static void take(bool& out, const boost::json::value& from) {
    if (const auto* flag = from.if_bool()) out = *flag;
  }
  static boost::json::value print(bool value) { return value; }
};
template <class N>
  requires(std::is_arithmetic_v<N> && !std::is_same_v<N, bool>)
struct Member<N> {
  static void shape(Field& f) { f.type = std::is_integral_v<N> ? Type::integer : Type::number; }
  static void take(N& out, const boost::json::value& from) {
    if (const auto* whole = from.if_int64()) out = static_cast<N>(*whole);
    if (const auto* real = from.if_double()) out = static_cast<N>(*real);
  }
  static boost::json::value print(N value) {
    const auto whole = static_cast<std::int64_t>(value);
    if (static_cast<N>(whole) == value) return whole;
    return static_cast<double>(value);
  }
};
template <>
struct Member<Object> {  // a record whose parts another field chooses
  static void shape(Field& f) { f.type = Type::record; }
  static void take(Object& out, const boost::json::value& from) {
    if (const auto* object = from.if_object()) out = *object;
  }
  static boost::json::value print(const Object& value) { return value; }
};
template <>
struct Member<Uuid> {  // an id, or {"id": ...} of a parent
  static void shape(Field& f) {
    f.type = Type::string;
    f.uuid = true;
  }
  static void take(Uuid& out, const boost::json::value& from) {
    const auto* text = from.if_string();
    if (const auto* object = from.if_object())
      if (const auto* id = object->if_contains("id")) text = id->if_string();
    if (text)
      if (const auto id = Uuid::parse(*text)) out = *id;
  }
  static boost::json::value print(const Uuid&) { return nullptr; }
};
template <class X>
struct Member<std::optional<X>> {
  static void shape(Field& f) { Member<X>::shape(f); }
  static void take(std::optional<X>& out, const boost::json::value& from) {
    if (from.is_null()) return out.reset();
    Member<X>::take(out.emplace(), from);
  }
  static boost::json::value print(const std::optional<X>& value) {
    return value ? Member<X>::print(*value) : boost::json::value();
  }
};
template <class X>
struct Member<std::vector<X>> {
  static void shape(Field& f) {
    f.type = Type::array;
    Member<X>::shape(f.elements.emplace_back());
  }
  static void take(std::vector<X>& out, const boost::json::value& from) {
    const auto* array = from.if_array();
    if (!array) return;
    out.resize(array->size());
    for (std::size_t i = 0; i < array->size(); i++) Member<X>::take(out[i], (*array)[i]);
  }
  static boost::json::value print(const std::vector<X>& value) {
    boost::json::array out;
    for (const auto& element : value) out.push_back(Member<X>::print(element));
    return out;
  }
};
template <class X>
struct Member<std::map<std::string, X>> {
  static void shape(Field& f) {
    f.type = Type::map;
    f.keys.emplace_back();
    Member<X>::shape(f.values.emplace_back());
  }
  static void take(std::map<std::string, X>& out, const boost::json::value& from) {
    if (const auto* object = from.if_object())
      for (const auto& pair : *object) Member<X>::take(out[std::string(pair.key())], pair.value());
  }
  static boost::json::value print(const std::map<std::string, X>& value) {
    Object out;
    for (const auto& [key, element] : value) out[key] = Member<X>::print(element);
    return out;
  }
};

template <class T>
template <class M, class... Rules>
Members<T>& Members<T>::field(std::string_view name, M T::* member, std::string_view help, Rules&&... rules) {
  Field f;
  f.name = name;
  f.help = help;
  Member<M>::shape(f);
  f.initial = Member<M>::print(T{}.*member);
  constexpr bool optional = requires(M m) { m.has_value(); };
  f.required = !optional;
  (Rule(std::forward<Rules>(rules))(f), ...);
  fields.push_back(std::move(f));
  readers_.emplace_back(fields.size() - 1, [member](T& out, const boost::json::value& from) {
    if (optional || !from.is_null()) Member<M>::take(out.*member, from);
  });
  return *this;
}

// A schema and the reader that belongs to it.
template <class T>
struct Declared {
  Schema schema;
  Members<T> members;
  T read(const Object& entity) const {
    T out;
    members.read(out, entity);
    return out;
  }
};

template <class T>
class SchemaBuilder {
 public:
  explicit SchemaBuilder(std::string_view name) { built_.schema.name_ = name; }

  // The field by which one entity is found beside its id.
  SchemaBuilder& endpoint_key(std::string_view field) {
    built_.schema.endpoint_key_ = field;
    return *this;
  }
  SchemaBuilder& cache_key(std::vector<std::string> fields) {
    built_.schema.cache_key_ = std::move(fields);
    return *this;
  }
  // Not in the snapshot: rows are looked up.
  SchemaBuilder& looked_up() {
    built_.schema.core_ = false;
    return *this;
  }
  // Rows belong to no workspace.
  SchemaBuilder& everywhere() {
    built_.schema.workspaced_ = false;
    return *this;
  }
  SchemaBuilder& shown_at(std::string_view collection, std::string_view nested) {
    built_.schema.collection_ = collection;
    built_.schema.nested_ = nested;
    return *this;
  }
  template <class... Args>
  SchemaBuilder& field(std::string_view name, Args&&... args) {
    built_.members.field(name, std::forward<Args>(args)...);
    return *this;
  }
  SchemaBuilder& rule(CrossRule rule) {
    auto& whole = built_.schema.whole_;
    if (!rule.described.empty()) whole.described_checks.push_back(std::move(rule.described));
    whole.entity_checks.push_back(std::move(rule.check));
    return *this;
  }
  // Rewrites a client's input before anything else; `shown`: write-only fields that exist only for it.
  SchemaBuilder& shorthand(std::vector<Field> shown, std::function<void(Object& input, Object& faults)> rewrite) {
    auto& whole = built_.schema.whole_;
    for (auto& field : shown) whole.shorthand_fields.push_back(std::move(field));
    whole.shorthand = std::move(rewrite);
    return *this;
  }
  // An old name of the field at `path` (declared before): taken as input, echoed when shown, never stored.
  SchemaBuilder& deprecated(std::string_view old_name, std::vector<std::string> path) {
    built_.schema.whole_.shorthand_fields.push_back(old_field(built_.members.fields, old_name, std::move(path)));
    return *this;
  }
  // The parts of the record `field` depend on the text of the field `by`, declared before it.
  SchemaBuilder& chosen(std::string_view field, std::string_view by, const Field* (*choose)(std::string_view)) {
    built_.schema.chosen_ = field;
    built_.schema.chosen_by_ = by;
    built_.schema.choose_ = choose;
    return *this;
  }
  // Brings an accepted entity to its stored form; by an update only when one of `fields` is given.
  SchemaBuilder& transform(std::vector<std::string> fields, std::function<void(Object& entity)> apply) {
    built_.schema.transformed_ = std::move(fields);
    built_.schema.transform_ = std::move(apply);
    return *this;
  }
  Declared<T> build() {
    auto& whole = built_.schema.whole_;
    whole.name = built_.schema.name_;
    whole.required = true;
    record(built_.members.fields)(whole);
    return std::move(built_);
  }

 private:
  Declared<T> built_;
};

}  // namespace weir::model
