// The multipart parser must return slices of the body, in order, that never overlap, whatever the body is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "admin/body.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = input.find('\n');  // the first line is the boundary
  const auto boundary = line == std::string_view::npos ? std::string_view("XX") : input.substr(0, line);
  const auto body = line == std::string_view::npos ? input : input.substr(line + 1);
  if (boundary.empty() || boundary.size() > 70) return 0;
  const auto parts = weir::admin::parse_multipart(body, boundary);
  if (!parts) return parts.error().message.empty() ? (std::abort(), 0) : 0;
  const char* at = body.data();
  const char* const end = body.data() + body.size();
  for (const auto& part : *parts) {
    if (part.name.data() < at || part.content.data() < part.name.data() + part.name.size()) std::abort();
    at = part.content.data() + part.content.size();
    if (at > end) std::abort();
  }
  return 0;
}
