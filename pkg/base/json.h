// JSON text as Kong's clients know it: Boost.JSON's, but numbers with a fraction are printed plainly (1700000000.123,
// where Boost writes 1.700000000123E9), so that people and line-based tools can read them.
#pragma once
#include <string>

#include <boost/json.hpp>

namespace weir {

// Depth is that of the value; what was parsed under a depth limit is safe.
std::string print_json(const boost::json::value& value);

}  // namespace weir
