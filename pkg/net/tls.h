// TLS through OpenSSL, over a BIO that obeys the same edge-triggered flags as plain sockets.
//
// A context is shared by all workers and never changed once it is made; a session belongs to its Connection.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/connection.h"

struct ssl_ctx_st;

namespace weir::net {

// For listeners: TLS 1.2 and 1.3, ALPN http/1.1, session tickets. cert_file: PEM, the server's certificate first, then
// its chain. Errors name the file and the remedy. The caller frees the context with SSL_CTX_free.
Result<ssl_ctx_st*> server_context(const std::string& cert_file, const std::string& key_file);
// The same from PEM texts: certificates with keys of different types (RSA, ECDSA), of which each client gets the one
// that it can use. Errors tell nothing of a key.
struct PemPair {
  std::string_view certificate, key;  // certificate: then its chain
};
Result<ssl_ctx_st*> server_context_from_pem(std::span<const PemPair>);
// The same without a certificate, for connections whose CertificateChooser brings one. Made once, never freed: the keys
// of its session tickets are those of the whole process. Null: TLS cannot be started.
ssl_ctx_st* server_context_without_certificate();
// For https upstreams. The upstream's certificate is not verified (Kong's default: tls_verify off). Freed likewise.
Result<ssl_ctx_st*> client_context();

// Writes a certificate for CN=localhost that signs itself (ECDSA P-256, ten years); the key file is readable by its
// owner only. Existing files are replaced.
Result<void> make_self_signed(const std::string& cert_file, const std::string& key_file);

// Says in each handshake of a connection which certificate the server shows.
class CertificateChooser {
 public:
  // A server context; null: the handshake ends with the alert unrecognized_name. sni: in lower case, without a final
  // dot; empty: none was sent. Called on the thread that runs the handshake.
  virtual ssl_ctx_st* choose_certificate(std::string_view sni) = 0;
  // What sessions are kept apart by (16 bytes or less). Tickets of all contexts are of one key, that of the context the
  // handshake began with; so a session that was begun for one scope and name is never resumed for another, which
  // would pass over the other's certificate (and, some day, what it demands of clients).
  virtual std::span<const std::uint8_t> session_scope() const = 0;

 protected:
  ~CertificateChooser() = default;
};

// Put TLS on a connection; handshake() follows. sni: empty for none (an address). chooser: null: the context's own
// certificate; must outlive the handshake.
bool begin_tls_server(Connection&, ssl_ctx_st*, CertificateChooser* chooser = nullptr);
bool begin_tls_client(Connection&, ssl_ctx_st*, const std::string& sni);

enum class Handshake : std::uint8_t { done, again, failed };
Handshake handshake(Connection&);

}  // namespace weir::net
