#include "plugin/request_transformer_body.h"

#include <array>

#include <boost/json.hpp>

#include "base/json.h"

namespace weir::plugin {
namespace {

namespace json = boost::json;

std::optional<std::string> edited_form(std::string_view body, const Edits& edits, const Rendered& values) {
  auto arguments = Arguments::parse(body);
  edit_arguments(arguments, edits, values);
  return arguments.print();
}

// --- JSON ---

// What Lua takes for there.
bool is_there(const json::value* value) {
  return value && !(value->is_bool() && !value->get_bool());
}

void append_to(json::value& member, std::string_view value) {
  if (auto* list = member.if_array()) {
    list->emplace_back(value);
  } else if (member.is_string()) {
    json::array both(member.storage());
    both.emplace_back(std::move(member));
    both.emplace_back(value);
    member = std::move(both);
  } else if (!member.is_object()) {
    json::array alone(member.storage());
    alone.emplace_back(value);
    member = std::move(alone);
  }
}

void edit_members(json::object& object, const Edits& edits, const Rendered& values) {
  for (const auto& name : edits.remove) object.stable_erase(name);
  for (const auto& [name, spelled, new_name] : edits.rename) {
    const auto* old = object.if_contains(name);
    if (!old || name == new_name.in(values)) continue;
    auto value = *old;
    object.stable_erase(name);
    object[new_name.in(values)] = std::move(value);
  }
  for (const auto& [name, spelled, value] : edits.replace)
    if (is_there(object.if_contains(name))) object[name] = value.in(values);
  for (const auto& [name, spelled, value] : edits.add)
    if (!is_there(object.if_contains(name))) object[name] = value.in(values);
  for (const auto& [name, spelled, value] : edits.append) append_to(object[name], value.in(values));
}

std::optional<std::string> edited_json(std::string_view body, const Edits& edits, const Rendered& values) {
  constexpr std::size_t depth_max = 100;
  std::array<unsigned char, 4096> first;
  json::monotonic_resource memory(first.data(), first.size());
  json::value document(json::object(), &memory);
  if (!body.empty()) {
    json::error_code error;
    json::parse_options options;
    options.max_depth = depth_max;
    document = json::parse({body.data(), body.size()}, error, &memory, options);
    if (error) return std::nullopt;
  }
  auto* object = document.if_object();
  if (!object) return std::nullopt;
  edit_members(*object, edits, values);
  if (body.empty() && object->empty()) return std::nullopt;
  return print_json(document);
}

// --- multipart: Kong does not append to it, and renames before it removes ---

// A part without a file name, behind all others.
void add_part(std::string_view boundary, std::string_view name, std::string_view value, std::string& body) {
  const auto closing = "--" + std::string(boundary) + "--";
  const auto end = body.rfind(closing);
  std::string part = "--" + std::string(boundary) + "\r\nContent-Disposition: form-data; name=\"";
  for (const char c : name) {
    // RFC 7578 section 4.2, as browsers do it: what would end the name is escaped.
    if (c == '"')
      part += "%22";
    else if (c == '\r' || c == '\n')
      part += c == '\r' ? "%0D" : "%0A";
    else
      part += c;
  }
  part.append("\"\r\n\r\n").append(value).append("\r\n");
  if (end == body.npos)
    body += part + closing + "\r\n";
  else
    body.insert(end, part);
}

std::optional<std::string> edited_parts(const BodyForm& form, std::string_view body, const Edits& edits,
                                        const Rendered& values) {
  if (!body.empty() && body.find("--" + std::string(form.boundary) + "--") == body.npos) return std::nullopt;
  std::string now(body), scratch, next;
  bool changed = false;
  const auto find = [&](const std::string& name) { return find_in_body(form, now, name, scratch); };
  const auto cut = [&](const std::string& name) {
    if (!cut_from_body(form, now, name, next)) return;
    now = std::exchange(next, {});
    changed = true;
  };
  const auto put = [&](std::string_view name, std::string_view value) {
    add_part(form.boundary, name, value, now);
    changed = true;
  };
  for (const auto& [name, spelled, new_name] : edits.rename) {
    const auto old = find(name);
    if (old.state != Arg::one) continue;
    const std::string value(old.text);
    cut(name);
    cut(std::string(new_name.in(values)));
    put(new_name.in(values), value);
  }
  for (const auto& name : edits.remove) cut(name);
  for (const auto& [name, spelled, value] : edits.replace) {
    if (find(name).state == Arg::absent) continue;
    cut(name);
    put(name, value.in(values));
  }
  for (const auto& [name, spelled, value] : edits.add)
    if (find(name).state == Arg::absent) put(name, value.in(values));
  if (!changed) return std::nullopt;
  return now;
}

}  // namespace

void edit_arguments(Arguments& arguments, const Edits& edits, const Rendered& values) {
  for (const auto& name : edits.remove) arguments.remove(name);
  for (const auto& [name, spelled, new_name] : edits.rename) arguments.rename(name, new_name.in(values));
  for (const auto& [name, spelled, value] : edits.replace)
    if (arguments.has(name)) arguments.set(name, value.in(values));
  for (const auto& [name, spelled, value] : edits.add)
    if (!arguments.has(name)) arguments.set(name, value.in(values));
  for (const auto& [name, spelled, value] : edits.append) arguments.append(name, value.in(values));
}

std::optional<std::string> edited_body(const BodyForm& form, std::string_view body, const Edits& edits,
                                       const Rendered& values) {
  switch (form.kind) {
    case BodyForm::form:
      return edited_form(body, edits, values);
    case BodyForm::json:
      return edited_json(body, edits, values);
    case BodyForm::multipart:
      return edited_parts(form, body, edits, values);
    case BodyForm::opaque:
      break;
  }
  return std::nullopt;
}

}  // namespace weir::plugin
