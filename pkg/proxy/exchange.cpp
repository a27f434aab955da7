#include "proxy/exchange.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "proxy/errors.h"

namespace weir::proxy {
namespace {

// A body slower than this many bytes a second, after a grace, is a slow-client attack (robustness.md section 1.5).
constexpr std::uint64_t body_rate_min = 240, body_grace_ms = 5000;

}  // namespace

Exchange::~Exchange() {
  if (deadline_) context_.loop.bury(std::move(deadline_));
}

// Finds an address and a connection to it, as often as attempts are left. False: answered.
bool Exchange::connect() {
  for (;;) {
    auto pick = tried_.empty() ? balancer_->pick() : balancer_->pick(tried_);
    if (pick.answer == Balancer::Answer::pending && balancer_->waiting.size() < Context::waiting_max) {
      state_ = State::resolving;
      balancer_->waiting.push_back(this);
      context_.loop.set_timeout(*client_, ms(service_->connect_timeout));
      return true;
    }
    if (pick.answer != Balancer::Answer::picked) {
      no_peer(pick.answer);
      return false;
    }
    if (plugins_) plugins_->begin_try(pick.candidate->endpoint->address);
    if (attempt(*pick.candidate)) return upstream_->ready ? begin_sending() : true;
    if (plugins_) plugins_->try_failed(502);
    context_.counters.upstream_connect_failed.add();
    if (attempts_left_ == 0) return answer_later(502);
    --attempts_left_;
    context_.counters.upstream_retries.add();
    tried_.push_back(pick.candidate->endpoint);
  }
}

void Exchange::no_peer(Balancer::Answer why) {
  find_head_again();
  answer(503,
         why == Balancer::Answer::no_peer ? "failure to get a peer from the ring-balancer" : "name resolution failed",
         true);
}

void Exchange::on_names() {
  std::erase(balancer_->waiting, this);
  context_.loop.clear_timeout(*client_);
  connect();
}

// Takes an idle connection or opens one. False: refused at once.
bool Exchange::attempt(const Candidate& candidate) {
  if (!preserve_host_ && std::string_view(request_).substr(host_.at, host_.bytes) != candidate.host) {
    request_.replace(host_.at, host_.bytes, candidate.host);
    host_.bytes = candidate.host.size();
  }
  request_sent_ = 0;
  write_broken_ = answer_bytes_ = false;
  const bool fresh = fresh_retry_used_ || !context_.options.upstream_keepalive_pool_size;
  upstream_ = fresh ? nullptr : context_.pool.take(*candidate.endpoint);
  // Such a request cannot be sent again once it was sent: here a look whether the upstream has just left is worth its
  // price. For others the event that tells of it is enough.
  while (upstream_ && !idempotent_ && !upstream_->is_open()) {
    context_.pool.close(*upstream_);
    upstream_ = context_.pool.take(*candidate.endpoint);
  }
  reused_ = upstream_ != nullptr;
  if (!upstream_) upstream_ = context_.pool.open(*candidate.endpoint);
  if (!upstream_) return false;
  upstream_->exchange = this;
  ++upstream_->requests;
  state_ = State::connecting;
  if (route_->backend_timeout.count() > 0) {
    attempt_deadline_ms_ = context_.loop.now_ms() + ms(route_->backend_timeout);
    watch_deadline();
  }
  if (!upstream_->ready) context_.loop.set_timeout(*upstream_, ms(service_->connect_timeout));
  return true;
}

bool Exchange::begin_sending() {
  state_ = State::awaiting;
  // The clock is read once more only when opening the connection took a while.
  sent_us_ = reused_ && tried_.empty() ? started_us_ : net::Loop::clock_us();
  if (plugins_) plugins_->try_connected();
  if (std::exchange(expects_continue_, false) && !request_body_.done() && request_body_.bytes() == 0 &&
      !send_to_client("HTTP/1.1 100 Continue\r\n\r\n"))
    return false;
  return send_request();
}

bool Exchange::send_request() {
  if (request_sent_ < request_.size()) {
    ssize_t n = upstream_->transmit(request_.data() + request_sent_, request_.size() - request_sent_);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      if (request_sent_ == 0) return lost(Loss::broken);
      // It may have answered before it left; the read tells.
      write_broken_ = true;
      await_response();
      return upstream_->has_input() ? pump_response() : true;
    }
    if (n > 0) request_sent_ += static_cast<std::size_t>(n);
    if (request_sent_ < request_.size()) {
      context_.loop.set_timeout(*upstream_, ms(service_->write_timeout));
      return true;
    }
  }
  if (!request_body_.done()) return pump_request();
  await_response();
  return true;
}

void Exchange::await_response() {
  context_.loop.set_timeout(*upstream_, ms(service_->read_timeout));
  context_.loop.clear_timeout(*client_);
}

// Forwards the request's body as far as the client has sent it and the upstream takes it.
bool Exchange::pump_request() {
  int reads = 0;
  while (!request_body_.done() && !write_broken_ && upstream_->writable()) {
    if (++reads > Context::reads_per_turn) {
      context_.loop.again(*client_);
      break;
    }
    char* buffer = context_.receive_buffer();
    std::size_t n = client_->in.size();
    if (n) {
      std::memcpy(buffer, client_->in.data(), n);
      std::string().swap(client_->in);
    } else {
      if (!client_->has_input()) break;
      ssize_t r =
          client_->receive(buffer, mirrors_.empty() ? context_.stride(request_body_.left()) : Context::read_bytes);
      if (r < 0 && errno == EAGAIN) break;
      if (r <= 0) {  // cut: the upstream must not take it for complete
        context_.counters.client_aborted.add();
        on_client_gone();
        return false;
      }
      n = static_cast<std::size_t>(r);
      context_.counters.bytes_from_clients.add(n);
      if (too_slow(n)) {
        context_.counters.requests_timed_out.add();
        return response_begun_ ? complete(Client::Then::cut) : answer_later(408);
      }
    }
    if (!forward_request_body(buffer, n)) return false;
  }
  if (request_body_.done() || write_broken_) {
    if (upstream_->writable()) await_response();
  } else if (upstream_->writable()) {
    context_.loop.set_timeout(*client_, ms(context_.options.client_body_timeout));
    context_.loop.clear_timeout(*upstream_);
  } else {
    body_watched_ms_ = 0;  // it is not the client who is slow
  }
  return true;
}

bool Exchange::forward_request_body(char* bytes, std::size_t size) {
  auto piece = request_body_.decode(bytes, size);
  if (!piece.rest.empty()) client_->in.assign(piece.rest);
  const bool large = request_body_.bytes() > body_max_;
  if (!piece.ok || large) {
    if (!piece.ok) context_.counters.requests_malformed.add();
    if (response_begun_) return complete(Client::Then::cut);
    return large ? answer_too_large() : answer_later(400);
  }
  auto out = request_body_.framing() == http::Framing::chunked
                 ? frame_chunk(piece.data, request_body_.done(), request_body_.trailers())
                 : piece.data;
  if (out.empty()) return true;
  replayable_ = false;
  if (!mirrors_.empty()) copy_to_mirrors(out);
  if (!upstream_->send(out)) {
    write_broken_ = true;
    await_response();
    return upstream_->has_input() ? pump_response() : true;
  }
  if (!upstream_->writable()) {
    upstream_hold_.update(context_, upstream_->unsent());
    context_.loop.set_timeout(*upstream_, ms(service_->write_timeout));
  }
  return true;
}

bool Exchange::too_slow(std::size_t received) {
  const auto now = context_.loop.now_ms();
  if (body_watched_ms_ == 0) body_watched_ms_ = now, body_watched_bytes_ = 0;
  body_watched_bytes_ += received;
  const auto elapsed = now - body_watched_ms_;
  return elapsed > body_grace_ms && body_watched_bytes_ < (elapsed - body_grace_ms) * body_rate_min / 1000;
}

// The upstream connection failed. Tries again where that is safe; else answers, or cuts an answer that has begun.
bool Exchange::lost(Loss why) {
  const bool timeout = why == Loss::connect_timeout || why == Loss::read_timeout;
  const bool connecting = why == Loss::connect || why == Loss::connect_timeout;
  if (connecting) context_.counters.upstream_connect_failed.add();
  const Endpoint* endpoint = &upstream_->endpoint();
  const bool was_reused = reused_, nothing_sent = request_sent_ == 0;
  if (plugins_) plugins_->try_failed(timeout ? 504 : 502);
  let_go_of_upstream(false);
  if (response_begun_) {
    context_.counters.upstream_aborted.add();
    return complete(Client::Then::cut);
  }
  // A request that the upstream may have acted on is sent again only when that is harmless (RFC 9110 section 9.2.2).
  const bool safe = !answer_bytes_ && replayable_ && (nothing_sent || idempotent_);
  if (safe && was_reused && !timeout && !fresh_retry_used_) {
    fresh_retry_used_ = true;  // it closed an idle connection: says nothing about the address
    context_.counters.upstream_retries.add();
    connect();
    return false;
  }
  if (safe && attempts_left_ > 0) {
    --attempts_left_;
    context_.counters.upstream_retries.add();
    tried_.push_back(endpoint);
    connect();
    return false;
  }
  if (!connecting) context_.counters.upstream_aborted.add();
  return answer_later(timeout ? 504 : 502);
}

void Exchange::on_client(std::uint32_t events) {
  // In a tunnel both sides may have said their end while bytes are still to be read.
  if ((events & (EPOLLHUP | EPOLLERR)) && state_ != State::tunnel) {
    context_.counters.client_aborted.add();
    return on_client_gone();
  }
  if ((events & EPOLLOUT) && !client_->writable()) {
    const auto before = client_->unsent();
    if (!client_->flush()) return on_client_gone();
    client_->hold.update(context_, client_->unsent());
    if (client_->writable()) {
      if (state_ == State::deciding) {
        plugins_->set_wait_timeout();
      } else if (request_body_.done() || state_ == State::connecting) {
        context_.loop.clear_timeout(*client_);
      } else {
        context_.loop.set_timeout(*client_, ms(context_.options.client_body_timeout));
      }
      if (state_ == State::tunnel ? !pump_tunnel() : upstream_ && state_ > State::connecting && !pump_response())
        return;
    } else if (client_->unsent() < before) {
      context_.loop.set_timeout(*client_, ms(context_.options.client_send_timeout));
    }
  }
  if (!client_->has_input()) return;
  if (state_ == State::tunnel) {
    pump_tunnel();
  } else if (state_ == State::deciding) {
    plugins_->on_client_input();
  } else if (upstream_ && state_ > State::connecting && request_sent_ == request_.size() && !request_body_.done()) {
    pump_request();
  }
}

void Exchange::on_client_timeout() {
  if (state_ == State::deciding && client_->writable()) return plugins_->on_client_timeout();
  if (state_ == State::resolving) {
    std::erase(balancer_->waiting, this);
    return no_peer(Balancer::Answer::unresolved);
  }
  context_.counters.requests_timed_out.add();
  if (client_->writable() && !response_begun_ && !request_body_.done()) {
    answer_later(408);
    return;
  }
  complete(Client::Then::cut);
}

void Exchange::on_client_gone() {
  if (!response_begun_) status_ = 499;
  complete(Client::Then::cut);
}

void Exchange::on_upstream(std::uint32_t events) {
  upstream_->note(events);
  if (state_ == State::connecting) {
    if (!context_.pool.proceed(*upstream_)) {
      lost(Loss::connect);
      return;
    }
    if (upstream_->ready) begin_sending();
    return;  // what it says before it is asked waits for the next event: edges come with the answer
  }
  if (state_ == State::tunnel) {
    if (upstream_->flush()) {
      pump_tunnel();
    } else {
      complete(Client::Then::cut);
    }
    return;
  }
  if ((events & EPOLLOUT) && !write_broken_) {
    if (request_sent_ < request_.size()) {
      if (!send_request()) return;
    } else if (!upstream_->writable()) {
      const bool flushed = upstream_->flush();
      upstream_hold_.update(context_, upstream_->unsent());
      if (!flushed) {
        write_broken_ = true;
      } else if (!upstream_->writable()) {
        context_.loop.set_timeout(*upstream_, ms(service_->write_timeout));
      } else if (!pump_request()) {
        return;
      }
    }
  }
  if (upstream_->has_input()) pump_response();
}

void Deadline::on_timeout() {
  exchange_.on_deadline();
}

// One timer for both, for the one that comes first.
void Exchange::watch_deadline() {
  auto first = request_deadline_ms_;
  if (attempt_deadline_ms_ && (!first || attempt_deadline_ms_ < first)) first = attempt_deadline_ms_;
  if (!first) {
    if (deadline_) context_.loop.clear_timeout(*deadline_);
    return;
  }
  if (!deadline_) deadline_ = std::make_unique<Deadline>(*this);
  const auto now = context_.loop.now_ms();
  context_.loop.set_timeout(*deadline_, first > now ? first - now : 0);
}

void Exchange::on_deadline() {
  const auto now = context_.loop.now_ms();
  if (request_deadline_ms_ && now >= request_deadline_ms_) return void(expire());
  if (attempt_deadline_ms_ && now >= attempt_deadline_ms_) {
    attempt_deadline_ms_ = 0;
    watch_deadline();
    if (upstream_) lost(state_ == State::connecting ? Loss::connect_timeout : Loss::read_timeout);
    return;
  }
  watch_deadline();
}

// The time that the route gives to the whole exchange is over.
bool Exchange::expire() {
  if (response_begun_) {
    context_.counters.upstream_aborted.add();
    return complete(Client::Then::cut);
  }
  if (state_ == State::resolving) std::erase(balancer_->waiting, this);
  if (state_ == State::deciding) {
    plugins_->stop_waiting();
    return answer(504, "upstream request timeout", false);
  }
  return answer_later(504, "upstream request timeout");
}

void Exchange::begin_mirrors() {
  for (const auto& service : plugins_->mirrors())
    if (auto* mirror =
            context_.mirrors.begin(*this, service, request_, host_, preserve_host_, method(), request_body_.done()))
      mirrors_.push_back(mirror);
}

void Exchange::copy_to_mirrors(std::string_view body) {
  // From behind: one that ends takes itself out.
  for (auto i = mirrors_.size(); i-- > 0;) mirrors_[i]->body(body, request_body_.done());
  if (request_body_.done()) mirrors_.clear();
}

void Exchange::mirror_over(Mirror& mirror) {
  std::erase(mirrors_, &mirror);
}

void Exchange::on_upstream_timeout() {
  if (state_ == State::tunnel) return void(complete(Client::Then::cut));
  if (!client_->writable()) {  // it waits for a slow client, whose own timeout runs
    context_.loop.set_timeout(*upstream_, ms(service_->read_timeout));
    return;
  }
  lost(state_ == State::connecting ? Loss::connect_timeout : Loss::read_timeout);
}

}  // namespace weir::proxy
