// Where a list goes on: Kong's page offsets, base64 without padding of a JSON array with the last row's key. No I/O.
#pragma once
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "model/problem.h"

namespace weir::store {

std::string print_offset(const boost::json::array& key);
// types: one character for each element that must be there: 's' a string, 'i' a whole number.
model::Outcome<boost::json::array> parse_offset(std::string_view text, std::string_view types);
// Kong's wording for an offset that cannot be read.
model::Problem bad_offset(std::string_view text, std::string_view why);

}  // namespace weir::store
