// The parts that decide without doing I/O.
#include <gtest/gtest.h>

#include "proxy/body.h"
#include "proxy/errors.h"
#include "proxy/trust.h"

namespace weir::proxy {
namespace {

TEST(Body, moves_chunks_together_and_tells_what_follows) {
  for (std::size_t cut = 0; cut < 40; ++cut) {
    std::string input = "3\r\nabc\r\n4;x\r\ndefg\r\n1\r\nh\r\n0\r\n\r\nNEXT";
    Body body;
    body.begin(http::Framing::chunked, 0);
    std::string data, rest;
    for (auto piece : {input.substr(0, std::min(cut, input.size())), input.substr(std::min(cut, input.size()))}) {
      auto decoded = body.decode(piece.data(), piece.size());
      ASSERT_TRUE(decoded.ok);
      data += decoded.data;
      rest += decoded.rest;
    }
    EXPECT_EQ(data, "abcdefgh");
    EXPECT_EQ(rest, "NEXT");
    EXPECT_TRUE(body.done());
    EXPECT_EQ(body.bytes(), 8u);
  }
}

TEST(Body, with_a_length_ends_there) {
  Body body;
  body.begin(http::Framing::length, 5);
  std::string input = "helloNEXT";
  auto decoded = body.decode(input.data(), 3);
  EXPECT_EQ(decoded.data, "hel");
  EXPECT_FALSE(body.end_of_stream());
  decoded = body.decode(input.data() + 3, 6);
  EXPECT_EQ(decoded.data, "lo");
  EXPECT_EQ(decoded.rest, "NEXT");
  EXPECT_TRUE(body.done());
}

TEST(Body, without_length_lasts_until_the_end_of_the_stream) {
  Body body;
  body.begin(http::Framing::until_close, 0);
  std::string input = "all";
  EXPECT_EQ(body.decode(input.data(), 3).data, "all");
  EXPECT_FALSE(body.done());
  EXPECT_TRUE(body.end_of_stream());
}

TEST(Body, frames_chunks_in_place) {
  std::string buffer(frame_room, '.');
  buffer += "data" + std::string(64, '.');
  std::string_view data(buffer.data() + frame_room, 4);
  EXPECT_EQ(frame_chunk(data, false, ""), "4\r\ndata\r\n");
  std::memcpy(buffer.data() + frame_room, "data", 4);
  EXPECT_EQ(frame_chunk(data, true, "X: y\r\n"), "4\r\ndata\r\n0\r\nX: y\r\n\r\n");
  EXPECT_EQ(frame_chunk(data.substr(0, 0), true, ""), "0\r\n\r\n");
  EXPECT_EQ(frame_chunk(data.substr(0, 0), false, ""), "");
}

TEST(Trust, knows_addresses_and_ranges) {
  auto trust = Trust::parse({"10.1.0.0/16", "192.0.2.7", "fd00::/8", "172.16.0.0/12"});
  ASSERT_TRUE(trust);
  for (const auto* ip : {"10.1.0.0", "10.1.255.255", "192.0.2.7", "fd12::1", "172.31.0.1"})
    EXPECT_TRUE(trust->holds(ip)) << ip;
  for (const auto* ip : {"10.2.0.0", "192.0.2.8", "fe80::1", "172.32.0.1", "::1"}) EXPECT_FALSE(trust->holds(ip)) << ip;
  EXPECT_TRUE(Trust::parse({"0.0.0.0/0"})->holds("1.2.3.4"));
  EXPECT_FALSE(Trust::parse({})->holds("1.2.3.4"));
  for (const auto* bad : {"10.0.0.0/33", "fd00::/129", "host", "10.0.0.0/", "10.0.0.0/x", ""})
    EXPECT_FALSE(Trust::parse({bad})) << bad;
}

ErrorFormat chosen(std::string_view accept, std::string_view content_type, bool by_router) {
  http::RequestHead head;
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  if (!accept.empty()) text.append("Accept: ").append(accept).append("\r\n");
  if (!content_type.empty()) text.append("Content-Type: ").append(content_type).append("\r\n");
  text += "\r\n";
  EXPECT_EQ(http::scan_request(head, text, {}), http::Scan::done);
  return error_format(head, by_router, "text/plain");
}

TEST(Errors, take_the_format_that_the_client_reads_best) {
  using enum ErrorFormat;
  EXPECT_EQ(chosen("", "", true), json);
  EXPECT_EQ(chosen("", "", false), plain);
  EXPECT_EQ(chosen("*/*", "", true), json);
  EXPECT_EQ(chosen("*/*", "", false), plain);
  EXPECT_EQ(chosen("", "application/json; charset=utf-8", false), json);
  EXPECT_EQ(chosen("text/html", "application/json", false), html);
  EXPECT_EQ(chosen("text/html;q=0.5, application/json;q=0.9", "", false), json);
  EXPECT_EQ(chosen("image/png", "", false), plain);
  EXPECT_EQ(chosen("application/xml;q=0, text/plain;q=0.1", "", true), plain);
  EXPECT_EQ(chosen("text/xml", "", true), xml);
}

TEST(Errors, have_kongs_bodies) {
  std::string out;
  print_error(out, ErrorFormat::json, "m", "id");
  EXPECT_EQ(out, "{\n  \"message\":\"m\",\n  \"request_id\":\"id\"\n}");
  out.clear();
  print_error(out, ErrorFormat::plain, "m", "id");
  EXPECT_EQ(out, "m\nrequest_id: id\n");
  out.clear();
  print_error(out, ErrorFormat::html, "m", "id");
  EXPECT_NE(out.find("<h1>Error</h1>\n    <p>m.</p>\n    <p>request_id: id</p>"), std::string::npos);
  out.clear();
  print_error(out, ErrorFormat::xml, "m", "id");
  EXPECT_NE(out.find("<message>m</message>\n  <requestid>id</requestid>"), std::string::npos);
}

}  // namespace
}  // namespace weir::proxy
