// Paths and queries of Admin API requests: splitting, percent-decoding, and the reverse for links.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace weir::admin {

inline constexpr std::size_t query_args_max = 1000;  // Kong: "Too many arguments"

// "%2e" -> "."; plus_is_space: "+" -> " " as in queries and forms. Nothing when an escape is broken.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
// Everything but RFC 3986's unreserved characters is escaped.
std::string percent_encode(std::string_view text);

// "/a/b/" -> a, b. A trailing slash counts as none; other empty segments stay.
std::vector<std::string> split_path(std::string_view path);

// "a=1&b" -> (a, 1), (b, ""). Errors: too many arguments, a broken escape.
Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

}  // namespace weir::admin
