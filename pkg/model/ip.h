// IP addresses in one canonical form, so that two spellings of an address are one target.
#pragma once
#include <string>
#include <string_view>

namespace weir::model {

// "127.000.000.001" -> "127.0.0.1"; false when it is not an address. Parts are decimal, as in Kong (no octal).
bool normal_ipv4(std::string_view text, std::string& out);
// "::1" -> "0000:0000:0000:0000:0000:0000:0000:0001"; false when it is not an address.
bool normal_ipv6(std::string_view text, std::string& out);

}  // namespace weir::model
