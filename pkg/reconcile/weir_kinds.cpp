#include "reconcile/weir_kinds.h"

#include "base/result.h"
#include "reconcile/unit.h"

namespace weir::reconcile {
namespace {

constexpr WeirKind all_kinds[] = {
    {"WeirCaCertificate", "weircacertificates", "wca", "ca_certificates",
     "A certificate authority that upstreams' certificates are verified with."},
    {"WeirCertificate", "weircertificates", "wce", "certificates", "A certificate with its key, for listeners."},
    {"WeirSni", "weirsnis", "wsn", "snis", "A server name that a certificate is shown for."},
    {"WeirUpstream", "weirupstreams", "wup", "upstreams", "A virtual host name that balances over targets."},
    {"WeirTarget", "weirtargets", "wtg", "targets", "One address of an upstream."},
    {"WeirService", "weirservices", "wsv", "services", "Where requests are sent: one upstream application."},
    {"WeirRoute", "weirroutes", "wrt", "routes", "Which requests belong to a service."},
    {"WeirConsumer", "weirconsumers", "wco", "consumers", "Who calls."},
    {"WeirKeyAuthCredential", "weirkeyauthcredentials", "wka", "keyauth_credentials",
     "A key by which the plugin key-auth knows a consumer."},
    {"WeirBasicAuthCredential", "weirbasicauthcredentials", "wba", "basicauth_credentials",
     "A user name and password by which the plugin basic-auth knows a consumer."},
    {"WeirAcl", "weiracls", "wac", "acls", "A group that a consumer is in, for the plugin acl."},
    {"WeirPlugin", "weirplugins", "wpl", "plugins", "A plugin's configuration and what it is attached to."},
};

}  // namespace

std::vector<const WeirKind*> weir_kinds() {
  std::vector<const WeirKind*> out;
  for (const auto& kind : all_kinds)
    if (kind.schema()) out.push_back(&kind);
  return out;
}

const WeirKind* weir_kind_of_entity(std::string_view entity) {
  for (const auto& kind : all_kinds)
    if (kind.entity == entity) return &kind;
  return nullptr;
}

Kind kinds::weir(std::string_view kind_name) {
  for (const auto& kind : all_kinds)
    if (kind.kind == kind_name) return {"weir.dev", "v1", kind.kind, kind.plural};
  WEIR_ASSERT(false);  // names are written in this program
  return {};
}

}  // namespace weir::reconcile
