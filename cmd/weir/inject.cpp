#include "cmd/weir/inject.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "reconcile/inject_yaml.h"

namespace weir::cmd {

Result<> inject(const std::string& file, const reconcile::Sidecar& sidecar, std::istream& in, std::ostream& out) {
  std::stringstream text;
  if (file == "-") {
    text << in.rdbuf();
  } else {
    std::ifstream opened(file, std::ios::binary);
    if (!opened) return fail("cannot read {}: {}", file, std::strerror(errno));
    text << opened.rdbuf();
  }
  auto documents = reconcile::read_manifests(text.str());
  if (!documents) return fail("{}: {}", file, documents.error().message);
  for (auto& document : *documents)
    if (auto changed = reconcile::inject(document, sidecar); !changed)
      return fail("{}: {}", file, changed.error().message);
  out << reconcile::print_manifests(*documents);
  return {};
}

}  // namespace weir::cmd
