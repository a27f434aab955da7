// Identifiers of entities and nodes (RFC 9562). A value type of 16 bytes.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  // A random one (version 4).
  static Uuid random();
  // The one that belongs to `name` within `space` (version 5, SHA-1); the same on every node.
  static Uuid from_name(const Uuid& space, std::string_view name);
  // Reads the 36-character form in either case; nothing when it is malformed.
  static std::optional<Uuid> parse(std::string_view text);

  std::string text() const;  // 36 characters, lower case
  bool is_nil() const { return *this == Uuid{}; }
  auto operator<=>(const Uuid&) const = default;
};

}  // namespace weir

template <>
struct std::hash<weir::Uuid> {
  std::size_t operator()(const weir::Uuid& id) const noexcept;
};
