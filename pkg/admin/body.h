// What a POST, PUT or PATCH carries: JSON, a form or multipart, as one JSON object.
#pragma once
#include <expected>
#include <string_view>
#include <vector>

#include "admin/endpoint.h"
#include "base/result.h"

namespace weir::admin {

inline constexpr std::size_t json_depth_max = 64;
// Commas in a JSON body. Each value costs memory of its own: 10 MB of small ones would take 100 MB, and no entity has
// many.
inline constexpr std::size_t json_commas_max = 100'000;

struct Body {
  Object values;
  bool form = false;  // its leaves are strings that a schema must give types (model::infer)
};

// The error is the answer to give: 400 or 415.
std::expected<Body, Answer> read_body(const Request&);

// One part of a multipart/form-data body. Views into the body.
struct Part {
  std::string_view name, filename, content_type, content;
  bool file = false;
};
// The parts in order. boundary: as in Content-Type, without quotes.
Result<std::vector<Part>> parse_multipart(std::string_view body, std::string_view boundary);

}  // namespace weir::admin
