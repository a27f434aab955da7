#include "http/uri.h"

#include <algorithm>
#include <cstring>

#include "http/chars.h"

namespace weir::http {
namespace {

// The first byte that could make a path other than normal: a control character, "%", or "/" before "/" or ".".
const char* find_suspect(const char* p, const char* end) {
#if defined(__SSE2__)
  for (; end - p > 16; p += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 1));
    const __m128i slash = _mm_set1_epi8('/');
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    const __m128i other = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('%')), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    const __m128i behind = _mm_or_si128(_mm_cmpeq_epi8(next, slash), _mm_cmpeq_epi8(next, _mm_set1_epi8('.')));
    const __m128i pair = _mm_and_si128(_mm_cmpeq_epi8(v, slash), behind);
    if (const unsigned hits = chars::mask(_mm_or_si128(_mm_or_si128(low, other), pair))) return p + __builtin_ctz(hits);
  }
#endif
  for (; p < end; p++)
    if (*p == '%' || chars::is_control(*p) || (*p == '/' && end - p > 1 && (p[1] == '/' || p[1] == '.'))) return p;
  return end;
}

bool is_escape(std::string_view text) {
  return text.size() >= 3 && text[0] == '%' && chars::is(text[1], chars::hex) && chars::is(text[2], chars::hex);
}
char escaped(std::string_view escape) {
  return static_cast<char>(chars::hex_value(escape[1]) << 4 | chars::hex_value(escape[2]));
}
bool is_upper(char hex) {
  return hex < 'a';
}

// "." or ".." at the start of `text`, as a whole segment: its length, else 0.
std::size_t dot_segment(std::string_view text) {
  const auto segment = text.substr(0, std::min<std::size_t>(text.find('/'), 3));
  return segment == "." || segment == ".." ? segment.size() : 0;
}

// Where the path stops being normal; its size when it is normal all along.
std::size_t normal_bytes(std::string_view path) {
  const char* const end = path.data() + path.size();
  for (const char* p = path.data();; p++) {
    p = find_suspect(p, end);
    const std::string_view rest(p, end);
    if (rest.empty()) return path.size();
    if (*p == '/') {
      if (!rest.starts_with("//") && dot_segment(rest.substr(1)) == 0) continue;
    } else if (is_escape(rest) && is_upper(p[1]) && is_upper(p[2]) && chars::is(escaped(rest), chars::reserved)) {
      p += 2;
      continue;
    }
    return path.size() - rest.size();
  }
}

// Decodes what Kong decodes; appends to `out`.
bool decode(std::string_view path, std::string& out) {
  for (std::size_t i = 0; i < path.size(); i++) {
    char c = path[i];
    if (c == '%') {
      const auto escape = path.substr(i, 3);
      if (!is_escape(escape)) return false;
      i += 2;
      c = escaped(escape);
      if (chars::is(c, chars::reserved)) {
        static constexpr char digits[] = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        out.append({'%', digits[byte >> 4], digits[byte & 15]});
        continue;
      }
    }
    if (chars::is_control(c)) return false;
    out += c;
  }
  return true;
}

// Removes dot segments and merges slashes in place. `path` begins with "/"; its first `from` bytes are normal.
void remove_segments(std::string& path, std::size_t from) {
  std::size_t in = path.rfind('/', from), out = in;  // both stand at the "/" that begins a segment
  while (in < path.size()) {
    const std::string_view rest(path.data() + in + 1, path.size() - in - 1);
    if (rest.starts_with('/')) {
      in++;
    } else if (const auto dots = dot_segment(rest)) {
      if (dots == 2 && out > 0) out = path.rfind('/', out - 1);
      in += 1 + dots;
      if (in == path.size()) path[out++] = '/';
    } else {
      const auto bytes = 1 + std::min(rest.find('/'), rest.size());
      std::memmove(path.data() + out, path.data() + in, bytes);
      in += bytes;
      out += bytes;
    }
  }
  path.resize(out);
}

}  // namespace

bool normalise_path(std::string_view path, std::string& scratch, std::string_view& normal) {
  if (!path.starts_with('/')) {
    normal = path;
    return path == "*";
  }
  const auto good = normal_bytes(path);
  normal = path;
  if (good == path.size()) return true;
  scratch.assign(path.substr(0, good));
  if (!decode(path.substr(good), scratch)) return false;
  remove_segments(scratch, good);
  normal = scratch;
  return true;
}

void escape_path(std::string_view path, std::string& out) {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (std::size_t i = 0; i < path.size(); i++) {
    const char c = path[i];
    if (chars::is(c, chars::path) || is_escape(path.substr(i, 3))) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
  }
}

}  // namespace weir::http
