// Values in bodies: what is found is cut and then no longer there, and JSON is read as Boost reads it.
#include <string>

#include <boost/json.hpp>

#include "base/result.h"
#include "plugin/body_args.h"

using namespace weir::plugin;

namespace {

void same_as_boost(std::string_view body, std::string_view name, const Arg& found) {
  boost::json::error_code error;
  const auto value = boost::json::parse({body.data(), body.size()}, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* member = object ? object->if_contains(name) : nullptr;
  const auto expected = !member                                     ? Arg::absent
                        : member->is_string()                       ? Arg::one
                        : member->is_array() || member->is_object() ? Arg::many
                                                                    : Arg::other;
  WEIR_ASSERT(found.state == expected);
  WEIR_ASSERT(found.state != Arg::one || found.text == member->get_string());
}

}  // namespace

// The first byte chooses the form, the second the name's length.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string input(reinterpret_cast<const char*>(data) + 2, size - 2);  // a read beyond the end is seen
  const auto split = std::min<std::size_t>(data[1] % 8, input.size());
  const std::string name = input.substr(0, split), body = input.substr(split);
  const char* types[] = {"application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=B"};
  const auto form = data[0] < 0xf0 ? body_form(types[data[0] % 3]) : body_form(name);

  std::string scratch, rest, again;
  const auto found = find_in_body(form, body, name, scratch);
  WEIR_ASSERT(found.text.size() <= body.size());
  if (form.kind == BodyForm::json) same_as_boost(body, name, found);
  const bool cut = cut_from_body(form, body, name, rest);
  WEIR_ASSERT(cut == (found.state != Arg::absent));
  if (!cut) return 0;
  WEIR_ASSERT(rest.size() < body.size());
  WEIR_ASSERT(find_in_body(form, rest, name, again).state == Arg::absent);
  if (form.kind != BodyForm::json) return 0;
  boost::json::error_code error;
  boost::json::parse(rest, error);
  WEIR_ASSERT(!error);
  return 0;
}
