// YAML text as a JSON value and back: the part of YAML 1.2 (core schema) that configuration files use.
//
// Knows nothing of entities. Bounded in size, depth and in what aliases expand to.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/result.h"

namespace weir::store {

// An export of 100,000 routes over 20,000 services with all their fields is 50 MiB.
inline constexpr std::size_t document_bytes_max = 64 * 1024 * 1024;
inline constexpr std::size_t document_depth_max = 64;
// Values that anchors keep and aliases expand to; 32 bytes of text count as one.
inline constexpr std::size_t document_copies_max = 2'000'000;

// One document. Anchors, aliases and merge keys (<<) are expanded; a key given twice, tags of other programs and
// several documents are errors. Plain scalars have the types of the core schema: "yes" is a text, "3.0" a number.
Result<boost::json::value> parse_yaml(std::string_view text);

// Appends a value as block YAML. Read again it is the same value.
void print_yaml(std::string& out, const boost::json::value& value, int indent = 0);

}  // namespace weir::store
