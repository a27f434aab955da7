// The phases header_filter and body_filter, of the upstream's answers and of our own.
#include "base/text.h"
#include "http/print.h"
#include "proxy/exchange.h"
#include "proxy/plugin_host.h"

namespace weir::proxy {
namespace {

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  out.append(digits, http::put_decimal(digits, number));
}

// Heads that were received or printed here: their limits have been looked at.
http::Limits limits_of(std::string_view text) {
  return {.head_bytes = text.size() + 1, .line_bytes = text.size() + 1, .fields = http::max_fields};
}

void drop_lengths(http::ResponseHead& head) {
  for (std::size_t i = 0; i < head.count; i++)
    if (head.field[i].token == http::Name::content_length) head.field[i].drop = true;
}

}  // namespace

// What an answer that is not sent after all left behind is taken back.
void PluginHost::begin_response(int status, bool from_upstream) {
  if (std::exchange(filtered_, true)) {
    response_edits_.back_to(noted_before_);
  } else {
    noted_before_ = response_edits_.mark();
  }
  from_upstream_ = from_upstream;
  response_status_ = status;
  gathering_response_ = false;
  response_body_.clear();
  body_filters_.clear();
  if (head_kept_) head_live_ = false;
}

void PluginHost::filter_head() {
  response_live_ = true;
  if (!(phases_ & plugin::phase_header_filter)) return;
  for (const auto* instance : chain_) {
    if (!(instance->kind->phases & plugin::phase_header_filter)) continue;
    running_filter_ = instance;
    instance->plugin->header_filter(*this);
  }
  running_filter_ = nullptr;
}

bool PluginHost::filter_response(std::string_view text) {
  auto& head = context_.response_head;
  begin_response(head.status, true);
  response_text_.clear();
  filter_head();
  x_->status_ = response_status_;
  if (body_filters_.empty()) return false;
  const bool bodiless = x_->head_only_ || head.framing == http::Framing::none;
  if (bodiless) drop_lengths(head);  // of the body that would be filtered
  if (bodiless || (head.framing == http::Framing::length && head.content_length > context_.options.body_gather_max)) {
    body_filters_.clear();
    return false;
  }
  response_text_.assign(text);
  return gathering_response_ = true;
}

void PluginHost::without_body(http::ResponseHead& head) {
  if (head.status == 204 || head.status == 304) return;
  drop_lengths(head);
  head.framing = http::Framing::length;
  head.content_length = 0;
}

bool PluginHost::gather_response(std::string_view data) {
  if (response_body_.size() + data.size() <= context_.options.body_gather_max) {
    response_body_.append(data);
    return true;
  }
  gathering_response_ = false;
  body_filters_.clear();
  return false;
}

void PluginHost::filter_gathered() {
  gathering_response_ = false;
  for (const auto* instance : body_filters_)
    if (instance->kind->phases & plugin::phase_body_filter) instance->plugin->body_filter(*this, response_body_);
}

const http::ResponseHead& PluginHost::response_head() const {
  auto& head = context_.response_head;
  if (std::exchange(response_live_, true)) return head;
  if (http::scan_response(head, response_text_, "GET", limits_of(response_text_)) != http::Scan::done) head.count = 0;
  return head;
}

http::ResponseHead& PluginHost::gathered_head() {
  response_live_ = true;
  http::scan_response(context_.response_head, response_text_, x_->method(), limits_of(response_text_));
  return context_.response_head;
}

void PluginHost::edit_response(ResponsePlan& plan) {
  response_edits_.drop_replaced(context_.response_head);
  plan.edits = &response_edits_;
  plan.status = response_status_;
}

// From here on the response is what was sent. Only the log asks for it.
void PluginHost::note_printed(std::string_view head) {
  if (!logs()) return;
  response_text_.assign(head);
  response_edits_.clear();
  noted_before_ = 0;
  response_live_ = false;
}

void PluginHost::print_answer(int status, std::string_view type, std::string_view body, std::string_view extra_fields) {
  auto& x = *x_;
  const auto& options = context_.options;
  begin_response(status, false);
  auto& text = response_text_;
  text.assign("HTTP/1.1 ");
  append_number(text, static_cast<std::uint64_t>(status));
  text.append(" \r\nDate: ").append(context_.date.text(std::time(nullptr)));
  if (http::is_field_value(type) && !type.empty()) text.append("\r\nContent-Type: ").append(type);
  if (options.server_tokens) text.append("\r\nServer: ").append(context_.token);
  text.append("\r\n\r\n");
  http::scan_response(context_.response_head, text, "GET", limits_of(text));
  filter_head();
  if (!body_filters_.empty()) {
    response_body_.assign(body);
    filter_gathered();
    body = response_body_;
  }
  x.status_ = status = response_status_;
  const bool bodiless = status < 200 || status == 204 || status == 304;
  if (status < 200) x.keep_alive_ = false;  // it would be taken for an interim answer, and the next one for this one

  auto& out = context_.answer;
  out.assign("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(status));
  out.append(" ").append(http::reason_phrase(status)).append("\r\n");
  auto& head = context_.response_head;
  response_edits_.drop_replaced(head);
  for (const auto& field : head.fields())
    if (!field.drop) out.append(field.line);
  response_edits_.each_added([&](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
    return false;
  });
  if (!bodiless) {
    out.append("Content-Length: ");
    append_number(out, body.size());
    out.append("\r\n");
  }
  if (!x.keep_alive_) {
    out.append("Connection: close\r\n");
  } else if (x.http10_) {
    out.append("Connection: keep-alive\r\n");
  }
  if (options.latency_tokens) {
    out.append("X-Kong-Response-Latency: ");
    append_number(out, (x.ended_us_ - x.started_us_) / 1000);
    out.append("\r\n");
  }
  if (options.request_id) out.append("X-Kong-Request-Id: ").append(x.id()).append("\r\n");
  out.append(extra_fields).append("\r\n");
  note_printed(out);
  const bool sends_body = !bodiless && !x.head_only_;
  if (sends_body) out.append(body);
  x.response_bytes_ = sends_body ? body.size() : 0;
}

}  // namespace weir::proxy
