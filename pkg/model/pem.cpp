#include "model/pem.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/result.h"

namespace weir::model {
namespace {

struct Freed {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Freed>;
using Certificate = std::unique_ptr<X509, Freed>;
using Key = std::unique_ptr<EVP_PKEY, Freed>;

int no_password(char*, int, int, void*) {
  return -1;  // OpenSSL would ask at the terminal
}

// The last error that OpenSSL queued: the most general one, "no start line".
std::string openssl_says() {
  const auto* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason ? reason : "not in PEM form";
}

Bio reader(std::string_view pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Certificate read_certificate(BIO* from) {
  return Certificate(PEM_read_bio_X509(from, nullptr, no_password, nullptr));
}
Certificate read_certificate(std::string_view pem) {
  const auto from = reader(pem);
  return read_certificate(from.get());
}

Key read_key(std::string_view pem) {
  const auto from = reader(pem);
  return Key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_password, nullptr));
}

}  // namespace

Wrong check_certificate(std::string_view pem) {
  if (read_certificate(pem)) return std::nullopt;
  return "invalid certificate: " + openssl_says();
}

Wrong check_key(std::string_view pem) {
  if (read_key(pem)) return std::nullopt;
  return "invalid key: " + openssl_says();
}

Wrong check_ca_certificate(std::string_view pem) {
  const auto from = reader(pem);
  const auto certificate = read_certificate(from.get());
  if (!certificate) return "invalid certificate: " + openssl_says();
  const bool is_only = !read_certificate(from.get());
  ERR_clear_error();
  if (!is_only) return "please submit only one certificate at a time";
  if (X509_check_ca(certificate.get()) != 1)
    return "certificate does not appear to be a CA because it is missing the \"CA\" basic constraint";
  return std::nullopt;
}

bool key_fits(std::string_view certificate, std::string_view key) {
  const auto one = read_certificate(certificate);
  const auto other = read_key(key);
  const bool fits = one && other && X509_check_private_key(one.get(), other.get()) == 1;
  ERR_clear_error();
  return fits;
}

bool same_key_type(std::string_view certificate, std::string_view other) {
  const auto type_of = [](std::string_view pem) {
    const auto read = read_certificate(pem);
    return read ? EVP_PKEY_get_base_id(X509_get0_pubkey(read.get())) : 0;
  };
  return type_of(certificate) == type_of(other);
}

bool has_expired(std::string_view certificate) {
  const auto read = read_certificate(certificate);
  return read && X509_cmp_current_time(X509_get0_notAfter(read.get())) < 0;
}

std::string certificate_digest(std::string_view certificate) {
  const auto read = read_certificate(certificate);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  WEIR_ASSERT(read && X509_digest(read.get(), EVP_sha256(), digest, &size) == 1);
  std::string out;
  for (unsigned i = 0; i < size; i++) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace weir::model
