// The names that /etc/hosts settles without a query. No clock, no queries; reading the file is the only I/O.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/resolver_reply.h"

namespace weir::net {

// A value. Knows `localhost` even when the file does not (RFC 6761).
class Hosts {
 public:
  static Hosts parse(std::string_view file);
  // A file that is missing or unreadable counts as empty.
  static Hosts read(const std::string& path);

  // The addresses of the first type in `order` that the file has for this name, in any case; empty when it has none.
  struct Found {
    RecordType type = RecordType::a;
    std::vector<Address> addresses;
  };
  Found find(std::string_view name, std::span<const RecordType> order) const;

 private:
  struct Entry {
    std::vector<Address> v4, v6;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

// What tells that a file is another one now; nothing when it is not there.
struct FileMark {
  std::uint64_t inode = 0, size = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileMark&) const = default;
};
std::optional<FileMark> mark_of(const std::string& path);

}  // namespace weir::net
