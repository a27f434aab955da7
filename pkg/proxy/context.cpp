#include "proxy/context.h"

#include <openssl/ssl.h>
#include <sys/random.h>

#include <bit>

#include "net/tls.h"
#include "proxy/exchange.h"
#include "proxy/plugin_host.h"

namespace weir::proxy {
namespace {

// Idle exchanges that are kept; more only after a burst.
constexpr std::size_t free_exchanges_max = 1024;

}  // namespace

Random::Random() {
  if (::getrandom(state_.data(), sizeof state_, 0) != sizeof state_ || state_[0] == 0)
    state_ = {net::Loop::clock_us(), 0x9e3779b97f4a7c15, reinterpret_cast<std::uintptr_t>(this), 1};
}

std::uint64_t Random::next() {
  auto& s = state_;
  const std::uint64_t result = std::rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return result;
}

Context::Context(const Options& o, net::Resolver& resolver, store::Lookup& lookup, Trust t)
    : options(o),
      token(o.token.empty() ? "weir/" + o.version : o.token),
      trust(std::move(t)),
      pool(*this),
      backends(*this, resolver),
      mirrors(*this),
      door(std::make_shared<Door>(loop)),
      cache(
          o.cache, lookup, [door = door](Inbox::Work work) { door->post(std::move(work)); }, cache_counts),
      // A partial head, one bulk read, and what framing and trailers (16 KiB at most) add behind it.
      receive_(receive_offset + o.limits.head_bytes + bulk_read_bytes + 32 * 1024),
      // A head with what Weir adds (names, an appended Via, the path), a flat body.
      print_(print_offset + o.limits.head_bytes + flat_bytes + 32 * 1024) {
  if (auto made = net::client_context()) tls_client = *made;
}

Context::~Context() {
  door->close();
  if (tls_client) SSL_CTX_free(tls_client);
}

Exchange* Context::new_exchange() {
  if (free_.empty()) return new Exchange(*this);
  auto* exchange = free_.back().release();
  free_.pop_back();
  return exchange;
}

void Context::free_exchange(Exchange* exchange) {
  std::unique_ptr<Exchange> owned(exchange);
  if (free_.size() < free_exchanges_max) free_.push_back(std::move(owned));
}

PluginHost* Context::new_plugins(Exchange& exchange) {
  if (free_hosts_.empty()) {
    hosts_.push_back(std::make_unique<PluginHost>(*this));
    free_hosts_.push_back(hosts_.back().get());
  }
  auto* host = free_hosts_.back();
  free_hosts_.pop_back();
  host->begin(exchange);
  return host;
}

void Context::free_plugins(PluginHost& host) {
  free_hosts_.push_back(&host);
}

void Context::check_drained() {
  if (draining && drained && client_count == 0 && listener_count == 0) std::exchange(drained, {})();
}

void Context::end_epoch_use(Epoch& used) {
  if (--used.exchanges > 0 || &used == epoch.get()) return;
  std::erase_if(old_epochs, [&](const auto& e) { return e.get() == &used; });
}

}  // namespace weir::proxy
