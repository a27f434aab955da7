#include "proxy/client.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "net/tls.h"
#include "proxy/context.h"
#include "proxy/errors.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// After the last answer, what the client still sends is read and thrown away for a while: closing over unread input
// would reset the connection and could take the answer with it (RFC 9112 section 9.6).
constexpr std::uint64_t linger_ms = 2000;
constexpr std::size_t linger_bytes_max = 4 * 1024 * 1024;
// While draining: how long a connection that has not asked anything yet may still ask.
constexpr std::uint64_t drain_first_request_ms = 2000;

std::uint64_t ms(std::chrono::milliseconds d) {
  return static_cast<std::uint64_t>(d.count());
}

}  // namespace

Client::Client(Context& context, std::shared_ptr<const Entrance> by, std::string ip, std::uint16_t peer_port,
               bool trusted)
    : entrance(std::move(by)),
      ip(std::move(ip)),
      peer_port(peer_port),
      serial(++context.client_serial),
      tls(entrance->tls),
      trusted(trusted),
      context_(context),
      shaken_(!tls) {
  next = context_.clients;
  if (next) next->previous = this;
  context_.clients = this;
  ++context_.client_count;
  context_.counters.connections_accepted.add();
  context_.counters.connections_active.add();
  if (tls) {
    context_.loop.set_timeout(*this, ms(context_.options.tls_handshake_timeout));
  } else {
    await_request();
  }
}

bool Client::begin() {
  if (tls) {
    // A default certificate's own context, where there is one: then its handshakes have nothing to be exchanged.
    const bool own = entrance->entry.is_nil() && context_.tls_server;
    if (!net::begin_tls_server(*this, own ? context_.tls_server : net::server_context_without_certificate(), this))
      return false;
  }
  return context_.loop.add(*this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

ssl_ctx_st* Client::choose_certificate(std::string_view name) {
  sni.assign(name);
  const auto* snapshot = context_.snapshot();
  auto* chosen = snapshot ? snapshot->tls_context(entrance->entry, name) : nullptr;
  return chosen || !entrance->entry.is_nil() ? chosen : context_.tls_server;
}

void Client::await_request() {
  if (!idle_) context_.counters.connections_idle.add();
  idle_ = true;
  context_.loop.set_timeout(*this, leaving() ? drain_first_request_ms : ms(context_.options.keepalive_timeout));
}

void Client::on_events(std::uint32_t events) {
  note(events);
  if (exchange) return exchange->on_client(events);
  if (!shaken_ && !shake_hands()) return;
  if ((events & EPOLLOUT) && !writable()) {
    if (!flush()) return end(false);
    hold.update(context_, unsent());
    if (!writable()) {
      if (unsent()) context_.loop.set_timeout(*this, ms(context_.options.client_send_timeout));
    } else if (closing_) {
      return leave();
    } else {
      await_request();
    }
  }
  if (lingering_) return discard();
  serve();
}

bool Client::shake_hands() {
  switch (net::handshake(*this)) {
    case net::Handshake::again:
      return false;
    case net::Handshake::failed:
      context_.counters.tls_handshakes_failed.add();
      end(false);
      return false;
    case net::Handshake::done:
      break;
  }
  shaken_ = true;
  context_.counters.tls_handshakes.add();
  await_request();
  return true;
}

void Client::on_timeout() {
  if (exchange) return exchange->on_client_timeout();
  if (!shaken_) context_.counters.tls_handshakes_failed.add();
  if (shaken_ && !in.empty() && !closing_) {  // part of a head, too slow
    context_.counters.requests_timed_out.add();
    return refuse(408);
  }
  end(writable());
}

void Client::serve() {
  serving_ = true;
  int heads = 0;
  while (!exchange && !closing_ && writable() && fd >= 0 && read_head()) {
    if (++heads < Context::heads_per_turn) continue;
    if (fd >= 0) context_.loop.again(*this);
    break;
  }
  serving_ = false;
}

// One receive at most, one head. False: nothing more to do now, or the connection is gone.
bool Client::read_head() {
  const auto& limits = context_.options.limits;
  char* buffer = context_.receive_buffer();
  std::size_t have = in.size();
  if (have) std::memcpy(buffer, in.data(), have);
  if (!fresh_input_) {
    if (!has_input()) return false;
    ssize_t n = receive(buffer + have, Context::read_bytes);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) return end(n == 0 && in.empty()), false;
    have += static_cast<std::size_t>(n);
    context_.counters.bytes_from_clients.add(static_cast<std::uint64_t>(n));
  }
  fresh_input_ = false;
  std::string_view bytes(buffer, have);
  // Scanning a head that comes byte by byte from its start each time would be work without bound.
  if (scanned_ && have < limits.head_bytes && http::find_head_end(bytes, scanned_) == bytes.npos) {
    in.assign(bytes);
    scanned_ = have;
    return has_input();
  }
  auto scan = http::scan_request(context_.request_head, bytes, limits);
  if (scan == http::Scan::more && have < limits.head_bytes) {
    if (in.empty()) {
      context_.loop.set_timeout(*this, ms(context_.options.client_header_timeout));
      if (idle_) context_.counters.connections_idle.sub();
      idle_ = false;
    }
    in.assign(bytes);
    scanned_ = have;
    return has_input();
  }
  if (scan != http::Scan::done) {
    context_.counters.requests_malformed.add();
    return refuse(scan == http::Scan::more ? 431 : http::status_of(scan)), false;
  }
  scanned_ = 0;
  if (in.capacity() > 15) std::string().swap(in);
  in.clear();
  if (idle_) context_.counters.connections_idle.sub();
  idle_ = false;
  ++requests;
  exchange = context_.new_exchange();
  exchange->start(*this, buffer + context_.request_head.bytes, have - context_.request_head.bytes);
  return fd >= 0;
}

void Client::refuse(int status) {
  context_.counters.requests_total.add();
  context_.counters.answered_by_weir[static_cast<std::size_t>(status)].add();
  auto id = request_id(context_.random);
  const auto format = error_format(context_.options.error_default_type);
  auto& body = context_.error_body;
  body.clear();
  print_error(body, format, error_message(status), {id.data(), id.size()});
  print_answer(context_, status, content_type(format), body, {id.data(), id.size()}, false, {}, 0);
  context_.counters.bytes_to_clients.add(context_.answer.size());
  in.clear();
  if (!send(context_.answer)) return end(false);
  closing_ = incomplete_ = true;
  if (writable()) leave();
}

void Client::exchange_over(Then then) {
  exchange = nullptr;
  if (then == Then::cut) return end(false);
  closing_ = then != Then::next;
  incomplete_ = then == Then::linger;
  fresh_input_ = !in.empty();
  scanned_ = 0;
  if (!writable()) {
    context_.loop.set_timeout(*this, ms(context_.options.client_send_timeout));
  } else if (closing_) {
    leave();
  } else {
    await_request();
    if (!serving_ && (fresh_input_ || has_input())) serve();
  }
}

void Client::leave() {
  std::string().swap(in);
  if (ended() || (!incomplete_ && !has_input())) return end(true);
  shutdown_write();
  lingering_ = true;
  context_.loop.set_timeout(*this, linger_ms);
  discard();
}

void Client::discard() {
  while (has_input()) {
    ssize_t n = receive(context_.receive_buffer(), Context::read_bytes);
    if (n < 0 && errno == EAGAIN) return;
    discarded_ += n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n <= 0 || discarded_ > linger_bytes_max) return end(true);
  }
}

void Client::end(bool clean) {
  if (fd < 0) return;
  if (exchange) return exchange->on_client_gone();  // comes back here
  if (idle_) context_.counters.connections_idle.sub();
  context_.counters.connections_active.sub();
  close(clean);
  (previous ? previous->next : context_.clients) = next;
  if (next) next->previous = previous;
  --context_.client_count;
  hold.update(context_, 0);
  context_.loop.bury(std::unique_ptr<net::Handle>(this));
  context_.check_drained();
}

void Client::drain() {
  if (exchange || closing_ || !in.empty()) return;  // answered with Connection: close
  if (requests == 0) return context_.loop.set_timeout(*this, drain_first_request_ms);
  end(true);
}

}  // namespace weir::proxy
