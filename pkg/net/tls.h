// TLS through OpenSSL, over a BIO that obeys the same edge-triggered flags as plain sockets.
//
// A context is shared by all workers and never changed once it is made; a session belongs to its Connection.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/connection.h"

struct ssl_ctx_st;

namespace weir::net {

// For listeners: TLS 1.2 and 1.3, ALPN http/1.1, session tickets. cert_file: PEM, the server's certificate first, then
// its chain. Errors name the file and the remedy. The caller frees the context with SSL_CTX_free.
Result<ssl_ctx_st*> server_context(const std::string& cert_file, const std::string& key_file);
// For https upstreams. The upstream's certificate is not verified (Kong's default: tls_verify off). Freed likewise.
Result<ssl_ctx_st*> client_context();

// Writes a certificate for CN=localhost that signs itself (ECDSA P-256, ten years); the key file is readable by its
// owner only. Existing files are replaced.
Result<void> make_self_signed(const std::string& cert_file, const std::string& key_file);

// Put TLS on a connection; handshake() follows. sni: empty for none (an address).
bool begin_tls_server(Connection&, ssl_ctx_st*);
bool begin_tls_client(Connection&, ssl_ctx_st*, const std::string& sni);

enum class Handshake : std::uint8_t { done, again, failed };
Handshake handshake(Connection&);
// The server name the client asked for, empty without.
std::string_view server_name(const Connection&);

}  // namespace weir::net
