#include "http/chunked.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "http/chars.h"
#include "http/head.h"

namespace weir::http {
namespace {

constexpr std::size_t size_line_max = 4096, extensions_per_mib = 4096, trailers_max = 16 * 1024;
constexpr std::uint64_t body_max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

void skip_blanks(std::string_view& text) {
  while (!text.empty() && chars::is_blank(text.front())) text.remove_prefix(1);
}

bool skip_token(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && chars::is(text[n], chars::token)) n++;
  text.remove_prefix(n);
  return n > 0;
}

// quoted-string of RFC 9110 section 5.6.4; text begins with its quote.
bool skip_quoted(std::string_view& text) {
  for (std::size_t i = 1; i < text.size(); i++) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\') i++;
    if (i == text.size() || (chars::is_control(text[i]) && text[i] != '\t')) return false;
  }
  return false;
}

// chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 section 7.1.1.
bool is_extensions(std::string_view text) {
  while (!text.empty()) {
    skip_blanks(text);
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    skip_blanks(text);
    if (!skip_token(text)) return false;
    auto rest = text;
    skip_blanks(rest);
    if (!rest.starts_with('=')) continue;
    text = rest.substr(1);
    skip_blanks(text);
    if (!(text.starts_with('"') ? skip_quoted(text) : skip_token(text))) return false;
  }
  return true;
}

// Fields that frame, route, change or authenticate a message mean nothing, or worse, behind its body (RFC 9110 section
// 6.5.1): a trailer of these names is left out.
bool is_forbidden_trailer(std::string_view name) {
  const Name token = name_of(name);
  if (token != Name::other && token != Name::server && token != Name::accept) return true;
  static constexpr auto names = std::to_array<std::string_view>({"age",
                                                                 "authorization",
                                                                 "cache-control",
                                                                 "content-encoding",
                                                                 "content-range",
                                                                 "cookie",
                                                                 "expires",
                                                                 "if-match",
                                                                 "if-modified-since",
                                                                 "if-none-match",
                                                                 "if-range",
                                                                 "if-unmodified-since",
                                                                 "location",
                                                                 "max-forwards",
                                                                 "pragma",
                                                                 "proxy-authenticate",
                                                                 "proxy-authorization",
                                                                 "range",
                                                                 "retry-after",
                                                                 "set-cookie",
                                                                 "vary",
                                                                 "warning",
                                                                 "www-authenticate"});
  return std::ranges::any_of(names, [&](std::string_view n) { return text::equal_ignoring_case(n, name); });
}

}  // namespace

// Cuts a line with its LF off the input. Pieces of one line are kept until it is whole; `line` points at them or into
// the input. A line of more than `most` bytes with its end is too long.
ChunkDecoder::Line ChunkDecoder::take_line(std::string_view& input, std::size_t most, std::string_view& line) {
  const std::size_t room = most - line_.size();
  const auto lf = input.substr(0, room).find('\n');
  if (lf == input.npos) {
    if (input.size() >= room) return Line::too_long;
    line_.append(input);
    input = {};
    return Line::partial;
  }
  line = input.substr(0, lf + 1);
  input.remove_prefix(lf + 1);
  if (!line_.empty()) {
    line_.append(line);
    line = line_;
  }
  return Line::whole;
}

bool ChunkDecoder::read_size(std::string_view line) {
  std::size_t digits = 0;
  std::uint64_t size = 0;
  for (; digits < line.size() && chars::is(line[digits], chars::hex); digits++) {
    if (digits == 16) return false;
    size = size << 4 | static_cast<std::uint64_t>(chars::hex_value(line[digits]));
  }
  if (digits == 0 || size > body_max - body_bytes_ || !line.ends_with("\r\n")) return false;
  const auto extensions = line.substr(digits, line.size() - 2 - digits);
  extension_bytes_ += extensions.size();
  if (extension_bytes_ > extensions_per_mib * (1 + (body_bytes_ >> 20)) || !is_extensions(extensions)) return false;
  left_ = size;
  body_bytes_ += size;
  state_ = size > 0 ? State::data : State::trailer_line;
  return true;
}

bool ChunkDecoder::read_trailer(std::string_view line, bool& last) {
  last = line == "\r\n";
  if (last) return true;
  trailer_bytes_ += line.size();
  const auto colon = line.find(':');
  if (trailer_bytes_ > trailers_max || colon == line.npos || !line.ends_with("\r\n")) return false;
  const auto name = line.substr(0, colon);
  if (!is_token(name) || !is_field_value(line.substr(colon + 1, line.size() - colon - 3))) return false;
  if (!is_forbidden_trailer(name)) trailers_.append(line);
  return true;
}

ChunkDecoder::Step ChunkDecoder::next(std::string_view input) {
  const std::size_t size = input.size();
  const auto step = [&](Event event, std::string_view data = {}) { return Step{event, size - input.size(), data}; };
  const auto fail = [&] {
    state_ = State::failed;
    return step(Event::malformed);
  };
  for (;;) {
    if (state_ == State::done) return step(Event::end);
    if (state_ == State::failed) return step(Event::malformed);
    if (input.empty()) return step(Event::more);
    switch (state_) {
      case State::data: {
        const auto data = input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
        input.remove_prefix(data.size());
        left_ -= data.size();
        if (left_ == 0) state_ = State::data_cr;
        return step(Event::data, data);
      }
      case State::data_cr:
      case State::data_lf:
        if (input.front() != (state_ == State::data_cr ? '\r' : '\n')) return fail();
        input.remove_prefix(1);
        state_ = state_ == State::data_cr ? State::data_lf : State::size_line;
        break;
      default: {
        const bool is_size = state_ == State::size_line;
        std::string_view line;
        // Two bytes more than the trailers may have, for the empty line.
        const Line taken = take_line(input, is_size ? size_line_max : trailers_max + 2 - trailer_bytes_, line);
        if (taken == Line::partial) return step(Event::more);
        bool last = false;
        if (taken == Line::too_long || !(is_size ? read_size(line) : read_trailer(line, last))) return fail();
        line_.clear();
        if (last) state_ = State::done;
      }
    }
  }
}

void ChunkDecoder::reset() {
  state_ = State::size_line;
  left_ = body_bytes_ = 0;
  extension_bytes_ = trailer_bytes_ = 0;
  line_.clear();
  trailers_.clear();
}

std::size_t print_chunk_size(char* out, std::uint64_t bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::size_t n = 1;
  while (n < 16 && bytes >> (4 * n)) n++;
  for (std::size_t i = n; i-- > 0; bytes >>= 4) out[i] = digits[bytes & 15];
  out[n] = '\r';
  out[n + 1] = '\n';
  return n + 2;
}

}  // namespace weir::http
