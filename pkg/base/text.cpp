#include "base/text.h"

#include <arpa/inet.h>
#include <charconv>

namespace weir::text {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); i++)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

std::vector<std::string_view> split(std::string_view list, char separator) {
  std::vector<std::string_view> parts;
  while (!list.empty()) {
    const auto end = std::min(list.find(separator), list.size());
    if (const auto part = trim(list.substr(0, end)); !part.empty()) parts.push_back(part);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort out;
  std::string_view digits;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return std::nullopt;
    out.host = text.substr(1, end - 1);
    const auto rest = text.substr(end + 1);
    if (rest.empty()) return out.host.empty() ? std::nullopt : std::optional(out);
    if (rest.front() != ':') return std::nullopt;
    digits = rest.substr(1);
  } else {
    const auto colon = text.find(':');
    if (colon == text.npos || text.find(':', colon + 1) != text.npos) {  // no port, or an IPv6 address without brackets
      out.host = text;
      return text.empty() ? std::nullopt : std::optional(out);
    }
    out.host = text.substr(0, colon);
    digits = text.substr(colon + 1);
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (out.host.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return out;
}

bool is_ip(std::string_view text) {
  if (text.empty() || text.size() > 45) return false;
  const std::string host(text);
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace weir::text
