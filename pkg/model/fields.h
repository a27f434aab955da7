// Fields that most entities share, so that they are worded once. Private to this folder.
#pragma once
#include "model/schema_builder.h"

namespace weir::model {

template <class T>
SchemaBuilder<T> entity(std::string_view name, bool milliseconds = false) {
  SchemaBuilder<T> builder(name);
  builder.field("id", &T::id, "Identifies the entity; made up when left out.", automatic(Auto::uuid))
      .field("created_at", &T::created_at, "When it was made, in Unix seconds.",
             automatic(Auto::created_at, milliseconds))
      .field("updated_at", &T::updated_at, "When it was last changed, in Unix seconds.",
             automatic(Auto::updated_at, milliseconds));
  return builder;
}

inline Rule tags() {
  return [](Field& f) {
    as_set()(f);
    each({check(check_tag)})(f);
  };
}

inline constexpr std::string_view tags_help = "Free labels to group and filter by.";

}  // namespace weir::model
