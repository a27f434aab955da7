#include "http/head.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/text.h"
#include "http/chars.h"

namespace weir::http {
namespace {

constexpr std::size_t method_bytes_max = 64;     // the longest registered one has 16
constexpr unsigned connection_options_max = 64;  // each is compared with every field

// What the fields said that is judged only when all of them are known.
struct Notes {
  unsigned hosts = 0, lengths = 0, codings = 0, upgrades = 0;
  std::string_view host;
  bool length_is_list = false;
  bool chunked = false, unknown_coding = false;
  bool connection = false;
};

enum class Side : std::uint8_t { request, response };

// Content-Length: digits, or a list of equal ones, which counts as one (RFC 9110 section 8.6).
bool note_length(Head& head, Notes& notes, std::string_view value) {
  const auto fold = [&](std::string_view digits) {
    if (digits.empty() || digits.size() > 19) return false;
    std::uint64_t length = 0;
    for (const char c : digits) {
      if (!chars::is_digit(c)) return false;
      length = length * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return false;
    if (notes.lengths++ > 0 && length != head.content_length) return false;
    head.content_length = length;
    return true;
  };
  if (value.find(',') == value.npos) return fold(value);
  notes.length_is_list = true;
  return chars::each_element(value, fold);
}

// Transfer-Encoding: only "chunked", once and last; over all its fields (RFC 9112 section 6.1).
bool note_codings(Notes& notes, std::string_view value) {
  return chars::each_element(value, [&](std::string_view coding) {
    if (!is_token(coding) || notes.chunked) return false;  // nothing may follow chunked
    notes.codings++;
    if (chars::is_word(coding, "chunked"))
      notes.chunked = true;
    else
      notes.unknown_coding = true;
    return true;
  });
}

void note_request_field(RequestHead& head, Notes& notes, Field& field) {
  switch (field.token) {
    case Name::host:
      notes.hosts++;
      notes.host = field.value;
      break;
    case Name::te:
      if (list_holds(field.value, "trailers")) head.te_trailers = true;
      break;
    case Name::expect:
      if (text::equal_ignoring_case(field.value, "100-continue"))
        head.expect_continue = true;
      else
        head.expect_other = true;
      break;
    case Name::proxy:
      field.drop = true;
      break;  // httpoxy: CGI would take it for a setting
    case Name::kong_debug:
      head.kong_debug = field.value == "1";
      break;
    default:
      break;
  }
}

// False: malformed. A field that nobody acts on never gets here.
template <class AnyHead>
bool note(AnyHead& head, Notes& notes, Field& field) {
  switch (field.token) {
    case Name::connection:
      notes.connection = true;
      field.drop = true;
      break;
    case Name::upgrade:
      notes.upgrades++;
      head.upgrade_protocol = field.value;
      field.drop = true;
      break;
    case Name::keep_alive:
    case Name::proxy_connection:
    case Name::te:
      field.drop = true;
      break;
    case Name::content_length:
      field.drop = true;
      return note_length(head, notes, field.value);
    case Name::transfer_encoding:
      field.drop = true;
      return note_codings(notes, field.value);
    default:
      break;
  }
  if constexpr (std::is_same_v<AnyHead, RequestHead>) note_request_field(head, notes, field);
  return true;
}

// Scans from the first field line to the empty line. Every test looks only at bytes up to where it fails, so that a
// message that comes in pieces ends the same way as one that comes whole.
template <class AnyHead>
Scan scan_fields(AnyHead& head, Notes& notes, const char* begin, const char* p, const char* end, const Limits& limits) {
  const std::size_t most = std::min(limits.fields, max_fields);
  for (;;) {
    if (p == end) return Scan::more;
    if (*p == '\r') {
      if (end - p < 2) return Scan::more;
      if (p[1] != '\n') return Scan::malformed;
      head.bytes = static_cast<std::size_t>(p + 2 - begin);
      return Scan::done;
    }
    if (head.count == most) return Scan::too_large;
    const char* const line = p;
    const auto too_long = [&] { return static_cast<std::size_t>(p - line) > limits.line_bytes; };
    p = chars::find_token_end(begin, p, end);
    if (too_long()) return Scan::too_large;
    if (p == end) return Scan::more;
    if (*p != ':' || p == line) return Scan::malformed;
    const char* const colon = p++;
    while (p < end && chars::is_blank(*p)) p++;
    const char* const value = p;
    p = chars::find_control(begin, p, end);
    if (too_long()) return Scan::too_large;
    if (p < end && *p != '\r') return Scan::malformed;
    if (end - p < 2) return Scan::more;
    if (p[1] != '\n') return Scan::malformed;
    const char* value_end = p;
    while (value_end > value && chars::is_blank(value_end[-1])) value_end--;
    p += 2;
    Field& field = head.field[head.count++];
    field.line = {line, p};
    field.name = {line, colon};
    field.value = {value, value_end};
    field.token = name_of(field.name);
    field.drop = false;
    if (field.token != Name::other && !note(head, notes, field)) return Scan::malformed;
  }
}

void drop_named(Head& head, std::string_view name) {
  for (std::size_t i = 0; i < head.count; i++) {
    Field& field = head.field[i];
    if (!text::equal_ignoring_case(field.name, name)) continue;
    switch (field.token) {  // a client must not be able to take away what the upstream relies on
      case Name::host:
      case Name::content_length:
      case Name::transfer_encoding:
      case Name::x_forwarded_for:
      case Name::x_forwarded_proto:
      case Name::x_forwarded_host:
      case Name::x_forwarded_port:
      case Name::x_forwarded_path:
      case Name::x_forwarded_prefix:
      case Name::x_real_ip:
      case Name::x_kong_request_id:
      case Name::via:
        break;
      default:
        field.drop = true;
    }
  }
}

// RFC 9110 section 7.6.1 and RFC 9112 section 9.3.
bool judge_connection(Head& head, const Notes& notes) {
  bool close = false, keep = false, upgrade = false;
  unsigned named = 0;
  for (std::size_t i = 0; notes.connection && i < head.count; i++) {
    if (head.field[i].token != Name::connection) continue;
    const bool bounded = chars::each_element(head.field[i].value, [&](std::string_view option) {
      if (chars::is_word(option, "close"))
        close = true;
      else if (chars::is_word(option, "keep-alive"))
        keep = true;
      else if (chars::is_word(option, "upgrade"))
        upgrade = true;
      else if (!option.empty())
        drop_named(head, option);
      return ++named <= connection_options_max;
    });
    if (!bounded) return false;
  }
  head.keep_alive = !close && (head.minor == 1 || keep);
  // RFC 9110 section 7.8; h2c is never passed on, because requests inside it would pass by unseen.
  head.upgrade = upgrade && notes.upgrades == 1 && head.minor == 1 && !head.upgrade_protocol.empty() &&
                 !list_holds(head.upgrade_protocol, "h2c");
  if (!head.upgrade) head.upgrade_protocol = {};
  return true;
}

// Both framings, or one in HTTP/1.0 that knew none: refused, as RFC 9112 section 6.1 allows; serving it invites
// smuggling.
Scan judge_framing(Head& head, const Notes& notes) {
  if (notes.codings > 0) {
    if (head.minor == 0 || notes.lengths > 0) return Scan::malformed;
    if (notes.unknown_coding) return Scan::not_implemented;
    head.framing = Framing::chunked;
  } else if (notes.lengths > 0) {
    head.framing = Framing::length;
  }
  return Scan::done;
}

void reset(Head& head) {
  head.minor = 1;
  head.count = 0;
  head.framing = Framing::none;
  head.content_length = 0;
  head.keep_alive = true;
  head.upgrade = false;
  head.upgrade_protocol = {};
  head.bytes = 0;
}

// "http://" or "https://" at the start, in any case: its length, else 0.
std::size_t scheme_bytes(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.size() >= scheme.size() && text::equal_ignoring_case(target.substr(0, scheme.size()), scheme))
      return scheme.size();
  return 0;
}

// The four forms of RFC 9112 section 3.2 but authority-form, which only CONNECT has.
bool split_target(RequestHead& head) {
  std::string_view rest = head.target;
  head.authority = {};
  if (rest.front() != '/') {
    if (rest == "*") {
      head.path = rest;
      return head.method == "OPTIONS";
    }
    const auto scheme = scheme_bytes(rest);
    if (scheme == 0) return false;
    rest.remove_prefix(scheme);
    head.authority = rest.substr(0, rest.find_first_of("/?"));
    if (!is_authority(head.authority)) return false;
    rest.remove_prefix(head.authority.size());
  }
  const auto mark = rest.find('?');
  head.has_query = mark != rest.npos;
  if (head.has_query) head.query = rest.substr(mark + 1);
  head.path = rest.substr(0, mark);
  if (head.path.empty()) head.path = "/";
  return true;
}

// Checks the version behind the target at p, as far as it is there. "HTTP/" DIGIT "." DIGIT CRLF.
Scan scan_version(RequestHead& head, const char* p, const char* end) {
  static constexpr std::string_view pattern = "HTTP/0.0\r\n";
  const auto there = std::min(pattern.size(), static_cast<std::size_t>(end - p));
  if (there == pattern.size() && std::memcmp(p, "HTTP/1.1\r\n", pattern.size()) == 0) {
    head.minor = 1;
    return Scan::done;
  }
  for (std::size_t i = 0; i < there; i++)
    if (pattern[i] == '0' ? !chars::is_digit(p[i]) : p[i] != pattern[i]) return Scan::malformed;
  if (there < pattern.size()) return Scan::more;
  if (p[5] != '1' || (p[7] != '0' && p[7] != '1')) return Scan::version;
  head.minor = p[7] - '0';
  return Scan::done;
}

// p: where the request line begins; afterwards behind it.
Scan scan_request_line(RequestHead& head, const char* begin, const char*& p, const char* end, const Limits& limits) {
  const char* const line = p;
  while (p < end && chars::is(*p, chars::token)) p++;
  const auto method_bytes = static_cast<std::size_t>(p - line);
  if (method_bytes > method_bytes_max) return Scan::malformed;
  if (p == end) return Scan::more;
  if (*p != ' ' || method_bytes == 0) return Scan::malformed;
  const char* const target = ++p;
  p = chars::find_target_end(begin, p, end);
  if (static_cast<std::size_t>(p - line) + std::string_view(" HTTP/1.1").size() > limits.line_bytes)
    return Scan::uri_too_long;
  if (p == end) return Scan::more;
  if (*p != ' ' || p == target) return Scan::malformed;
  head.method = {line, method_bytes};
  head.target = {target, p};
  if (const Scan version = scan_version(head, ++p, end); version != Scan::done) return version;
  p += 10;
  // No tunnel, no echo of what a browser's script must not see.
  if (head.method == "CONNECT" || head.method == "TRACE") return Scan::malformed;
  return split_target(head) ? Scan::done : Scan::malformed;
}

// At most two empty lines before a request are forgiven (RFC 9112 section 2.2).
Scan skip_empty_lines(const char*& p, const char* end) {
  for (int lines = 0; p < end && *p == '\r'; lines++, p += 2) {
    if (lines == 2) return Scan::malformed;
    if (end - p < 2) return Scan::more;
    if (p[1] != '\n') return Scan::malformed;
  }
  return Scan::done;
}

Scan judge_request(RequestHead& head, const Notes& notes) {
  if (notes.hosts > 1 || (notes.hosts == 0 && head.minor == 1)) return Scan::malformed;
  if (notes.hosts == 1) {
    if (!is_authority(notes.host)) return Scan::malformed;
    if (head.authority.empty()) head.authority = notes.host;
  }
  if (!judge_connection(head, notes)) return Scan::malformed;
  return judge_framing(head, notes);
}

Scan scan_whole_request(RequestHead& head, std::string_view bytes, const Limits& limits) {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* p = begin;
  reset(head);
  head.query = {};
  head.has_query = head.expect_continue = head.expect_other = head.te_trailers = head.kong_debug = false;
  if (const Scan scan = skip_empty_lines(p, end); scan != Scan::done) return scan;
  if (const Scan scan = scan_request_line(head, begin, p, end, limits); scan != Scan::done) return scan;
  Notes notes;
  if (const Scan scan = scan_fields(head, notes, begin, p, end, limits); scan != Scan::done) return scan;
  return judge_request(head, notes);
}

// status-line = HTTP-version SP 3DIGIT [SP [reason-phrase]] CRLF; the second SP is missing too often to insist on it.
Scan scan_status_line(ResponseHead& head, const char* begin, const char*& p, const char* end, const Limits& limits) {
  static constexpr std::string_view pattern = "HTTP/1.x 000";
  const auto there = std::min(pattern.size(), static_cast<std::size_t>(end - p));
  for (std::size_t i = 0; i < there; i++) {
    const bool fits = pattern[i] == 'x'   ? p[i] == '0' || p[i] == '1'
                      : pattern[i] == '0' ? chars::is_digit(p[i])
                                          : p[i] == pattern[i];
    if (!fits) return Scan::malformed;
  }
  if (there < pattern.size()) return Scan::more;
  const char* const line = p;
  head.minor = p[7] - '0';
  head.status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
  if (head.status < 100) return Scan::malformed;
  p += pattern.size();
  const char* reason = p;
  if (p < end && *p == ' ') {
    reason = ++p;
    p = chars::find_control(begin, p, end);
  }
  if (static_cast<std::size_t>(p - line) > limits.line_bytes) return Scan::too_large;
  if (p < end && *p != '\r') return Scan::malformed;
  if (end - p < 2) return Scan::more;
  if (p[1] != '\n') return Scan::malformed;
  head.reason = {reason, p};
  p += 2;
  return Scan::done;
}

Scan judge_response(ResponseHead& head, const Notes& notes, std::string_view request_method) {
  if (!judge_connection(head, notes)) return Scan::malformed;
  if (judge_framing(head, notes) != Scan::done) return Scan::malformed;
  const bool head_or_304 = request_method == "HEAD" || head.status == 304;
  if (head_or_304 || head.status < 200 || head.status == 204) {  // RFC 9112 section 6.3, rule 1
    head.framing = Framing::none;
    // There the length tells of another response: it is passed on. Elsewhere it must not be there at all.
    if (head_or_304 && head.status >= 200 && head.status != 204 && notes.lengths == 1 && !notes.length_is_list)
      for (std::size_t i = 0; i < head.count; i++)
        if (head.field[i].token == Name::content_length) head.field[i].drop = false;
  } else if (head.framing == Framing::none) {
    head.framing = Framing::until_close;
    head.keep_alive = false;
  }
  return Scan::done;
}

Scan scan_whole_response(ResponseHead& head, std::string_view bytes, std::string_view method, const Limits& limits) {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* p = begin;
  reset(head);
  head.status = 0;
  head.reason = {};
  if (const Scan scan = scan_status_line(head, begin, p, end, limits); scan != Scan::done) return scan;
  Notes notes;
  if (const Scan scan = scan_fields(head, notes, begin, p, end, limits); scan != Scan::done) return scan;
  return judge_response(head, notes, method);
}

}  // namespace

// Bytes beyond the limit are not even looked at, so the answer does not depend on how many came at once.
Scan scan_request(RequestHead& head, std::string_view bytes, const Limits& limits) {
  const Scan scan = scan_whole_request(head, bytes.substr(0, limits.head_bytes), limits);
  return scan == Scan::more && bytes.size() >= limits.head_bytes ? Scan::too_large : scan;
}

Scan scan_response(ResponseHead& head, std::string_view bytes, std::string_view request_method, const Limits& limits) {
  const Scan scan = scan_whole_response(head, bytes.substr(0, limits.head_bytes), request_method, limits);
  return scan == Scan::more && bytes.size() >= limits.head_bytes ? Scan::too_large : scan;
}

}  // namespace weir::http
