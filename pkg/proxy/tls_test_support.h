// For tests of TLS: blocking connections of the test, and a folder for certificates.
#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <filesystem>
#include <memory>

#include "proxy/test_support.h"

namespace weir::proxy::testing {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-proxy-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct FreeSsl {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
  void operator()(SSL* s) const { SSL_free(s); }
};

class TlsSocket {
 public:
  TlsSocket(Socket socket, SSL_CTX* context, bool server, const char* sni = nullptr)
      : socket_(std::move(socket)), ssl_(SSL_new(context)) {
    SSL_set_fd(ssl_.get(), socket_.fd());
    if (sni) SSL_set_tlsext_host_name(ssl_.get(), sni);
    if ((server ? SSL_accept(ssl_.get()) : SSL_connect(ssl_.get())) != 1) ERR_print_errors_fp(stderr), ADD_FAILURE();
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {  // a context for servers writes a record at a time
      int n = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
      ASSERT_GT(n, 0);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  std::string until(std::string_view end) {
    std::string out;
    char c;
    while (!out.ends_with(end) && SSL_read(ssl_.get(), &c, 1) == 1) out += c;
    return out;
  }
  std::string exactly(std::size_t bytes) {
    std::string out(bytes, '\0');
    for (std::size_t at = 0; at < bytes;) {
      int n = SSL_read(ssl_.get(), out.data() + at, static_cast<int>(bytes - at));
      if (n <= 0) return out.substr(0, at);
      at += static_cast<std::size_t>(n);
    }
    return out;
  }
  SSL* ssl() { return ssl_.get(); }

 private:
  Socket socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace weir::proxy::testing
