// Annotations with a simple value that becomes a field of an entity.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "reconcile/unit.h"

namespace weir::reconcile::kong {

struct AnnotatedField {
  enum class Form : std::uint8_t { text, number, flag, list, upper_list };
  std::string_view key;    // konghq.com/<key>
  std::string_view field;  // of the entity
  Form form = Form::text;
};

// Puts the fields that `object` is annotated with into `input`. A value that is not of its form is left out and told in
// `fault`, which begins with `of`. Answers the annotation of each field that was set.
std::map<std::string, std::string> read_annotations(const Object& object, std::span<const AnnotatedField>,
                                                    Object& input, std::string_view of, std::string& fault);

// strconv.ParseBool of Go, which Kong's controller reads flags with.
std::optional<bool> read_flag(std::string_view);

}  // namespace weir::reconcile::kong
