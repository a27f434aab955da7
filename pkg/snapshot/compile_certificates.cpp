// Certificates, and the names of handshakes that lead to them.
#include "base/text.h"
#include "model/entities.h"
#include "snapshot/compiler.h"

namespace weir::snapshot {

template <class Visit>
void Compiler::each_sni_of(const Uuid& certificate, Visit&& visit) {
  t_.tls.snis_of_certificate.for_each_under(Nibbles(certificate), [&](const Uuid& id) {
    visit(**t_.tls.snis.find(Nibbles(id)));
    return false;
  });
}

void Compiler::apply_certificate(const store::Change& change) {
  const auto* known = t_.tls.certificates.find(Nibbles(change.id));
  const auto old = known ? *known : nullptr;
  clear_fault("certificates", change.id, Cause::itself);
  if (!change.now) {
    if (!old) return;
    t_.tls.certificates.erase(Nibbles(change.id));
    return each_sni_of(change.id, [&](const CompiledSni& sni) { report_missing_certificate(sni); });
  }
  const auto now = model::read<model::Certificate>(*change.now);
  auto compiled = std::make_shared<CompiledCertificate>();
  compiled->origin = origin(change, "", now.updated_at * 1000);
  compiled->digest = digest_of(now);
  if (old && old->digest == compiled->digest) {
    compiled->context = old->context;  // with its sessions
  } else {
    auto made = make_context(now);
    if (!made) return report(compiled->origin, Cause::itself, std::move(made.error().message));
    compiled->context = std::move(*made);
  }
  t_.tls.certificates.edit(Nibbles(change.id)) = std::move(compiled);
  if (old) return;
  each_sni_of(change.id, [&](const CompiledSni& sni) { clear_fault("snis", sni.origin.id, Cause::relation); });
}

void Compiler::apply_sni(const store::Change& change) {
  if (const auto* known = t_.tls.snis.find(Nibbles(change.id))) {
    const auto old = *known;
    touched_snis_.insert(old->name);
    t_.tls.snis_of_name.erase(Bytes{name_key(old->name, change.id)});
    t_.tls.snis_of_certificate.erase(Nibbles(pair_key(old->certificate, change.id)));
    t_.tls.snis.erase(Nibbles(change.id));
    clear_fault("snis", change.id, Cause::relation);
    clear_fault("snis", change.id, Cause::name);
  }
  if (!change.now) return;
  const auto now = model::read<model::Sni>(*change.now);
  auto compiled = std::make_shared<CompiledSni>();
  compiled->origin = origin(change, now.name, now.updated_at * 1000);
  compiled->name = text::lower(now.name);
  compiled->certificate = now.certificate;
  touched_snis_.insert(compiled->name);
  t_.tls.snis_of_name.edit(Bytes{name_key(compiled->name, now.id)}) = now.id;
  t_.tls.snis_of_certificate.edit(Nibbles(pair_key(now.certificate, now.id))) = now.id;
  if (!t_.tls.find(now.certificate)) report_missing_certificate(*compiled);
  t_.tls.snis.edit(Nibbles(now.id)) = std::move(compiled);
}

void Compiler::settle_sni(const std::string& name) {
  std::vector<SniPtr> all;
  t_.tls.snis_of_name.for_each_under(Bytes{name + '\0'}, [&](const Uuid& id) {
    all.push_back(*t_.tls.snis.find(Nibbles(id)));
    return false;
  });
  if (all.empty()) {
    t_.tls.certificate_of_name.erase(Bytes{name});
    return;
  }
  const auto winner = first_of_name(all);
  for (const auto& sni : all) {
    if (sni == winner)
      clear_fault("snis", sni->origin.id, Cause::name);
    else
      report(sni->origin, Cause::name,
             fmt::format("its name '{}' is that of {}", name, in_words(winner->origin, "SNI")));
  }
  t_.tls.certificate_of_name.edit(Bytes{name}) = winner->certificate;
}

void Compiler::report_missing_certificate(const CompiledSni& sni) {
  report(sni.origin, Cause::relation, fmt::format("its certificate {} is missing", sni.certificate.text()));
}

}  // namespace weir::snapshot
