// The multipart parser must return slices of the body, in order, that never overlap, whatever the body is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "admin/body.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  // A body tells its own boundary: the first line, after two dashes.
  std::string_view boundary = "xyz";
  if (input.starts_with("--")) boundary = input.substr(2, std::min(input.find("\r\n"), input.size()) - 2);
  const auto body = input;
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
