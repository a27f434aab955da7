// Packets of a hostile DNS server: reading them never goes out of bounds and yields sound answers only.
#include <algorithm>

#include <ares.h>

#include "base/result.h"
#include "net/resolver_reply.h"

namespace {

using namespace weir::net;

void check(const Reply& reply, RecordType type) {
  if (reply.state != Resolved::State::ok) {
    WEIR_ASSERT(!reply.message.empty());
    return;
  }
  WEIR_ASSERT(reply.addresses.empty() == (type == RecordType::srv));
  WEIR_ASSERT(reply.targets.empty() == (type != RecordType::srv));
  WEIR_ASSERT(reply.ttl_seconds <= 0x7fffffffu);
  WEIR_ASSERT(std::ranges::is_sorted(reply.addresses, before));
  WEIR_ASSERT(std::ranges::adjacent_find(reply.addresses) == reply.addresses.end());
  WEIR_ASSERT(std::ranges::is_sorted(reply.targets));
  for (const auto& address : reply.addresses) WEIR_ASSERT(Address::from_ip(address.ip(), 0) == address);
  for (const auto& target : reply.targets) WEIR_ASSERT(target.weight > 0 && !target.name.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (auto type : {RecordType::a, RecordType::aaaa, RecordType::srv})
    check(read_reply({"fuzz.test", type}, ARES_SUCCESS, {data, size}), type);
  return 0;
}
