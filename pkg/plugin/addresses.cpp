#include "plugin/addresses.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace weir::plugin {
namespace {

// Strict decimal parts, as the schema's check reads them: "010.0.0.1" is 10.0.0.1.
bool parse_v4(std::string_view text, std::uint8_t* out) {
  for (int i = 0; i < 4; i++) {
    const auto end = i < 3 ? text.find('.') : text.size();
    if (end == text.npos || end == 0 || end > 3) return false;
    int part = 0;
    for (const char c : text.substr(0, end)) {
      if (c < '0' || c > '9') return false;
      part = part * 10 + (c - '0');
    }
    if (part > 255) return false;
    out[i] = static_cast<std::uint8_t>(part);
    text.remove_prefix(i < 3 ? end + 1 : end);
  }
  return true;
}

bool is_mapped(const std::array<std::uint8_t, 16>& bytes) {
  static constexpr std::uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(bytes.data(), prefix, sizeof prefix) == 0;
}

bool parse_raw(std::string_view text, Address& out) {
  out = {};
  if (parse_v4(text, out.bytes.data())) return true;
  char terminated[46];
  if (text.empty() || text.size() >= sizeof terminated || text.find('\0') != text.npos) return false;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  out.v6 = inet_pton(AF_INET6, terminated, out.bytes.data()) == 1;
  return out.v6;
}

void to_v4(Address& address) {
  std::memmove(address.bytes.data(), address.bytes.data() + 12, 4);
  std::fill(address.bytes.begin() + 4, address.bytes.end(), std::uint8_t{0});
  address.v6 = false;
}

}  // namespace

bool parse_address(std::string_view text, Address& out) {
  if (!parse_raw(text, out)) return false;
  if (out.v6 && is_mapped(out.bytes)) to_v4(out);
  return true;
}

Result<Addresses> Addresses::parse(const std::vector<std::string>& list) {
  Addresses out;
  for (const auto& text : list) {
    const auto slash = text.find('/');
    Address address;
    if (!parse_raw(std::string_view(text).substr(0, slash), address))
      return fail("'{}' is neither an IP address nor a CIDR block", text);
    unsigned bits = address.v6 ? 128 : 32;
    if (slash != text.npos) {
      const char* end = text.data() + text.size();
      unsigned given = 0;
      const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, given);
      if (error != std::errc() || stop != end || given > bits)
        return fail("'{}' is neither an IP address nor a CIDR block", text);
      bits = given;
    }
    if (address.v6 && is_mapped(address.bytes) && bits >= 96) {
      to_v4(address);
      bits -= 96;
    }
    const auto add = [&]<std::size_t size>(std::vector<Range<size>>& ranges) {
      Range<size> range;
      for (std::size_t i = 0; i < size; i++) {
        const auto known = bits <= 8 * i ? 0 : std::min<std::size_t>(bits - 8 * i, 8);
        const auto mask = static_cast<std::uint8_t>(0xff00 >> known);
        range.first[i] = address.bytes[i] & mask;
        range.last[i] = range.first[i] | static_cast<std::uint8_t>(~mask);
      }
      ranges.push_back(range);
    };
    if (address.v6)
      add(out.v6_);
    else
      add(out.v4_);
  }
  merge(out.v4_);
  merge(out.v6_);
  return out;
}

// Blocks either nest or are apart, so what begins within the last one kept also ends there.
template <std::size_t size>
void Addresses::merge(std::vector<Range<size>>& ranges) {
  std::ranges::sort(
      ranges, [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : a.last > b.last; });
  std::vector<Range<size>> kept;
  for (const auto& range : ranges)
    if (kept.empty() || kept.back().last < range.first) kept.push_back(range);
  ranges = std::move(kept);
}

template <std::size_t size>
bool Addresses::within(const std::vector<Range<size>>& ranges, const Address& address) {
  std::array<std::uint8_t, size> wanted;
  std::copy_n(address.bytes.begin(), size, wanted.begin());
  const auto after = std::ranges::upper_bound(ranges, wanted, {}, &Range<size>::first);
  return after != ranges.begin() && wanted <= std::prev(after)->last;
}

bool Addresses::contains(const Address& address) const {
  return address.v6 ? within(v6_, address) : within(v4_, address);
}

}  // namespace weir::plugin
