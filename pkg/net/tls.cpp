#include "net/tls.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "base/text.h"

namespace weir::net {

// The BIO's methods; a friend of Connection because it moves the edge flags.
struct EdgeBio {
  static int read(BIO* bio, char* to, int bytes) {
    auto* c = static_cast<Connection*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (c->readable_) {
      ssize_t r = ::recv(c->fd, to, static_cast<std::size_t>(bytes), 0);
      if (r >= 0) {
        if (r < bytes && !c->ended_) c->readable_ = false;
        return static_cast<int>(r);
      }
      if (errno != EAGAIN && errno != EINTR) return -1;
      if (errno == EAGAIN) c->readable_ = false;
    }
    BIO_set_retry_read(bio);
    return -1;
  }

  static int write(BIO* bio, const char* from, int bytes) {
    BIO_clear_retry_flags(bio);
    auto* c = static_cast<Connection*>(BIO_get_data(bio));
    ssize_t r = ::send(c->fd, from, static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
    if (r < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(r);
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "edge socket");
      BIO_meth_set_create(m, [](BIO* b) { return BIO_set_init(b, 1), 1; });
      BIO_meth_set_ctrl(m, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH; });
      BIO_meth_set_read(m, &EdgeBio::read);
      BIO_meth_set_write(m, &EdgeBio::write);
      return m;
    }();
    return made;
  }
};

namespace {

using TlsContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

// The first error that OpenSSL queued, in words; the queue is emptied.
std::string openssl_says() {
  char text[256] = "no reason given";
  if (unsigned long e = ERR_get_error()) ERR_error_string_n(e, text, sizeof text);
  ERR_clear_error();
  return text;
}

void common(SSL_CTX* c) {
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // A peer that leaves without a goodbye is an end of stream; HTTP framing tells whether that was a cut.
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_read_ahead(c, 1);  // one recv per record, not two
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_bytes, const unsigned char* in, unsigned in_bytes,
                void*) {
  static constexpr unsigned char http11[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_bytes, http11, sizeof http11 - 1, in, in_bytes) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 section 3.2: nothing in common ends the handshake
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// The host name of the extension server_name (RFC 6066 section 3), in lower case; empty: none, or not one that is
// valid, which OpenSSL itself refuses afterwards.
std::string_view name_of_hello(SSL* ssl, std::array<char, 256>& out) {
  const unsigned char* data = nullptr;
  std::size_t bytes = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &bytes) != 1 || bytes < 5) return {};
  const auto number = [&](std::size_t at) { return static_cast<std::size_t>(data[at] << 8 | data[at + 1]); };
  const auto length = number(3);  // behind the list's length and the kind of name
  if (number(0) != bytes - 2 || data[2] != TLSEXT_NAMETYPE_host_name || length > bytes - 5 || length >= out.size())
    return {};
  std::string_view name(reinterpret_cast<const char*>(data) + 5, length);
  if (name.ends_with('.')) name.remove_suffix(1);
  for (std::size_t i = 0; i < name.size(); ++i) out[i] = text::lower(name[i]);
  return {out.data(), name.size()};
}

void keep_sessions_apart(SSL* ssl, std::span<const std::uint8_t> scope, std::string_view name) {
  std::array<unsigned char, 16 + 256> text{};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  const auto scope_bytes = std::min<std::size_t>(scope.size(), 16);
  std::memcpy(text.data(), scope.data(), scope_bytes);
  std::memcpy(text.data() + 16, name.data(), name.size());
  SHA256(text.data(), 16 + name.size(), digest.data());
  static_assert(digest.size() <= SSL_MAX_SID_CTX_LENGTH);
  SSL_set_session_id_context(ssl, digest.data(), digest.size());
}

// Before anything else of the handshake is looked at, sessions included.
int choose_certificate(SSL* ssl, int* alert, void*) {
  auto* chooser = static_cast<CertificateChooser*>(SSL_get_app_data(ssl));
  if (!chooser) return SSL_CLIENT_HELLO_SUCCESS;
  std::array<char, 256> buffer;
  const auto name = name_of_hello(ssl, buffer);
  SSL_CTX* context = chooser->choose_certificate(name);
  if (context == SSL_get_SSL_CTX(ssl)) return SSL_CLIENT_HELLO_SUCCESS;
  if (!context || !SSL_set_SSL_CTX(ssl, context)) {
    *alert = context ? SSL_AD_INTERNAL_ERROR : SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
  }
  keep_sessions_apart(ssl, chooser->session_scope(), name);
  return SSL_CLIENT_HELLO_SUCCESS;
}

// What every context of a server has, so that one can take the place of another in a handshake.
void common_of_server(SSL_CTX* c) {
  common(c);
  SSL_CTX_set_alpn_select_cb(c, &choose_alpn, nullptr);
  SSL_CTX_set_client_hello_cb(c, &choose_certificate, nullptr);
  SSL_CTX_set_num_tickets(c, 1);
  static constexpr unsigned char id[] = "weir";
  SSL_CTX_set_session_id_context(c, id, sizeof id - 1);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // tickets carry the sessions
}

bool begin(Connection& c, SSL_CTX* context) {
  c.ssl = SSL_new(context);
  if (!c.ssl) return false;
  BIO* bio = BIO_new(EdgeBio::method());
  if (!bio) return false;
  BIO_set_data(bio, &c);
  SSL_set_bio(c.ssl, bio, bio);
  return true;
}

Result<void> write_pem(const std::string& path, mode_t mode, const std::function<int(BIO*)>& write) {
  std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
  if (!memory || write(memory.get()) != 1) return fail("cannot write a PEM text: {}", openssl_says());
  char* data = nullptr;
  long bytes = BIO_get_mem_data(memory.get(), &data);
  ::unlink(path.c_str());  // so that the mode holds for a file that was there before
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return fail("cannot write {}: {}; is its folder there and writable?", path, std::strerror(errno));
  bool ok = ::write(fd, data, static_cast<std::size_t>(bytes)) == bytes;
  ok = ::close(fd) == 0 && ok;
  if (!ok) return fail("cannot write {}: {}", path, std::strerror(errno));
  return {};
}

struct FreeChain {
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};

int no_password(char*, int, int, void*) {
  return -1;  // OpenSSL would ask at the terminal
}

// A certificate with its chain, and its key.
Result<void> add_pair(SSL_CTX* context, std::string_view certificate, std::string_view key) {
  const auto reader = [](std::string_view text) {
    return std::unique_ptr<BIO, decltype(&BIO_free)>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                     &BIO_free);
  };
  const auto from = reader(certificate), key_from = reader(key);
  const auto read = [&] {
    return std::unique_ptr<X509, decltype(&X509_free)>(PEM_read_bio_X509(from.get(), nullptr, no_password, nullptr),
                                                       &X509_free);
  };
  const auto own = read();
  if (!own) return fail("the certificate cannot be read: {}; give it in PEM form", openssl_says());
  const std::unique_ptr<STACK_OF(X509), FreeChain> chain(sk_X509_new_null());
  while (auto next = read())
    if (chain && sk_X509_push(chain.get(), next.get()) > 0) (void)next.release();
  ERR_clear_error();  // the end of the text
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> made(
      PEM_read_bio_PrivateKey(key_from.get(), nullptr, no_password, nullptr), &EVP_PKEY_free);
  if (!made) return fail("the key cannot be read: {}; give it in PEM form without password", openssl_says());
  if (SSL_CTX_use_cert_and_key(context, own.get(), made.get(), chain.get(), 1) != 1)
    return fail("the certificate and the key cannot be used together: {}", openssl_says());
  return {};
}

}  // namespace

Result<ssl_ctx_st*> server_context(const std::string& cert_file, const std::string& key_file) {
  TlsContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) return fail("cannot start TLS: {}", openssl_says());
  common_of_server(context.get());
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1)
    return fail("cannot use the certificate {}: {}; give a readable PEM file (ssl_cert)", cert_file, openssl_says());
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return fail(
        "cannot use the key {}: {}; give the certificate's own key as a readable PEM file without password "
        "(ssl_cert_key)",
        key_file, openssl_says());
  return context.release();
}

Result<ssl_ctx_st*> server_context_from_pem(std::span<const PemPair> pairs) {
  TlsContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) return fail("cannot start TLS: {}", openssl_says());
  common_of_server(context.get());
  for (const auto& [certificate, key] : pairs)
    if (auto added = add_pair(context.get(), certificate, key); !added) return std::unexpected(added.error());
  return context.release();
}

ssl_ctx_st* server_context_without_certificate() {
  static const TlsContext made = [] {
    TlsContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    if (context) common_of_server(context.get());
    return context;
  }();
  return made.get();
}

Result<ssl_ctx_st*> client_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (!context) return fail("cannot start TLS: {}", openssl_says());
  common(context.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  static constexpr unsigned char http11[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(context.get(), http11, sizeof http11 - 1);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context.release();
}

bool begin_tls_server(Connection& c, ssl_ctx_st* context, CertificateChooser* chooser) {
  if (!context || !begin(c, context)) return false;
  SSL_set_app_data(c.ssl, chooser);
  SSL_set_accept_state(c.ssl);
  return true;
}

bool begin_tls_client(Connection& c, ssl_ctx_st* context, const std::string& sni) {
  if (!begin(c, context)) return false;
  if (!sni.empty() && SSL_set_tlsext_host_name(c.ssl, sni.c_str()) != 1) return false;
  SSL_set_connect_state(c.ssl);
  return true;
}

Handshake handshake(Connection& c) {
  int r = SSL_do_handshake(c.ssl);
  if (r == 1) return Handshake::done;
  int error = SSL_get_error(c.ssl, r);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Handshake::again : Handshake::failed;
}

Result<void> make_self_signed(const std::string& cert_file, const std::string& key_file) {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), &X509_free);
  std::uint64_t serial = 0;
  if (!key || !cert || RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1)
    return fail("cannot make a key: {}", openssl_says());
  X509_set_version(cert.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 10L * 365 * 24 * 3600);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(cert.get(), name);
  X509V3_CTX extension;
  X509V3_set_ctx(&extension, cert.get(), cert.get(), nullptr, nullptr, 0);
  for (auto [id, value] : {std::pair{NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1"},
                           std::pair{NID_basic_constraints, "critical,CA:FALSE"}}) {
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &extension, id, value);
    if (made) X509_add_ext(cert.get(), made, -1);
    X509_EXTENSION_free(made);
  }
  if (X509_sign(cert.get(), key.get(), EVP_sha256()) == 0) return fail("cannot sign a certificate: {}", openssl_says());

  if (auto r = write_pem(
          key_file, 0600,
          [&](BIO* b) { return PEM_write_bio_PrivateKey(b, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
      !r)
    return r;
  return write_pem(cert_file, 0644, [&](BIO* b) { return PEM_write_bio_X509(b, cert.get()); });
}

}  // namespace weir::net
