// Paths as the router compares them (RFC 3986 section 6.2.2, Kong's kong/tools/uri.lua).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace weir::http {

// Normalises an absolute path without query: escapes of unreserved and other harmless characters are decoded, reserved
// ones kept with upper-case digits, "." and ".." segments removed, "//" merged. Nothing but a broken escape or a
// control character is wrong. A path that is already normal is returned as it is; else it is written into `scratch`.
// False: malformed (answer 400). `path` must not lie in `scratch`. "*" is returned as it is.
bool normalise_path(std::string_view path, std::string& scratch, std::string_view& normal);

// Appends `path` to `out` and escapes what must not stand in the path of a request target; the inverse of what
// normalising decoded. Escapes that are there stay; "?" and "#" are escaped, so that a path cannot turn into a query.
void escape_path(std::string_view path, std::string& out);

}  // namespace weir::http
