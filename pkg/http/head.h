// HTTP/1 messages: a head scanned once into slices of the caller's buffer, under the strict reading of RFC 9110 and
// 9112.
//
// No sockets, no allocation, no copies: a Head points into the bytes that were scanned and is good as long as they are.
// Anything ambiguous is malformed: two framings, bare LF, obs-fold, space before the colon, control characters, more
// than one Host. A worker owns one Head of each kind and reuses it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weir::http {

// Names that the proxy acts on, told apart once by the scan.
enum class Name : std::uint8_t {
  other,
  host,
  connection,
  keep_alive,
  proxy_connection,
  te,
  trailer,
  transfer_encoding,
  content_length,
  upgrade,
  expect,
  x_forwarded_for,
  x_forwarded_proto,
  x_forwarded_host,
  x_forwarded_port,
  x_forwarded_path,
  x_forwarded_prefix,
  x_real_ip,
  via,
  server,
  date,
  content_type,
  proxy,
  kong_debug,
  x_kong_request_id,
  accept
};

struct Field {
  std::string_view line;  // the whole line with its CRLF
  std::string_view name;
  std::string_view value;  // without surrounding blanks
  Name token = Name::other;
  bool drop = false;  // not forwarded: hop-by-hop, or named by Connection, or written anew by the proxy
};

// Defaults of robustness.md section 1.5.
struct Limits {
  std::size_t head_bytes = 64 * 1024;
  std::size_t line_bytes = 16 * 1024;  // request line, and one field line
  std::size_t fields = 200;            // at most max_fields
};
inline constexpr std::size_t max_fields = 200;

// How the end of the body is found (RFC 9112 section 6.3).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

struct Head {
  int minor = 1;  // HTTP/1.minor
  std::size_t count = 0;
  std::array<Field, max_fields> field;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;  // for Framing::length
  bool keep_alive = true;            // what version and Connection say
  bool upgrade = false;              // Connection: upgrade together with an Upgrade field
  std::string_view upgrade_protocol;
  std::size_t bytes = 0;  // length of the whole head, with the empty line

  std::span<const Field> fields() const { return {field.data(), count}; }
};

struct RequestHead : Head {
  std::string_view method;
  std::string_view target;     // as sent
  std::string_view authority;  // host[:port] that decides: of an absolute-form target, else of Host; may be empty (1.0)
  std::string_view path;       // of the target, with the query taken off; "/" for an absolute form without one
  std::string_view query;      // without "?"; has_query tells an empty one from none
  bool has_query = false;
  bool expect_continue = false;
  bool expect_other = false;  // an expectation that nobody knows: answer 417
  bool te_trailers = false;   // TE: trailers was sent
  bool kong_debug = false;    // Kong-Debug: 1
};

struct ResponseHead : Head {
  int status = 0;  // 100..599 (999 passes)
  std::string_view reason;
};

// Result of a scan. more: not yet complete (and still within limits).
enum class Scan : std::uint8_t { done, more, malformed, too_large, uri_too_long, version, not_implemented };

// Status to answer a request whose scan failed: 400, 431, 414, 505, 501.
int status_of(Scan);

// Scans a request head from the start of `bytes`. Leading empty lines (at most 2) are skipped and counted in `bytes`.
// Refuses CONNECT and TRACE (400), asterisk-form except OPTIONS, userinfo, fragments, HTTP/1.0 with Transfer-Encoding,
// Transfer-Encoding other than exactly "chunked" (501 for unknown codings), both framings, unequal Content-Length.
// Sets `drop` on hop-by-hop fields and on those named by Connection (never Host, framing, or the proxy's own).
Scan scan_request(RequestHead&, std::string_view bytes, const Limits&);

// Scans a response head to a request of `request_method`; HEAD, 1xx, 204 and 304 have no body whatever the fields say.
// Malformed: both framings, unequal lengths, unknown coding, chunked in HTTP/1.0, status outside 100..999.
Scan scan_response(ResponseHead&, std::string_view bytes, std::string_view request_method, const Limits&);

// A caller that keeps a partial head and scans it again from its start would work quadratically against a peer that
// sends one byte at a time. After a scan said `more`, this finds cheaply whether the bytes from `from` on (the size at
// that scan) bring the empty line: the offset behind it, or npos, and then only the limits could change the answer. A
// bare LF counts as a line end here, so that such a head is scanned and refused at once.
std::size_t find_head_end(std::string_view bytes, std::size_t from);

Name name_of(std::string_view token);  // `token` must be one
// uri-host[":" port] of RFC 9110 section 7.2, not empty: a name, an IPv4 address or a bracketed IPv6 one. Stricter than
// the RFC: a colon needs a port behind it, and it is at most 65535.
bool is_authority(std::string_view);
bool is_token(std::string_view);        // RFC 9110 section 5.6.2
bool is_field_value(std::string_view);  // no CR, LF, NUL or other control character but TAB
// True when `value`, a comma-separated list, holds `lower_token` (ASCII, case ignored).
bool list_holds(std::string_view value, std::string_view lower_token);

}  // namespace weir::http
