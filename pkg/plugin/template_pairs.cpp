#include "plugin/template_pairs.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "plugin/template.h"

namespace weir::plugin {
namespace {

using model::shown;
using model::Wrong;

// Kong knows no other characters in them.
bool is_header_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    const char low = text::lower(c);
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Wrong not_a_header(std::string_view text) {
  return fmt::format("'{}' is not a valid header", shown(text));
}

Wrong without_colon(std::string_view element) {
  const auto colon = element.find(':');
  if (colon != 0 && colon != element.npos) return {};
  return fmt::format("invalid value: {}", shown(element));
}

}  // namespace

NameValue split_pair(std::string_view element) {
  const auto colon = std::min(element.find(':'), element.size());
  const auto value = std::min(element.find_first_not_of(':', colon), element.size());
  return {element.substr(0, colon), element.substr(value)};
}

Wrong check_removed_header(std::string_view element) {
  const auto [name, value] = split_pair(element);
  return is_header_name(name) ? Wrong() : not_a_header(name);
}

Wrong check_renamed_header(std::string_view element) {
  if (auto wrong = without_colon(element)) return wrong;
  const auto [name, value] = split_pair(element);
  if (!is_header_name(name)) return not_a_header(name);
  return is_header_name(value) ? Wrong() : not_a_header(value);
}

Wrong check_header_pair(std::string_view element) {
  if (auto wrong = without_colon(element)) return wrong;
  const auto [name, value] = split_pair(element);
  if (!is_header_name(name)) return not_a_header(name);
  return model::check_header_value(value) ? not_a_header(value) : Wrong();
}

Wrong check_header_template(std::string_view element) {
  if (auto wrong = check_header_pair(element)) return wrong;
  return check_whole_template(split_pair(element).value);
}

Wrong check_pair(std::string_view element) {
  return without_colon(element);
}

Wrong check_template(std::string_view element) {
  const auto [name, value] = split_pair(element);
  if (name.empty() || value.empty()) return fmt::format("key '{}' has no value", shown(name));
  return check_whole_template(value);
}

Wrong check_whole_template(std::string_view value) {
  const auto parsed = Template::parse(value);
  if (parsed) return {};
  return fmt::format("value '{}' is not in supported format, error: {}", shown(value), shown(parsed.error().message));
}

bool is_framing(std::string_view lower_name) {
  return lower_name == "content-length" || lower_name == "transfer-encoding";
}

}  // namespace weir::plugin
