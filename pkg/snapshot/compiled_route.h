// A route as the router reads it: its conditions split, lower-cased and compiled, and its place in the order.
//
// Immutable once it is in a Snapshot; snapshots share it until the route changes.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/entities.h"
#include "snapshot/radix.h"
#include "snapshot/snapshot.h"

namespace re2 {
class RE2;
}

namespace weir::snapshot {

using Pattern = std::shared_ptr<const re2::RE2>;

// Compiled regular expressions, each once however many routes use it: a compiled one takes kilobytes.
class Patterns {
 public:
  enum class Case : bool { sensitive, ignored };
  Result<Pattern> acquire(const std::string& text, Case);
  void release(const re2::RE2&);

 private:
  struct Use {
    Pattern pattern;
    std::uint32_t users = 0;
  };
  Radix<Use> uses_;
};

struct HostRule {
  enum class Kind : std::uint8_t { exact, left_wildcard, right_wildcard };
  Kind kind = Kind::exact;
  std::uint16_t port = 0;  // 0: any
  std::string name;        // lower case; wildcards without the star: ".example.com", "example."
};

struct PathRule {
  std::string text;  // without the "~" of a regex
  Pattern regex;     // null: a prefix
};

struct HeaderRule {
  std::string name;                 // lower case
  std::vector<std::string> values;  // any of them, compared without case
  Pattern regex;                    // instead of values
};

struct CompiledRoute {
  // What few routes have.
  struct Conditions {
    std::vector<std::string> methods, snis;
    std::vector<HeaderRule> headers;
  };

  Route route;
  std::optional<Uuid> service;
  std::int64_t created_at = 0, regex_priority = 0;
  std::vector<HostRule> hosts;
  std::vector<PathRule> paths;
  std::unique_ptr<Conditions> conditions;

  // The leading part of Kong's order, as a number: larger goes first.
  std::uint32_t rank(const PathRule* path) const;

  void release_patterns(Patterns&) const;
};

// Everything of the route but the slot of its service.
Result<std::shared_ptr<CompiledRoute>> compile_route(const model::Route&, const Origin&, Patterns&);

}  // namespace weir::snapshot
