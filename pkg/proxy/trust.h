// Which peers' X-Forwarded-* fields are believed: the trusted_ips setting.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::proxy {

class Trust {
 public:
  // Addresses and CIDR ranges, IPv4 and IPv6.
  static Result<Trust> parse(const std::vector<std::string>& ranges);
  bool holds(std::string_view ip) const;

 private:
  struct Range {
    int family;
    std::array<std::uint8_t, 16> bytes;
    unsigned bits;
  };
  std::vector<Range> ranges_;
};

}  // namespace weir::proxy
