// Connections to upstream addresses of one worker: the idle ones are kept for the next request, warmest first.
//
// An Endpoint is an address together with what TLS needs; it and its idle connections outlive every change of the
// configuration that keeps the address. An idle connection that speaks or hangs up is closed by that very event.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/connection.h"
#include "net/resolver.h"
#include "net/upstream_tls.h"

namespace weir::proxy {

struct Context;
class Exchange;
class Mirror;
class Upstream;

// Whom an upstream must be; null: its certificate is not verified.
using UpstreamTlsPtr = std::shared_ptr<const net::UpstreamTls>;
inline const UpstreamTlsPtr any_peer;

struct Endpoint {
  std::string key;
  net::Address address;
  bool tls = false;
  std::string sni;
  UpstreamTlsPtr peer;
  std::vector<Upstream*> idle;  // the warmest last
  std::size_t users = 0;        // candidates of balancers
  std::size_t open = 0;         // connections, idle ones included
};

class Upstream : public net::Connection {
 public:
  Upstream(Context& context, Endpoint& endpoint) : context_(context), endpoint_(endpoint) {}
  void on_events(std::uint32_t events) override;
  void on_timeout() override;

  Endpoint& endpoint() { return endpoint_; }
  bool quiet();          // nothing came that nobody asked for
  bool is_open() const;  // asks the kernel whether the upstream has closed it, of which no event came yet

  Exchange* exchange = nullptr;  // both null: idle
  Mirror* mirror = nullptr;
  std::uint32_t requests = 0;  // begun on it
  bool connected = false;      // TCP
  bool ready = false;          // TCP and TLS

 private:
  Context& context_;
  Endpoint& endpoint_;
};

class Pool {
 public:
  explicit Pool(Context& context) : context_(context) {}
  ~Pool();

  // The endpoint for an address; counted, so each use needs its release.
  Endpoint& use(const net::Address&, bool tls, const std::string& sni, const UpstreamTlsPtr& peer);
  void release(Endpoint&);

  // The warmest idle connection, or null.
  Upstream* take(Endpoint&);
  // A new one that is being opened; null when that failed at once. ready may be set already.
  Upstream* open(Endpoint&);
  // Goes on with opening after an event. False: it failed.
  bool proceed(Upstream&);

  void keep(Upstream&);  // idle from now on
  void close(Upstream&);
  void close_idle();  // all of them: the worker drains

 private:
  void forget(Endpoint&);

  Context& context_;
  std::unordered_map<std::string, std::unique_ptr<Endpoint>> endpoints_;
};

}  // namespace weir::proxy
