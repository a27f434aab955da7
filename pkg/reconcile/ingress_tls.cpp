#include "reconcile/ingress_tls.h"

#include "base/text.h"
#include "model/formats.h"
#include "reconcile/listener_certificates.h"

namespace weir::reconcile {
namespace {

std::optional<Uuid> certificate(const Name& name, Sheet& sheet) {
  const auto secret = sheet.view.get(kinds::secret, name);
  if (!secret) {
    sheet.fault(fmt::format("there is no Secret {}", name.text()));
    return std::nullopt;
  }
  const auto cert = kong::secret_value(*secret, "tls.crt"), key = kong::secret_value(*secret, "tls.key");
  if (!cert || !key || !*cert || !*key) {
    sheet.fault(fmt::format("Secret {} lacks tls.crt or tls.key", name.text()));
    return std::nullopt;
  }
  if (const auto why = check_key_pair(**cert, **key); !why.empty()) {
    sheet.fault(fmt::format("Secret {}: {}", name.text(), why));
    return std::nullopt;
  }
  // Gateways make the same entity of the Secret: nothing of the Ingress is in it.
  const auto id = entity_id("Secret", name, "certificate");
  auto made = kong::make_entity("certificates", id, {{"cert", **cert}, {"key", **key}},
                                std::max<std::int64_t>(created_at(*secret), 1));
  if (!made) {
    sheet.fault(fmt::format("Secret {}: {}", name.text(), kong::in_words(made.error(), kong::Values::hidden)));
    return std::nullopt;
  }
  sheet.entities.add(std::move(*made));
  return id;
}

void add_name(const std::string& host, const Uuid& certificate, Sheet& sheet) {
  const auto id = entity_id("Ingress", sheet.name, "sni/" + host);
  auto made = kong::make_entity("snis", id,
                                {{"name", host},
                                 {"certificate", Object{{"id", certificate.text()}}},
                                 {"tags", kong::tags(kinds::ingress, sheet.object)}},
                                created_at(sheet.object));
  if (made) {
    sheet.entities.add(std::move(*made));
  } else {
    sheet.fault(fmt::format("host '{}' of tls is left out: {}", model::shown(host), made.error().message));
  }
}

}  // namespace

void add_tls(Sheet& sheet) {
  for (const auto& element : array_of(sheet.object, {"spec", "tls"})) {
    const auto& tls = object_in(element);
    const auto secret = text_of(tls, "secretName");
    if (secret.empty()) continue;  // the hosts are served with a certificate that another object or the node brings
    const auto id = certificate({sheet.name.space, secret}, sheet);
    if (!id) continue;
    const auto& hosts = array_of(tls, {"hosts"});
    if (hosts.empty()) add_name("*", *id, sheet);
    for (const auto& host : hosts)
      if (const auto* text = host.if_string()) add_name(text::lower(*text), *id, sheet);
  }
}

}  // namespace weir::reconcile
