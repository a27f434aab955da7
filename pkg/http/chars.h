// Classes of characters and the searches over them that the scans of this folder share. Not for other folders.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weir::http::chars {

enum Class : std::uint8_t {
  token = 1,  // tchar, RFC 9110 section 5.6.2
  host = 2,   // unreserved and sub-delims: a reg-name without its escapes, RFC 3986 section 3.2.2
  hex = 4,
  reserved = 8,  // whose escapes Kong keeps: gen-delims, sub-delims and "%"
  path = 16,     // may stand in a path as it is
};

inline constexpr auto classes = [] {
  std::array<std::uint8_t, 256> table{};
  const auto add = [&](std::string_view characters, int bits) {
    for (const char c : characters) table[static_cast<unsigned char>(c)] |= static_cast<std::uint8_t>(bits);
  };
  for (char c = '0'; c <= '9'; c++) add({&c, 1}, token | host | hex | path);
  for (char c = 'a'; c <= 'z'; c++) add({&c, 1}, token | host | path);
  for (char c = 'A'; c <= 'Z'; c++) add({&c, 1}, token | host | path);
  add("abcdefABCDEF", hex);
  add("!#$%&'*+-.^_`|~", token);
  add("-._~!$&'()*+,;=", host);
  add("!#$%&'()*+,/:;=?@[]", reserved);
  add("-._~!$&'()*+,/:;=@[]", path);
  return table;
}();

inline bool is(char c, Class wanted) {
  return (classes[static_cast<unsigned char>(c)] & wanted) != 0;
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
inline bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
inline int hex_value(char c) {
  return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}  // of a hex digit

inline std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Calls f for each element of a comma-separated list, blanks taken off, empty ones included, until f says false.
template <class F>
bool each_element(std::string_view list, F f) {
  for (;;) {
    const auto comma = list.find(',');
    if (!f(trim_blanks(list.substr(0, comma)))) return false;
    if (comma == list.npos) return true;
    list.remove_prefix(comma + 1);
  }
}

// True when the token at p, as long as `lower`, is the same but for case. For letters and "-" setting bit 5 is exact,
// because no other token character turns into one of them.
template <std::size_t size>
bool same(const char* p, const char (&lower)[size]) {
  constexpr std::size_t n = size - 1;
  const auto equal = [&]<class Word>(Word ones, std::size_t at) {
    Word a, b;
    std::memcpy(&a, p + at, sizeof a);
    std::memcpy(&b, lower + at, sizeof b);
    return static_cast<Word>(a | ones) == b;
  };
  static_assert(n >= 2 && n <= 24);
  if constexpr (n > 16) {
    constexpr std::uint64_t ones = 0x2020202020202020;
    return equal(ones, 0) && equal(ones, 8) && equal(ones, n - 8);
  } else if constexpr (n >= 8) {
    constexpr std::uint64_t ones = 0x2020202020202020;
    return equal(ones, 0) && equal(ones, n - 8);
  } else if constexpr (n >= 4) {
    constexpr std::uint32_t ones = 0x20202020;
    return equal(ones, 0) && equal(ones, n - 4);
  } else {
    constexpr std::uint16_t ones = 0x2020;
    return equal(ones, 0) && equal(ones, n - 2);
  }
}

// True when `text` is `lower` but for case. `lower`: letters and "-"; `text`: no control characters.
template <std::size_t size>
bool is_word(std::string_view text, const char (&lower)[size]) {
  return text.size() == size - 1 && same(text.data(), lower);
}

// The first of [p, end) that `vector` (16 bytes -> mask) or `one` (a character) finds, or end. Bytes from `begin` on
// may be read: a short rest is looked at together with the bytes before it.
#if defined(__SSE2__)
template <class Vector, class One>
[[gnu::always_inline]] inline const char* find(const char* begin, const char* p, const char* end, Vector vector,
                                               One one) {
  for (; end - p >= 16; p += 16)
    if (const unsigned hits = vector(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))
      return p + __builtin_ctz(hits);
  if (p == end) return end;
  if (end - begin >= 16) {
    const auto behind = static_cast<unsigned>(16 - (end - p));
    const unsigned hits = vector(_mm_loadu_si128(reinterpret_cast<const __m128i*>(end - 16))) >> behind;
    return hits ? p + __builtin_ctz(hits) : end;
  }
  while (p < end && !one(*p)) p++;
  return p;
}
inline unsigned mask(__m128i hits) {
  return static_cast<unsigned>(_mm_movemask_epi8(hits));
}
#endif

// The first control character other than TAB: checks a value and finds its CRLF in one go.
inline const char* find_control(const char* begin, const char* p, const char* end) {
  const auto one = [](char c) { return is_control(c) && c != '\t'; };
#if defined(__SSE2__)
  return find(
      begin, p, end,
      [](__m128i v) {
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        const __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        return mask(_mm_or_si128(_mm_andnot_si128(tab, low), del));
      },
      one);
#else
  static_cast<void>(begin);
  while (p < end && !one(*p)) p++;
  return p;
#endif
}

// The end of a token.
inline const char* find_token_end(const char* begin, const char* p, const char* end) {
#if defined(__SSE2__)
  // Letters, digits and "-" at once; what else may stand in a token is too rare for more comparisons.
  p = find(
      begin, p, end,
      [](__m128i v) {
        const auto within = [](__m128i from_zero, char last) {
          return _mm_cmpeq_epi8(_mm_min_epu8(from_zero, _mm_set1_epi8(last)), from_zero);
        };
        const __m128i lower = _mm_or_si128(v, _mm_set1_epi8(0x20));
        const __m128i letters = within(_mm_sub_epi8(lower, _mm_set1_epi8('a')), 25);
        const __m128i digits = within(_mm_sub_epi8(v, _mm_set1_epi8('0')), 9);
        return ~mask(_mm_or_si128(_mm_or_si128(letters, digits), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')))) & 0xffff;
      },
      [](char c) { return !is(c, token); });
#else
  static_cast<void>(begin);
#endif
  while (p < end && is(*p, token)) p++;
  return p;
}

// The first byte that cannot be part of a request target: not visible ASCII, or "#" (RFC 9112 section 3.2).
inline const char* find_target_end(const char* begin, const char* p, const char* end) {
  const auto one = [](char c) { return static_cast<signed char>(c) <= 0x20 || c == 0x7f || c == '#'; };
#if defined(__SSE2__)
  return find(
      begin, p, end,
      [](__m128i v) {  // bytes from 0x80 on are negative
        const __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x21)), del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        return mask(_mm_or_si128(_mm_or_si128(low, del), _mm_cmpeq_epi8(v, _mm_set1_epi8('#'))));
      },
      one);
#else
  static_cast<void>(begin);
  while (p < end && !one(*p)) p++;
  return p;
#endif
}

}  // namespace weir::http::chars
