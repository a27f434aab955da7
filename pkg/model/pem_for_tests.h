// For tests: certificates made on the spot, as PEM texts.
#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <functional>
#include <memory>
#include <string>

namespace weir::model::testing {

struct PemSpec {
  std::string name = "test.example";  // common and alternative name
  std::string uri = {};               // one more alternative name
  bool authority = false, rsa = false;
  long days = 10;  // until it runs out; negative: it has
};
struct Pem {
  std::string certificate, key;
};

inline std::string pem_text(const std::function<int(BIO*)>& write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
  write(memory.get());
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<std::size_t>(bytes)};
}

inline Pem make_pem(const PemSpec& spec = {}) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(spec.rsa ? EVP_RSA_gen(2048u) : EVP_EC_gen("P-256"),
                                                                &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), &X509_free);
  auto* certificate = made.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -100L * 24 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), spec.days * 24 * 3600);
  X509_set_pubkey(certificate, key.get());
  auto* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(spec.name.c_str()), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const auto add = [&](int id, const std::string& value) {
    auto* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  add(NID_subject_alt_name, "DNS:" + spec.name + (spec.uri.empty() ? "" : ",URI:" + spec.uri));
  add(NID_basic_constraints, spec.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  X509_sign(certificate, key.get(), EVP_sha256());
  return {pem_text([&](BIO* to) { return PEM_write_bio_X509(to, certificate); }), pem_text([&](BIO* to) {
            return PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace weir::model::testing
