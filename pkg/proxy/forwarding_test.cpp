// What is forwarded, byte by byte: framings, fields, paths.
#include "proxy/test_support.h"

namespace weir::proxy::testing {
namespace {

TEST(Forwarding, sends_a_request_with_the_fields_that_kong_adds) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send("GET /a//b/../c?q=%41 HTTP/1.1\r\nhost: A.test:8000\r\nX-Mine: 1\r\n\r\n");
  auto upstream = origin.accept();
  auto head = upstream.head();
  EXPECT_TRUE(head.starts_with("GET /a/c?q=%41 HTTP/1.1\r\nHost: " + origin.target() + "\r\n")) << head;
  EXPECT_EQ(field(head, "X-Mine"), "1");
  EXPECT_EQ(field(head, "X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(field(head, "X-Real-IP"), "127.0.0.1");
  EXPECT_EQ(field(head, "X-Forwarded-Proto"), "http");
  EXPECT_EQ(field(head, "X-Forwarded-Host"), "a.test");
  EXPECT_EQ(field(head, "X-Forwarded-Port"), std::to_string(gate.worker->port(0)));
  EXPECT_EQ(field(head, "X-Forwarded-Path"), "/a//b/../c");
  EXPECT_EQ(field(head, "X-Forwarded-Prefix"), "");
  EXPECT_EQ(field(head, "Via"), "1.1 weir/0.1.0");
  EXPECT_EQ(field(head, "X-Kong-Request-Id").size(), 32u);
  EXPECT_EQ(field(head, "Connection"), "keep-alive");
  upstream.send("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nServer: mine\r\nX-Theirs: 2\r\n\r\nhi");
  auto reply = read_reply(client);
  EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 200 Fine\r\n"));
  EXPECT_EQ(reply.body, "hi");
  EXPECT_EQ(reply.field("Server"), "mine");
  EXPECT_EQ(reply.field("X-Theirs"), "2");
  EXPECT_EQ(reply.field("Via"), "1.1 weir/0.1.0");
  EXPECT_EQ(reply.field("X-Kong-Request-Id"), field(head, "X-Kong-Request-Id"));
  EXPECT_FALSE(reply.field("X-Kong-Upstream-Latency").empty());
  EXPECT_EQ(reply.field("X-Kong-Proxy-Latency"), "0");
  EXPECT_FALSE(reply.field("Date").empty());
  EXPECT_EQ(reply.field("Connection"), "");
  EXPECT_EQ(reply.field("Kong-Route-Id"), "");
}

TEST(Forwarding, believes_forwarded_fields_only_of_trusted_peers) {
  for (bool trusted : {false, true}) {
    Options options;
    if (trusted) options.trusted_ips = {"127.0.0.0/8"};
    Gate gate(options);
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: b.test\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Path: /p\r\nX-Forwarded-Prefix: /x\r\n"
        "X-Real-IP: 8.8.8.8\r\nVia: 1.0 first\r\nProxy: evil\r\n\r\n");
    auto head = origin.accept().head();
    EXPECT_EQ(field(head, "X-Forwarded-For"), "9.9.9.9, 127.0.0.1");
    EXPECT_EQ(field(head, "X-Forwarded-Proto"), trusted ? "https" : "http");
    EXPECT_EQ(field(head, "X-Forwarded-Host"), trusted ? "b.test" : "a.test");
    EXPECT_EQ(field(head, "X-Forwarded-Path"), trusted ? "/p" : "/");
    EXPECT_EQ(field(head, "X-Forwarded-Prefix"), trusted ? "/x" : "");
    EXPECT_EQ(field(head, "X-Real-IP"), trusted ? "8.8.8.8" : "127.0.0.1");
    EXPECT_EQ(field(head, "Via"), "1.0 first, 1.1 weir/0.1.0");
    EXPECT_EQ(field(head, "Proxy"), "");
  }
}

TEST(Forwarding, removes_hop_by_hop_fields_both_ways) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: X-Secret, Host, keep-alive\r\nX-Secret: 1\r\n"
      "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\r\n");
  auto upstream = origin.accept();
  auto head = upstream.head();
  EXPECT_EQ(field(head, "X-Secret"), "");
  EXPECT_EQ(field(head, "Keep-Alive"), "");
  EXPECT_EQ(field(head, "Proxy-Connection"), "");
  EXPECT_EQ(field(head, "TE"), "trailers");
  EXPECT_EQ(field(head, "Host"), origin.target());
  upstream.send("HTTP/1.1 200 OK\r\nConnection: X-Own\r\nX-Own: 1\r\nKeep-Alive: max=1\r\nContent-Length: 0\r\n\r\n");
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("X-Own"), "");
  EXPECT_EQ(reply.field("Keep-Alive"), "");
}

TEST(Forwarding, chooses_the_host_field) {
  struct Case {
    std::string route, upstream, host;
  };
  for (const auto& c : {Case{R"("preserve_host":true)", R"("slots":10000)", "a.test:123"},
                        Case{R"("preserve_host":false)", R"("host_header":"other.test")", "other.test"}}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()}, R"("retries":5)", c.route, c.upstream);
    auto client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test:123\r\n\r\n");
    EXPECT_EQ(field(origin.accept().head(), "Host"), c.host);
  }
}

TEST(Forwarding, joins_paths_and_tells_the_prefix) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("path":"/base")", R"("paths":["/api"])");
  auto client = gate.client();
  client.send("GET /api/v1?x HTTP/1.1\r\nHost: a.test\r\n\r\n");
  auto head = origin.accept().head();
  EXPECT_TRUE(head.starts_with("GET /base/v1?x HTTP/1.1\r\n")) << head;
  EXPECT_EQ(field(head, "X-Forwarded-Prefix"), "/api");
  EXPECT_EQ(field(head, "X-Forwarded-Path"), "/api/v1");
}

// Every framing of a request, sent in pieces of every kind, arrives whole and re-framed.
TEST(Forwarding, carries_request_bodies_of_every_framing) {
  struct Case {
    std::string fields, body, upstream_field, upstream_value, upstream_body;
  };
  const Case cases[] = {
      {"", "", "Content-Length", "", ""},
      {"Content-Length: 5\r\n", "hello", "Content-Length", "5", "hello"},
      {"Content-Length: 0\r\n", "", "Content-Length", "0", ""},
      {"Transfer-Encoding: chunked\r\n", "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "Transfer-Encoding", "chunked",
       "hello"},
      {"Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nX-T: v\r\nHost: evil\r\n\r\n", "Transfer-Encoding", "chunked",
       "a"},
  };
  for (const auto& c : cases) {
    for (std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100000}}) {
      Gate gate;
      Origin origin;
      gate.serve({origin.target()});
      auto client = gate.client();
      std::string request = "POST / HTTP/1.1\r\nHost: a.test\r\n" + c.fields + "\r\n" + c.body;
      for (std::size_t at = 0; at < request.size(); at += piece)
        client.send(std::string_view(request).substr(at, piece));
      auto upstream = origin.accept();
      auto head = upstream.head();
      EXPECT_EQ(field(head, c.upstream_field), c.upstream_value) << request;
      std::string body;
      if (c.upstream_value == "chunked") {
        while (auto n = std::strtoull(upstream.until("\r\n").c_str(), nullptr, 16)) {
          body += upstream.exactly(n);
          EXPECT_EQ(upstream.exactly(2), "\r\n");
        }
        auto trailer = upstream.until("\r\n");
        if (c.body.find("X-T") != std::string::npos) {
          EXPECT_EQ(trailer, "X-T: v\r\n");
          EXPECT_EQ(upstream.until("\r\n"), "\r\n");  // Host is left out
        }
      } else {
        body = upstream.exactly(c.upstream_body.size());
      }
      EXPECT_EQ(body, c.upstream_body);
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
    }
  }
}

TEST(Forwarding, carries_responses_of_every_framing) {
  struct Case {
    std::string request, response;
    int status;
    std::string body;
    bool chunked, reused, client_stays;
  };
  const std::string get10 = "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n";
  const std::string head = "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  const Case cases[] = {
      {get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", false, true, true},
      {get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false, true, true},
      {get, chunked, 200, "abcde", true, true, true},
      {get, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", true, false, true},
      {get, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false, false, true},
      {get, "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, true, true},
      {get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", false, true, true},
      {head, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, "", false, true, true},
      {head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", false, true, true},
      {get10, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", false, true, true},
      {get10, chunked, 200, "abcde", false, true, false},
      {get10, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", false, false, false},
      {get, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", 200, "x", false, false, true},
  };
  for (const auto& c : cases) {
    for (bool bytewise : {false, true}) {
      Gate gate;
      Origin origin;
      gate.serve({origin.target()});
      auto client = gate.client();
      client.send(c.request);
      auto upstream = origin.accept();
      upstream.head();
      if (bytewise) {
        for (char byte : c.response) upstream.send({&byte, 1});
      } else {
        upstream.send(c.response);
      }
      if (!c.reused) upstream.finish();
      auto reply = read_reply(client, c.request == head);
      EXPECT_EQ(reply.status, c.status) << c.response;
      EXPECT_EQ(reply.body, c.body) << c.request << c.response;
      EXPECT_EQ(reply.field("Transfer-Encoding") == "chunked", c.chunked) << c.response;
      const bool tells = c.status == 304 || (c.request == head && c.response.find("Length") != std::string::npos);
      EXPECT_EQ(reply.field("Content-Length") == "9", tells) << c.response;
      if (!c.client_stays) {
        EXPECT_TRUE(client.ended());
        continue;
      }
      client.send(get);
      auto& next = upstream;
      if (!c.reused) next = origin.accept();
      EXPECT_FALSE(next.head().empty()) << c.response;
      next.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi") << c.request << c.response;
      EXPECT_FALSE(origin.asked()) << "a second connection was opened: " << c.response;
    }
  }
}

TEST(Forwarding, passes_trailers_to_those_who_asked) {
  for (bool asked : {false, true}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n"s + (asked ? "TE: trailers\r\nConnection: TE\r\n" : "") + "\r\n");
    auto upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: v\r\n\r\n");
    EXPECT_EQ(read_reply(client).body, asked ? "a<trailers>" : "a");
  }
}

TEST(Forwarding, swallows_100_and_passes_other_interim_responses) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok);
  auto hints = client.head();
  EXPECT_TRUE(hints.starts_with("HTTP/1.1 103 Early Hints\r\n")) << hints;
  EXPECT_EQ(field(hints, "Link"), "</a>");
  EXPECT_EQ(read_reply(client).body, "hi");
}

TEST(Forwarding, bounds_interim_responses) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("retries":0)");
  auto client = gate.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  std::string many;
  for (int i = 0; i < 101; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  upstream.send(many + ok);
  EXPECT_EQ(read_reply(client).status, 502);
}

TEST(Forwarding, answers_100_continue_itself_once_the_upstream_is_there) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  auto upstream = origin.accept();
  auto head = upstream.head();
  EXPECT_EQ(field(head, "Expect"), "");
  EXPECT_EQ(upstream.exactly(4), "body");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);

  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: tea\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, 417);
}

TEST(Forwarding, serves_pipelined_requests_in_order) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(
      "POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: no.test\r\n\r\nGET /4 HTTP/1.1\r\nHost: a.test\r\n\r\n");
  auto upstream = origin.accept();
  EXPECT_TRUE(upstream.head().starts_with("POST /1 "));
  EXPECT_EQ(upstream.exactly(3), "abc");
  EXPECT_FALSE(upstream.has_input(50)) << "the next request was sent before the answer";
  upstream.send(ok);
  EXPECT_TRUE(upstream.head().starts_with("GET /2 "));
  upstream.send(ok);
  EXPECT_TRUE(upstream.head().starts_with("GET /4 "));
  upstream.send(ok);
  for (int status : {200, 200, 404, 200}) EXPECT_EQ(read_reply(client).status, status);
}

TEST(Forwarding, shows_what_decided_when_asked_to) {
  Options options;
  options.allow_debug_header = true;
  options.upstream_status = true;
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\nKong-Debug: 1\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  upstream.send(ok);
  auto reply = read_reply(client);
  EXPECT_EQ(reply.field("Kong-Route-Id"), id(1).text());
  EXPECT_EQ(reply.field("Kong-Route-Name"), "all");
  EXPECT_EQ(reply.field("Kong-Service-Name"), "web");
  EXPECT_EQ(reply.field("X-Kong-Upstream-Status"), "200");
}

TEST(Forwarding, adds_nothing_to_answers_when_the_headers_setting_is_off) {
  Options options;
  options.server_tokens = options.latency_tokens = options.request_id = options.request_id_upstream = false;
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  EXPECT_EQ(field(upstream.head(), "X-Kong-Request-Id"), "");
  upstream.send("HTTP/1.1 200 OK\r\nDate: now\r\nVia: 1.0 x\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(read_reply(client).head, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nVia: 1.0 x\r\n\r\n");
}

}  // namespace
}  // namespace weir::proxy::testing
