#include "admin/api_object.h"

#include <charconv>
#include <cmath>

#include "base/text.h"
#include "base/uuid.h"
#include "model/formats.h"

namespace weir::admin {

namespace {

namespace json = boost::json;

enum class Kind { id, time, text, url, list, boolean, integer };

struct ApiField {
  std::string_view name;
  Kind kind;
  std::string_view help;
  std::string_view service, route;  // the field that holds it
  json::value initial = nullptr;
  std::int64_t least = 0, most = 0;
};

constexpr std::int64_t timeout_max = 2147483647;

const std::vector<ApiField>& table() {
  static const std::vector<ApiField> fields{
      {"id", Kind::id, "The route's id.", "", "id"},
      {"created_at", Kind::time, "Unix milliseconds.", "", "created_at"},
      {"name", Kind::text, "Unique name; of the service and of the route.", "name", "name"},
      {"hosts", Kind::list, "Host names that belong to the API; one wildcard label is allowed.", "", "hosts"},
      {"uris", Kind::list, "Path prefixes, or regular expressions, that belong to the API.", "", "paths"},
      {"methods", Kind::list, "Methods that belong to the API.", "", "methods"},
      {"strip_uri", Kind::boolean, "Take the matched prefix off the path.", "", "strip_path", true},
      {"https_only", Kind::boolean, "Refuse plain HTTP with 426.", "", "protocols", false},
      {"http_if_terminated", Kind::boolean, "Only true, its default, is supported.", "", "", true},
      {"upstream_url", Kind::url, "Where requests go: http(s)://host[:port][/path].", "url", ""},
      {"preserve_host", Kind::boolean, "Send the client's Host to the upstream.", "", "preserve_host", false},
      {"retries", Kind::integer, "Further attempts after a failed one.", "retries", "", 5, 0, 32767},
      {"upstream_connect_timeout", Kind::integer, "Milliseconds.", "connect_timeout", "", 60000, 1, timeout_max},
      {"upstream_send_timeout", Kind::integer, "Milliseconds.", "write_timeout", "", 60000, 1, timeout_max},
      {"upstream_read_timeout", Kind::integer, "Milliseconds.", "read_timeout", "", 60000, 1, timeout_max},
  };
  return fields;
}

const ApiField* field_named(std::string_view name) {
  const auto found = std::ranges::find(table(), name, &ApiField::name);
  return found == table().end() ? nullptr : &*found;
}

std::string_view view(const json::string& s) {
  return {s.data(), s.size()};
}

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_' || c == '~';
}

// Each reader puts the stored form into `value`, or says what is wrong.
using Fault = std::optional<std::string>;

Fault read_list(const ApiField& field, json::value& value) {
  if (value.is_string()) {
    json::array parts;
    for (const auto part : text::split(view(value.get_string()))) parts.emplace_back(json::string(part));
    value = std::move(parts);
  }
  if (!value.is_array()) return fmt::format("{} is not a array", field.name);
  for (auto& item : value.get_array()) {
    if (!item.is_string() || item.get_string().empty()) return fmt::format("{} is not a list of strings", field.name);
    auto& text = item.get_string();
    if (field.name == "methods")
      std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    if (field.name != "uris") continue;
    if (text.front() != '/')
      return fmt::format("uri with value '{}' is invalid: must be prefixed with slash", model::shown(view(text)));
    if (text.size() > 1 && text.back() == '/') text.pop_back();
  }
  if (value.get_array().empty()) value = nullptr;
  return std::nullopt;
}

Fault read_integer(const ApiField& field, json::value& value) {
  const auto bad = fmt::format("must be an integer between {} and {}", field.least, field.most);
  std::int64_t number = 0;
  if (value.is_string()) {
    const auto text = view(value.get_string());
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc() || end != text.data() + text.size() || text.empty())
      return fmt::format("{} is not a number", field.name);
  } else if (value.is_double()) {
    const double given = value.get_double();
    if (given != std::floor(given) || std::abs(given) > 1e15) return bad;
    number = static_cast<std::int64_t>(given);
  } else if (value.is_int64()) {
    number = value.get_int64();
  } else if (value.is_uint64()) {
    return bad;
  } else {
    return fmt::format("{} is not a number", field.name);
  }
  if (number < field.least || number > field.most) return bad;
  value = number;
  return std::nullopt;
}

Fault read_url(json::value& value) {
  if (!value.is_string()) return "upstream_url is not a url";
  const auto url = view(value.get_string());
  const auto mark = url.find("://");
  if (mark == std::string_view::npos || mark == 0) return "upstream_url is not a url";
  const auto rest = url.substr(mark + 3);
  if (rest.empty() || rest.starts_with('/') || rest.starts_with(':')) return "upstream_url is not a url";
  const auto scheme = text::lower(url.substr(0, mark));
  if (scheme != "http" && scheme != "https") return "Supported protocols are HTTP and HTTPS";
  if (url.ends_with('/')) return "upstream_url must not end with a slash";
  return std::nullopt;
}

Fault read_value(const ApiField& field, json::value& value) {
  switch (field.kind) {
    case Kind::id:
      if (value.is_string() && Uuid::parse(view(value.get_string()))) return std::nullopt;
      return "id is not a id";
    case Kind::time:
      if (value.is_int64() && value.get_int64() >= 0) return std::nullopt;
      return "created_at is not a timestamp";
    case Kind::text:
      if (!value.is_string()) return fmt::format("{} is not a string", field.name);
      if (std::ranges::all_of(value.get_string(), name_char)) return std::nullopt;
      return fmt::format("{} must only contain alphanumeric and '., -, _, ~' characters", field.name);
    case Kind::url:
      return read_url(value);
    case Kind::list:
      return read_list(field, value);
    case Kind::boolean:
      if (value == "true") value = true;
      if (value == "false") value = false;
      if (!value.is_bool()) return fmt::format("{} is not a boolean", field.name);
      if (field.name == "http_if_terminated" && !value.get_bool())
        return "false is not supported: X-Forwarded-Proto of trusted clients is always honoured";
      return std::nullopt;
    case Kind::integer:
      return read_integer(field, value);
  }
  return std::nullopt;
}

// Kong 0.10 took a uri for a regular expression when it has any other character.
bool is_plain_uri(std::string_view uri) {
  return std::ranges::all_of(uri, [](char c) { return name_char(c) || c == '/' || c == '%'; });
}

json::value paths_of(const json::value& uris) {
  if (!uris.is_array()) return nullptr;
  json::array out;
  for (const auto& uri : uris.get_array()) {
    const auto text = view(uri.get_string());
    out.emplace_back(is_plain_uri(text) ? std::string(text) : fmt::format("~{}", text));
  }
  return out;
}

json::value uris_of(const json::value& paths) {
  if (!paths.is_array()) return nullptr;
  json::array out;
  for (const auto& path : paths.get_array()) {
    const auto text = view(path.get_string());
    out.emplace_back(json::string(text.starts_with('~') ? text.substr(1) : text));
  }
  return out;
}

std::string url_of(const Object& service) {
  const auto protocol = view(service.at("protocol").get_string());
  const auto host = view(service.at("host").get_string());
  const auto port = service.at("port").to_number<std::int64_t>();
  std::string out = fmt::format("{}://", protocol);
  out += host.find(':') != std::string_view::npos && !host.starts_with('[') ? fmt::format("[{}]", host)
                                                                            : std::string(host);
  if (port != (protocol == "https" ? 443 : 80)) out += fmt::format(":{}", port);
  const auto* path = service.if_contains("path");
  if (path && path->is_string()) out += view(path->get_string());
  return out;
}

const json::value& member(const Object& object, std::string_view name) {
  static const json::value null;
  const auto* found = object.if_contains(name);
  return found ? *found : null;
}

// The first text inside of a fault of the schema engine: faults of lists are lists with nulls.
std::optional<std::string> first_text(const json::value& fault) {
  if (fault.is_string()) return std::string(fault.get_string());
  if (fault.is_array())
    for (const auto& item : fault.get_array())
      if (auto found = first_text(item)) return found;
  if (fault.is_object())
    for (const auto& item : fault.get_object())
      if (auto found = first_text(item.value())) return found;
  return std::nullopt;
}

std::string_view api_field_of(std::string_view entity_field) {
  if (entity_field == "host" || entity_field == "port" || entity_field == "path" || entity_field == "protocol")
    return "upstream_url";
  for (const auto& field : table())
    if (field.service == entity_field || field.route == entity_field) return field.name;
  return entity_field == "@entity" ? "message" : entity_field;
}

}  // namespace

std::expected<Object, ApiFaults> read_api(Object input) {
  Object out;
  ApiFaults faults;
  for (auto& [name, value] : input) {
    const auto* field = field_named({name.data(), name.size()});
    if (!field) {
      const auto printable = model::shown({name.data(), name.size()});
      faults[printable] = fmt::format("{} is an unknown field", printable);
      continue;
    }
    if (value.is_string() && value.get_string().empty()) value = nullptr;  // as an empty form field
    if (!value.is_null()) {
      if (const auto fault = read_value(*field, value)) {
        faults[name] = *fault;
        continue;
      }
    }
    if (field->name != "http_if_terminated") out[name] = std::move(value);
  }
  if (!faults.empty()) return std::unexpected(std::move(faults));
  return out;
}

std::expected<Object, ApiFaults> complete_api(Object api) {
  ApiFaults faults;
  for (const auto& field : table()) {
    if (!member(api, field.name).is_null()) continue;
    if (!field.initial.is_null()) api[field.name] = field.initial;
    if (field.name == "name" || field.name == "upstream_url")
      faults[field.name] = fmt::format("{} is required", field.name);
  }
  if (!faults.empty()) return std::unexpected(std::move(faults));
  if (member(api, "hosts").is_null() && member(api, "uris").is_null() && member(api, "methods").is_null())
    return std::unexpected(ApiFaults{{"message", "at least one of 'hosts', 'uris' or 'methods' must be specified"}});
  api.erase("http_if_terminated");
  return api;
}

Object service_part(const Object& api) {
  Object out;
  for (const auto& field : table())
    if (!field.service.empty()) out[field.service] = member(api, field.name);
  return out;
}

Object route_part(const Object& api, const Object* before) {
  Object out{{"name", member(api, "name")},
             {"hosts", member(api, "hosts")},
             {"paths", paths_of(member(api, "uris"))},
             {"methods", member(api, "methods")},
             {"strip_path", member(api, "strip_uri")},
             {"preserve_host", member(api, "preserve_host")}};
  const auto& https_only = member(api, "https_only");
  // A route may say ["http"] alone, which an api shows as https_only false: it stays so unless the api changes it.
  if (!before || member(*before, "https_only") != https_only)
    out["protocols"] = https_only == true ? json::array{"https"} : json::array{"http", "https"};
  if (!before && !member(api, "id").is_null()) out["id"] = member(api, "id");
  if (!before && member(api, "created_at").is_int64()) out["created_at"] = member(api, "created_at").get_int64() / 1000;
  return out;
}

bool is_api(const Object& route) {
  for (const char* name : {"snis", "headers", "sources", "destinations"})
    if (!member(route, name).is_null()) return false;
  const auto& protocols = member(route, "protocols");
  return member(route, "service").is_object() && protocols.is_array() &&
         std::ranges::all_of(protocols.get_array(), [](const auto& p) { return p == "http" || p == "https"; });
}

Object to_api(const Object& route, const Object& service) {
  const auto& protocols = member(route, "protocols").get_array();
  const bool https_only = protocols.size() == 1 && protocols.front() == "https";
  Object all{{"id", member(route, "id")},
             {"created_at", member(route, "created_at").to_number<std::int64_t>() * 1000},
             {"name", member(route, "name")},
             {"hosts", member(route, "hosts")},
             {"uris", uris_of(member(route, "paths"))},
             {"methods", member(route, "methods")},
             {"strip_uri", member(route, "strip_path")},
             {"https_only", https_only},
             {"http_if_terminated", true},
             {"upstream_url", url_of(service)},
             {"preserve_host", member(route, "preserve_host")},
             {"retries", member(service, "retries")},
             {"upstream_connect_timeout", member(service, "connect_timeout")},
             {"upstream_send_timeout", member(service, "write_timeout")},
             {"upstream_read_timeout", member(service, "read_timeout")}};
  Object out;  // 0.10 leaves out what is not set
  for (const auto& [name, value] : all)
    if (!value.is_null()) out.emplace(name, value);
  return out;
}

std::optional<ApiRefusal> to_api_refusal(const model::Problem& problem) {
  if (problem.code == model::Problem::unique_violation || problem.code == model::Problem::primary_key_violation) {
    Object body;
    for (const auto& [name, value] : problem.fields)
      if (const auto text = first_text(value)) body[name] = fmt::format("already exists with value '{}'", *text);
    if (body.empty()) body["message"] = problem.message;
    return ApiRefusal{409, std::move(body)};
  }
  if (problem.code != model::Problem::schema_violation) return std::nullopt;
  Object body;
  for (const auto& [name, fault] : problem.fields)
    if (const auto text = first_text(fault)) body[api_field_of({name.data(), name.size()})] = *text;
  if (body.empty()) body["message"] = problem.message;
  return ApiRefusal{400, std::move(body)};
}

std::span<const std::string_view> api_fields() {
  static const auto names = [] {
    std::vector<std::string_view> out;
    for (const auto& field : table()) out.push_back(field.name);
    return out;
  }();
  return names;
}

Object api_json_schema() {
  Object properties;
  for (const auto& field : table()) {
    Object shape{{"description", field.help}};
    switch (field.kind) {
      case Kind::id:
        shape["format"] = "uuid";
        [[fallthrough]];
      case Kind::text:
        shape["type"] = "string";
        break;
      case Kind::url:
        shape["type"] = "string";
        shape["format"] = "uri";
        break;
      case Kind::list:
        shape["type"] = "array";
        shape["items"] = Object{{"type", "string"}};
        break;
      case Kind::boolean:
        shape["type"] = "boolean";
        break;
      case Kind::time:
        shape["type"] = "integer";
        shape["readOnly"] = true;
        break;
      case Kind::integer:
        shape["type"] = "integer";
        shape["minimum"] = field.least;
        shape["maximum"] = field.most;
        break;
    }
    if (!field.initial.is_null()) shape["default"] = field.initial;
    properties[field.name] = std::move(shape);
  }
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", json::array{"name", "upstream_url"}}};
}

}  // namespace weir::admin
