#include "plugin/response_transformer_json.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "base/text.h"
#include "plugin/template_pairs.h"

namespace weir::plugin {
namespace {

namespace json = boost::json;

template <class N>
std::optional<N> whole(std::string_view text, auto... base) {
  N out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// As Lua reads numbers, but those that JSON has no words for.
std::optional<json::value> number(std::string_view text) {
  text = text::trim(text);
  if (text.starts_with("0x") || text.starts_with("0X")) {
    const auto hexadecimal = whole<std::uint64_t>(text.substr(2), 16);
    if (hexadecimal) return *hexadecimal;
    return std::nullopt;
  }
  if (const auto integer = whole<std::int64_t>(text)) return *integer;
  if (const auto real = whole<double>(text); real && std::isfinite(*real)) return *real;
  return std::nullopt;
}

std::optional<json::value> typed(std::string_view text, std::string_view type) {
  if (text.empty()) text = "null";  // that is what an empty value comes to in Kong
  if (type == "number") return number(text);
  if (type == "boolean") return text == "true";
  return json::value(text);
}

// What Lua takes for there.
bool is_there(const json::value* value) {
  return value && !(value->is_bool() && !value->get_bool());
}

void append_to(json::value& member, const json::value& value) {
  if (auto* list = member.if_array()) {
    list->push_back(value);
  } else if (!member.is_object()) {
    json::array list(member.storage());
    if (member.is_string()) list.push_back(std::move(member));
    list.push_back(value);
    member = std::move(list);
  }
}

}  // namespace

std::vector<JsonEdits::Member> json_members(const std::vector<std::string>& elements,
                                            const std::vector<std::string>& types) {
  std::vector<JsonEdits::Member> out;
  for (std::size_t i = 0; i < elements.size(); i++) {
    const auto [name, text] = split_pair(elements[i]);
    auto value = typed(text, i < types.size() ? std::string_view(types[i]) : "string");
    if (!name.empty() && value) out.push_back({std::string(name), std::move(*value)});
  }
  return out;
}

std::optional<std::string> edited_json(std::string_view body, const JsonEdits& edits) {
  constexpr std::size_t depth_max = 100;
  std::array<unsigned char, 4096> first;
  json::monotonic_resource memory(first.data(), first.size());
  json::error_code error;
  json::parse_options options;
  options.max_depth = depth_max;
  auto document = json::parse({body.data(), body.size()}, error, &memory, options);
  auto* object = error ? nullptr : document.if_object();
  if (!object) return std::nullopt;
  for (const auto& name : edits.remove) object->stable_erase(name);
  for (const auto& [name, new_name] : edits.rename) {
    const auto* old = object->if_contains(name);
    if (!old || name == new_name) continue;
    auto value = *old;
    object->stable_erase(name);
    (*object)[new_name] = std::move(value);
  }
  for (const auto& [name, value] : edits.replace)
    if (is_there(object->if_contains(name))) (*object)[name] = value;
  for (const auto& [name, value] : edits.add)
    if (!is_there(object->if_contains(name))) (*object)[name] = value;
  for (const auto& [name, value] : edits.append) append_to((*object)[name], value);
  return print_json(document);
}

bool is_json(std::string_view content_type) {
  for (const auto part : text::split(content_type)) {
    const auto type = text::trim(part.substr(0, part.find(';')));
    if (text::equal_ignoring_case(type, "application/json")) return true;
  }
  return false;
}

}  // namespace weir::plugin
