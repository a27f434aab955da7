#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/head.h"
#include "http/print.h"

namespace weir::http {
namespace {

using namespace std::string_literals;

const Limits limits;

std::string ok(std::string_view fields, std::string_view line = "HTTP/1.1 200 OK") {
  return fmt::format("{}\r\n{}\r\n", line, fields);
}

struct Refused {
  const char* what;
  std::string bytes;
  Scan result = Scan::malformed;
};

TEST(Response, refuses_what_is_ambiguous_or_too_large_however_it_arrives) {
  const Refused rows[] = {
      {"CL and TE", ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"unequal lengths", ok("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"unequal list", ok("Content-Length: 5, 6\r\n")},
      {"plus", ok("Content-Length: +5\r\n")},
      {"unknown coding", ok("Transfer-Encoding: xchunked\r\n")},
      {"chunked not last", ok("Transfer-Encoding: chunked, gzip\r\n")},
      {"chunked in 1.0", ok("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK")},
      {"bare LF", "HTTP/1.1 200 OK\nX: y\n\n"},
      {"bare LF in a field", ok("X: a\nY: b\r\n")},
      {"bare CR in a field", ok("X: a\rY: b\r\n")},
      {"NUL in a field", ok("X: a\0\r\n"s)},
      {"obs-fold", ok("X: a\r\n b\r\n")},
      {"blank before the colon", ok("X : a\r\n")},
      {"no colon", ok("X\r\n")},
      {"status of two digits", ok("", "HTTP/1.1 20 OK")},
      {"status of four digits", ok("", "HTTP/1.1 2000 OK")},
      {"status 2xx", ok("", "HTTP/1.1 2xx OK")},
      {"status 099", ok("", "HTTP/1.1 099 OK")},
      {"no status", ok("", "HTTP/1.1 OK")},
      {"two blanks", ok("", "HTTP/1.1  200 OK")},
      {"HTTP/2.0", ok("", "HTTP/2.0 200 OK")},
      {"HTTP/1.2", ok("", "HTTP/1.2 200 OK")},
      {"HTTP/1.10", ok("", "HTTP/1.10 200 OK")},
      {"control character in the reason", ok("", "HTTP/1.1 200 O\x01K")},
      {"empty line first", "\r\n" + ok("")},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n"},
      {"2 MiB field", ok("X: " + std::string(2 << 20, 'a') + "\r\n"), Scan::too_large},
      {"endless reason", ok("", "HTTP/1.1 200 " + std::string(20'000, 'a')), Scan::too_large},
      {"201 fields", ok([] {
         std::string s;
         for (int i = 0; i < 201; i++) s += "a: b\r\n";
         return s;
       }()),
       Scan::too_large},
  };
  ResponseHead head;
  for (const auto& row : rows) {
    EXPECT_EQ(scan_response(head, row.bytes, "GET", limits), row.result) << row.what;
    const std::size_t step = row.bytes.size() > 2000 ? 4999 : 1;
    for (std::size_t n = 0; n < row.bytes.size(); n += step) {
      const Scan early = scan_response(head, std::string_view(row.bytes).substr(0, n), "GET", limits);
      EXPECT_TRUE(early == Scan::more || early == row.result) << row.what << " after " << n;
    }
  }
}

struct Row {
  std::string bytes;
  std::string_view method;
  int status;
  std::string_view reason;
  Framing framing;
  std::uint64_t length;
  bool keep_alive;
};

TEST(Response, reads_status_and_framing_the_same_byte_by_byte) {
  const Row rows[] = {
      {ok("Content-Length: 5\r\n"), "GET", 200, "OK", Framing::length, 5, true},
      {ok("Content-Length: 5\r\nContent-Length: 5\r\n"), "GET", 200, "OK", Framing::length, 5, true},
      {ok("Transfer-Encoding: chunked\r\n"), "GET", 200, "OK", Framing::chunked, 0, true},
      {ok("Connection: close\r\nContent-Length: 0\r\n"), "GET", 200, "OK", Framing::length, 0, false},
      {ok("", "HTTP/1.1 200"), "GET", 200, "", Framing::until_close, 0, false},
      {ok("", "HTTP/1.1 200 "), "GET", 200, "", Framing::until_close, 0, false},
      {ok("", "HTTP/1.1 404 Not \xfc There"), "GET", 404, "Not \xfc There", Framing::until_close, 0, false},
      {ok("Content-Length: 1\r\n", "HTTP/1.0 200 OK"), "GET", 200, "OK", Framing::length, 1, false},
      {ok("Content-Length: 1\r\nConnection: keep-alive\r\n", "HTTP/1.0 200 OK"), "GET", 200, "OK", Framing::length, 1,
       true},
      {ok("Content-Length: 5\r\n"), "HEAD", 200, "OK", Framing::none, 5, true},
      {ok("Transfer-Encoding: chunked\r\n"), "HEAD", 200, "OK", Framing::none, 0, true},
      {ok(""), "HEAD", 200, "OK", Framing::none, 0, true},
      {ok("Content-Length: 5\r\n", "HTTP/1.1 204 No Content"), "GET", 204, "No Content", Framing::none, 5, true},
      {ok("Content-Length: 5\r\n", "HTTP/1.1 304 Not Modified"), "GET", 304, "Not Modified", Framing::none, 5, true},
      {ok("", "HTTP/1.1 100 Continue"), "POST", 100, "Continue", Framing::none, 0, true},
      {ok("Content-Length: 9\r\n", "HTTP/1.1 103 Early Hints"), "GET", 103, "Early Hints", Framing::none, 9, true},
      {ok("Connection: upgrade\r\nUpgrade: websocket\r\n", "HTTP/1.1 101 S"), "GET", 101, "S", Framing::none, 0, true},
      {ok("Content-Length: 5\r\n", "HTTP/1.1 999 x"), "GET", 999, "x", Framing::length, 5, true},
  };
  ResponseHead head;
  for (const auto& row : rows) {
    for (std::size_t n = 0; n < row.bytes.size(); n++)
      ASSERT_EQ(scan_response(head, std::string_view(row.bytes).substr(0, n), row.method, limits), Scan::more)
          << row.bytes << n;
    for (const auto& bytes : {row.bytes, row.bytes + "HTTP/1.1 200 second\r\n\r\n"}) {
      ASSERT_EQ(scan_response(head, bytes, row.method, limits), Scan::done) << row.bytes;
      EXPECT_EQ(head.status, row.status) << row.bytes;
      EXPECT_EQ(head.reason, row.reason) << row.bytes;
      EXPECT_EQ(head.framing, row.framing) << row.bytes;
      EXPECT_EQ(head.content_length, row.length) << row.bytes;
      EXPECT_EQ(head.keep_alive, row.keep_alive) << row.bytes;
      EXPECT_EQ(head.bytes, row.bytes.size());
      EXPECT_EQ(head.upgrade, row.status == 101);
    }
  }
}

std::string kept(const std::string& bytes, std::string_view method) {
  ResponseHead head;
  if (scan_response(head, bytes, method, limits) != Scan::done) return "refused";
  std::string out(bytes.size(), 0);
  out.resize(static_cast<std::size_t>(put_kept(out.data(), head) - out.data()));
  return out;
}

TEST(Response, drops_hop_by_hop_fields_and_the_framing) {
  EXPECT_EQ(kept(ok("A: 1\r\nConnection: x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nProxy: 1\r\nUpgrade: "
                    "h2c\r\nTransfer-Encoding: chunked\r\nTrailer: C\r\nB: 2\r\n"),
                 "GET"),
            "A: 1\r\nProxy: 1\r\nTrailer: C\r\nB: 2\r\n");
  EXPECT_EQ(kept(ok("Content-Length: 5\r\nServer: x\r\n"), "GET"), "Server: x\r\n");
}

TEST(Response, keeps_a_length_that_frames_nothing) {
  EXPECT_EQ(kept(ok("Content-Length: 5\r\nConnection: Content-Length\r\n"), "HEAD"), "Content-Length: 5\r\n");
  EXPECT_EQ(kept(ok("Content-Length: 5\r\n", "HTTP/1.1 304 x"), "GET"), "Content-Length: 5\r\n");
  EXPECT_EQ(kept(ok("Content-Length: 5, 5\r\n"), "HEAD"), "") << "a list would have to be written anew";
  EXPECT_EQ(kept(ok("Content-Length: 5\r\n", "HTTP/1.1 204 x"), "HEAD"), "") << "a 204 must not have one";
  EXPECT_EQ(kept(ok("Content-Length: 5\r\n", "HTTP/1.1 103 x"), "HEAD"), "");
}

}  // namespace
}  // namespace weir::http
