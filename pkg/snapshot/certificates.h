// Certificates for TLS handshakes: made once from their PEM texts, found by name or by id.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/uuid.h"
#include "model/entities.h"
#include "snapshot/radix.h"
#include "snapshot/snapshot.h"

struct ssl_ctx_st;

namespace weir::snapshot {

struct CompiledCertificate {
  Origin origin;
  std::shared_ptr<ssl_ctx_st> context;
  Uuid digest;  // of the texts that it is made of
};
using CertificatePtr = std::shared_ptr<const CompiledCertificate>;

struct CompiledSni {
  Origin origin;
  std::string name;  // lower case
  Uuid certificate;
};
using SniPtr = std::shared_ptr<const CompiledSni>;

Uuid digest_of(const model::Certificate&);
Result<std::shared_ptr<ssl_ctx_st>> make_context(const model::Certificate&);
// Whether the certificate is one for this host.
bool is_for(ssl_ctx_st*, std::string_view host);

struct CertificateTables {
  Radix<CertificatePtr> certificates;  // by id
  Radix<SniPtr> snis;                  // by id
  Radix<Uuid> snis_of_certificate;     // by certificate id, SNI id
  Radix<Uuid> snis_of_name;            // by name, 0, id
  Radix<Uuid> certificate_of_name;     // by name: of the SNI that is in force

  ssl_ctx_st* find(const Uuid& certificate) const;  // null: there is none
  // name: lower case. The exact name goes first, then "*.rest", "first.*" and "*".
  ssl_ctx_st* find(std::string_view name) const;
};

}  // namespace weir::snapshot
