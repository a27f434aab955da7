#include "proxy/pool.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/listener.h"
#include "net/tls.h"
#include "proxy/context.h"
#include "proxy/exchange.h"
#include "proxy/mirror.h"

namespace weir::proxy {

void Upstream::on_events(std::uint32_t events) {
  if (exchange) return exchange->on_upstream(events);
  if (mirror) return mirror->on_upstream(events);
  note(events);
  if (!quiet()) context_.pool.close(*this);  // nobody asked: a late answer, or it hung up
}

// An event may tell of bytes that were read in the same turn; with TLS, of a session ticket: both are no input.
bool Upstream::quiet() {
  if (!has_input()) return true;
  char byte;
  return receive(&byte, 1) < 0 && errno == EAGAIN;
}

void Upstream::on_timeout() {
  if (exchange) return exchange->on_upstream_timeout();
  if (mirror) return mirror->on_timeout();
  context_.pool.close(*this);
}

bool Upstream::is_open() const {
  char byte;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

Pool::~Pool() {
  close_idle();
  for (auto& [key, endpoint] : endpoints_) WEIR_ASSERT(endpoint->open == 0);
}

Endpoint& Pool::use(const net::Address& address, bool tls, const std::string& sni, const UpstreamTlsPtr& peer) {
  std::string key(reinterpret_cast<const char*>(&address.storage), address.size());
  if (tls) key.append("s").append(sni);
  if (peer) key.append("v").append(peer->key());
  auto& place = endpoints_[key];
  if (!place) place = std::make_unique<Endpoint>(Endpoint{key, address, tls, sni, peer, {}, 0, 0});
  ++place->users;
  return *place;
}

void Pool::release(Endpoint& endpoint) {
  if (--endpoint.users > 0) return;
  endpoint.open += 1;  // so that closing the last one does not free what is still read here
  while (!endpoint.idle.empty()) close(*endpoint.idle.back());
  endpoint.open -= 1;
  forget(endpoint);
}

void Pool::forget(Endpoint& endpoint) {
  if (endpoint.users == 0 && endpoint.open == 0) endpoints_.erase(std::string(endpoint.key));
}

Upstream* Pool::take(Endpoint& endpoint) {
  if (endpoint.idle.empty()) return nullptr;
  Upstream* u = endpoint.idle.back();
  endpoint.idle.pop_back();
  context_.counters.upstream_connections_idle.sub();
  return u;
}

Upstream* Pool::open(Endpoint& endpoint) {
  int fd = ::socket(endpoint.address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  auto u = std::make_unique<Upstream>(context_, endpoint);
  u->fd = fd;
  net::set_nodelay(fd);
  int r;
  do r = ::connect(fd, endpoint.address.get(), endpoint.address.size());
  while (r != 0 && errno == EINTR);
  if ((r != 0 && errno != EINPROGRESS) || !context_.loop.add(*u, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
    return nullptr;
  ++endpoint.open;
  context_.counters.upstream_connections_opened.add();
  context_.counters.upstream_connections_active.add();
  u->connected = r == 0;
  if (u->connected && !proceed(*u)) {
    close(*u.release());
    return nullptr;
  }
  return u.release();
}

bool Pool::proceed(Upstream& u) {
  if (!u.connected) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (::getsockopt(u.fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0 || error != 0) return false;
    u.connected = true;
  }
  if (!u.endpoint().tls) return u.ready = true;
  const auto* peer = u.endpoint().peer.get();
  auto* tls = peer ? peer->context() : context_.tls_client;
  if (!u.ssl && (!tls || !net::begin_tls_client(u, tls, u.endpoint().sni))) return false;
  auto state = net::handshake(u);
  u.ready = state == net::Handshake::done && (!peer || peer->accepts(u));
  return u.ready || state == net::Handshake::again;
}

void Pool::keep(Upstream& u) {
  const auto& options = context_.options;
  u.exchange = nullptr;
  u.mirror = nullptr;
  if (context_.draining || u.endpoint().users == 0 || u.requests >= options.upstream_keepalive_max_requests ||
      u.endpoint().idle.size() >= options.upstream_keepalive_pool_size || u.ended() || !u.writable() || !u.quiet())
    return close(u);
  u.endpoint().idle.push_back(&u);
  context_.counters.upstream_connections_idle.add();
  context_.loop.set_timeout(u, static_cast<std::uint64_t>(options.upstream_keepalive_idle_timeout.count()));
}

void Pool::close(Upstream& u) {
  Endpoint& endpoint = u.endpoint();
  if (std::erase(endpoint.idle, &u)) context_.counters.upstream_connections_idle.sub();
  u.exchange = nullptr;
  u.mirror = nullptr;
  u.close(u.ready);
  context_.counters.upstream_connections_active.sub();
  context_.loop.bury(std::unique_ptr<net::Handle>(&u));
  --endpoint.open;
  forget(endpoint);
}

void Pool::close_idle() {
  std::vector<Upstream*> all;
  for (auto& [key, endpoint] : endpoints_) all.insert(all.end(), endpoint->idle.begin(), endpoint->idle.end());
  for (auto* u : all) close(*u);
}

}  // namespace weir::proxy
