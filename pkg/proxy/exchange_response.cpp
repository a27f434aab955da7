#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/exchange.h"

namespace weir::proxy {

bool Exchange::send_to_client(std::string_view first, std::string_view second) {
  if (!client_->send(first, second)) {
    context_.counters.client_aborted.add();
    complete(Client::Then::cut);
    return false;
  }
  context_.counters.bytes_to_clients.add(first.size() + second.size());
  sent_bytes_ += first.size() + second.size();
  if (!client_->writable()) {
    client_->hold.update(context_, client_->unsent());
    context_.loop.set_timeout(*client_, ms(context_.options.client_send_timeout));
  }
  return true;
}

// Reads the upstream while the client takes what comes.
bool Exchange::pump_response() {
  int reads = 0;
  while (client_->writable() && upstream_->has_input()) {
    if (++reads > Context::reads_per_turn) {
      context_.loop.again(*upstream_);
      return true;
    }
    char* buffer = context_.receive_buffer();
    const std::size_t had = upstream_->in.size();  // part of a head
    const auto left = state_ == State::responding ? response_body_.left() : 0;
    ssize_t n = upstream_->receive(buffer + had, context_.stride(left));
    if (n < 0 && errno == EAGAIN) return true;
    if (n == 0 && state_ == State::responding) return response_stream_ended();
    if (n <= 0) return lost(Loss::broken);
    context_.loop.set_timeout(*upstream_, ms(service_->read_timeout));
    answer_bytes_ = true;
    if (state_ == State::awaiting) {
      if (had) std::memcpy(buffer, upstream_->in.data(), had);
      if (!read_response_head(buffer, had + static_cast<std::size_t>(n))) return false;
    } else if (!forward_response_body(buffer, static_cast<std::size_t>(n), 0)) {
      return false;
    }
  }
  return true;
}

bool Exchange::read_response_head(char* bytes, std::size_t size) {
  auto& head = context_.response_head;
  for (;;) {
    if (size == 0) {
      upstream_->in.clear();
      return true;
    }
    auto scan = http::scan_response(head, {bytes, size}, method(), context_.options.limits);
    if (scan == http::Scan::more && size < context_.options.limits.head_bytes) {
      std::string(bytes, size).swap(upstream_->in);
      return true;
    }
    if (scan != http::Scan::done) return malformed_response();
    bytes += head.bytes;
    size -= head.bytes;
    if (head.status >= 200) break;
    if (head.status == 101) {
      if (!upgrade_asked_ || !head.upgrade) return malformed_response();
      return begin_tunnel(bytes, size);
    }
    if (++interims_ > Context::interim_max) return malformed_response();
    if (head.status != 100 && !http10_ && !forward_interim()) return false;
  }
  if (!upstream_->in.empty()) std::string().swap(upstream_->in);
  return start_response(bytes, size);
}

// RFC 9112 section 6.3: such an answer gives 502, and its connection ends.
bool Exchange::malformed_response() {
  context_.counters.upstream_aborted.add();
  let_go_of_upstream(false);
  return answer_later(502);
}

bool Exchange::forward_interim() {
  char* out = context_.print_buffer();
  if (room_for(context_.response_head, {}) > context_.print_room()) return malformed_response();
  char* end = print_response(out, context_.response_head, {});
  return send_to_client({out, end});
}

bool Exchange::start_response(char* behind, std::size_t bytes) {
  auto& head = context_.response_head;
  answered_us_ = net::Loop::clock_us();
  status_ = upstream_status_ = head.status;
  response_body_.begin(head.framing, head.content_length);
  upstream_keep_alive_ = head.keep_alive;
  // An answer before the end of the request: what the client still sends would have to be read to the end before the
  // next request, however long it is. RFC 9112 section 9.3 lets the connection end instead.
  if (!request_body_.done() || client_->leaving()) keep_alive_ = false;
  state_ = State::responding;
  const bool asked_head = method() == "HEAD";  // a plugin may have made it another method than the client's
  if (asked_head && !head_only_) plugins_->without_body(head);
  if (plugins_ && plugins_->filter_response({behind - head.bytes, head.bytes})) return gather_response(behind, bytes);
  const auto printed = print_response_head();
  if (!printed) return malformed_response();
  if (head_only_ && !asked_head) {
    response_begun_ = true;
    return send_to_client({context_.print_buffer(), printed}) ? complete(Client::Then::next) : false;
  }
  return forward_response_body(behind, bytes, printed);
}

// Into the print buffer. 0: there is no room for it.
std::size_t Exchange::print_response_head() {
  auto& head = context_.response_head;
  const auto& options = context_.options;
  const bool unknown_length = head.framing == http::Framing::chunked || head.framing == http::Framing::until_close;
  chunked_out_ = unknown_length && !http10_;
  if (unknown_length && http10_) keep_alive_ = false;

  ResponsePlan plan;
  plan.framing = chunked_out_                            ? ResponsePlan::Framing::chunked
                 : head.framing == http::Framing::length ? ResponsePlan::Framing::length
                                                         : ResponsePlan::Framing::as_is;
  plan.http10 = http10_;
  plan.keep_alive = keep_alive_;
  if (options.server_tokens) plan.token = context_.token;
  plan.date = context_.date.text(std::time(nullptr));
  if (options.request_id) plan.request_id = id();
  plan.latencies = options.latency_tokens;
  plan.upstream_ms = (answered_us_ - sent_us_) / 1000;
  plan.proxy_ms = (sent_us_ - started_us_) / 1000;
  plan.upstream_status = options.upstream_status;
  if (debug_) plan.route = route_, plan.service = service_;
  if (plugins_) plugins_->edit_response(plan);
  if (room_for(head, plan) + Context::flat_bytes > context_.print_room()) return 0;
  char* out = context_.print_buffer();
  const char* end = print_response(out, head, plan);
  if (plugins_) plugins_->note_printed({out, end});
  return static_cast<std::size_t>(end - out);
}

// A plugin wants the body whole before the head is sent.
bool Exchange::gather_response(char* bytes, std::size_t size) {
  const auto piece = response_body_.decode(bytes, size);
  if (!piece.ok) return malformed_response();
  if (!piece.rest.empty()) upstream_keep_alive_ = false;
  if (!plugins_->gather_response(piece.data)) return pass_on_gathered(piece.data);
  return response_body_.done() ? send_gathered() : true;
}

bool Exchange::send_gathered() {
  auto& head = plugins_->gathered_head();
  plugins_->filter_gathered();
  const auto& body = plugins_->response_body();
  head.framing = http::Framing::length;
  head.content_length = response_bytes_ = body.size();
  const auto printed = print_response_head();
  if (!printed) return malformed_response();
  response_begun_ = true;
  return send_to_client({context_.print_buffer(), printed}, body) ? complete(Client::Then::next) : false;
}

// It is too large for that: what came of it goes out as it came, and the rest behind it.
bool Exchange::pass_on_gathered(std::string_view last_piece) {
  auto& body = plugins_->response_body();
  body.append(last_piece);
  plugins_->gathered_head();
  const auto printed = print_response_head();
  if (!printed) return malformed_response();
  response_begun_ = true;
  response_bytes_ = body.size();
  char* end = context_.print_buffer() + printed;
  if (chunked_out_) {
    end += http::print_chunk_size(end, body.size());
    body.append("\r\n");
    if (response_body_.done()) body.append("0\r\n\r\n");
  }
  if (!send_to_client({context_.print_buffer(), end}, body)) return false;
  std::string().swap(body);
  return response_body_.done() ? complete(Client::Then::next) : true;
}

// head_bytes: of a head that waits in the print buffer to leave together with the first of its body.
bool Exchange::forward_response_body(char* bytes, std::size_t size, std::size_t head_bytes) {
  if (plugins_ && plugins_->gathering_response()) return gather_response(bytes, size);
  auto piece = response_body_.decode(bytes, size);
  if (!piece.ok) {
    if (!response_begun_) return malformed_response();
    return lost(Loss::broken);  // the client sees that the last chunk is missing
  }
  response_begun_ = true;
  if (!piece.rest.empty()) upstream_keep_alive_ = false;  // a second answer that nobody asked for
  response_bytes_ += piece.data.size();
  auto out = chunked_out_
                 ? frame_chunk(piece.data, response_body_.done(), te_trailers_ ? response_body_.trailers() : "")
                 : piece.data;
  if (head_bytes) {
    char* head = context_.print_buffer();
    bool sent;
    if (out.size() <= Context::flat_bytes) {  // one flat piece is cheaper than two
      http::put(head + head_bytes, out);
      sent = send_to_client({head, head_bytes + out.size()});
    } else {
      sent = send_to_client({head, head_bytes}, out);
    }
    if (!sent) return false;
    if (response_body_.done()) ended_us_ = answered_us_;
  } else if (!out.empty() && !send_to_client(out)) {
    return false;
  }
  return response_body_.done() ? complete(Client::Then::next) : true;
}

bool Exchange::response_stream_ended() {
  upstream_keep_alive_ = false;
  if (!response_body_.end_of_stream()) return lost(Loss::broken);
  if (plugins_ && plugins_->gathering_response()) return send_gathered();
  if (chunked_out_ && !send_to_client("0\r\n\r\n")) return false;
  return complete(Client::Then::next);
}

// 101: from here on bytes are only carried. A tunnel may live for days, so it lets go of the snapshot.
bool Exchange::begin_tunnel(char* behind, std::size_t bytes) {
  auto& head = context_.response_head;
  ResponsePlan plan;
  plan.upgrade = head.upgrade_protocol;
  if (context_.options.server_tokens) plan.token = context_.token;
  if (context_.options.request_id) plan.request_id = id();
  status_ = upstream_status_ = 101;
  if (plugins_) {
    plugins_->filter_response({behind - head.bytes, head.bytes});
    plugins_->edit_response(plan);
  }
  if (room_for(head, plan) > context_.print_room()) return malformed_response();
  char* out = context_.print_buffer();
  char* end = print_response(out, head, plan);
  if (plugins_) plugins_->note_printed({out, end});
  response_begun_ = true;
  answered_us_ = net::Loop::clock_us();
  request_deadline_ms_ = attempt_deadline_ms_ = 0;  // they are of requests and responses
  if (deadline_) watch_deadline();
  tunnel_idle_ms_ = std::min(ms(service_->read_timeout), ms(service_->write_timeout));
  state_ = State::tunnel;
  std::string().swap(upstream_->in);
  if (!send_to_client({out, end}, {behind, bytes})) return false;
  context_.loop.clear_timeout(*client_);
  if (!plugins_ || !plugins_->logs()) {  // who logs it needs the plugins of then
    if (plugins_) plugins_->use(nullptr, nullptr);
    route_ = nullptr;
    service_ = nullptr;
    context_.backends.release(*balancer_);
    balancer_ = nullptr;
    context_.end_epoch_use(*std::exchange(epoch_, nullptr));
  }
  std::string glued;
  glued.swap(client_->in);
  if (!glued.empty() && !upstream_->send(glued)) return complete(Client::Then::cut);
  return pump_tunnel();
}

bool Exchange::relay(net::Connection& from, net::Connection& to, bool& ended) {
  int reads = 0;
  while (!ended && to.writable() && from.has_input()) {
    if (++reads > Context::reads_per_turn) {
      context_.loop.again(from);
      break;
    }
    ssize_t n = from.receive(context_.receive_buffer(), Context::read_bytes);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return complete(Client::Then::cut);
    if (n == 0) {
      ended = true;
      to.shutdown_write();
    } else if (!to.send({context_.receive_buffer(), static_cast<std::size_t>(n)})) {
      return complete(Client::Then::cut);
    }
  }
  return true;
}

bool Exchange::pump_tunnel() {
  context_.loop.set_timeout(*upstream_, tunnel_idle_ms_);
  if (!relay(*client_, *upstream_, client_ended_) || !relay(*upstream_, *client_, upstream_ended_)) return false;
  return client_ended_ && upstream_ended_ ? complete(Client::Then::cut) : true;
}

}  // namespace weir::proxy
