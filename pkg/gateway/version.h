// The versions that this binary goes by.
#pragma once
#include <string_view>

namespace weir::gateway {

inline constexpr std::string_view version = WEIR_VERSION;  // Weir's own, from CMakeLists.txt
inline constexpr std::string_view kong_version = "3.9.1";  // the Kong whose Admin API this is, for clients that ask

}  // namespace weir::gateway
