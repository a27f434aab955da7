// Rules that configurations of several plugins share.
#pragma once
#include <string_view>

#include "model/rules.h"

namespace weir::plugin {

// Kong takes a reference to a vault in this field; used as it stands it would be a wrong secret.
inline model::Wrong check_no_reference(std::string_view text) {
  if (!text.starts_with("{vault://")) return {};
  return "references to vaults are not supported by this version of Weir; give the value itself";
}

// Kong's match of file-log's path: "^[^*&%\\`]+$".
inline model::Wrong check_file_path(std::string_view text) {
  if (text.find_first_of("*&%\\`") == text.npos) return {};
  return "not a valid filename";
}

// custom_fields_by_lua: only without an entry.
inline model::Rule no_lua() {
  return [](model::Field& f) {
    f.unsupported = [](const boost::json::value& value) -> model::Wrong {
      const auto* entries = value.if_object();
      if (entries && entries->empty()) return {};
      return "Lua is not supported by this version of Weir; leave custom_fields_by_lua out";
    };
  };
}

}  // namespace weir::plugin
