#include "net/upstream_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "net/tls.h"

namespace weir::net {
namespace {

using Names = std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)>;

std::string key_of(const UpstreamTls::Wanted& wanted) {
  std::string key;
  const auto add = [&](std::string_view text) { key.append(std::to_string(text.size())).append(":").append(text); };
  add(wanted.server_name);
  for (const auto* list : {&wanted.names, &wanted.uris}) {
    key.append(std::to_string(list->size())).append("*");
    for (const auto& each : *list) add(each);
  }
  add(wanted.authorities);
  return key;
}

// How many certificates were added; nothing was wrong with them.
Result<int> add_authorities(SSL_CTX* context, const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                       &BIO_free);
  int added = 0;
  while (true) {
    const std::unique_ptr<X509, decltype(&X509_free)> each(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr),
                                                           &X509_free);
    if (!each) break;
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), each.get()) != 1)
      return fail("a CA certificate cannot be used");
    added++;
  }
  ERR_clear_error();  // the end of the text
  return added;
}

bool has_uri(X509* certificate, const std::vector<std::string>& wanted) {
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
                    &GENERAL_NAMES_free);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); i++) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const auto* text = name->d.uniformResourceIdentifier;
    const std::string_view uri(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                               static_cast<std::size_t>(ASN1_STRING_length(text)));
    if (std::ranges::find(wanted, uri) != wanted.end()) return true;
  }
  return false;
}

}  // namespace

UpstreamTls::UpstreamTls(Wanted wanted, std::string key, ssl_ctx_st* context)
    : wanted_(std::move(wanted)), key_(std::move(key)), context_(context) {}

UpstreamTls::~UpstreamTls() {
  SSL_CTX_free(context_);
}

Result<std::shared_ptr<const UpstreamTls>> UpstreamTls::make(const Wanted& wanted) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const UpstreamTls>> known;
  auto key = key_of(wanted);
  std::lock_guard lock(mutex);
  if (const auto at = known.find(key); at != known.end())
    if (auto same = at->second.lock()) return same;
  auto context = client_context();
  if (!context) return std::unexpected(context.error());
  std::shared_ptr<const UpstreamTls> made(new UpstreamTls(wanted, key, *context));
  SSL_CTX_set_verify(*context, SSL_VERIFY_PEER, nullptr);
  if (wanted.authorities.empty()) {
    if (SSL_CTX_set_default_verify_paths(*context) != 1) return fail("the system's CA certificates cannot be read");
  } else {
    const auto added = add_authorities(*context, wanted.authorities);
    if (!added) return std::unexpected(added.error());
    if (*added == 0) return fail("there is no CA certificate in the text: give it in PEM form");
  }
  std::erase_if(known, [](const auto& each) { return each.second.expired(); });
  known[std::move(key)] = made;
  return made;
}

bool UpstreamTls::accepts(const Connection& connection) const {
  auto* certificate = SSL_get0_peer_certificate(connection.ssl);
  if (!certificate || SSL_get_verify_result(connection.ssl) != X509_V_OK) return false;
  const auto is_for = [&](const std::string& name) {
    return X509_check_host(certificate, name.data(), name.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
  };
  if (wanted_.names.empty() && wanted_.uris.empty()) return is_for(wanted_.server_name);
  return std::ranges::any_of(wanted_.names, is_for) || has_uri(certificate, wanted_.uris);
}

}  // namespace weir::net
