#include "proxy/trust.h"

#include <arpa/inet.h>

#include <charconv>

namespace weir::proxy {
namespace {

// The address in network order and its family; 0: not an address.
int read_ip(const std::string& text, std::array<std::uint8_t, 16>& bytes) {
  bytes = {};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return AF_INET;
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return AF_INET6;
  return 0;
}

}  // namespace

Result<Trust> Trust::parse(const std::vector<std::string>& ranges) {
  Trust trust;
  for (const auto& text : ranges) {
    if (text == "unix:") continue;  // no such listeners
    auto slash = text.find('/');
    Range range{};
    range.family = read_ip(text.substr(0, slash), range.bytes);
    unsigned most = range.family == AF_INET ? 32 : 128;
    range.bits = most;
    bool ok = range.family != 0;
    if (ok && slash != std::string::npos) {
      const char *begin = text.data() + slash + 1, *end = text.data() + text.size();
      auto read = std::from_chars(begin, end, range.bits);
      ok = read.ec == std::errc() && read.ptr == end && begin != end && range.bits <= most;
    }
    if (!ok) return fail("trusted_ips: '{}' is not an address or CIDR range", text);
    trust.ranges_.push_back(range);
  }
  return trust;
}

bool Trust::holds(std::string_view ip) const {
  if (ranges_.empty()) return false;
  std::array<std::uint8_t, 16> bytes;
  int family = read_ip(std::string(ip), bytes);
  for (const auto& range : ranges_) {
    if (range.family != family) continue;
    bool same = true;
    for (unsigned bit = 0; bit < range.bits && same; bit += 8) {
      unsigned n = std::min(8u, range.bits - bit);
      auto mask = static_cast<std::uint8_t>(0xff00u >> n);
      same = (bytes[bit / 8] & mask) == (range.bytes[bit / 8] & mask);
    }
    if (same) return true;
  }
  return false;
}

}  // namespace weir::proxy
