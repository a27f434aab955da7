#include "reconcile/crd_patterns.h"

namespace weir::reconcile {
namespace {

constexpr std::string_view name = R"(^([-.~\w]|[^\x00-\x7f])+$)", tag = R"(^[^\x00-\x1f\x7f,/]+$)", path = "^/",
                           word = R"(^[-\w]+$)", host_name = R"(^[-.\w]+$)", host = R"(^[-.:\w\[\]]+$)";

constexpr Pattern all[] = {
    {"services.name", name},
    {"services.tags[]", tag},
    {"services.host", host},
    {"services.path", path},
    {"routes.name", name},
    {"routes.tags[]", tag},
    {"routes.methods[]", "^[A-Z]+$"},
    {"routes.paths[]", "^~?/"},
    {"routes.hosts[]", R"(^[-.:*\w\[\]]+$)"},
    {"routes.snis[]", R"(^[-.*\w]+$)"},
    {"upstreams.name", host_name},
    {"upstreams.tags[]", tag},
    {"upstreams.hash_on_header", word},
    {"upstreams.hash_fallback_header", word},
    {"upstreams.hash_on_cookie", word},
    {"upstreams.hash_on_cookie_path", path},
    {"upstreams.host_header", host},
    {"upstreams.healthchecks.active.http_path", path},
    {"targets.target", host},
    {"targets.tags[]", tag},
    {"consumers.tags[]", tag},
    {"plugins.instance_name", name},
    {"plugins.tags[]", tag},
    {"keyauth_credentials.tags[]", tag},
    {"basicauth_credentials.tags[]", tag},
    {"acls.tags[]", tag},
    {"certificates.tags[]", tag},
    {"ca_certificates.tags[]", tag},
    {"snis.name", R"(^[-.*\w]+$)"},
    {"snis.tags[]", tag},
};

}  // namespace

std::span<const Pattern> crd_patterns() {
  return all;
}

std::string_view crd_pattern(std::string_view path) {
  for (const auto& pattern : all)
    if (pattern.path == path) return pattern.pattern;
  return {};
}

}  // namespace weir::reconcile
