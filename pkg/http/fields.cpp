// What single fields and their values mean; the scan of a whole head is in head.cpp.
#include <arpa/inet.h>

#include <cstring>

#include "base/text.h"
#include "http/chars.h"
#include "http/head.h"

namespace weir::http {

Name name_of(std::string_view name) {
  const char* p = name.data();
  switch (name.size()) {
    case 2:
      return chars::same(p, "te") ? Name::te : Name::other;
    case 3:
      return chars::same(p, "via") ? Name::via : Name::other;
    case 4:
      if (chars::same(p, "host")) return Name::host;
      return chars::same(p, "date") ? Name::date : Name::other;
    case 5:
      return chars::same(p, "proxy") ? Name::proxy : Name::other;
    case 6:
      if (chars::same(p, "accept")) return Name::accept;
      if (chars::same(p, "server")) return Name::server;
      return chars::same(p, "expect") ? Name::expect : Name::other;
    case 7:
      if (chars::same(p, "upgrade")) return Name::upgrade;
      return chars::same(p, "trailer") ? Name::trailer : Name::other;
    case 9:
      return chars::same(p, "x-real-ip") ? Name::x_real_ip : Name::other;
    case 10:
      if (chars::same(p, "connection")) return Name::connection;
      if (chars::same(p, "keep-alive")) return Name::keep_alive;
      return chars::same(p, "kong-debug") ? Name::kong_debug : Name::other;
    case 12:
      return chars::same(p, "content-type") ? Name::content_type : Name::other;
    case 14:
      return chars::same(p, "content-length") ? Name::content_length : Name::other;
    case 15:
      return chars::same(p, "x-forwarded-for") ? Name::x_forwarded_for : Name::other;
    case 16:
      if (chars::same(p, "x-forwarded-host")) return Name::x_forwarded_host;
      if (chars::same(p, "x-forwarded-port")) return Name::x_forwarded_port;
      if (chars::same(p, "x-forwarded-path")) return Name::x_forwarded_path;
      return chars::same(p, "proxy-connection") ? Name::proxy_connection : Name::other;
    case 17:
      if (chars::same(p, "x-forwarded-proto")) return Name::x_forwarded_proto;
      if (chars::same(p, "x-kong-request-id")) return Name::x_kong_request_id;
      return chars::same(p, "transfer-encoding") ? Name::transfer_encoding : Name::other;
    case 18:
      return chars::same(p, "x-forwarded-prefix") ? Name::x_forwarded_prefix : Name::other;
    default:
      return Name::other;
  }
}

bool is_token(std::string_view text) {
  for (const char c : text)
    if (!chars::is(c, chars::token)) return false;
  return !text.empty();
}

bool is_field_value(std::string_view text) {
  const char* end = text.data() + text.size();
  return chars::find_control(text.data(), text.data(), end) == end;
}

bool list_holds(std::string_view value, std::string_view lower_token) {
  return !chars::each_element(value, [&](std::string_view e) { return !text::equal_ignoring_case(e, lower_token); });
}

namespace {

bool is_port(std::string_view digits) {
  unsigned port = 0;
  for (const char c : digits) {
    if (!chars::is_digit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
    if (port > 65535) return false;
  }
  return !digits.empty() && digits.size() <= 5;
}

bool is_ipv6(std::string_view address) {
  char text[INET6_ADDRSTRLEN];
  in6_addr bits;
  if (address.size() >= sizeof text || address.find('\0') != address.npos) return false;
  std::memcpy(text, address.data(), address.size());
  text[address.size()] = 0;
  return inet_pton(AF_INET6, text, &bits) == 1;
}

}  // namespace

bool is_authority(std::string_view text) {
  std::size_t at = 0;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos || !is_ipv6(text.substr(1, end - 1))) return false;
    at = end + 1;
  } else {
    for (; at < text.size() && text[at] != ':'; at++) {
      if (chars::is(text[at], chars::host)) continue;
      if (text[at] != '%' || text.size() - at < 3) return false;
      if (!chars::is(text[at + 1], chars::hex) || !chars::is(text[at + 2], chars::hex)) return false;
      at += 2;
    }
    if (at == 0) return false;
  }
  return at == text.size() || (text[at] == ':' && is_port(text.substr(at + 1)));
}

int status_of(Scan scan) {
  switch (scan) {
    case Scan::too_large:
      return 431;
    case Scan::uri_too_long:
      return 414;
    case Scan::version:
      return 505;
    case Scan::not_implemented:
      return 501;
    default:
      return 400;
  }
}

std::size_t find_head_end(std::string_view bytes, std::size_t from) {
  // The empty line may have begun before `from`: LF CR LF.
  std::size_t at = from > 2 ? from - 2 : 0;
  while ((at = bytes.find('\n', at)) != bytes.npos) {
    const auto next = bytes.substr(++at, 2);
    if (next.starts_with('\n')) return at + 1;
    if (next == "\r\n") return at + 2;
  }
  return bytes.npos;
}

}  // namespace weir::http
