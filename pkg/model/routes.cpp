// The entity "routes". Its rules depend on the protocols (kong/db/schema/entities/routes_subschemas.lua).
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

#include "model/entities.h"
#include "model/fields.h"

namespace weir::model {

namespace json = boost::json;

template <>
const Members<Peer>& members<Peer>() {
  static const auto built = Members<Peer>()
                                .field("ip", &Peer::ip, "An address or a CIDR range.", check(check_ip_or_cidr))
                                .field("port", &Peer::port, "A port.", between(0, 65535));
  return built;
}

namespace {

const std::vector<std::string> protocols{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"};

using Names = std::vector<std::string>;

bool speaks(const Object& route, std::string_view protocol) {
  const auto* list = value_of(route, "protocols").if_array();
  return list && std::any_of(list->begin(), list->end(), [&](const auto& p) { return text_of(p) == protocol; });
}
bool speaks_any(const Object& route, std::initializer_list<std::string_view> protocols) {
  return std::any_of(protocols.begin(), protocols.end(), [&](auto p) { return speaks(route, p); });
}

// The first protocol chooses the set of rules, as in Kong.
enum class Kind { unknown, http, stream, grpc };
Kind kind_of(const Object& route) {
  const auto* list = value_of(route, "protocols").if_array();
  if (!list || list->empty()) return Kind::unknown;
  const auto first = text_of(list->front());
  if (first.starts_with("http")) return Kind::http;
  if (first.starts_with("grpc")) return Kind::grpc;
  return first.starts_with("t") || first == "udp" ? Kind::stream : Kind::unknown;
}

void forbid(const Object& route, Object& faults, const Names& fields, std::string_view when) {
  for (const auto& name : fields)
    if (!value_of(route, name).is_null() && !faults.contains(name))
      faults[name] = fmt::format("cannot set '{}' when 'protocols' is {}", name, when);
}

// A field with a fault counts as given: its own fault is enough.
bool any_given(const Object& route, const Object& faults, const Names& fields) {
  return std::any_of(fields.begin(), fields.end(),
                     [&](const auto& f) { return faults.contains(f) || is_given(value_of(route, f)); });
}

CrossRule fields_of_protocols() {
  return {{}, [](const Object& route, Object& faults, std::vector<std::string>&) {
            switch (kind_of(route)) {
              case Kind::http:
                return forbid(route, faults, {"sources", "destinations"}, "'http' or 'https'");
              case Kind::stream:
                return forbid(route, faults, {"methods", "hosts", "paths", "headers"},
                              "'tcp', 'tls', 'tls_passthrough' or 'udp'");
              case Kind::grpc:
                forbid(route, faults, {"methods", "sources", "destinations"}, "'grpc' or 'grpcs'");
                if (const auto* strip = value_of(route, "strip_path").if_bool(); strip && *strip)
                  faults["strip_path"] = "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'";
                return;
              case Kind::unknown:
                return;
            }
          }};
}

// A route without anything to match would take every request.
CrossRule something_to_match(Kind kind, Names when, Names fields, Names unless = {}) {
  const auto protocols_text = when.size() == 3 ? "'tcp', 'tls' or 'udp'" : quoted_list(when);
  auto text = when.front() == "tls_passthrough"
                  ? std::string("must set snis when 'protocols' is 'tls_passthrough'")
                  : fmt::format("must set one of {} when 'protocols' is {}", quoted_list(fields), protocols_text);
  Object described{
      {"conditional_at_least_one_of", Object{{"if_field", "protocols"},
                                             {"if_match", Object{{"contains", json::array(when.begin(), when.end())}}},
                                             {"then_at_least_one_of", json::array(fields.begin(), fields.end())},
                                             {"then_err", text}}}};
  auto check = [kind, when, fields, unless, text](const Object& route, Object& faults,
                                                  std::vector<std::string>& messages) {
    const auto any = [&](const Names& names) {
      return std::any_of(names.begin(), names.end(), [&](const auto& p) { return speaks(route, p); });
    };
    if (kind_of(route) == kind && any(when) && !any(unless) && !any_given(route, faults, fields))
      messages.push_back(text);
  };
  return {std::move(described), std::move(check)};
}

CrossRule snis_need_tls() {
  constexpr std::string_view text =
      "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'";
  Object described{
      {"conditional",
       Object{{"if_field", "protocols"},
              {"if_match",
               Object{{"elements", Object{{"not_one_of", json::array{"grpcs", "https", "tls", "tls_passthrough"}}}}}},
              {"then_field", "snis"},
              {"then_match", Object{{"len_eq", 0}}},
              {"then_err", text}}}};
  return {std::move(described), [text](const Object& route, Object& faults, std::vector<std::string>& messages) {
            if (faults.contains("protocols") || faults.contains("snis") || !is_given(value_of(route, "snis"))) return;
            if (speaks_any(route, {"grpcs", "https", "tls", "tls_passthrough"})) return;
            faults["snis"] = "length must be 0";
            messages.emplace_back(text);
          }};
}

// Kong's default of strip_path is false for gRPC.
void default_strip_path(Object& input, Object&) {
  if (kind_of(input) == Kind::grpc && !input.contains("strip_path")) input["strip_path"] = false;
}

Wrong check_header_match_name(std::string_view name) {
  if (text::equal_ignoring_case(name, "host"))
    return "cannot contain 'host' header, which must be specified in the 'hosts' attribute";
  return check_header_name(name);
}

// A single value that begins with ~* is a regular expression.
Wrong check_header_values(const json::value& values) {
  const auto& list = values.get_array();
  if (list.size() != 1) return {};
  const auto text = text_of(list.front());
  return text.starts_with("~*") ? check_regex(text.substr(2)) : Wrong();
}

const Declared<Route>& declared() {
  static const auto built =
      entity<Route>("routes")
          .endpoint_key("name")
          .field("name", &Route::name, "The route's name.", unique(), check(check_name))
          .field("protocols", &Route::protocols,
                 "By which protocols requests may come; a request by plain http to an https-only route is told so.",
                 as_set(), len_min(1), each({one_of(protocols), supports_only({"http", "https"}, "use http or https")}),
                 mutually_exclusive({{"http", "https"}, {"tcp", "tls", "udp"}, {"tls_passthrough"}, {"grpc", "grpcs"}}))
          .field("https_redirect_status_code", &Route::https_redirect_status_code,
                 "How a request by plain http to an https-only route is answered.",
                 one_of({"426", "301", "302", "307", "308"}))
          .field("strip_path", &Route::strip_path, "Whether the matched prefix is removed from the forwarded path.")
          .field("preserve_host", &Route::preserve_host, "Whether the client's Host header is forwarded.")
          .field("request_buffering", &Route::request_buffering,
                 "Accepted for compatibility: request bodies are always streamed.")
          .field("response_buffering", &Route::response_buffering,
                 "Accepted for compatibility: response bodies are always streamed.")
          .field("tags", &Route::tags, tags_help, tags())
          .field("service", &Route::service, "Where requests go.", foreign("services"))
          .field("snis", &Route::snis, "Server names in the TLS handshake, one wildcard label allowed.", as_set(),
                 each({check(check_wildcard_sni)}))
          .field("sources", &Route::sources, "Where connections of stream protocols come from.", as_set(),
                 each({at_least_one_of({"ip", "port"})}))
          .field("destinations", &Route::destinations, "Where connections of stream protocols arrive.", as_set(),
                 each({at_least_one_of({"ip", "port"})}))
          .field("methods", &Route::methods, "HTTP methods.", as_set(), each({check(check_method)}))
          .field("hosts", &Route::hosts, "Host names, with a wildcard as first or last label and an optional port.",
                 each({check(check_route_host)}))
          .field("paths", &Route::paths, "Prefixes (/a) or regular expressions (~/a/\\d+) of the path.",
                 each({check(check_route_path)}))
          .field("headers", &Route::headers, "Values of headers by name; a single value ~*x is a regular expression.",
                 keys({check(check_header_match_name)}),
                 values({check_value(check_header_values), each({check(check_header_value)})}))
          .field("regex_priority", &Route::regex_priority,
                 "Among regular expressions that match, the highest number wins.", nullable())
          .field("path_handling", &Route::path_handling,
                 "How the paths of service, route and request are joined: v0 as directories, v1 as text.", nullable(),
                 one_of({"v0", "v1"}))
          .rule(fields_of_protocols())
          .rule(snis_need_tls())
          .rule(something_to_match(Kind::http, {"https"}, {"methods", "hosts", "headers", "paths", "snis"}))
          .rule(something_to_match(Kind::http, {"http"}, {"methods", "hosts", "headers", "paths"}, {"https"}))
          .rule(something_to_match(Kind::stream, {"tcp", "tls", "udp"}, {"sources", "destinations", "snis"}))
          .rule(something_to_match(Kind::stream, {"tls_passthrough"}, {"snis"}))
          .rule(something_to_match(Kind::grpc, {"grpcs"}, {"hosts", "headers", "paths", "snis"}))
          .rule(something_to_match(Kind::grpc, {"grpc"}, {"hosts", "headers", "paths"}, {"grpcs"}))
          .shorthand({}, default_strip_path)
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Route>() {
  return declared().schema;
}
template <>
Route read<Route>(const Object& entity) {
  return declared().read(entity);
}

}  // namespace weir::model
