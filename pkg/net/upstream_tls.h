// Whom an upstream must be: the certificates that vouch for it, and the names of which its own must carry one.
//
// Immutable and shared by all threads; equal ones are one object, however many routes ask for them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/connection.h"

struct ssl_ctx_st;

namespace weir::net {

class UpstreamTls {
 public:
  struct Wanted {
    std::string server_name;         // asked for in the handshake (SNI); the certificate must be for it
    std::vector<std::string> names;  // or rather for one of these DNS names (RFC 6125, wildcards of whole labels)
    std::vector<std::string> uris;   // or have one of these as subjectAltName
    std::string authorities;         // PEM; empty: those of the system
  };
  // Errors say what is wrong with the authorities. Control thread.
  static Result<std::shared_ptr<const UpstreamTls>> make(const Wanted&);
  ~UpstreamTls();
  UpstreamTls(const UpstreamTls&) = delete;
  UpstreamTls& operator=(const UpstreamTls&) = delete;

  ssl_ctx_st* context() const { return context_; }
  const std::string& server_name() const { return wanted_.server_name; }
  const std::string& key() const { return key_; }  // the same for equal ones only
  // After the handshake, which has verified the chain: whether the certificate carries a name that is wanted.
  bool accepts(const Connection&) const;

 private:
  UpstreamTls(Wanted, std::string key, ssl_ctx_st*);
  Wanted wanted_;
  std::string key_;
  ssl_ctx_st* context_;
};

}  // namespace weir::net
