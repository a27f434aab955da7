#include "http/uri.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot {
namespace {

// What is left of a path after a prefix must not climb out of the service's path (Kong: sanitize_uri_postfix).
std::string_view without_leading_dots(std::string_view rest) {
  if (rest == "." || rest == "..") return {};
  if (rest.starts_with("./")) return rest.substr(2);
  if (rest.starts_with("../")) return rest.substr(3);
  return rest;
}

struct Parts {
  std::string_view base, middle, rest;
};

// kong/router/utils.lua, get_upstream_uri_v0: as if `base` were a folder and the request's path lay below it.
Parts join_v0(std::string_view base, std::string_view path, std::string_view rest, bool strip) {
  if (base.ends_with('/')) {
    const auto folder = base.substr(0, base.size() - 1);
    if (!strip) return {base, "", path.substr(1)};
    if (rest.starts_with('/')) return {folder, "", rest};
    if (!rest.empty()) return {base, "", rest};
    return {base == "/" || path.ends_with('/') ? base : folder, "", ""};
  }
  if (!strip) return {base, "", path == "/" ? "" : path};
  if (rest.empty()) return {base, path.size() > 1 && path.ends_with('/') ? "/" : "", ""};
  return {base, rest.starts_with('/') ? "" : "/", rest};
}

// Kong's traditional router, path_handling v1: plain concatenation.
Parts join_v1(std::string_view base, std::string_view path, std::string_view rest, bool strip) {
  if (!strip) return {base, "", path.substr(1)};
  if (base.ends_with('/') && rest.starts_with('/')) rest.remove_prefix(1);
  return {base, "", rest};
}

}  // namespace

void upstream_path(const Route& route, const Service& service, std::string_view path, std::size_t prefix_bytes,
                   std::string& out) {
  out.clear();
  if (path.empty()) path = "/";
  const std::string_view base = service.path.empty() ? std::string_view("/") : service.path;
  // A match that took no part of the path strips its first slash: the service's path brings one.
  const auto rest = without_leading_dots(path.substr(prefix_bytes == 0 ? 1 : std::min(prefix_bytes, path.size())));
  const auto join = route.path_handling == PathHandling::v1 ? join_v1 : join_v0;
  const auto parts = join(base, path, rest, route.strip_path);
  for (const auto part : {parts.base, parts.middle, parts.rest}) http::escape_path(part, out);
}

}  // namespace weir::snapshot
