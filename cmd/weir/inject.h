// `weir inject`: adds Weir as a sidecar to the workloads of a manifest.
#pragma once
#include <iosfwd>
#include <string>

#include "base/result.h"
#include "reconcile/inject.h"

namespace weir::cmd {

// file: "-" for standard input. Writes the whole manifest with the sidecars to `out`.
Result<> inject(const std::string& file, const reconcile::Sidecar&, std::istream& in, std::ostream& out);

}  // namespace weir::cmd
