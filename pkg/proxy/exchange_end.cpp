#include <algorithm>
#include <ctime>

#include "base/log.h"
#include "http/print.h"
#include "proxy/errors.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// What a reused exchange may keep of its request's memory.
constexpr std::size_t kept_request_bytes = 16 * 1024;

// As the inside of a JSON string: nothing that a client sent can end or forge a line of the log.
void append_escaped(std::string& out, std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      static constexpr char digits[] = "0123456789abcdef";
      out.append({'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]});
    } else {
      out += c;
    }
  }
}

}  // namespace

void print_answer(Context& context, int status, std::string_view type, std::string_view body, std::string_view id,
                  bool keep_alive, std::string_view extra_fields, std::uint64_t response_latency, bool head_only,
                  bool http10) {
  auto& out = context.answer;
  auto number = [&](std::uint64_t n) {
    char digits[20];
    out.append(digits, http::put_decimal(digits, n));
  };
  out.assign("HTTP/1.1 ");
  number(static_cast<std::uint64_t>(status));
  out.append(" ")
      .append(http::reason_phrase(status))
      .append("\r\nDate: ")
      .append(context.date.text(std::time(nullptr)));
  if (!type.empty()) out.append("\r\nContent-Type: ").append(type);
  out.append("\r\nContent-Length: ");
  number(body.size());
  if (!keep_alive) {
    out.append("\r\nConnection: close");
  } else if (http10) {
    out.append("\r\nConnection: keep-alive");
  }
  if (context.options.server_tokens) out.append("\r\nServer: ").append(context.token);
  if (context.options.latency_tokens) {
    out.append("\r\nX-Kong-Response-Latency: ");
    number(response_latency);
  }
  if (context.options.request_id) out.append("\r\nX-Kong-Request-Id: ").append(id);
  out.append("\r\n").append(extra_fields).append("\r\n");
  if (!head_only) out.append(body);
}

// Takes note of what is already here of the request that is being answered, so that the next one can be read behind it.
void Exchange::settle() {
  if (behind_bytes_ == 0) return;
  auto piece = request_body_.decode(behind_, std::exchange(behind_bytes_, 0));
  if (piece.ok && request_body_.done()) client_->in.assign(piece.rest);
}

bool Exchange::answer(int status, std::string_view message, bool by_router, std::string_view extra_fields) {
  const auto format = error_format(context_.request_head, by_router, context_.options.error_default_type);
  context_.error_body.clear();
  print_error(context_.error_body, format, message, id());
  return answer_with(status, content_type(format), context_.error_body, extra_fields);
}

// The fields that choose an answer's format are still in what was printed for the upstream.
void Exchange::find_head_again() {
  if (plugins_) {
    plugins_->request_head_again();
  } else {
    http::scan_request(context_.request_head, request_, {.head_bytes = request_.size(), .line_bytes = request_.size()});
  }
}

bool Exchange::answer_later(int status, std::string_view message) {
  find_head_again();
  return answer(status, message, false);
}

bool Exchange::answer_later(int status) {
  return answer_later(status, error_message(status));
}

bool Exchange::answer_too_large() {
  if (plugins_ && plugins_->limits_body()) return answer_later(plugins_->limit_status(), plugins_->limit_message());
  return answer_later(413);
}

bool Exchange::answer_with(int status, std::string_view type, std::string_view body, std::string_view extra_fields) {
  settle();
  if (!request_body_.done()) keep_alive_ = false;
  if (upstream_) let_go_of_upstream(false);
  own_answer_ = true;
  status_ = status;
  ended_us_ = net::Loop::clock_us();
  if (plugins_) {
    plugins_->print_answer(status, type, body, extra_fields);
  } else {
    print_answer(context_, status, type, body, id(), keep_alive_, extra_fields, (ended_us_ - started_us_) / 1000,
                 head_only_, http10_);
    response_bytes_ = head_only_ ? 0 : body.size();
  }
  return send_to_client(context_.answer) ? complete(Client::Then::next) : false;
}

void Exchange::let_go_of_upstream(bool reusable) {
  Upstream& upstream = *std::exchange(upstream_, nullptr);
  upstream_hold_.update(context_, 0);
  if (reusable) {
    context_.pool.keep(upstream);
  } else {
    context_.pool.close(upstream);
  }
}

void Exchange::count(std::uint64_t now_us) {
  auto& counters = context_.counters;
  (own_answer_ || status_ == 499 ? counters.answered_by_weir
                                 : counters.answered_by_upstream)[static_cast<std::size_t>(std::min(status_, 599))]
      .add();
  const auto total = now_us - started_us_;
  const auto upstream = answered_us_ ? answered_us_ - sent_us_ : 0;
  counters.request_ms.observe_us(total);
  if (answered_us_) counters.upstream_ms.observe_us(upstream);
  counters.weir_ms.observe_us(total - std::min(total, upstream));
}

// The exchange is over: everything it holds goes back, and the client goes on.
bool Exchange::complete(Client::Then then) {
  Client& client = *client_;
  if (!ended_us_) ended_us_ = net::Loop::clock_us();
  count(ended_us_);
  if (context_.options.access_log) log_access(ended_us_);
  if (plugins_) std::exchange(plugins_, nullptr)->finish(ended_us_);
  if (then == Client::Then::next) {
    if (!keep_alive_) then = Client::Then::close;
    if (!request_body_.done()) then = Client::Then::linger;
  }
  if (upstream_)
    let_go_of_upstream(upstream_keep_alive_ && request_body_.done() && response_body_.done() && !write_broken_ &&
                       request_sent_ == request_.size() && state_ == State::responding);
  while (!mirrors_.empty()) {
    auto* mirror = mirrors_.back();
    mirrors_.pop_back();
    mirror->abandon();
  }
  if (request_deadline_ms_ || attempt_deadline_ms_) {
    request_deadline_ms_ = attempt_deadline_ms_ = 0;
    watch_deadline();
  }
  if (balancer_) {
    if (state_ == State::resolving) std::erase(balancer_->waiting, this);
    context_.backends.release(*balancer_);
  }
  if (epoch_) context_.end_epoch_use(*epoch_);
  if (request_.capacity() > kept_request_bytes) std::string().swap(request_);
  client_ = nullptr;
  context_.free_exchange(this);
  client.exchange_over(then);
  return false;
}

// One event a request. The query is left out: it is where clients put keys.
void Exchange::log_access(std::uint64_t now_us) {
  std::string line = "{\"time\":\"";
  char when[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  const auto space = std::min(access_line_.find(' '), access_line_.size() - 1);
  line.append(when).append("\",\"level\":\"info\",\"message\":\"request\",\"client\":\"").append(client_->ip);
  line.append("\",\"method\":\"");
  append_escaped(line, std::string_view(access_line_).substr(0, space));
  line.append("\",\"path\":\"");
  append_escaped(line, std::string_view(access_line_).substr(space + 1));
  line.append("\",\"version\":\"").append(http10_ ? "1.0" : "1.1");
  line.append("\",\"status\":").append(std::to_string(status_));
  line.append(",\"bytes\":").append(std::to_string(response_bytes_));
  line.append(",\"duration_us\":").append(std::to_string(now_us - started_us_));
  line.append(",\"request_id\":\"").append(id()).append("\"}\n");
  log::write_line(line);
}

}  // namespace weir::proxy
