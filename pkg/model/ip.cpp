#include "model/ip.h"

#include <arpa/inet.h>

#include <fmt/format.h>

namespace weir::model {

bool normal_ipv4(std::string_view text, std::string& out) {
  int parts[4];
  for (int i = 0; i < 4; i++) {
    const auto end = i < 3 ? text.find('.') : text.size();
    if (end == text.npos || end == 0 || end > 3) return false;
    parts[i] = 0;
    for (const char c : text.substr(0, end)) {
      if (c < '0' || c > '9') return false;
      parts[i] = parts[i] * 10 + (c - '0');
    }
    if (parts[i] > 255) return false;
    text.remove_prefix(i < 3 ? end + 1 : end);
  }
  out = fmt::format("{}.{}.{}.{}", parts[0], parts[1], parts[2], parts[3]);
  return true;
}

bool normal_ipv6(std::string_view text, std::string& out) {
  if (text.empty() || text.size() > 45 || text.find('\0') != text.npos) return false;
  unsigned char bytes[16];
  if (inet_pton(AF_INET6, std::string(text).c_str(), bytes) != 1) return false;
  out.clear();
  for (int i = 0; i < 16; i += 2) out += fmt::format("{}{:02x}{:02x}", i == 0 ? "" : ":", bytes[i], bytes[i + 1]);
  return true;
}

}  // namespace weir::model
