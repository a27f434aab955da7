#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "net/resolver.h"

namespace weir::net {

namespace {

const sockaddr_in& as_v4(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in&>(storage);
}
const sockaddr_in6& as_v6(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in6&>(storage);
}

}  // namespace

std::optional<Address> Address::from_ip(std::string_view ip, std::uint16_t port) {
  // Kong and URIs write IPv6 in brackets.
  if (ip.size() >= 2 && ip.front() == '[' && ip.back() == ']') {
    ip = ip.substr(1, ip.size() - 2);
    if (ip.find(':') == ip.npos) return std::nullopt;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (ip.empty() || ip.size() >= text.size() || ip.find('\0') != ip.npos) return std::nullopt;
  std::memcpy(text.data(), ip.data(), ip.size());

  Address address;
  if (auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage); inet_pton(AF_INET, text.data(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return address;
  }
  if (auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
      inet_pton(AF_INET6, text.data(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return address;
  }
  return std::nullopt;
}

std::string Address::ip() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = storage.ss_family == AF_INET6 ? static_cast<const void*>(&as_v6(storage).sin6_addr)
                                                    : static_cast<const void*>(&as_v4(storage).sin_addr);
  if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return {};
  return inet_ntop(storage.ss_family, bytes, text.data(), text.size()) ? text.data() : "";
}

std::uint16_t Address::port() const {
  if (storage.ss_family == AF_INET6) return ntohs(as_v6(storage).sin6_port);
  return storage.ss_family == AF_INET ? ntohs(as_v4(storage).sin_port) : 0;
}

socklen_t Address::size() const {
  if (storage.ss_family == AF_INET6) return sizeof(sockaddr_in6);
  return storage.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_storage);
}

bool Address::operator==(const Address& other) const {
  if (storage.ss_family != other.storage.ss_family || port() != other.port()) return false;
  if (storage.ss_family == AF_INET) return as_v4(storage).sin_addr.s_addr == as_v4(other.storage).sin_addr.s_addr;
  if (storage.ss_family == AF_INET6) {
    const auto &a = as_v6(storage), &b = as_v6(other.storage);
    return std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0 && a.sin6_scope_id == b.sin6_scope_id;
  }
  return true;
}

}  // namespace weir::net
