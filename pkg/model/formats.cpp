#include "model/formats.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "base/text.h"
#include "model/ip.h"

namespace weir::model {
namespace {

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Length of the UTF-8 sequence at the start of `text`, 0 when it is not one (Unicode 15, table 3-7).
std::size_t sequence(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned a = at(0), b = at(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    if (!tail(1) || !tail(2) || (a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F)) return 0;
    return 3;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3) || (a == 0xF0 && b < 0x90) || (a == 0xF4 && b > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

// Letters, digits, "-", "_" in labels between dots; a dot at the end is the root. Bounds: RFC 1035 section 2.3.4.
bool is_hostname(std::string_view name) {
  if (name.empty() || name.size() > 254) return false;
  if (name.back() == '.') name.remove_suffix(1);
  while (true) {
    const auto end = std::min(name.find('.'), name.size());
    const auto label = name.substr(0, end);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_'; }))
      return false;
    if (end == name.size()) return true;
    name.remove_prefix(end + 1);
  }
}

Wrong compile(std::string_view regex) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 compiled(to_re2(regex), options);
  if (compiled.ok()) return {};
  return fmt::format("invalid regex: '{}' (RE2: {})", shown(regex), shown(compiled.error()));
}

std::string replace_wildcard(std::string_view host, std::string_view by) {
  std::string out(host);
  for (std::size_t at; (at = out.find('*')) != out.npos;) out.replace(at, 1, by);
  return out;
}

// kong/tools/uri.lua: these keep their escape, everything else is decoded.
bool is_reserved(unsigned char c) {
  return std::string_view("!#$%&'()*+,/:;=?@[]").find(static_cast<char>(c)) != std::string_view::npos;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = text::lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

Wrong broken_escape(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); i++) {
    if (path[i] != '%') continue;
    if (i + 2 < path.size() && hex(path[i + 1]) >= 0 && hex(path[i + 2]) >= 0) {
      i += 2;
    } else {
      return fmt::format("invalid url-encoded value: '{}'", shown(path.substr(i, 3)));
    }
  }
  return {};
}

}  // namespace

bool is_text(std::string_view text) {
  while (!text.empty()) {
    if (text.front() == '\0') return false;
    const auto length = sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string shown(std::string_view text) {
  constexpr std::size_t bytes_max = 256;  // a message is read by people; the input may have megabytes
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= bytes_max) return out + "...";
    const auto length = text[i] == '\0' ? 0 : sequence(text.substr(i));
    out += length == 0 ? std::string_view("\uFFFD") : text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return out;
}

AddressResult read_address(std::string_view text) {
  Address out;
  const auto colons = std::count(text.begin(), text.end(), ':');
  std::string_view host = text, digits;
  if (colons > 1 || text.starts_with('[')) {
    out.kind = Address::Kind::ipv6;
    if (text.starts_with('[')) {
      const auto end = text.find(']');
      if (end == text.npos) return {{}, fmt::format("invalid ipv6 address: {}", shown(text))};
      host = text.substr(1, end - 1);
      digits = text.substr(end + 1);
      if (!digits.empty() && digits.front() != ':') return {{}, fmt::format("invalid ipv6 address: {}", shown(text))};
    }
  } else if (colons == 1) {
    host = text.substr(0, text.find(':'));
    digits = text.substr(host.size());
  }
  if (out.kind == Address::Kind::name && !host.empty() && host.find_first_not_of("0123456789.") == host.npos)
    out.kind = Address::Kind::ipv4;

  bool known = true;
  switch (out.kind) {
    case Address::Kind::name:
      out.host = host;
      known = is_hostname(host);
      break;
    case Address::Kind::ipv4:
      known = normal_ipv4(host, out.host);
      break;
    case Address::Kind::ipv6:
      known = normal_ipv6(host, out.host);
      break;
  }
  constexpr std::string_view words[] = {"invalid hostname", "invalid ipv4 address", "invalid ipv6 address"};
  const auto malformed = [&] {
    return AddressResult{{}, fmt::format("{}: {}", words[static_cast<int>(out.kind)], shown(text))};
  };
  if (!digits.empty()) {
    digits.remove_prefix(1);
    if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) return malformed();
    const auto first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
    digits.remove_prefix(first);
    int port = 0;
    if (digits.size() > 5) return {{}, "invalid port number"};
    for (const char c : digits) port = port * 10 + (c - '0');
    if (port > 65535) return {{}, "invalid port number"};
    out.port = port;
  }
  if (!known) return malformed();
  return {std::move(out), {}};
}

Wrong check_name(std::string_view name) {
  const auto fine = [](char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == '~' || static_cast<unsigned char>(c) >= 0x80;
  };
  if (std::all_of(name.begin(), name.end(), fine)) return {};
  return fmt::format("invalid value '{}': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
                     shown(name));
}

Wrong check_tag(std::string_view tag) {
  const auto bad = [](char c) { return is_control(c) || c == ',' || c == '/'; };
  if (std::none_of(tag.begin(), tag.end(), bad)) return {};
  return fmt::format("invalid tag '{}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
                     shown(tag));
}

Wrong check_host(std::string_view host) {
  const auto read = read_address(host);
  if (read.wrong == "invalid port number" || (read.address && read.address->port)) return "must not have a port";
  if (!read.address) return fmt::format("invalid value: {}", shown(host));
  return {};
}

Wrong check_host_and_port(std::string_view host) {
  auto read = read_address(host);
  if (!read.address) return std::move(read.wrong);
  return {};
}

Wrong check_sni(std::string_view host) {
  const auto read = read_address(host);
  if (!read.address && read.wrong != "invalid port number") return fmt::format("invalid value: {}", shown(host));
  if (read.address && read.address->kind != Address::Kind::name) return "must not be an IP";
  if (!read.address || read.address->port) return "must not have a port";
  return {};
}

Wrong check_wildcard_sni(std::string_view host) {
  const auto stars = std::count(host.begin(), host.end(), '*');
  if (stars == 0) return check_sni(host);
  if (stars > 1) return "only one wildcard must be specified";
  if (host == "*") return {};
  if (!host.starts_with("*.") && !host.ends_with(".*")) return "wildcard must be leftmost or rightmost character";
  auto wrong = check_sni(replace_wildcard(host, "abc"));
  if (wrong && wrong->starts_with("invalid value")) return fmt::format("invalid value: {}", shown(host));
  return wrong;
}

Wrong check_route_host(std::string_view host) {
  const auto stars = std::count(host.begin(), host.end(), '*');
  if (stars == 0) return check_host_and_port(host);
  if (stars > 1) return "invalid wildcard: must have at most one wildcard";
  const auto name = host.substr(0, host.find(':'));
  if (!name.starts_with("*.") && !name.ends_with(".*"))
    return "invalid wildcard: must be placed at leftmost or rightmost label";
  const auto read = read_address(replace_wildcard(host, "abc"));
  if (read.address) return {};
  return read.wrong == "invalid port number" ? read.wrong : fmt::format("invalid hostname: {}", shown(host));
}

Wrong check_upstream_name(std::string_view name) {
  const auto read = read_address(name);
  if (!read.address) return fmt::format("Invalid name ('{}'); must be a valid hostname", shown(name));
  if (read.address->kind != Address::Kind::name)
    return fmt::format("Invalid name ('{}'); no ip addresses allowed", shown(name));
  if (read.address->port) return fmt::format("Invalid name ('{}'); no port allowed", shown(name));
  return {};
}

Wrong check_target(std::string_view target) {
  if (!is_text(target)) return "Invalid target; not a valid hostname or ip address";
  if (read_address(target).address) return {};
  return fmt::format("Invalid target ('{}'); not a valid hostname or ip address", shown(target));
}

std::string normal_target(std::string_view target) {
  constexpr int default_port = 8000;  // Kong's, kong/api/routes/upstreams.lua
  const auto read = read_address(target);
  if (!read.address) return std::string(target);
  const int port = read.address->port.value_or(default_port);
  if (read.address->kind == Address::Kind::ipv6) return fmt::format("[{}]:{}", read.address->host, port);
  return fmt::format("{}:{}", read.address->host, port);
}

Wrong check_ip_or_cidr(std::string_view text) {
  const auto slash = text.find('/');
  const auto host = text.substr(0, slash);
  const bool v4 = host.find(':') == host.npos;
  if (text::is_ip(host)) {
    if (slash == text.npos) return {};
    const auto bits = text.substr(slash + 1);
    if (!bits.empty() && bits.size() <= 3 && bits.find_first_not_of("0123456789") == bits.npos &&
        std::stoi(std::string(bits)) <= (v4 ? 32 : 128))
      return {};
  }
  return fmt::format("invalid ip or cidr range: '{}'", shown(text));
}

namespace {
Wrong check_token(std::string_view kind, std::string_view name) {
  if (!name.empty() &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_'; }))
    return {};
  return fmt::format("bad {} name '{}', allowed characters are A-Z, a-z, 0-9, '_', and '-'", kind, shown(name));
}
}  // namespace

Wrong check_header_name(std::string_view name) {
  return check_token("header", name);
}
Wrong check_cookie_name(std::string_view name) {
  return check_token("cookie", name);
}

Wrong check_header_value(std::string_view value) {
  if (std::none_of(value.begin(), value.end(), is_control)) return {};
  return "invalid value: must not contain control characters";
}

Wrong check_method(std::string_view method) {
  if (std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) return {};
  return fmt::format("invalid value: {}", shown(method));
}

Wrong check_path(std::string_view path) {
  if (!path.starts_with('/')) return "should start with: /";
  if (path.find("//") != path.npos) return "must not have empty segments";
  const auto allowed = [](char c) {
    return is_alnum(c) || std::string_view(".-_~/%:@!$&'()*+,;=").find(c) != std::string_view::npos;
  };
  if (!std::all_of(path.begin(), path.end(), allowed))
    return fmt::format("invalid path: '{}' (characters outside of the reserved list of RFC 3986 found)", shown(path));
  return broken_escape(path);
}

Wrong check_route_path(std::string_view path) {
  if (!path.starts_with('/') && !path.starts_with("~/")) return "should start with: / (fixed path) or ~/ (regex path)";
  if (path.find("//") != path.npos) return "must not have empty segments";
  if (path.starts_with('~')) return compile(path.substr(1));
  if (auto wrong = broken_escape(path)) return wrong;
  // The router compares with decoded paths, so a control character could only come from an escape that requests may
  // not carry: such a path would never match.
  std::string normal;
  normal_path(path, normal);
  if (std::any_of(normal.begin(), normal.end(), is_control)) return "must not contain control characters";
  if (normal != path) return fmt::format("non-normalized path, consider use '{}' instead", shown(normal));
  return {};
}

Wrong check_regex(std::string_view regex) {
  return compile(regex);
}

bool normal_path(std::string_view path, std::string& out) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string decoded;
  decoded.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); i++) {
    if (path[i] != '%') {
      decoded += path[i];
      continue;
    }
    if (i + 2 >= path.size()) return false;
    const int high = hex(path[i + 1]), low = hex(path[i + 2]);
    if (high < 0 || low < 0) return false;
    const auto byte = static_cast<unsigned char>(high * 16 + low);
    if (is_reserved(byte)) {
      decoded += {'%', digits[byte >> 4], digits[byte & 15]};
    } else {
      decoded += static_cast<char>(byte);
    }
    i += 2;
  }
  // Segments: empty ones and "." go, ".." takes the one before; a trailing slash stays (RFC 3986 section 5.2.4).
  out.clear();
  std::string_view rest = decoded;
  bool slash_after = false;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    const auto end = std::min(rest.find('/'), rest.size());
    const auto segment = rest.substr(0, end);
    rest.remove_prefix(end);
    slash_after = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
    } else if (!slash_after) {
      out += '/';
      out += segment;
    }
  }
  if (out.empty() || slash_after) out += '/';
  return true;
}

std::string to_re2(std::string_view regex) {
  std::string out;
  out.reserve(regex.size() + 8);
  bool in_class = false;
  for (std::size_t i = 0; i < regex.size(); i++) {
    const char c = regex[i];
    out += c;
    if (c == '\\' && i + 1 < regex.size()) {
      out += regex[++i];
    } else if (c == '[') {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    } else if (!in_class && c == '(' && regex.substr(i + 1).starts_with("?<")) {
      const char next = i + 3 < regex.size() ? regex[i + 3] : '=';
      if (next != '=' && next != '!') {  // not a look-behind
        out += "?P<";
        i += 2;
      }
    }
  }
  return out;
}

}  // namespace weir::model
