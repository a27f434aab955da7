// One DNS query and what came back, read out of the packet. No I/O, no clock.
//
// Packets come from the network and may hold anything: reading is bounded and never trusts a length.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/resolver.h"

namespace weir::net {

enum class RecordType : std::uint8_t { a, aaaa, srv };
std::string_view name(RecordType);
std::optional<RecordType> parse_record_type(std::string_view);  // any case
int wire_type(RecordType);                                      // as in a DNS packet

struct Question {
  std::string name;
  RecordType type = RecordType::a;
  bool operator==(const Question&) const = default;
};

struct SrvTarget {
  std::string name;
  std::uint16_t port = 0, weight = 1;
  auto operator<=>(const SrvTarget&) const = default;
};

struct Reply {
  Resolved::State state = Resolved::State::failed;
  std::string message;             // when it is not ok
  std::uint32_t ttl_seconds = 0;   // the lowest of all records used
  std::vector<Address> addresses;  // of A and AAAA: sorted, each once, port 0
  std::vector<SrvTarget> targets;  // of SRV: lowest priority value only, weight 0 as 1, sorted, each once
};

// status: c-ares' own (ARES_SUCCESS, ARES_ENOTFOUND, ...); packet is looked at after success only.
Reply read_reply(const Question&, int status, std::span<const std::uint8_t> packet);

// True for what may be asked of DNS: labels of 1..63 letters, digits, hyphens and underscores, 253 characters in all.
bool is_dns_name(std::string_view);

// By family, then bytes, then port: the order in which answers are kept.
bool before(const Address&, const Address&);

}  // namespace weir::net
