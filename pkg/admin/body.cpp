#include "admin/body.h"

#include <cmath>
#include <map>

#include "base/text.h"
#include "model/form.h"

namespace weir::admin {

namespace {

namespace json = boost::json;

// JSON has no infinity, but "1e999999" reads as one; such a number could not be shown again.
bool finite(const json::value& value) {
  switch (value.kind()) {
    case json::kind::double_:
      return std::isfinite(value.get_double());
    case json::kind::array:
      return std::ranges::all_of(value.get_array(), finite);
    case json::kind::object:
      return std::ranges::all_of(value.get_object(), [](const auto& member) { return finite(member.value()); });
    default:
      return true;
  }
}

std::optional<json::value> parse_json(std::string_view text) {
  if (static_cast<std::size_t>(std::ranges::count(text, ',')) > json_commas_max) return std::nullopt;
  json::parse_options limits;
  limits.max_depth = json_depth_max;
  boost::system::error_code failed;
  auto value = json::parse(json::string_view(text.data(), text.size()), failed, {}, limits);
  if (failed || !finite(value)) return std::nullopt;
  return value;
}

// A parameter of a header value: parameter("form-data; name=\"x\"", "name") -> x. Quotes are taken off.
std::optional<std::string_view> parameter(std::string_view header, std::string_view name) {
  auto rest = header.substr(std::min(header.find(';'), header.size()));
  while (rest.starts_with(';')) {
    rest.remove_prefix(1);
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto key = text::trim(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    std::string_view value;
    if (rest.starts_with('"')) {
      const auto quote = rest.find('"', 1);
      if (quote == std::string_view::npos) return std::nullopt;
      value = rest.substr(1, quote - 1);
      rest.remove_prefix(quote + 1);
    } else {
      value = text::trim(rest.substr(0, rest.find(';')));
    }
    if (text::equal_ignoring_case(key, name)) return value;
    rest.remove_prefix(std::min(rest.find(';'), rest.size()));
  }
  return std::nullopt;
}

// The header lines of a part. False when one is no header.
bool read_part_head(std::string_view head, Part& part) {
  bool named = false;
  while (!head.empty()) {
    const auto end = std::min(head.find("\r\n"), head.size());
    const auto line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    const auto name = text::trim(line.substr(0, colon)), value = text::trim(line.substr(colon + 1));
    if (text::equal_ignoring_case(name, "content-type")) part.content_type = value;
    if (!text::equal_ignoring_case(name, "content-disposition")) continue;
    const auto field = parameter(value, "name");
    if (!field || field->empty()) return false;
    part.name = *field;
    named = true;
    if (const auto file = parameter(value, "filename")) {
      part.filename = *file;
      part.file = true;
    }
  }
  return named;
}

bool is_type(std::string_view content_type, std::string_view wanted) {
  return text::equal_ignoring_case(text::trim(content_type.substr(0, content_type.find(';'))), wanted);
}

std::expected<Body, Answer> read_multipart(const Request& request, std::string_view content_type) {
  const auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70)  // RFC 2046 section 5.1.1
    return std::unexpected(answer_message(400, "Cannot parse multipart body: no boundary in Content-Type"));
  const auto parts = parse_multipart(request.body, *boundary);
  if (!parts) return std::unexpected(answer_message(400, parts.error().message));
  Body body{{}, true};
  for (const auto& part : *parts) {
    json::value value = json::string(part.content);
    if (is_type(part.content_type, "application/json")) {
      auto parsed = parse_json(part.content);
      if (!parsed) return std::unexpected(answer_message(400, "Cannot parse JSON body"));
      value = std::move(*parsed);
    }
    if (const auto placed = model::place(body.values, part.name, std::move(value)); !placed)
      return std::unexpected(answer_message(400, placed.error().message));
  }
  return body;
}

}  // namespace

Result<std::vector<Part>> parse_multipart(std::string_view body, std::string_view boundary) {
  const std::string opening = fmt::format("--{}", boundary), delimiter = fmt::format("\r\n{}", opening);
  std::vector<Part> parts;
  // The first delimiter may lack the line break before it; a preamble is skipped.
  std::size_t at = body.starts_with(opening) ? opening.size() : body.find(delimiter);
  if (at == std::string_view::npos) return fail("Cannot parse multipart body: its boundary does not occur");
  if (!body.starts_with(opening)) at += delimiter.size();
  while (true) {
    auto rest = body.substr(at);
    if (rest.starts_with("--")) return parts;
    const auto padding = std::min(rest.find_first_not_of(" \t"), rest.size());
    if (rest.substr(padding, 2) != "\r\n") return fail("Cannot parse multipart body: text after a boundary");
    at += padding + 2;
    const auto end = body.find(delimiter, at - 2);  // an empty part shares its line break with the boundary's
    if (end == std::string_view::npos) return fail("Cannot parse multipart body: it is not closed by its boundary");
    if (parts.size() == model::form_fields_max) return fail("Too many arguments");
    const auto whole = end < at ? std::string_view() : body.substr(at, end - at);
    const auto blank = whole.find("\r\n\r\n");
    Part part;
    if (blank == std::string_view::npos || !read_part_head(whole.substr(0, blank), part))
      return fail("Cannot parse multipart body: a part has no name");
    part.content = whole.substr(blank + 4);
    parts.push_back(part);
    at = end + delimiter.size();
  }
}

std::expected<Body, Answer> read_body(const Request& request) {
  std::optional<std::string_view> content_type;
  for (const auto& [name, value] : request.headers) {
    if (!text::equal_ignoring_case(name, "content-type")) continue;
    if (content_type) return std::unexpected(answer_message(400, "Multiple Content-Type headers not allowed"));
    content_type = value;
  }
  if (!content_type) {
    if (request.body.empty()) return Body{};
    return std::unexpected(answer_empty(415));
  }
  if (is_type(*content_type, "application/json")) {
    auto value = parse_json(request.body);
    if (!value || !value->is_object()) return std::unexpected(answer_message(400, "Cannot parse JSON body"));
    return Body{std::move(value->get_object()), false};
  }
  if (is_type(*content_type, "application/x-www-form-urlencoded")) {
    auto values = model::decode_form(request.body);
    if (!values) return std::unexpected(answer_message(400, values.error().message));
    return Body{std::move(*values), true};
  }
  if (is_type(*content_type, "multipart/form-data")) return read_multipart(request, *content_type);
  return std::unexpected(answer_empty(415));
}

}  // namespace weir::admin
