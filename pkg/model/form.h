// application/x-www-form-urlencoded and multipart names as entities: "hosts[]=a&config.x=1" (kong/api/arguments.lua).
//
// decode_form knows no schema: all leaves are strings. infer gives them the types that a schema declares.
#pragma once
#include <string_view>

#include "base/result.h"
#include "model/schema.h"

namespace weir::model {

inline constexpr std::size_t form_fields_max = 1000;  // Kong: "Too many arguments"
inline constexpr std::size_t form_depth_max = 64;

// Reads a whole body. Errors: too many arguments, a broken percent escape, nesting too deep.
Result<Object> decode_form(std::string_view body);
// Puts one decoded name and value into `into`: a.b -> nested, a[] and a[1] -> array, a[key] -> map, repeated -> array.
Result<void> place(Object& into, std::string_view name, boost::json::value value);
// Types the strings of a form: numbers, booleans, "" -> null, a scalar for an array -> one element, records and maps
// recursively. What cannot be converted stays a string and fails validation later. current: the entity that is updated,
// which may say what the form does not (the name of a plugin, which types its `config`).
void infer(const Schema& schema, Object& form, const Object* current = nullptr);

}  // namespace weir::model
