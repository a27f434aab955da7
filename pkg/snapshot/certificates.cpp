#include "snapshot/certificates.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <vector>

#include "net/tls.h"

namespace weir::snapshot {
namespace {

// A key of two parts, so that a lookup never makes one text of them.
struct Joined {
  std::string_view first, second;
  std::size_t size() const { return first.size() + second.size(); }
  Digit operator[](std::size_t i) const {
    return static_cast<Digit>(i < first.size() ? first[i] : second[i - first.size()]);
  }
};

}  // namespace

Uuid digest_of(const model::Certificate& certificate) {
  std::string all;
  for (const auto* text : {&certificate.cert, &certificate.key}) all.append(*text) += '\0';
  for (const auto* text : {&certificate.cert_alt, &certificate.key_alt}) all.append(text->value_or("")) += '\0';
  return Uuid::from_name(Uuid{}, all);
}

Result<std::shared_ptr<ssl_ctx_st>> make_context(const model::Certificate& certificate) {
  std::vector<net::PemPair> pairs{{certificate.cert, certificate.key}};
  if (certificate.cert_alt && certificate.key_alt) pairs.push_back({*certificate.cert_alt, *certificate.key_alt});
  const auto made = net::server_context_from_pem(pairs);
  if (!made) return std::unexpected(made.error());
  return std::shared_ptr<ssl_ctx_st>(*made, SSL_CTX_free);
}

bool is_for(ssl_ctx_st* context, std::string_view host) {
  auto* certificate = SSL_CTX_get0_certificate(context);
  return certificate && !host.empty() && X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1;
}

ssl_ctx_st* CertificateTables::find(const Uuid& id) const {
  const auto* found = certificates.find(Nibbles(id));
  return found ? (*found)->context.get() : nullptr;
}

ssl_ctx_st* CertificateTables::find(std::string_view name) const {
  if (name.empty() || certificate_of_name.empty()) return nullptr;
  const auto context_of = [&](const auto& key) {
    const auto* id = certificate_of_name.find(key);
    return id ? find(*id) : nullptr;
  };
  if (auto* exact = context_of(Bytes{name})) return exact;
  const auto first = name.find('.'), last = name.rfind('.');
  if (first != name.npos) {
    if (auto* left = context_of(Joined{"*", name.substr(first)})) return left;
    if (auto* right = context_of(Joined{name.substr(0, last + 1), "*"})) return right;
  }
  return context_of(Bytes{"*"});
}

}  // namespace weir::snapshot
