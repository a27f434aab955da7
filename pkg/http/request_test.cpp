#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/head.h"
#include "http/print.h"

namespace weir::http {
namespace {

using namespace std::string_literals;

const Limits limits;

// A request line, the fields given and the empty line.
std::string get(std::string_view fields, std::string_view line = "GET / HTTP/1.1") {
  return fmt::format("{}\r\nHost: gw.test\r\n{}\r\n", line, fields);
}

Scan scan(std::string_view bytes) {
  static RequestHead head;
  return scan_request(head, bytes, limits);
}

// What a head says, as text.
std::string describe(const RequestHead& h) {
  std::string out = fmt::format(
      "{} {} a={} p={} q={}{} 1.{} f={} l={} k={} u={}:{} n={} e={}{} te={} dbg={}\n", h.method, h.target, h.authority,
      h.path, h.has_query ? "?" : "", h.query, h.minor, static_cast<int>(h.framing), h.content_length, h.keep_alive,
      h.upgrade, h.upgrade_protocol, h.bytes, h.expect_continue, h.expect_other, h.te_trailers, h.kong_debug);
  for (const auto& f : h.fields()) out += fmt::format("{}|{}|{}|{}\n", f.name, f.value, f.drop, f.line);
  return out;
}

struct Refused {
  const char* what;
  std::string bytes;
  Scan result = Scan::malformed;
};

const std::vector<Refused>& refused() {
  static const std::vector<Refused> rows = {
      // framing
      {"CL.TE", get("Content-Length: 48\r\nTransfer-Encoding: chunked\r\n")},
      {"TE.CL", get("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n")},
      {"xchunked", get("Transfer-Encoding: xchunked\r\n"), Scan::not_implemented},
      {"chunk", get("Transfer-Encoding: chunk\r\n"), Scan::not_implemented},
      {"identity", get("Transfer-Encoding: identity\r\n"), Scan::not_implemented},
      {"gzip before chunked", get("Transfer-Encoding: gzip, chunked\r\n"), Scan::not_implemented},
      {"gzip in a line of its own", get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
       Scan::not_implemented},
      {"chunked not last", get("Transfer-Encoding: chunked, identity\r\n")},
      {"chunked twice", get("Transfer-Encoding: chunked, chunked\r\n")},
      {"two lines", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"two lines, unknown last", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n")},
      {"coding with a parameter", get("Transfer-Encoding: chunked;q=1\r\n")},
      {"empty coding", get("Transfer-Encoding:\r\n")},
      {"empty element", get("Transfer-Encoding: ,chunked\r\n")},
      {"space before the colon", get("Transfer-Encoding : chunked\r\n")},
      {"tab before the colon", get("Transfer-Encoding\t: chunked\r\n")},
      {"vertical tab before the value", get("Transfer-Encoding: \x0b"s + "chunked\r\n")},
      {"quoted", get("Transfer-Encoding: \"chunked\"\r\n")},
      {"NUL behind chunked", get("Transfer-Encoding: chunked\0\r\n"s)},
      {"0xa0 behind chunked", get("Transfer-Encoding: chunked\xa0\r\n")},
      {"behind a bare LF", get("X: y\nTransfer-Encoding: chunked\r\n")},
      {"behind a bare CR", get("X: y\rTransfer-Encoding: chunked\r\n")},
      {"in an obs-fold", get("X: y\r\n Transfer-Encoding: chunked\r\n")},
      {"value in an obs-fold", get("Transfer-Encoding:\r\n chunked\r\n")},
      {"coding in HTTP/1.0", get("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", "POST / HTTP/1.0")},
      {"unequal lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"unequal list", get("Content-Length: 5, 6\r\n")},
      {"list with an empty element", get("Content-Length: 5,\r\n")},
      {"plus", get("Content-Length: +5\r\n")},
      {"minus", get("Content-Length: -5\r\n")},
      {"hex", get("Content-Length: 0x5\r\n")},
      {"underscore", get("Content-Length: 1_0\r\n")},
      {"blank inside", get("Content-Length: 5 5\r\n")},
      {"empty", get("Content-Length: \r\n")},
      {"beyond 64 bits", get("Content-Length: 18446744073709551621\r\n")},
      {"beyond 63 bits", get("Content-Length: 9223372036854775808\r\n")},
      {"400 digits", get("Content-Length: " + std::string(400, '1') + "\r\n")},
      {"400 zeros", get("Content-Length: " + std::string(400, '0') + "\r\n")},
      {"vertical tab behind", get("Content-Length: 5\x0b\r\n")},
      {"Arabic digit", get("Content-Length: \xd9\xa5\r\n")},
      // methods that a gateway must not serve
      {"CONNECT", "CONNECT gw.test:80 HTTP/1.1\r\nHost: gw.test\r\n\r\n"},
      {"CONNECT with a path", get("", "CONNECT / HTTP/1.1")},
      {"TRACE", get("", "TRACE / HTTP/1.1")},
      // lines, names and values
      {"NUL in a value", get("X: a\0b\r\n"s)},
      {"CR in a value", get("X: a\rb\r\n")},
      {"CR CR LF", get("X: a\r\r\n")},
      {"LF LF", get("X: a\n\nGET /smuggled HTTP/1.1\r\n")},
      {"DEL in a value", get("X: a\x7f\r\n")},
      {"only bare LF", "GET / HTTP/1.1\nHost: gw.test\n\n"},
      {"bare LF ends the head", "GET / HTTP/1.1\r\nHost: gw.test\r\n\n"},
      {"obs-fold with a blank", get("X: a\r\n b\r\n")},
      {"obs-fold with a tab", get("X: a\r\n\tb\r\n")},
      {"blank before the first field", "GET / HTTP/1.1\r\n Host: gw.test\r\n\r\n"},
      {"blank line of blanks", "GET / HTTP/1.1\r\nHost: gw.test\r\n \r\n\r\n"},
      {"blank in a name", get("X Y: a\r\n")},
      {"empty name", get(": a\r\n")},
      {"no colon", get("nocolon\r\n")},
      {"parenthesis in a name", get("X(: a\r\n")},
      {"byte above ASCII in a name", get("X\x80: a\r\n")},
      {"CR instead of CRLF at the end", "GET / HTTP/1.1\r\nHost: gw.test\r\n\rX"},
      {"too many options in Connection", get("Connection: " +
                                             [] {
                                               std::string s;
                                               for (int i = 0; i < 100; i++) s += "a,";
                                               return s;
                                             }() +
                                             "b\r\n")},
      // Host
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", get("Host: gw.test\r\n")},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"empty Host in 1.0", "GET / HTTP/1.0\r\nHost: \r\n\r\n"},
      {"blank in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"userinfo in Host", "GET / HTTP/1.1\r\nHost: gw.test:80@evil.test\r\n\r\n"},
      {"port with a letter", "GET / HTTP/1.1\r\nHost: gw.test:8o\r\n\r\n"},
      {"port too large", "GET / HTTP/1.1\r\nHost: gw.test:65536\r\n\r\n"},
      {"NUL in Host", "GET / HTTP/1.1\r\nHost: gw.test\0\r\n\r\n"s},
      {"open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
      {"path in Host", "GET / HTTP/1.1\r\nHost: gw.test/x\r\n\r\n"},
      // the request line
      {"parenthesis in the method", get("", "GE(T / HTTP/1.1")},
      {"NUL in the method", get("", std::string_view("G\0T / HTTP/1.1", 14))},
      {"endless method", get("", std::string(65, 'A') + " / HTTP/1.1")},
      {"no method", get("", " / HTTP/1.1")},
      {"tabs", get("", "GET\t/\tHTTP/1.1")},
      {"two blanks", get("", "GET  / HTTP/1.1")},
      {"two blanks before the version", get("", "GET /  HTTP/1.1")},
      {"blank at the end", get("", "GET / HTTP/1.1 ")},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"two digits", get("", "GET / HTTP/1.10")},
      {"lower case", get("", "GET / http/1.1")},
      {"HTTP/2.0", get("", "GET / HTTP/2.0"), Scan::version},
      {"HTTP/1.2", get("", "GET / HTTP/1.2"), Scan::version},
      {"HTTP/0.9 by name", get("", "GET / HTTP/0.9"), Scan::version},
      {"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Scan::version},
      {"braces", "{t} x\r\n\r\n"},
      {"PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n"},
      {"TLS hello", "\x16\x03\x01\x02\x00\x01\x00"s},
      {"three empty lines", "\r\n\r\n\r\n" + get("")},
      {"bare LF first", "\n" + get("")},
      // targets
      {"fragment", get("", "GET /c#frag HTTP/1.1")},
      {"fragment in a query", get("", "GET /c?a#frag HTTP/1.1")},
      {"control character", get("", "GET /a\x01 HTTP/1.1")},
      {"DEL", get("", "GET /a\x7f HTTP/1.1")},
      {"byte above ASCII", get("", "GET /\xc3\xbc HTTP/1.1")},
      {"asterisk without OPTIONS", get("", "GET * HTTP/1.1")},
      {"authority in front", get("", "GET @evil.test/c HTTP/1.1")},
      {"no slash", get("", "GET c HTTP/1.1")},
      {"userinfo", get("", "GET http://user@host/ HTTP/1.1")},
      {"another scheme", get("", "GET ftp://host/ HTTP/1.1")},
      {"no authority", get("", "GET http:///c HTTP/1.1")},
      {"bad authority", get("", "GET http://a:b/c HTTP/1.1")},
      {"absolute form without Host", "GET http://gw.test/ HTTP/1.1\r\n\r\n"},
      {"absolute form with a bad Host", "GET http://gw.test/ HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"absolute form with two Hosts", get("Host: x\r\n", "GET http://gw.test/ HTTP/1.1")},
      // sizes
      {"line of 16 KiB + 1", get("X: " + std::string(16 * 1024 - 2, 'a') + "\r\n"), Scan::too_large},
      {"name without an end", get(std::string(20'000, 'a')), Scan::too_large},
      {"201 fields", get([] {
         std::string s;
         for (int i = 0; i < 200; i++) s += "a: b\r\n";
         return s;
       }()),
       Scan::too_large},
      {"1 MiB field", get("X: " + std::string(1 << 20, 'a') + "\r\n"), Scan::too_large},
      {"head of 1.6 MB", get([] {
         std::string s;
         for (int i = 0; i < 100; i++) s += "X: " + std::string(16'000, 'a') + "\r\n";
         return s;
       }()),
       Scan::too_large},
      {"1 MiB target", get("", "GET /" + std::string(1 << 20, 'a') + " HTTP/1.1"), Scan::uri_too_long},
      {"request line of 16 KiB + 1", get("", "GET /" + std::string(16 * 1024 - 13, 'a') + " HTTP/1.1"),
       Scan::uri_too_long},
  };
  return rows;
}

TEST(Request, refuses_what_is_ambiguous_or_too_large) {
  for (const auto& row : refused()) EXPECT_EQ(scan(row.bytes), row.result) << row.what;
}

// A scan of a beginning may only say more, or what the scan of the whole says.
TEST(Request, refuses_the_same_however_the_bytes_arrive) {
  for (const auto& row : refused()) {
    const std::size_t step = row.bytes.size() > 2000 ? 997 : 1;
    for (std::size_t n = 0; n < row.bytes.size(); n += step) {
      const Scan early = scan(std::string_view(row.bytes).substr(0, n));
      EXPECT_TRUE(early == Scan::more || early == row.result) << row.what << " after " << n;
    }
  }
}

struct Accepted {
  const char* what;
  std::string bytes;
};

const std::vector<Accepted>& accepted() {
  static const std::vector<Accepted> rows = {
      {"plain", get("")},
      {"two empty lines first", "\r\n\r\n" + get("")},
      {"no fields in 1.0", "GET / HTTP/1.0\r\n\r\n"},
      {"absolute form", get("", "GET HTTP://Evil.test:81?q HTTP/1.1")},
      {"asterisk", get("", "OPTIONS * HTTP/1.1")},
      {"odd characters that nginx passes", get("", "GET /\"<>\\^`{|}?[] HTTP/1.1")},
      {"empty value", get("X:\r\nY: \t \r\nZ:z\t \r\n")},
      {"obs-text", get("X: \xc3\xbc\r\n")},
      {"all token characters", get("!#$%&'*+-.^_`|~09azAZ: 1\r\n")},
      {"underscore is another name", get("Transfer_Encoding: chunked\r\nContent_Length: 5\r\n")},
      {"equal lengths", get("Content-Length: 5\r\nContent-Length: 5, 5\r\n")},
      {"chunked", get("Transfer-Encoding: \tChunked \r\n")},
      {"line of 16 KiB", get("X: " + std::string(16 * 1024 - 3, 'a') + "\r\n")},
      {"request line of 16 KiB", get("", "GET /" + std::string(16 * 1024 - 14, 'a') + " HTTP/1.1")},
      {"200 fields", get([] {
         std::string s;
         for (int i = 0; i < 199; i++) s += "a: b\r\n";
         return s;
       }())},
      {"browser",
       get("Connection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\nUser-Agent: "
           "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\nAccept: "
           "text/html,application/xhtml+xml,*/*;q=0.8\r\nCookie: session=0123456789abcdef\r\n",
           "GET /shop/products/12345?ref=home HTTP/1.1")},
  };
  return rows;
}

TEST(Request, accepts_what_is_valid_and_reads_it_the_same_byte_by_byte) {
  RequestHead whole, piece;
  for (const auto& row : accepted()) {
    const std::string glued = row.bytes + "GET /next HTTP/1.1\r\n";
    ASSERT_EQ(scan_request(whole, glued, limits), Scan::done) << row.what;
    EXPECT_EQ(whole.bytes, row.bytes.size()) << row.what;
    for (std::size_t n = 0; n < row.bytes.size(); n++)
      ASSERT_EQ(scan_request(piece, std::string_view(glued).substr(0, n), limits), Scan::more) << row.what << " " << n;
    ASSERT_EQ(scan_request(piece, row.bytes, limits), Scan::done) << row.what;
    EXPECT_EQ(describe(piece), describe(whole)) << row.what;
  }
}

TEST(Request, allows_a_head_of_the_limit_and_no_byte_more) {
  RequestHead head;
  const auto bytes = get("X: abc\r\n");
  Limits tight;
  tight.head_bytes = bytes.size();
  EXPECT_EQ(scan_request(head, bytes, tight), Scan::done);
  EXPECT_EQ(scan_request(head, bytes + "body", tight), Scan::done);
  tight.head_bytes--;
  EXPECT_EQ(scan_request(head, bytes, tight), Scan::too_large);
  EXPECT_EQ(scan_request(head, bytes.substr(0, tight.head_bytes - 1), tight), Scan::more);
}

struct Target {
  std::string_view line, authority, path, query;
  bool has_query;
};

TEST(Request, splits_the_target) {
  static constexpr Target rows[] = {
      {"GET / HTTP/1.1", "gw.test", "/", "", false},
      {"GET /a?b HTTP/1.1", "gw.test", "/a", "b", true},
      {"GET /a? HTTP/1.1", "gw.test", "/a", "", true},
      {"GET /a?b?c HTTP/1.1", "gw.test", "/a", "b?c", true},
      {"GET //evil.test/a HTTP/1.1", "gw.test", "//evil.test/a", "", false},
      {"OPTIONS * HTTP/1.1", "gw.test", "*", "", false},
      {"GET http://evil.test/c HTTP/1.1", "evil.test", "/c", "", false},
      {"GET https://[::1]:8?q=/ HTTP/1.1", "[::1]:8", "/", "q=/", true},
      {"GET http://evil.test HTTP/1.1", "evil.test", "/", "", false},
      {"GET /?u=http://x/ HTTP/1.1", "gw.test", "/", "u=http://x/", true},
  };
  RequestHead head;
  for (const auto& row : rows) {
    const auto bytes = get("", row.line);
    ASSERT_EQ(scan_request(head, bytes, limits), Scan::done) << row.line;
    EXPECT_EQ(head.authority, row.authority) << row.line;
    EXPECT_EQ(head.path, row.path) << row.line;
    EXPECT_EQ(head.query, row.query) << row.line;
    EXPECT_EQ(head.has_query, row.has_query) << row.line;
  }
}

TEST(Request, finds_the_framing) {
  struct Row {
    std::string_view fields;
    Framing framing;
    std::uint64_t length;
  };
  static constexpr Row rows[] = {
      {"", Framing::none, 0},
      {"Content-Length: 0\r\n", Framing::length, 0},
      {"content-length: 0005\r\n", Framing::length, 5},
      {"Content-Length: 5,5 ,\t5\r\nContent-Length: 5\r\n", Framing::length, 5},
      {"Content-Length: 9223372036854775807\r\n", Framing::length, 9223372036854775807U},
      {"Transfer-Encoding: chunked\r\n", Framing::chunked, 0},
  };
  RequestHead head;
  for (const auto& row : rows) {
    const auto bytes = get(row.fields);
    ASSERT_EQ(scan_request(head, bytes, limits), Scan::done) << row.fields;
    EXPECT_EQ(head.framing, row.framing) << row.fields;
    EXPECT_EQ(head.content_length, row.length) << row.fields;
    for (const auto& f : head.fields()) EXPECT_EQ(f.drop, f.token != Name::host) << f.line;
  }
}

TEST(Request, tells_whether_the_connection_goes_on) {
  struct Row {
    int minor;
    std::string_view value;
    bool keep_alive;
  };
  static constexpr Row rows[] = {
      {1, "", true},           {1, "close", false},     {1, "Keep-Alive", true},         {1, "foo, CLOSE", false},
      {1, "closed", true},     {1, ", ,close,", false}, {1, "keep-alive, close", false}, {0, "", false},
      {0, "keep-alive", true}, {0, "close", false},     {0, "keep-alive, close", false},
  };
  RequestHead head;
  for (const auto& row : rows) {
    const auto bytes = get(fmt::format("Connection: {}\r\n", row.value), fmt::format("GET / HTTP/1.{}", row.minor));
    ASSERT_EQ(scan_request(head, bytes, limits), Scan::done);
    EXPECT_EQ(head.keep_alive, row.keep_alive) << row.minor << row.value;
    EXPECT_EQ(head.minor, row.minor);
  }
}

// The lines that would be forwarded.
std::string kept(const std::string& bytes) {
  RequestHead head;
  if (scan_request(head, bytes, limits) != Scan::done) return "refused";
  std::string out(bytes.size(), 0);
  out.resize(static_cast<std::size_t>(put_kept(out.data(), head) - out.data()));
  return out;
}

TEST(Request, drops_hop_by_hop_fields_and_keeps_the_others) {
  EXPECT_EQ(kept(get("A: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nB: 2\r\nTE: trailers\r\nUpgrade: x\r\nProxy: "
                     "evil\r\nConnection: X-Gone, close\r\nx-gone: 1\r\nTrailer: C\r\nProxy-Authorization: y\r\nC: "
                     "3\r\n")),
            "Host: gw.test\r\nA: 1\r\nB: 2\r\nTrailer: C\r\nProxy-Authorization: y\r\nC: 3\r\n");
}

TEST(Request, lets_nobody_take_away_host_and_the_fields_of_the_proxy) {
  const std::string fields =
      "X-Forwarded-For: 1\r\nX-Forwarded-Proto: 1\r\nX-Forwarded-Host: 1\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Path: "
      "1\r\nX-Forwarded-Prefix: 1\r\nX-Real-IP: 1\r\nVia: 1\r\nX-Kong-Request-Id: 1\r\n";
  EXPECT_EQ(kept(get("Connection: Host, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, "
                     "X-Forwarded-Path, X-Forwarded-Prefix, X-Real-IP, Via, X-Kong-Request-Id, Cookie\r\nCookie: "
                     "a\r\n" +
                     fields)),
            "Host: gw.test\r\n" + fields);
  RequestHead head;
  const auto bytes = get("Connection: Content-Length\r\nContent-Length: 5\r\n");
  ASSERT_EQ(scan_request(head, bytes, limits), Scan::done);
  EXPECT_EQ(head.content_length, 5U);
}

TEST(Request, upgrades_only_when_both_fields_ask_and_never_to_h2c) {
  struct Row {
    std::string_view fields, line, protocol;
  };
  static constexpr Row rows[] = {
      {"Connection: Upgrade\r\nUpgrade: websocket\r\n", "GET / HTTP/1.1", "websocket"},
      {"Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n", "GET / HTTP/1.1", "WebSocket"},
      {"Upgrade: websocket\r\n", "GET / HTTP/1.1", ""},
      {"Connection: upgrade\r\n", "GET / HTTP/1.1", ""},
      {"Connection: upgrade\r\nUpgrade: \r\n", "GET / HTTP/1.1", ""},
      {"Connection: Upgrade\r\nUpgrade: websocket\r\n", "GET / HTTP/1.0", ""},
      {"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n", "GET / HTTP/1.1", ""},
      {"Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", "GET / HTTP/1.1", ""},
      {"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", "GET / HTTP/1.1", ""},
  };
  RequestHead head;
  for (const auto& row : rows) {
    const auto bytes = get(row.fields, row.line);
    ASSERT_EQ(scan_request(head, bytes, limits), Scan::done) << row.fields;
    EXPECT_EQ(head.upgrade, !row.protocol.empty()) << row.fields;
    EXPECT_EQ(head.upgrade_protocol, row.protocol) << row.fields;
    EXPECT_EQ(kept(bytes), "Host: gw.test\r\n") << row.fields;
  }
}

TEST(Request, reads_expectations_te_and_kong_debug) {
  RequestHead head;
  auto bytes = get("Expect: 100-Continue\r\nTE: gzip, Trailers\r\nKong-Debug: 1\r\n");
  ASSERT_EQ(scan_request(head, bytes, limits), Scan::done);
  EXPECT_TRUE(head.expect_continue && !head.expect_other && head.te_trailers && head.kong_debug);
  bytes = get("Expect: y 100-continue\r\nTE: trailersx\r\nKong-Debug: 10\r\n");
  ASSERT_EQ(scan_request(head, bytes, limits), Scan::done);
  EXPECT_TRUE(!head.expect_continue && head.expect_other && !head.te_trailers && !head.kong_debug);
}

TEST(Request, gives_each_refusal_its_status) {
  EXPECT_EQ(status_of(Scan::malformed), 400);
  EXPECT_EQ(status_of(Scan::too_large), 431);
  EXPECT_EQ(status_of(Scan::uri_too_long), 414);
  EXPECT_EQ(status_of(Scan::version), 505);
  EXPECT_EQ(status_of(Scan::not_implemented), 501);
}

TEST(FindHeadEnd, finds_the_empty_line_however_the_bytes_arrived) {
  const std::string bytes = "GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n";
  const auto end = bytes.find("body");
  for (std::size_t from = 0; from < end; from++) {
    EXPECT_EQ(find_head_end(bytes, from), end) << from;
    EXPECT_EQ(find_head_end(bytes.substr(0, end), from), end) << from;
    EXPECT_EQ(find_head_end(bytes.substr(0, end - 1), from), std::string::npos) << from;
  }
  EXPECT_EQ(find_head_end("GET /\nA: b\n\n", 11), 12U);
  EXPECT_EQ(find_head_end("", 0), std::string::npos);
}

}  // namespace
}  // namespace weir::http
