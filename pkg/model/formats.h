// What single strings must look like: hosts, paths, names, tags, regular expressions.
//
// Each check says what is wrong in Kong's words (kong/db/schema/typedefs.lua, kong/tools/ip.lua), or nothing. Pure
// functions; the text is valid UTF-8 without NUL, since the schema engine looks at that first.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace weir::model {

using Wrong = std::optional<std::string>;  // what is wrong, or nothing

// Valid UTF-8 (no surrogates, no overlong forms) without NUL.
bool is_text(std::string_view);
// A value as a message repeats it: what is not text is replaced, what is long is cut.
std::string shown(std::string_view);

// An address with an optional port as Kong reads it.
struct Address {
  enum class Kind { name, ipv4, ipv6 } kind = Kind::name;
  std::string host;         // names as given, IPv4 without leading zeros, IPv6 in full form without brackets
  std::optional<int> port;  // nothing when none was given
};
struct AddressResult {
  std::optional<Address> address;
  std::string wrong;  // "invalid hostname: x", "invalid port number", ...
};
AddressResult read_address(std::string_view);

Wrong check_name(std::string_view);  // services, routes: name
Wrong check_tag(std::string_view);
Wrong check_host(std::string_view);           // services: host; no port
Wrong check_host_and_port(std::string_view);  // upstreams: host_header
Wrong check_sni(std::string_view);
Wrong check_wildcard_sni(std::string_view);  // routes: snis
Wrong check_route_host(std::string_view);    // routes: hosts; a wildcard and a port are allowed
Wrong check_upstream_name(std::string_view);
Wrong check_target(std::string_view);
Wrong check_ip_or_cidr(std::string_view);
Wrong check_header_name(std::string_view);
Wrong check_header_value(std::string_view);  // no control characters
Wrong check_cookie_name(std::string_view);
Wrong check_method(std::string_view);
Wrong check_path(std::string_view);        // services: path
Wrong check_route_path(std::string_view);  // routes: paths; normal form, or ~ and a regular expression
Wrong check_regex(std::string_view);       // compiles in RE2

// "h" -> "h:8000"; IPv6 in full form and brackets. For a text that check_target accepts.
std::string normal_target(std::string_view);

// A path in the form that the router compares; false: a broken percent escape.
bool normal_path(std::string_view path, std::string& out);

// Kong's regular expressions name groups "(?<name>...)"; RE2 wants "(?P<name>...)".
std::string to_re2(std::string_view regex);

}  // namespace weir::model
