#include "reconcile/fields.h"

#include <charconv>

#include "kube/moment.h"

namespace weir::reconcile::fields {

std::int64_t generation(const Object& object) {
  const auto* metadata = object_at(object, "metadata");
  return metadata ? number_at(*metadata, "generation").value_or(0) : 0;
}

std::uint64_t revision(const Object& object) {
  const auto text = meta(object, "resourceVersion");
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::int64_t created_at(const Object& object) {
  const auto time = kube::parse_time(meta(object, "creationTimestamp"));
  return time ? std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count() : 0;
}

}  // namespace weir::reconcile::fields
