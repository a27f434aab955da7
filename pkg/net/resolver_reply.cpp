#include "net/resolver_reply.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include <ares.h>
#include <arpa/nameser.h>

#include "base/text.h"

namespace weir::net {

namespace {

constexpr std::size_t addresses_max = 256, targets_max = 256;  // of one answer; what is beyond is left out

// RFC 2181 section 8: a TTL with the highest bit set is to be treated as zero.
std::uint32_t clean_ttl(std::uint32_t ttl) {
  return ttl > 0x7fffffffu ? 0 : ttl;
}

Reply failure(const Question& question, int status) {
  Reply reply;
  // NXDOMAIN and "exists, but not with this type" are answers; anything else means that DNS did not answer.
  bool absent = status == ARES_ENOTFOUND || status == ARES_ENODATA;
  reply.state = absent ? Resolved::State::not_found : Resolved::State::failed;
  reply.message = fmt::format("{} {}: {}", name(question.type), question.name, ares_strerror(status));
  return reply;
}

// The lowest TTL in the answer section: c-ares 1.18 drops the TTL of SRV records.
std::optional<std::uint32_t> lowest_ttl(std::span<const std::uint8_t> packet) {
  constexpr std::size_t header = 12, question_rest = 4, record_rest = 10;
  if (packet.size() < header) return std::nullopt;
  auto u16 = [&](std::size_t at) { return static_cast<std::uint16_t>(packet[at] << 8 | packet[at + 1]); };
  std::size_t at = header;
  auto skip_name = [&] {
    char* text = nullptr;
    long length = 0;
    if (at >= packet.size() || ares_expand_name(packet.data() + at, packet.data(), static_cast<int>(packet.size()),
                                                &text, &length) != ARES_SUCCESS)
      return false;
    ares_free_string(text);
    at += static_cast<std::size_t>(length);
    return true;
  };
  for (int left = u16(4); left > 0; --left) {
    if (!skip_name() || packet.size() - at < question_rest) return std::nullopt;
    at += question_rest;
  }
  std::optional<std::uint32_t> lowest;
  for (int left = u16(6); left > 0; --left) {
    if (!skip_name() || packet.size() - at < record_rest) return std::nullopt;
    auto ttl = clean_ttl(static_cast<std::uint32_t>(u16(at + 4)) << 16 | u16(at + 6));
    lowest = std::min(lowest.value_or(ttl), ttl);
    std::size_t length = u16(at + 8);
    at += record_rest;
    if (packet.size() - at < length) return std::nullopt;
    at += length;
  }
  return lowest;
}

template <class Item, class Before>
void sort_once(std::vector<Item>& items, Before before, auto equal) {
  std::ranges::sort(items, before);
  auto rest = std::ranges::unique(items, equal);
  items.erase(rest.begin(), rest.end());
}

Address address_of(int family, const void* bytes) {
  Address address;
  address.storage.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET)
    std::memcpy(&reinterpret_cast<sockaddr_in&>(address.storage).sin_addr, bytes, sizeof(in_addr));
  else
    std::memcpy(&reinterpret_cast<sockaddr_in6&>(address.storage).sin6_addr, bytes, sizeof(in6_addr));
  return address;
}

template <class Record>
int read_records(std::span<const std::uint8_t> packet, Reply& reply, auto parse, int family, auto bytes) {
  std::array<Record, addresses_max> records;
  int count = static_cast<int>(records.size());
  int status = parse(packet.data(), static_cast<int>(packet.size()), nullptr, records.data(), &count);
  if (status != ARES_SUCCESS) return status;
  if (count <= 0) return ARES_ENODATA;
  reply.ttl_seconds = std::numeric_limits<std::uint32_t>::max();
  for (const auto& record : std::span(records).first(static_cast<std::size_t>(count))) {
    reply.addresses.push_back(address_of(family, bytes(record)));
    reply.ttl_seconds = std::min(reply.ttl_seconds, record.ttl < 0 ? 0 : static_cast<std::uint32_t>(record.ttl));
  }
  sort_once(reply.addresses, before, std::equal_to<>());
  return ARES_SUCCESS;
}

int read_targets(std::span<const std::uint8_t> packet, Reply& reply) {
  ares_srv_reply* list = nullptr;
  int status = ares_parse_srv_reply(packet.data(), static_cast<int>(packet.size()), &list);
  std::unique_ptr<ares_srv_reply, decltype(&ares_free_data)> owner(list, &ares_free_data);
  if (status != ARES_SUCCESS) return status;
  auto lowest = std::numeric_limits<unsigned>::max();
  for (auto* record = list; record; record = record->next) lowest = std::min<unsigned>(lowest, record->priority);
  for (auto* record = list; record; record = record->next) {
    // RFC 2782: a target of "." says that the service is decidedly not offered here.
    std::string_view host = record->host ? record->host : "";
    if (record->priority != lowest || host.empty() || host == ".") continue;
    // Kong: weight 0 counts as 1.
    reply.targets.push_back({text::lower(host), record->port, std::max<std::uint16_t>(record->weight, 1)});
  }
  sort_once(reply.targets, std::less<>(), std::equal_to<>());
  if (reply.targets.size() > targets_max) reply.targets.resize(targets_max);
  reply.ttl_seconds = lowest_ttl(packet).value_or(0);
  return reply.targets.empty() ? ARES_ENODATA : ARES_SUCCESS;
}

int read_packet(RecordType type, std::span<const std::uint8_t> packet, Reply& reply) {
  switch (type) {
    case RecordType::a:
      return read_records<ares_addrttl>(packet, reply, ares_parse_a_reply, AF_INET,
                                        [](const ares_addrttl& record) { return &record.ipaddr; });
    case RecordType::aaaa:
      return read_records<ares_addr6ttl>(packet, reply, ares_parse_aaaa_reply, AF_INET6,
                                         [](const ares_addr6ttl& record) { return &record.ip6addr; });
    case RecordType::srv:
      return read_targets(packet, reply);
  }
  std::unreachable();
}

}  // namespace

std::string_view name(RecordType type) {
  constexpr std::array<std::string_view, 3> names{"A", "AAAA", "SRV"};
  return names[static_cast<std::size_t>(type)];
}

std::optional<RecordType> parse_record_type(std::string_view word) {
  for (auto type : {RecordType::a, RecordType::aaaa, RecordType::srv})
    if (text::equal_ignoring_case(word, name(type))) return type;
  return std::nullopt;
}

int wire_type(RecordType type) {
  constexpr std::array types{ns_t_a, ns_t_aaaa, ns_t_srv};
  return types[static_cast<std::size_t>(type)];
}

Reply read_reply(const Question& question, int status, std::span<const std::uint8_t> packet) {
  Reply reply;
  if (status == ARES_SUCCESS) status = read_packet(question.type, packet, reply);
  if (status != ARES_SUCCESS) return failure(question, status);
  reply.state = Resolved::State::ok;
  return reply;
}

bool is_dns_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  for (char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    char l = text::lower(c);
    if (!((l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') || ++label > 63) return false;
  }
  return label > 0;
}

bool before(const Address& a, const Address& b) {
  if (a.storage.ss_family != b.storage.ss_family) return a.storage.ss_family < b.storage.ss_family;
  int order = 0;
  if (a.storage.ss_family == AF_INET)
    order = std::memcmp(&reinterpret_cast<const sockaddr_in&>(a.storage).sin_addr,
                        &reinterpret_cast<const sockaddr_in&>(b.storage).sin_addr, sizeof(in_addr));
  else if (a.storage.ss_family == AF_INET6)
    order = std::memcmp(&reinterpret_cast<const sockaddr_in6&>(a.storage).sin6_addr,
                        &reinterpret_cast<const sockaddr_in6&>(b.storage).sin6_addr, sizeof(in6_addr));
  return order != 0 ? order < 0 : a.port() < b.port();
}

}  // namespace weir::net
