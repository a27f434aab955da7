// A set of IP addresses given as addresses and CIDR blocks.
//
// Ranges in two sorted arrays, merged: a look costs two or three cache lines for short lists and no allocation.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace weir::plugin {

struct Address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // IPv4: the first four
};
// Text without brackets or port. IPv4 in IPv6 (::ffff:1.2.3.4) is IPv4, so that a list holds for both kinds of socket.
bool parse_address(std::string_view text, Address& out);

class Addresses {
 public:
  // The error names what is neither an address nor a block.
  static Result<Addresses> parse(const std::vector<std::string>& list);
  bool contains(const Address&) const;
  bool empty() const { return v4_.empty() && v6_.empty(); }

 private:
  template <std::size_t size>
  struct Range {
    std::array<std::uint8_t, size> first, last;
  };
  template <std::size_t size>
  static void merge(std::vector<Range<size>>&);
  template <std::size_t size>
  static bool within(const std::vector<Range<size>>&, const Address&);

  std::vector<Range<4>> v4_;
  std::vector<Range<16>> v6_;
};

}  // namespace weir::plugin
