#include "kube/informer.h"

namespace weir::kube {

std::string Kind::api_version() const {
  return group.empty() ? std::string(version) : fmt::format("{}/{}", group, version);
}

std::string Kind::path(std::string_view space, std::string_view name) const {
  std::string out = group.empty() ? "/api/" : "/apis/";
  out += api_version();
  if (namespaced && !space.empty()) out.append("/namespaces/").append(space);
  out.append("/").append(plural);
  if (!name.empty()) out.append("/").append(name);
  return out;
}

}  // namespace weir::kube
