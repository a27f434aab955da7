// Values by name in a query or a body: form, JSON, multipart. For plugins that look for one (key-auth).
//
// Reads what any client may send: bounded by the input's size, never throws, keeps nothing. Cutting a value out leaves
// all else byte for byte as it was.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir::plugin {

struct Arg {
  enum State : std::uint8_t {
    absent,
    other,  // there, but not as text: no "=", a number, null
    one,
    many  // several values, or a JSON array or object
  } state = absent;
  std::string_view text;  // state one; in the input or in the scratch
};

// A query or a form: a=b&c=d with percent and "+" escapes. scratch is written when the value has escapes.
Arg find_arg(std::string_view encoded, std::string_view name, std::string& scratch);
// Calls f for each of them, decoded; value: nothing without "=".
void each_arg(std::string_view encoded,
              const std::function<void(std::string_view name, std::optional<std::string_view> value)>& f);
// The same without all of that name; false when it is not there, and `out` is not written.
bool cut_arg(std::string_view encoded, std::string_view name, std::string& out);

// How a body is to be read, by its Content-Type.
struct BodyForm {
  enum Kind : std::uint8_t { opaque, form, json, multipart } kind = opaque;
  std::string_view boundary;  // multipart; in the Content-Type
};
BodyForm body_form(std::string_view content_type);

// A body that is malformed has no values. JSON: members of the outermost object, the last of a name counts. Multipart:
// the parts' contents.
Arg find_in_body(const BodyForm&, std::string_view body, std::string_view name, std::string& scratch);
bool cut_from_body(const BodyForm&, std::string_view body, std::string_view name, std::string& out);

}  // namespace weir::plugin
