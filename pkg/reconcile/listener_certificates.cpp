#include "reconcile/listener_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "reconcile/gateway_fields.h"
#include "reconcile/reference_grants.h"

namespace weir::reconcile {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
Bio bio_of(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

// Of a Secret's field `data`. Nothing when it is not base64.
std::optional<std::string> decoded(const Object& secret, std::string_view field) {
  const auto text = text_of(object_of(secret, {"data"}), field);
  if (text.empty() || text.size() % 4 != 0) return {};
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  const auto padding = text.ends_with("==") ? 2u : text.ends_with('=') ? 1u : 0u;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

// Nobody is asked for a password on a terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

struct Resolved {
  std::optional<Entity> entity;
  std::string reason, message;
};

Resolved refused(std::string_view reason, std::string message) {
  return {{}, std::string(reason), std::move(message)};
}

Resolved resolve(const Listener& listener, const Object& reference, View& view) {
  constexpr std::string_view invalid = "InvalidCertificateRef";
  const Name name{text_of(reference, "namespace", listener.owner.space), text_of(reference, "name")};
  if (!refers_to(reference, kinds::secret, "", "Secret"))
    return refused(invalid,
                   fmt::format("{} {} is not supported: refer to a Secret.", text_of(reference, "kind"), name.text()));
  if (!granted(view, listener.owner_kind(), listener.owner.space, kinds::secret, name))
    return refused(
        "RefNotPermitted",
        fmt::format("No ReferenceGrant in namespace {} allows the reference to Secret {}.", name.space, name.text()));
  const auto secret = view.get(kinds::secret, name);
  if (!secret) return refused(invalid, fmt::format("There is no Secret {}.", name.text()));
  const auto certificate = decoded(*secret, "tls.crt"), key = decoded(*secret, "tls.key");
  if (!certificate || !key) return refused(invalid, fmt::format("Secret {} lacks tls.crt or tls.key.", name.text()));
  if (const auto why = check_key_pair(*certificate, *key); !why.empty())
    return refused(invalid, fmt::format("Secret {}: {}.", name.text(), why));
  const auto* schema = model::find_schema("certificates");
  if (!schema) return refused(invalid, "Certificates are not supported by this version.");
  const auto id = entity_id("Secret", name, "certificate");
  auto complete = schema->insert({{"id", id.text()}, {"cert", *certificate}, {"key", *key}},
                                 static_cast<double>(std::max<std::int64_t>(created_at(*secret), 1)));
  if (!complete)
    return refused(invalid, fmt::format("Secret {} holds no certificate and key that can be used.", name.text()));
  return {Entity{schema, id, std::move(*complete)}, {}, {}};
}

}  // namespace

std::string check_key_pair(const std::string& certificate, const std::string& key) {
  const auto certificate_bio = bio_of(certificate), key_bio = bio_of(key);
  const std::unique_ptr<X509, decltype(&X509_free)> leaf{
      PEM_read_bio_X509(certificate_bio.get(), nullptr, no_password, nullptr), X509_free};
  if (!leaf) return "tls.crt holds no certificate in PEM form";
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> secret{
      PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr), EVP_PKEY_free};
  if (!secret) return "tls.key holds no private key in PEM form that is not encrypted";
  return X509_check_private_key(leaf.get(), secret.get()) == 1 ? "" : "tls.key does not belong to tls.crt";
}

ListenerCertificates certificates_of(const Listener& listener, View& view) {
  ListenerCertificates out;
  if (!listener.tls) return out;
  const auto& references = array_of(listener.spec, {"tls", "certificateRefs"});
  if (references.empty()) {
    out.reason = "InvalidCertificateRef";
    out.message = "The listener names no certificate: set tls.certificateRefs.";
  }
  for (const auto& value : references) {
    auto resolved = resolve(listener, object_in(value), view);
    if (resolved.entity) out.entities.push_back(std::move(*resolved.entity));
    if (resolved.reason.empty() || !out.reason.empty()) continue;
    out.reason = std::move(resolved.reason);
    out.message = std::move(resolved.message);
  }
  return out;
}

}  // namespace weir::reconcile
