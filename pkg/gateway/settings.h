// The node's settings: Kong's key names, from weir.conf, then WEIR_<KEY> in the environment, then --set key=value.
//
// One table says which keys there are, their defaults and what they are for; `weir check`, GET / and docs/settings.md
// come from it. A key of Kong that this version cannot honour is refused unless it has Kong's default, never ignored.
// Read once at start, by the main thread.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"

namespace weir::gateway {

struct Setting {
  std::string_view name;
  std::string_view initial;  // default; empty: unset
  std::string_view help;
  bool honoured = true;  // false: a key of Kong that only takes its default
  bool secret = false;   // shown as ******
};

std::span<const Setting> known_settings();

class Settings {
 public:
  struct From {
    std::string file;                                // empty: /etc/weir/weir.conf or /etc/weir.conf when there
    std::map<std::string, std::string> environment;  // the whole environment
    std::vector<std::string> assignments;            // "key=value" of --set
  };
  // All faults at once, one a line: unknown keys (but in the environment) with the nearest known one, keys that cannot
  // be honoured, bad lines with file and line number.
  static Result<Settings> read(const From&);

  const std::string& text(std::string_view name) const;  // empty when unset; the name must be known
  boost::json::object shown() const;                     // for GET /: every key, secrets as ******
  // Variables of the environment that look like settings but are none; Kubernetes makes such ones (WEIR_SERVICE_HOST).
  const std::vector<std::string>& unknown_variables() const { return unknown_variables_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> unknown_variables_;
};

}  // namespace weir::gateway
