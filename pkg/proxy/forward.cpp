#include "proxy/forward.h"

namespace weir::proxy {
namespace {

using http::Name;
using http::put;

char* put_field(char* o, std::string_view name, std::string_view value) {
  return put(put(put(put(o, name), ": "), value), "\r\n");
}

// A value of the configuration in a head: printed only when it cannot end the line.
char* put_checked(char* o, std::string_view name, std::string_view value) {
  return !value.empty() && http::is_field_value(value) ? put_field(o, name, value) : o;
}

// The values of all fields of a kind that came, joined, then `own`. Those lines must be dropped by the caller.
char* put_appended(char* o, const http::Head& head, Name token, std::string_view name, std::string_view own) {
  o = put(put(o, name), ": ");
  for (const auto& f : head.fields())
    if (f.token == token && !f.value.empty()) o = put(put(o, f.value), ", ");
  return put(put(o, own), "\r\n");
}

// Fields that Weir writes itself. Seen: which of them came.
struct Seen {
  bool proto = false, host = false, port = false, path = false, prefix = false, real_ip = false;
};

Seen mark_request(http::RequestHead& head, bool trusted) {
  Seen seen;
  auto keep = [&](http::Field& f, bool& flag) { trusted&& !flag ? flag = true : f.drop = true; };
  for (std::size_t i = 0; i < head.count; ++i) {
    auto& f = head.field[i];
    switch (f.token) {
      case Name::host:
      case Name::expect:
      case Name::proxy:
      case Name::te:
      case Name::via:
      case Name::x_forwarded_for:
      case Name::x_kong_request_id:
      case Name::content_length:
      case Name::transfer_encoding:
        f.drop = true;
        break;
      case Name::x_forwarded_proto:
        keep(f, seen.proto);
        break;
      case Name::x_forwarded_host:
        keep(f, seen.host);
        break;
      case Name::x_forwarded_port:
        keep(f, seen.port);
        break;
      case Name::x_forwarded_path:
        keep(f, seen.path);
        break;
      case Name::x_forwarded_prefix:
        keep(f, seen.prefix);
        break;
      case Name::x_real_ip:
        keep(f, seen.real_ip);
        break;
      default:
        break;
    }
  }
  return seen;
}

}  // namespace

Span print_request(std::string& out, http::RequestHead& head, const RequestPlan& p) {
  const Seen seen = mark_request(head, p.trusted);
  // Nothing of the head is printed more than three times (a path in the target and X-Forwarded-Path and -Prefix).
  const std::size_t room = head.bytes * 3 + p.path.size() + p.host.size() + p.original_path.size() + p.prefix.size() +
                           p.forwarded_host.size() + p.token.size() + head.method.size() + head.query.size() +
                           (p.edits ? p.edits->added_bytes() : 0) + 1024;
  Span host;
  out.resize_and_overwrite(room, [&](char* begin, std::size_t) {
    char* o = put(begin, head.method);
    *o++ = ' ';
    o = put(o, p.path);
    if (head.has_query) *o++ = '?', o = put(o, head.query);
    o = put(o, " HTTP/1.1\r\nHost: ");
    host = {static_cast<std::size_t>(o - begin), p.host.size()};
    o = put(put(o, p.host), "\r\n");
    o = http::put_kept(o, head);
    if (p.edits) o = p.edits->put_added(o);
    o = put_appended(o, head, Name::x_forwarded_for, "X-Forwarded-For", p.client_ip);
    if (!seen.real_ip) o = put_field(o, "X-Real-IP", p.client_ip);
    if (!seen.proto) o = put_field(o, "X-Forwarded-Proto", p.forwarded_proto);
    if (!seen.host) o = put_field(o, "X-Forwarded-Host", p.forwarded_host);
    if (!seen.port) o = put(http::put_decimal(put(o, "X-Forwarded-Port: "), p.forwarded_port), "\r\n");
    if (!seen.path) o = put_field(o, "X-Forwarded-Path", p.original_path);
    if (!seen.prefix && !p.prefix.empty()) o = put_field(o, "X-Forwarded-Prefix", p.prefix);
    o = put(put_appended(o, head, Name::via, "Via", "1.1 ") - 2, p.token);
    o = put(o, "\r\n");
    if (!p.request_id.empty()) o = put_field(o, "X-Kong-Request-Id", p.request_id);
    if (head.te_trailers) o = put(o, "TE: trailers\r\n");
    if (head.framing == http::Framing::length)
      o = put(http::put_decimal(put(o, "Content-Length: "), head.content_length), "\r\n");
    if (head.framing == http::Framing::chunked) o = put(o, "Transfer-Encoding: chunked\r\n");
    if (p.upgrade.empty()) {
      o = put(o, head.te_trailers ? "Connection: keep-alive, TE\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
    } else {
      o = put(put_field(put(o, "Connection: keep-alive, Upgrade\r\n"), "Upgrade", p.upgrade), "\r\n");
    }
    return static_cast<std::size_t>(o - begin);
  });
  return host;
}

std::size_t room_for(const http::ResponseHead& head, const ResponsePlan& p) {
  std::size_t names = p.route ? p.route->origin.name.size() : 0;
  if (p.service) names += p.service->origin.name.size();
  return head.bytes + 2 * p.token.size() + names + p.upgrade.size() + (p.edits ? p.edits->added_bytes() : 0) + 1024;
}

char* print_response(char* o, http::ResponseHead& head, const ResponsePlan& p) {
  bool server = false, date = false, via = false;
  for (std::size_t i = 0; i < head.count; ++i) {
    auto& f = head.field[i];
    switch (f.token) {
      case Name::server:
        server = true;
        break;
      case Name::date:
        date = true;
        break;
      case Name::via:
        via = f.drop = true;
        break;
      case Name::x_kong_request_id:
        f.drop = f.drop || !p.request_id.empty();
        break;
      default:
        break;
    }
  }
  o = put(o, "HTTP/1.1 ");
  const bool changed = p.status && p.status != head.status;
  o = put(http::put_decimal(o, static_cast<std::uint64_t>(changed ? p.status : head.status)), " ");
  o = put(put(o, changed ? http::reason_phrase(p.status) : head.reason), "\r\n");
  o = http::put_kept(o, head);
  if (p.edits) {
    o = p.edits->put_added(o);
    p.edits->each_added([&](std::string_view name, std::string_view) {
      const auto token = http::name_of(name);
      server = server || token == Name::server;
      date = date || token == Name::date;
      return false;
    });
  }
  if (!date && !p.date.empty()) o = put_field(o, "Date", p.date);
  if (!server && !p.token.empty()) o = put_field(o, "Server", p.token);
  if (p.framing == ResponsePlan::Framing::length)
    o = put(http::put_decimal(put(o, "Content-Length: "), head.content_length), "\r\n");
  if (p.framing == ResponsePlan::Framing::chunked) o = put(o, "Transfer-Encoding: chunked\r\n");
  if (!p.upgrade.empty()) {
    o = put_field(put(o, "Connection: Upgrade\r\n"), "Upgrade", p.upgrade);
  } else if (!p.keep_alive) {
    o = put(o, "Connection: close\r\n");
  } else if (p.http10) {
    o = put(o, "Connection: keep-alive\r\n");
  }
  if (!p.token.empty()) {
    o = via ? put_appended(o, head, Name::via, "Via", "1.1 ") - 2 : put(o, "Via: 1.1 ");
    o = put(put(o, p.token), "\r\n");
  } else if (via) {
    for (const auto& f : head.fields())
      if (f.token == Name::via) o = put(o, f.line);
  }
  if (p.latencies) {
    o = put(http::put_decimal(put(o, "X-Kong-Upstream-Latency: "), p.upstream_ms), "\r\n");
    o = put(http::put_decimal(put(o, "X-Kong-Proxy-Latency: "), p.proxy_ms), "\r\n");
  }
  if (p.upstream_status)
    o = put(http::put_decimal(put(o, "X-Kong-Upstream-Status: "), static_cast<std::uint64_t>(head.status)), "\r\n");
  if (!p.request_id.empty()) o = put_field(o, "X-Kong-Request-Id", p.request_id);
  if (p.route) {
    o = put_field(o, "Kong-Route-Id", p.route->origin.id.text());
    o = put_checked(o, "Kong-Route-Name", p.route->origin.name);
  }
  if (p.service) {
    o = put_field(o, "Kong-Service-Id", p.service->origin.id.text());
    o = put_checked(o, "Kong-Service-Name", p.service->origin.name);
  }
  return put(o, "\r\n");
}

}  // namespace weir::proxy
