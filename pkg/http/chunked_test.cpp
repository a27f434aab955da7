#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/chunked.h"

namespace weir::http {
namespace {

using namespace std::string_literals;
using Event = ChunkDecoder::Event;

struct Outcome {
  Event event = Event::more;
  std::string data, trailers;
  std::size_t used = 0;
  bool operator==(const Outcome&) const = default;
};

// Feeds `bytes` in pieces of `piece` bytes.
Outcome decode(std::string_view bytes, std::size_t piece) {
  ChunkDecoder decoder;
  Outcome out;
  for (std::size_t at = 0; at < bytes.size() && out.event == Event::more; at += piece) {
    auto input = bytes.substr(at, piece);
    do {
      const auto step = decoder.next(input);
      input.remove_prefix(step.used);
      out.used += step.used;
      out.data += step.data;
      out.event = step.event;
    } while (out.event == Event::data);
  }
  out.trailers = decoder.trailers();
  if (out.event == Event::malformed) out.used = 0;  // how far it got says nothing
  return out;
}

void expect(std::string_view bytes, const Outcome& expected) {
  const std::size_t step = bytes.size() > 4000 ? 1009 : 1;
  for (std::size_t piece = 1; piece <= bytes.size(); piece += step) {
    const auto got = decode(bytes, piece);
    ASSERT_EQ(got.event, expected.event) << bytes.substr(0, 100) << " by " << piece;
    ASSERT_EQ(got.data, expected.data) << bytes.substr(0, 100) << " by " << piece;
    if (expected.event != Event::end) continue;
    ASSERT_EQ(got.trailers, expected.trailers) << bytes.substr(0, 100) << " by " << piece;
    ASSERT_EQ(got.used, expected.used) << bytes.substr(0, 100) << " by " << piece;
  }
}

TEST(Chunked, reads_valid_bodies_however_they_are_cut) {
  struct Row {
    std::string bytes, data, trailers;
  };
  const Row rows[] = {
      {"0\r\n\r\n", "", ""},
      {"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", "hello world", ""},
      {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
      {"0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", ""},
      {"5;a\r\nhello\r\n0;b=c ; d=\"e;\\\"\t\xff\\\\\" ; f = g\r\n\r\n", "hello", ""},
      {"5 ;a\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"0\r\nX: y\r\nGrpc-Status:0\r\n\r\n", "", "X: y\r\nGrpc-Status:0\r\n"},
      {"0\r\nContent-Length: 50\r\nHost: evil.test\r\nTransfer-Encoding: chunked\r\nA: 1\r\nSet-Cookie: "
       "a\r\nConnection: close\r\nX-Forwarded-For: 1\r\nauthorization: x\r\nB: 2\r\n\r\n",
       "", "A: 1\r\nB: 2\r\n"},
  };
  for (const auto& row : rows) {
    expect(row.bytes, {Event::end, row.data, row.trailers, row.bytes.size()});
    expect(row.bytes + "GET / HTTP/1.1\r\n", {Event::end, row.data, row.trailers, row.bytes.size()});
    for (std::size_t n = 0; n < row.bytes.size(); n++)
      EXPECT_EQ(decode(std::string_view(row.bytes).substr(0, n), n + 1).event, Event::more) << row.bytes << n;
  }
}

TEST(Chunked, refuses_broken_bodies_however_they_are_cut) {
  struct Row {
    const char* what;
    std::string bytes, data;
  };
  const Row rows[] = {
      {"LF line ends", "5\nhello\r\n0\r\n\r\n", ""},
      {"LF behind an extension", "5;\nXX", ""},
      {"LF behind the data", "5\r\nhello\n0\r\n\r\n", "hello"},
      {"LF at the end", "0\r\n\n", ""},
      {"hex prefix", "0x5\r\nhello", ""},
      {"plus", "+5\r\nhello", ""},
      {"minus", "-5\r\nhello", ""},
      {"blank first", " 5\r\nhello", ""},
      {"blank last", "5 \r\nhello", ""},
      {"17 digits", "00000000000000005\r\nhello", ""},
      {"overflow", "ffffffffffffffff\r\nhello", ""},
      {"nearly an overflow", "fffffffffffffffb\r\nhello", ""},
      {"sum that overflows", "1\r\na\r\n7fffffffffffffff\r\n", "a"},
      {"underscore", "0_5\r\nhello", ""},
      {"empty size", "\r\nhello", ""},
      {"only an extension", ";a\r\nhello", ""},
      {"CR CR LF", "5\r\r\nhello", ""},
      {"CR alone", "5\rhello\r\n", ""},
      {"empty extension", "5;\r\nhello", ""},
      {"extension without a value", "5;a=\r\nhello", ""},
      {"two tokens", "5;a b\r\nhello", ""},
      {"open quote", "5;a=\"b\r\nhello", ""},
      {"quoted CRLF", "5;a=\"\r\n\"\r\nhello", ""},
      {"escaped quote at the end", "5;a=\"\\\"\r\nhello", ""},
      {"text behind a quote", "5;a=\"b\"c\r\nhello", ""},
      {"NUL in a size line", "5\0\r\nhello"s, ""},
      {"NUL in an extension", "5;a=\"\0\"\r\nhello"s, ""},
      {"data longer than the size", "5\r\nhelloworld\r\n0\r\n\r\n", "hello"},
      {"data shorter than the size", "5\r\nhell\r\n0\r\n\r\n", "hell\r"},
      {"no CR behind the data", "5\r\nhelloX\n", "hello"},
      {"trailer without a colon", "0\r\nX\r\n\r\n", ""},
      {"trailer with a bad name", "0\r\nX Y: z\r\n\r\n", ""},
      {"trailer with NUL", "0\r\nX: \0\r\n\r\n"s, ""},
      {"trailer with CR", "0\r\nX: a\rb\r\n\r\n", ""},
      {"trailer with LF", "0\r\nX: a\n\r\n", ""},
      {"folded trailer", "0\r\nX: a\r\n b\r\n\r\n", ""},
      {"forbidden trailer, broken", "0\r\nHost: \x01\r\n\r\n", ""},
      {"long size line", "5;a=" + std::string(5000, 'b') + "\r\nhello\r\n", ""},
      {"1 MiB extension", "5;a=" + std::string(1 << 20, 'b') + "\r\nhello\r\n", ""},
      {"4 MiB of trailers",
       [] {
         std::string s = "0\r\n";
         for (int i = 0; i < 4096; i++) s += "X: " + std::string(1019, 'a') + "\r\n";
         return s;
       }(),
       ""},
      {"endless trailer", "0\r\nX: " + std::string(20'000, 'a'), ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    expect(row.bytes, {Event::malformed, row.data, "", 0});
  }
}

TEST(Chunked, bounds_all_extensions_of_a_body_together) {
  ChunkDecoder decoder;
  const auto bomb = [&](const std::string& chunk) {
    int chunks = 0;
    for (;; chunks++) {
      std::string_view input = chunk;
      while (!input.empty()) {
        const auto step = decoder.next(input);
        if (step.event == Event::malformed) return chunks;
        input.remove_prefix(step.used);
      }
      if (chunks == 100'000) return chunks;
    }
  };
  EXPECT_EQ(bomb("1;a=" + std::string(1021, 'b') + "\r\nx\r\n"), 4) << "4 KiB, then no more";
  decoder.reset();
  EXPECT_EQ(bomb("10000;a=" + std::string(125, 'b') + "\r\n" + std::string(65536, 'x') + "\r\n"), 100'000)
      << "128 bytes in 64 KiB are within 4 KiB in 1 MiB";
}

TEST(Chunked, allows_trailers_of_the_limit_and_no_byte_more) {
  const auto body = [](std::size_t bytes) { return "0\r\nX: " + std::string(bytes - 5, 'a') + "\r\n\r\n"; };
  EXPECT_EQ(decode(body(16 * 1024), 1000).event, Event::end);
  EXPECT_EQ(decode(body(16 * 1024 + 1), 1000).event, Event::malformed);
  EXPECT_EQ(decode(body(16 * 1024 + 1), 100'000).event, Event::malformed);
}

TEST(Chunked, stays_at_its_end_until_it_is_reset) {
  ChunkDecoder decoder;
  EXPECT_EQ(decoder.next("0\r\nA: b\r\n\r\nrest").used, 11U);
  EXPECT_EQ(decoder.next("rest").event, Event::end);
  EXPECT_EQ(decoder.next("rest").used, 0U);
  EXPECT_EQ(decoder.trailers(), "A: b\r\n");
  decoder.reset();
  EXPECT_EQ(decoder.trailers(), "");
  EXPECT_EQ(decoder.next("x").event, Event::more);
  EXPECT_EQ(decoder.next("\r\n").event, Event::malformed);
  EXPECT_EQ(decoder.next("0\r\n\r\n").event, Event::malformed);
}

TEST(Chunked, reads_what_was_printed) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; round++) {
    std::string bytes, data;
    for (int chunk = 0; chunk < 5; chunk++) {
      const std::string piece(1 + random() % 300, static_cast<char>('a' + chunk));
      char size[18];
      bytes.append(size, print_chunk_size(size, piece.size())).append(piece).append("\r\n");
      data += piece;
    }
    bytes += "0\r\n\r\n";
    const auto got = decode(bytes, 1 + random() % 100);
    EXPECT_EQ(got.event, Event::end);
    EXPECT_EQ(got.data, data);
  }
  char size[18];
  EXPECT_EQ(std::string_view(size, print_chunk_size(size, 0)), "0\r\n");
  EXPECT_EQ(std::string_view(size, print_chunk_size(size, 0x10)), "10\r\n");
  EXPECT_EQ(std::string_view(size, print_chunk_size(size, ~0ULL)), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace weir::http
