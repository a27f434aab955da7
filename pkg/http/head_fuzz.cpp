// Request and response heads: slices stay inside the input, pieces end like the whole, and what was read, printed
// again, is read the same.
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "base/result.h"
#include "http/head.h"
#include "http/print.h"

namespace {

using namespace weir::http;

bool inside(std::string_view slice, std::string_view whole) {
  return slice.empty() || (slice.data() >= whole.data() && slice.data() + slice.size() <= whole.data() + whole.size());
}

std::string describe(const Head& h) {
  std::string out = fmt::format("1.{} {} {} {} {} {} {}\n", h.minor, static_cast<int>(h.framing), h.content_length,
                                h.keep_alive, h.upgrade, h.upgrade_protocol, h.bytes);
  for (const auto& f : h.fields())
    out += fmt::format("{}|{}|{}|{}\n", f.name, f.value, static_cast<int>(f.token), f.drop);
  return out;
}
std::string start_line(const RequestHead& h) {
  return fmt::format("{} {} HTTP/1.{}\r\n", h.method, h.target, h.minor);
}
std::string start_line(const ResponseHead& h) {
  return fmt::format("HTTP/1.{} {} {}\r\n", h.minor, h.status, h.reason);
}

Scan scan(RequestHead& h, std::string_view bytes, const Limits& limits) {
  return scan_request(h, bytes, limits);
}
Scan scan(ResponseHead& h, std::string_view bytes, const Limits& limits) {
  return scan_response(h, bytes, limits.fields % 2 ? "GET" : "HEAD", limits);
}

void check_slices(const Head& head, std::string_view input) {
  WEIR_ASSERT(head.bytes > 0 && head.bytes <= input.size());
  const auto bytes = input.substr(0, head.bytes);
  std::size_t lines = 0;
  for (const auto& f : head.fields()) {
    WEIR_ASSERT(inside(f.line, bytes) && inside(f.name, f.line) && inside(f.value, f.line));
    WEIR_ASSERT(is_token(f.name) && is_field_value(f.value) && f.line.ends_with("\r\n"));
    WEIR_ASSERT(f.token == name_of(f.name));
    lines += f.line.size();
  }
  WEIR_ASSERT(lines + 2 < head.bytes && inside(head.upgrade_protocol, bytes));
  std::string out(head.bytes, 0);
  WEIR_ASSERT(static_cast<std::size_t>(put_kept(out.data(), head) - out.data()) <= lines);
}

void check_parts(const RequestHead& head, std::string_view input) {
  WEIR_ASSERT(inside(head.method, input) && inside(head.target, input) && inside(head.query, head.target));
  WEIR_ASSERT(inside(head.authority, input) && (inside(head.path, head.target) || head.path == "/"));
  WEIR_ASSERT(head.path == "*" || head.path.front() == '/');
  WEIR_ASSERT(head.authority.empty() ? head.minor == 0 : is_authority(head.authority));
  WEIR_ASSERT(head.framing != Framing::until_close);
}
void check_parts(const ResponseHead& head, std::string_view input) {
  WEIR_ASSERT(inside(head.reason, input) && is_field_value(head.reason));
  WEIR_ASSERT(head.status >= 100 && head.status <= 999);
  WEIR_ASSERT(head.framing != Framing::until_close || !head.keep_alive);
}

template <class AnyHead>
void check(std::string_view input, const Limits& limits) {
  static AnyHead whole, piece;
  const Scan result = scan(whole, input, limits);
  const std::size_t step = 1 + input.size() / 64;
  for (std::size_t n = 0; n < input.size(); n += step) {
    const Scan early = scan(piece, input.substr(0, n), limits);
    WEIR_ASSERT(early == Scan::more || early == result);
    if (early == Scan::done) {
      WEIR_ASSERT(describe(piece) == describe(whole) && start_line(piece) == start_line(whole));
    }
  }
  if (result != Scan::done) return;
  WEIR_ASSERT(find_head_end(input, 0) <= std::max<std::size_t>(whole.bytes, 4));
  check_slices(whole, input);
  check_parts(whole, input);

  std::string again = start_line(whole);
  for (const auto& f : whole.fields()) again += fmt::format("{}: {}\r\n", f.name, f.value);
  again += "\r\n";
  const std::size_t bytes = whole.bytes;
  whole.bytes = 0;
  WEIR_ASSERT(scan(piece, again, Limits{.fields = limits.fields}) == Scan::done && piece.bytes == again.size());
  piece.bytes = 0;
  WEIR_ASSERT(describe(piece) == describe(whole) && start_line(piece) == start_line(whole));
  whole.bytes = bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  // An exact copy, so that a read beyond the end is seen; odd limits, so that they are met.
  const std::string input(reinterpret_cast<const char*>(data) + 2, size - 2);
  Limits limits;
  limits.fields = 3 + data[1] % 5;
  if (data[0] & 2) limits.head_bytes = 64 + data[1];
  if (data[0] & 4) limits.line_bytes = 16 + data[1] / 4;
  if (data[0] & 1)
    check<RequestHead>(input, limits);
  else
    check<ResponseHead>(input, limits);
  return 0;
}
