// A client's connection: reads request heads, one exchange after the other, and ends with the care that TCP needs.
//
// While an exchange runs, events go to it. An idle connection owns nothing but this object.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "net/connection.h"
#include "net/tls.h"
#include "proxy/context.h"
#include "proxy/entrance.h"

namespace weir::proxy {

struct Context;
class Exchange;

class Client : public net::Connection, private net::CertificateChooser {
 public:
  Client(Context& context, std::shared_ptr<const Entrance>, std::string ip, std::uint16_t peer_port, bool trusted);
  // Before its first event. False: it cannot be served.
  bool begin();
  void on_events(std::uint32_t events) override;
  void on_timeout() override;

  // Reads and starts exchanges while there is input and none runs.
  void serve();
  // The exchange handed over its whole answer (some may still wait to be sent). close: no further request. linger: the
  // same, and the client may still be sending this one. cut: the answer is not complete, and the client must see that.
  enum class Then : std::uint8_t { next, close, linger, cut };
  void exchange_over(Then);
  // Goes away at once. Ends a running exchange first.
  void end(bool clean);
  // The worker drains, or its entrance closes: goes away when idle.
  void drain();
  bool leaving() const { return context_.draining || entrance->closing; }

  Exchange* exchange = nullptr;
  std::uint32_t requests = 0;  // begun on it
  const std::shared_ptr<const Entrance> entrance;
  const std::string ip;
  const std::uint16_t peer_port;
  const std::uint64_t serial;  // of this worker's connections
  const bool tls, trusted;
  std::string sni;  // that the client asked for, in lower case; empty: none, or plain
  BulkHold hold;
  Client *next = nullptr, *previous = nullptr;  // of all clients of the worker

 private:
  ssl_ctx_st* choose_certificate(std::string_view sni) override;
  std::span<const std::uint8_t> session_scope() const override { return entrance->entry.bytes; }
  bool shake_hands();
  bool read_head();
  void refuse(int status);
  void leave();
  void discard();
  void await_request();

  Context& context_;
  bool shaken_ = false;       // TLS handshake done, or plain
  bool fresh_input_ = false;  // `in` holds bytes that were not scanned yet
  bool serving_ = false, closing_ = false, incomplete_ = false, lingering_ = false, idle_ = false;
  std::size_t scanned_ = 0;  // bytes of `in` in which no head ended
  std::size_t discarded_ = 0;
};

}  // namespace weir::proxy
