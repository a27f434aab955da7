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

}  // namespace weir::plugin
