// Reading fields of objects that anybody may have written: what is missing or of another type is nothing.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace weir::reconcile::fields {

using Object = boost::json::object;

inline const Object* object_at(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(field);
  return value ? value->if_object() : nullptr;
}
inline const boost::json::array* array_at(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(field);
  return value ? value->if_array() : nullptr;
}
inline std::string_view text_at(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(field);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}
inline std::optional<std::int64_t> number_at(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(field);
  if (!value || !value->is_number()) return std::nullopt;
  boost::system::error_code fault;
  const auto number = value->to_number<std::int64_t>(fault);
  return fault ? std::nullopt : std::optional(number);
}
// A field of metadata.
inline std::string_view meta(const Object& object, std::string_view field) {
  const auto* metadata = object_at(object, "metadata");
  return metadata ? text_at(*metadata, field) : std::string_view();
}
inline std::string_view label(const Object& object, std::string_view name) {
  const auto* metadata = object_at(object, "metadata");
  const auto* labels = metadata ? object_at(*metadata, "labels") : nullptr;
  return labels ? text_at(*labels, name) : std::string_view();
}
std::int64_t generation(const Object& object);  // 0: its kind has none
std::uint64_t revision(const Object& object);   // metadata.resourceVersion; 0: none
std::int64_t created_at(const Object& object);  // Unix seconds; 0: none

}  // namespace weir::reconcile::fields
