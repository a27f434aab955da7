#include "base/json.h"

#include <cmath>

#include <fmt/format.h>

namespace weir {
namespace {

void print(const boost::json::value& value, std::string& out) {
  switch (value.kind()) {
    case boost::json::kind::object: {
      char before = '{';
      for (const auto& member : value.get_object()) {
        out += std::exchange(before, ',');
        out += boost::json::serialize(boost::json::string_view(member.key()));
        out += ':';
        print(member.value(), out);
      }
      out += before == '{' ? "{}" : "}";
      return;
    }
    case boost::json::kind::array: {
      char before = '[';
      for (const auto& element : value.get_array()) {
        out += std::exchange(before, ',');
        print(element, out);
      }
      out += before == '[' ? "[]" : "]";
      return;
    }
    case boost::json::kind::double_:
      if (const double number = value.get_double(); std::fabs(number) < 1e15) {
        fmt::format_to(std::back_inserter(out), "{}", number);  // shortest text that reads back as the same number
        return;
      }
      [[fallthrough]];
    default:
      out += boost::json::serialize(value);
  }
}

}  // namespace

std::string print_json(const boost::json::value& value) {
  std::string out;
  print(value, out);
  return out;
}

}  // namespace weir
