// Paths as the router compares them (RFC 3986 section 6.2.2, Kong's kong/tools/uri.lua).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace weir::http {

// Normalises an absolute path without query: escapes of unreserved and other harmless characters are decoded, reserved
// ones kept with upper-case digits, "." and ".." segments removed, "//" merged. Nothing but a broken escape or a control
// character is wrong. A path that is already normal is returned as it is; else it is written into `scratch`.
// False: malformed (answer 400).
bool normalise_path(std::string_view path, std::string& scratch, std::string_view& normal);

// Escapes what must not stand in a request target; the inverse of what normalising decoded.
void escape_path(std::string_view path, std::string& out);

}  // namespace weir::http
