// Paths: normalising twice is normalising once, nothing climbs out of the root, and escaping comes back to the same
// path.
#include <string>

#include "base/result.h"
#include "http/uri.h"

using namespace weir::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path(reinterpret_cast<const char*>(data), size);  // a read beyond the end is seen
  std::string scratch, escaped, again;
  std::string_view normal, second;
  escape_path(path, escaped);
  for (const char c : escaped) WEIR_ASSERT(c > ' ' && c < 0x7f && c != '?' && c != '#');
  if (!normalise_path(path, scratch, normal)) return 0;
  WEIR_ASSERT(normal.size() <= path.size());
  if (normal == "*") return 0;

  WEIR_ASSERT(normal.starts_with('/') && normal.find("//") == normal.npos);
  const auto closed = std::string(normal) + "/";
  WEIR_ASSERT(closed.find("/./") == closed.npos && closed.find("/../") == closed.npos);
  WEIR_ASSERT(normalise_path(normal, again, second) && second.data() == normal.data() && second == normal);

  // What goes upstream reads as the path that was matched, unless a raw "?" or "#" had to be escaped on the way.
  if (normal.find_first_of("?#") != normal.npos) return 0;
  escaped.clear();
  escape_path(normal, escaped);
  WEIR_ASSERT(normalise_path(escaped, again, second) && second == normal);
  return 0;
}
