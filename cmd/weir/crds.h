// `weir crds`: the CustomResourceDefinitions of Weir's kinds, for kubectl apply.
#pragma once
#include <iosfwd>
#include <string>

#include "base/result.h"

namespace weir::cmd {

// directory: where to write one file for each kind; empty: all of them to `out`.
Result<> crds(const std::string& directory, std::ostream& out);

}  // namespace weir::cmd
