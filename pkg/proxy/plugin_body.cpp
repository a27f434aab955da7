// The request's body, for plugins that want it whole.
#include <cerrno>

#include "proxy/exchange.h"
#include "proxy/plugin_host.h"

namespace weir::proxy {

const PluginHost::Body* PluginHost::body() {
  const auto& x = *x_;
  const auto& head = request_head();
  const bool too_long = head.framing == http::Framing::length && head.content_length > context_.options.body_gather_max;
  const bool whole = replaced_ || body_state_ == BodyState::whole || x.request_body_.done();
  if (!whole && body_state_ != BodyState::too_large && !too_long) {
    body_wanted_ = true;
    return nullptr;
  }
  // One that was here already with its head, in part or whole, was not asked for before.
  body_ = {};
  body_.too_large = !replaced_ && (body_state_ == BodyState::too_large || too_long);
  if (!body_.too_large) body_.bytes = request_body_;
  return &body_;
}

void PluginHost::set_body(std::string body) {
  replaced_ = true;
  body_state_ = BodyState::whole;
  request_body_ = std::move(body);
}

void PluginHost::limit_body(std::uint64_t bytes, int status, std::string_view message) {
  if (bytes >= x_->body_max_) return;
  x_->body_max_ = bytes;
  limit_status_ = status;
  limit_message_.assign(message);
}

// What was declared, or came already, is more than a plugin allows.
bool PluginHost::over_limit() {
  if (limit_status_ == 0) return false;
  const auto& head = request_head();
  const auto bytes =
      head.framing == http::Framing::length ? head.content_length : std::uint64_t{x_->request_body_.bytes()};
  if (bytes <= x_->body_max_) return false;
  running_ = false;
  x_->answer_too_large();
  return true;
}

PluginHost::Gathered PluginHost::gather_request() {
  auto& x = *x_;
  auto& client = *x.client_;
  if (body_state_ == BodyState::unread) body_state_ = BodyState::gathering;
  if (x.behind_bytes_ && !take(x.behind_, std::exchange(x.behind_bytes_, 0))) return Gathered::over;
  if (std::exchange(x.expects_continue_, false) && !x.request_body_.done() && x.request_body_.bytes() == 0 &&
      !x.send_to_client("HTTP/1.1 100 Continue\r\n\r\n"))
    return Gathered::over;
  for (int reads = 0; body_state_ == BodyState::gathering && !x.request_body_.done();) {
    if (!client.has_input()) return Gathered::part;
    if (++reads > Context::reads_per_turn) {
      context_.loop.again(client);
      return Gathered::part;
    }
    keep_head();
    head_live_ = false;
    char* buffer = context_.receive_buffer();
    const ssize_t n = client.receive(buffer, context_.stride(x.request_body_.left()));
    if (n < 0 && errno == EAGAIN) return Gathered::part;
    if (n <= 0) {
      context_.counters.client_aborted.add();
      x.on_client_gone();
      return Gathered::over;
    }
    const auto bytes = static_cast<std::size_t>(n);
    context_.counters.bytes_from_clients.add(bytes);
    if (x.too_slow(bytes)) {
      context_.counters.requests_timed_out.add();
      x.answer_later(408);
      return Gathered::over;
    }
    if (!take(buffer, bytes)) return Gathered::over;
  }
  if (body_state_ == BodyState::gathering) body_state_ = BodyState::whole;
  body_wanted_ = false;
  return Gathered::all;
}

bool PluginHost::take(char* bytes, std::size_t size) {
  auto& x = *x_;
  const auto piece = x.request_body_.decode(bytes, size);
  if (!piece.rest.empty()) x.client_->in.assign(piece.rest);
  if (!piece.ok) {
    context_.counters.requests_malformed.add();
    x.answer_later(400);
    return false;
  }
  if (x.request_body_.bytes() > x.body_max_) {
    x.answer_too_large();
    return false;
  }
  if (replaced_) return true;
  request_body_.append(piece.data);
  if (request_body_.size() > context_.options.body_gather_max) body_state_ = BodyState::too_large;
  return true;
}

}  // namespace weir::proxy
