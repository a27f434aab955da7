#include "proxy/mirror.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "http/head.h"
#include "proxy/context.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// What a mirror that is kept for another request keeps of its memory.
constexpr std::size_t kept_bytes = 16 * 1024;
// Routes and services whose shares are remembered; after that all begin anew.
constexpr std::size_t shares_max = 4096;

std::uint64_t ms(std::chrono::milliseconds d) {
  return static_cast<std::uint64_t>(d.count());
}

}  // namespace

bool Mirrors::is_due(const Uuid& route, const Uuid& service, std::uint32_t numerator, std::uint32_t denominator) {
  if (numerator >= denominator) return denominator != 0;
  if (numerator == 0) return false;
  Uuid both = route;
  for (std::size_t i = 0; i < both.bytes.size(); ++i) both.bytes[i] ^= service.bytes[i];
  if (shares_.size() >= shares_max && !shares_.contains(both)) shares_.clear();
  constexpr std::uint64_t whole = std::uint64_t{1} << 32;
  // A worker's first request is mirrored or not by chance, so that all workers together keep the share.
  const auto [share, fresh] = shares_.try_emplace(both, 0);
  if (fresh) share->second = context_.random.next() % whole;
  share->second += (numerator * whole + denominator / 2) / denominator;
  if (share->second < whole) return false;
  share->second -= whole;
  return true;
}

Mirror* Mirrors::begin(Exchange& source, const Uuid& id, std::string_view request, Span host, bool keep_host,
                       std::string_view method, bool complete) {
  // The current snapshot's, since balancers are its; the request may be an older one's.
  const auto* service = context_.snapshot() ? context_.snapshot()->find_service(id) : nullptr;
  auto* balancer = service && active_.size() < active_max && request.size() <= unsent_max
                       ? context_.backends.find(service->backend, service->tls, service->port)
                       : nullptr;
  const auto pick = balancer ? balancer->pick() : Balancer::Pick{Balancer::Answer::no_peer, nullptr};
  if (pick.answer != Balancer::Answer::picked) {
    context_.counters.mirrors_dropped.add();
    return nullptr;
  }
  if (free_.empty()) free_.push_back(std::make_unique<Mirror>(context_));
  active_.push_back(std::move(free_.back()));
  free_.pop_back();
  auto& mirror = *active_.back();
  mirror.method_.assign(method);
  mirror.source_ = nullptr;
  if (!mirror.begin(*service, *pick.candidate, request, host, keep_host) || complete) return nullptr;
  mirror.source_ = &source;
  mirror.watch();
  return &mirror;
}

void Mirrors::free(Mirror& mirror) {
  const auto place = std::ranges::find_if(active_, [&](const auto& m) { return m.get() == &mirror; });
  WEIR_ASSERT(place != active_.end());
  std::swap(*place, active_.back());
  free_.push_back(std::move(active_.back()));
  active_.pop_back();
}

void Mirrors::end_all() {
  while (!active_.empty()) active_.back()->end(false);
}

// False: it is over.
bool Mirror::begin(const snapshot::Service& service, const Candidate& candidate, std::string_view request, Span host,
                   bool keep_host) {
  connect_ms_ = ms(service.connect_timeout);
  read_ms_ = ms(service.read_timeout);
  write_ms_ = ms(service.write_timeout);
  answering_ = keep_alive_ = false;
  response_.begin(http::Framing::none, 0);
  waiting_.assign(request);
  if (!keep_host) waiting_.replace(host.at, host.bytes, candidate.host);
  auto& endpoint = *candidate.endpoint;
  upstream_ = context_.options.upstream_keepalive_pool_size ? context_.pool.take(endpoint) : nullptr;
  while (upstream_ && !upstream_->is_open()) {  // nobody sends it again
    context_.pool.close(*upstream_);
    upstream_ = context_.pool.take(endpoint);
  }
  if (!upstream_) upstream_ = context_.pool.open(endpoint);
  if (!upstream_) return drop();
  upstream_->mirror = this;
  ++upstream_->requests;
  if (upstream_->ready && !send_waiting()) return false;
  watch();
  return true;
}

void Mirror::body(std::string_view bytes, bool last) {
  if (last) source_ = nullptr;
  if (!bytes.empty()) {
    if (upstream_->ready) {
      if (!send(bytes)) return;
    } else {
      waiting_.append(bytes);
      if (waiting_.size() > Mirrors::unsent_max) return void(drop());
    }
  }
  watch();
}

void Mirror::abandon() {
  source_ = nullptr;
  drop();
}

bool Mirror::send(std::string_view bytes) {
  return upstream_->send(bytes) && upstream_->unsent() <= Mirrors::unsent_max ? true : drop();
}

bool Mirror::send_waiting() {
  if (!send(waiting_)) return false;
  waiting_.clear();
  return true;
}

void Mirror::watch() {
  if (!upstream_->ready) return context_.loop.set_timeout(*upstream_, connect_ms_);
  if (!upstream_->writable()) return context_.loop.set_timeout(*upstream_, write_ms_);
  if (!source_) return context_.loop.set_timeout(*upstream_, read_ms_);
  context_.loop.clear_timeout(*upstream_);  // the request itself has a limit
}

void Mirror::on_upstream(std::uint32_t events) {
  upstream_->note(events);
  if (!upstream_->ready) {
    if (!context_.pool.proceed(*upstream_)) return void(drop());
    if (upstream_->ready && !send_waiting()) return;
    return watch();  // what it says before it is asked waits for the next event: edges come with the answer
  }
  if ((events & EPOLLOUT) && !upstream_->writable() && !upstream_->flush()) return void(drop());
  if (read()) watch();
}

void Mirror::on_timeout() {
  drop();
}

// Reads and drops the answer. False: it is over.
bool Mirror::read() {
  for (int reads = 0; upstream_->has_input();) {
    if (++reads > Context::reads_per_turn) {
      context_.loop.again(*upstream_);
      return true;
    }
    char* buffer = context_.receive_buffer();
    const auto had = upstream_->in.size();
    const ssize_t n = upstream_->receive(buffer + had, Context::read_bytes);
    if (n < 0 && errno == EAGAIN) return true;
    if (n == 0 && answering_ && response_.end_of_stream()) return end(false), false;
    if (n <= 0) return drop();
    if (had) std::memcpy(buffer, upstream_->in.data(), had);
    const auto size = had + static_cast<std::size_t>(n);
    if (!(answering_ ? read_body(buffer, size) : read_head(buffer, size))) return false;
  }
  return true;
}

bool Mirror::read_head(char* bytes, std::size_t size) {
  auto& head = context_.response_head;
  const auto& limits = context_.options.limits;
  for (;;) {
    const auto scan = http::scan_response(head, {bytes, size}, method_, limits);
    if (scan == http::Scan::more && size < limits.head_bytes) {
      upstream_->in.assign(bytes, size);
      return true;
    }
    if (scan != http::Scan::done || head.status == 101) return drop();
    bytes += head.bytes;
    size -= head.bytes;
    if (head.status >= 200) break;
  }
  std::string().swap(upstream_->in);
  answering_ = true;
  keep_alive_ = head.keep_alive;
  response_.begin(head.framing, head.content_length);
  return read_body(bytes, size);
}

bool Mirror::read_body(char* bytes, std::size_t size) {
  const auto piece = response_.decode(bytes, size);
  if (!piece.ok) return drop();
  if (!response_.done()) return true;
  end(keep_alive_ && piece.rest.empty() && !source_ && upstream_->writable());
  return false;
}

bool Mirror::drop() {
  end(false);
  return false;
}

void Mirror::end(bool reusable) {
  const bool answered = answering_ && response_.done();
  (answered ? context_.counters.mirrors_answered : context_.counters.mirrors_dropped).add();
  if (auto* source = std::exchange(source_, nullptr)) source->mirror_over(*this);
  if (auto* upstream = std::exchange(upstream_, nullptr))
    reusable ? context_.pool.keep(*upstream) : context_.pool.close(*upstream);
  if (waiting_.capacity() > kept_bytes) std::string().swap(waiting_);
  waiting_.clear();
  context_.mirrors.free(*this);
}

}  // namespace weir::proxy
