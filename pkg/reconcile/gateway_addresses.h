// Where a Gateway is reached: an address of the pool that Weir binds, or the address of a Service that leads to ports
// of Weir's pods.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "reconcile/listener_plan.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

struct AddressPlan {
  struct Address {
    std::string value;
    std::string type;       // "IPAddress", "Hostname"
    std::size_t index = 0;  // for entry_id()
  };
  std::vector<Address> addresses;
  // The port to bind for a listener's port, where that is not the same; then on all addresses of the pod.
  bool by_service = false;
  std::map<std::uint16_t, std::uint16_t> pod_ports;
  std::vector<Object> applied;
  // Reason and message of the Gateway's conditions Accepted and Programmed, where an address is the reason for False.
  std::string refused, refused_message;
  std::string not_programmed, not_programmed_message;
};
AddressPlan plan_addresses(const ListenerPlan&, View&);

// A range of addresses in CIDR form, IPv4 or IPv6. At most 2^32 addresses of it are handed out; not the first and last
// of an IPv4 network.
class AddressPool {
 public:
  static std::optional<AddressPool> parse(std::string_view cidr);
  bool contains(std::string_view ip) const;
  std::uint64_t size() const;
  std::string at(std::uint64_t index) const;  // below size()

 private:
  std::string base_;  // network byte order, 4 or 16 bytes; host part zero
  unsigned prefix_ = 0;
};

}  // namespace weir::reconcile
