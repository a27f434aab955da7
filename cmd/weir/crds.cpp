#include "cmd/weir/crds.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "reconcile/crd_definitions.h"

namespace weir::cmd {

Result<> crds(const std::string& directory, std::ostream& out) {
  if (directory.empty()) {
    out << reconcile::crd_documents();
    return {};
  }
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return fail("cannot make the folder {}: {}", directory, failed.message());
  for (const auto& [name, text] : reconcile::crd_files()) {
    const auto path = directory + "/" + name;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) return fail("cannot write {}: {}", path, std::strerror(errno));
  }
  return {};
}

}  // namespace weir::cmd
