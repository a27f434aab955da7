// Values by host name, found by the most specific name first: "a.example.com", "*.example.com" (any number of labels),
// then "" (all). Persistent; cost does not grow with the number of names.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

#include "snapshot/radix.h"

namespace weir::snapshot {

// A name of a handshake in lower case, without allocating. Longer ones than DNS has are no names.
class LowerName {
 public:
  explicit LowerName(std::string_view name) : size_(name.size() <= bytes_.size() ? name.size() : 0) {
    std::ranges::transform(name.substr(0, size_), bytes_.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  }
  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, 255> bytes_;
  std::size_t size_;
};

template <class V>
class HostTable {
 public:
  bool empty() const { return values_.empty(); }
  // name: lower case. The value to change; made when the name is new.
  V& edit(std::string_view name) { return values_.edit(key(name)); }
  const V* find(std::string_view name) const { return values_.find(key(name)); }
  void erase(std::string_view name) { values_.erase(key(name)); }

  // Calls visit(value) for each name that matches, until it returns true; says whether one did.
  template <class Visit>
  bool for_each_match(std::string_view host, Visit&& visit) const {
    return values_.for_each_prefix(Reversed{host}, [&](const V& value, std::size_t length) {
      // A wildcard's key ends with the dot behind its star, which stands for at least one character.
      const bool is_wildcard = length > 0 && host[host.size() - length] == '.';
      return (length == 0 || is_wildcard == (length < host.size())) && visit(value);
    });
  }

 private:
  static Reversed key(std::string_view name) {
    if (name.starts_with('*')) name.remove_prefix(1);
    return Reversed{name};
  }
  Radix<V> values_;
};

}  // namespace weir::snapshot
