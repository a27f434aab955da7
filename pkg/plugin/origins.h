// Which origins a page may come from, as cors is configured: exact ones and regular expressions.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace weir::plugin {

// What cors compares of an Origin: scheme, host and a port that is not the scheme's own.
struct Origin {
  std::string_view whole, host;  // of the given text
};
// Anything else ("null") stands for itself. No allocation.
Origin read_origin(std::string_view text);

class Origins {
 public:
  Origins() = default;
  Origins(Origins&&) noexcept;
  ~Origins();
  // The error names what is not a regular expression.
  static Result<Origins> parse(const std::vector<std::string>& list);

  bool empty() const { return !any_ && exact_.empty() && patterns_.empty(); }
  bool any() const { return any_; }  // "*" is among them
  // The only one, when it is not a regular expression: answered whatever the request's origin is, as Kong does.
  const std::string* fixed() const { return fixed_.empty() ? nullptr : &fixed_; }
  bool match(const Origin&) const;

 private:
  struct Pattern {
    std::unique_ptr<const re2::RE2> regex;
    bool by_host = false;  // without ":" it is compared with the host only
  };
  bool any_ = false;
  std::string fixed_;
  std::vector<std::string> exact_;  // sorted
  std::vector<Pattern> patterns_;
};

}  // namespace weir::plugin
