// Small things about text that several folders need. ASCII only; no locale.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::text {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
std::string lower(std::string_view);
std::string_view trim(std::string_view);  // spaces, tabs, CR and LF at both ends
bool equal_ignoring_case(std::string_view a, std::string_view b);
// Parts between separators, each trimmed, empty ones left out: "a, b" -> a, b.
std::vector<std::string_view> split(std::string_view list, char separator = ',');

// "host:port", "[v6]:port", "host", "v6"; the port is 0 when left out. Nothing when it is malformed. Brackets are taken
// off the host. Nothing is said about the host's characters.
struct HostPort {
  std::string_view host;
  std::uint16_t port = 0;
};
std::optional<HostPort> split_host_port(std::string_view);

// True for an IPv4 or IPv6 address in its text form, without brackets.
bool is_ip(std::string_view);

}  // namespace weir::text
