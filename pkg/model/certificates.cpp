// The entities "certificates", "snis" and "ca_certificates": what listeners show in TLS handshakes, by which names, and
// whom to trust.
#include "model/entities.h"
#include "model/fields.h"
#include "model/pem.h"

namespace weir::model {
namespace {

// What is faulty by itself is said of the field.
bool both_given(const Object& entity, const Object& faults, std::string_view a, std::string_view b) {
  return !faults.contains(a) && !faults.contains(b) && is_given(value_of(entity, a)) && is_given(value_of(entity, b));
}

void check_pairs(const Object& entity, Object& faults, std::vector<std::string>& messages) {
  const auto text = [&](std::string_view field) { return text_of(value_of(entity, field)); };
  if (both_given(entity, faults, "cert", "key") && !key_fits(text("cert"), text("key")))
    messages.push_back("certificate does not match key");
  if (both_given(entity, faults, "cert_alt", "key_alt") && !key_fits(text("cert_alt"), text("key_alt")))
    messages.push_back("alternative certificate does not match key");
  if (both_given(entity, faults, "cert", "cert_alt") && same_key_type(text("cert"), text("cert_alt")))
    messages.push_back(
        "certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), the provided "
        "certificates were both of the same type");
}

const Declared<Certificate>& certificates_declared() {
  static const auto built =
      entity<Certificate>("certificates")
          .field("cert", &Certificate::cert, "The certificate in PEM form, then those that lead to its authority.",
                 check(check_certificate))
          .field("key", &Certificate::key, "The certificate's private key in PEM form, without password.",
                 check(check_key), encrypted())
          .field("cert_alt", &Certificate::cert_alt, "Another certificate with a key of another type.",
                 check(check_certificate))
          .field("key_alt", &Certificate::key_alt, "The other certificate's private key.", check(check_key),
                 encrypted())
          .field("tags", &Certificate::tags, tags_help, tags())
          .rule(all_or_none_of({"cert_alt", "key_alt"}))
          .rule({{}, check_pairs})
          .build();
  return built;
}

const Declared<Sni>& snis_declared() {
  static const auto built =
      entity<Sni>("snis")
          .endpoint_key("name")
          .field("name", &Sni::name, "The name in the TLS handshake; \"*\" as first or last label for any.", unique(),
                 check(check_wildcard_sni))
          .field("tags", &Sni::tags, tags_help, tags())
          .field("certificate", &Sni::certificate, "The certificate to show.", foreign("certificates"), cascade())
          .build();
  return built;
}

const Declared<CaCertificate>& authorities_declared() {
  static const auto built =
      entity<CaCertificate>("ca_certificates")
          .everywhere()
          .field("cert", &CaCertificate::cert, "The authority's certificate in PEM form.", check(check_ca_certificate))
          .field("cert_digest", &CaCertificate::cert_digest, "SHA-256 of the certificate, in hex; made by Weir.",
                 unique())
          .field("tags", &CaCertificate::tags, tags_help, tags())
          .transform(
              {"cert"},
              [](Object& entity) { entity["cert_digest"] = certificate_digest(text_of(value_of(entity, "cert"))); })
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Certificate>() {
  return certificates_declared().schema;
}
template <>
Certificate read<Certificate>(const Object& entity) {
  return certificates_declared().read(entity);
}
template <>
const Schema& schema<Sni>() {
  return snis_declared().schema;
}
template <>
Sni read<Sni>(const Object& entity) {
  return snis_declared().read(entity);
}
template <>
const Schema& schema<CaCertificate>() {
  return authorities_declared().schema;
}
template <>
CaCertificate read<CaCertificate>(const Object& entity) {
  return authorities_declared().read(entity);
}

}  // namespace weir::model
