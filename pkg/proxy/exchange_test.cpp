// What goes wrong between client and upstream, and what each of them sees of it.
#include <fmt/format.h>

#include "proxy/test_support.h"

namespace weir::proxy::testing {
namespace {

const std::string post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";

// A client and an upstream connection that have one exchange behind them: the upstream's is idle in the pool.
struct Warm {
  Warm(Gate& gate, Origin& origin) : client(gate.client()) {
    client.send(get);
    upstream = origin.accept();
    upstream.head();
    upstream.send(ok);
    EXPECT_EQ(read_reply(client).body, "hi");
  }
  Socket client, upstream;
};

TEST(Retries, go_to_the_next_address_when_nobody_listens) {
  Gate gate;
  Origin origin;
  auto dead = std::make_unique<Origin>();
  auto target = dead->target();
  dead.reset();
  gate.serve({target, origin.target()});
  auto client = gate.client();
  Socket upstream;
  for (int i = 0; i < 6; ++i) {
    client.send(post);
    if (i == 0) upstream = origin.accept();
    upstream.head();
    EXPECT_EQ(upstream.exactly(4), "body");
    upstream.send(ok);
    EXPECT_EQ(read_reply(client).status, 200);
  }
  EXPECT_TRUE(becomes(gate.worker->counters().upstream_retries, 3));
}

TEST(Retries, end_with_502_after_as_many_as_the_service_allows) {
  Gate gate;
  auto dead = std::make_unique<Origin>();
  auto target = dead->target();
  dead.reset();
  gate.serve({target}, R"("retries":2)");
  auto client = gate.client();
  client.send(get);
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 502);
  EXPECT_TRUE(reply.body.starts_with("An invalid response was received from the upstream server\nrequest_id: "))
      << reply.body;
  EXPECT_TRUE(becomes(gate.worker->counters().upstream_connect_failed, 3));
}

TEST(Retries, reach_an_upstream_that_closed_its_idle_connection) {
  for (bool reset : {false, true}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()}, R"("retries":0)");
    Warm warm(gate, origin);
    reset ? warm.upstream.reset() : warm.upstream.close();
    warm.client.send(post);
    auto next = origin.accept();
    EXPECT_FALSE(next.head().empty());
    EXPECT_EQ(next.exactly(4), "body");
    next.send(ok);
    EXPECT_EQ(read_reply(warm.client).status, 200);
  }
}

TEST(Retries, send_an_idempotent_request_again_when_a_reused_connection_dies_under_it) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("retries":0)");
  Warm warm(gate, origin);
  warm.client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody");
  warm.upstream.head();
  warm.upstream.close();
  auto next = origin.accept();
  next.head();
  EXPECT_EQ(next.exactly(4), "body");
  next.send(ok);
  EXPECT_EQ(read_reply(warm.client).status, 200);
}

TEST(Retries, never_send_a_post_again_that_may_have_been_seen) {
  for (bool reused : {false, true}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    Socket upstream;
    if (reused) {
      client.send(get);
      upstream = origin.accept();
      upstream.head();
      upstream.send(ok);
      read_reply(client);
    }
    client.send(post);
    if (!reused) upstream = origin.accept();
    upstream.head();
    upstream.exactly(4);
    upstream.close();
    EXPECT_EQ(read_reply(client).status, 502);
    EXPECT_FALSE(origin.asked());
  }
}

TEST(Retries, do_not_follow_an_answer_that_has_begun) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\nContent-Le");
  upstream.close();
  EXPECT_EQ(read_reply(client).status, 502);
  EXPECT_FALSE(origin.asked());
}

TEST(Timeouts, give_504_when_the_upstream_does_not_answer) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("retries":0,"read_timeout":50)");
  auto client = gate.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept: application/json\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 504);
  EXPECT_TRUE(reply.body.starts_with("{\n  \"message\":\"The upstream server is timing out\",\n  \"request_id\":\""))
      << reply.body;
  EXPECT_TRUE(upstream.ended());
  // The client's connection is as good as before.
  client.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, 404);
}

TEST(Timeouts, cut_an_answer_that_stalls) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("read_timeout":50)");
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  client.head();
  EXPECT_EQ(client.all(), "half");
}

TEST(Timeouts, answer_408_to_slow_heads_and_bodies) {
  Options options;
  options.client_header_timeout = options.client_body_timeout = std::chrono::milliseconds(50);
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  auto slow_head = gate.client();
  slow_head.send("GET / HT");
  EXPECT_EQ(read_reply(slow_head).status, 408);
  EXPECT_TRUE(slow_head.ended());
  auto slow_body = gate.client();
  slow_body.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbo");
  auto upstream = origin.accept();
  EXPECT_EQ(read_reply(slow_body).status, 408);
  upstream.head();
  EXPECT_EQ(upstream.all(), "bo");
  EXPECT_TRUE(becomes(gate.worker->counters().requests_timed_out, 2));
}

TEST(Timeouts, close_idle_connections_on_both_sides) {
  Options options;
  options.keepalive_timeout = options.upstream_keepalive_idle_timeout = std::chrono::milliseconds(50);
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  Warm warm(gate, origin);
  EXPECT_TRUE(warm.client.ended());
  EXPECT_TRUE(warm.upstream.ended());
  auto silent = gate.client();
  EXPECT_TRUE(silent.ended());
}

// A cut answer must not look whole.
TEST(Cuts, are_visible_to_the_client) {
  const std::string responses[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz",
  };
  for (const auto& response : responses) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    client.send(get);
    auto upstream = origin.accept();
    upstream.head();
    upstream.send(response);
    upstream.close();
    client.head();
    auto body = client.all();
    EXPECT_TRUE(body == "half" || body == "4\r\nhalf\r\n") << body;
  }
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\n\r\n");
  client.head();
  upstream.send("part");
  EXPECT_EQ(client.until("part\r\n"), "4\r\npart\r\n");
  upstream.reset();
  EXPECT_EQ(client.all(), "");
}

TEST(Cuts, of_a_request_do_not_look_whole_to_the_upstream) {
  for (const auto* framing : {"Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\n"s + framing);
    auto upstream = origin.accept();
    upstream.head();
    client.close();
    auto body = upstream.all();
    EXPECT_TRUE(body == "half" || body == "4\r\nhalf\r\n") << body;
  }
}

TEST(MalformedResponses, give_502_and_end_the_connection) {
  const std::string bad[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "garbage\r\n\r\n",
  };
  for (const auto& response : bad) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()}, R"("retries":0)");
    auto client = gate.client();
    client.send(get);
    auto upstream = origin.accept();
    upstream.head();
    upstream.send(response);
    EXPECT_EQ(read_reply(client).status, 502) << response;
    EXPECT_TRUE(upstream.ended()) << response;
    client.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    EXPECT_EQ(read_reply(client).status, 404) << response;
  }
}

TEST(SecondResponses, never_reach_the_next_request) {
  for (bool glued : {true, false}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    client.send(get);
    auto upstream = origin.accept();
    upstream.head();
    const std::string evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    upstream.send(glued ? ok + evil : ok);
    EXPECT_EQ(read_reply(client).body, "hi");
    if (!glued) upstream.send(evil);
    EXPECT_TRUE(upstream.ended());
    client.send(get);
    auto next = origin.accept();
    next.head();
    next.send(ok);
    EXPECT_EQ(read_reply(client).body, "hi");
  }
}

TEST(EarlyAnswers, reach_the_client_and_end_the_connection) {
  for (bool closes : {false, true}) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    auto client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nfirst");
    auto upstream = origin.accept();
    upstream.head();
    EXPECT_EQ(upstream.exactly(5), "first");
    upstream.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno");
    if (closes) upstream.close();
    auto reply = read_reply(client);
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.body, "no");
    EXPECT_EQ(reply.field("Connection"), "close");
    client.send(std::string(100000, 'x'));  // read and thrown away: no reset takes the answer with it
    EXPECT_TRUE(client.ended());
  }
}

TEST(Limits, refuse_large_bodies_with_413) {
  struct Case {
    std::string fields, body, accept, expected;
  };
  const Case cases[] = {
      {"Content-Length: 11\r\n", "", "", "Payload too large\nrequest_id: "},
      {"Transfer-Encoding: chunked\r\n", "6\r\n123456\r\n5\r\n78901\r\n0\r\n\r\n", "",
       "Payload too large\nrequest_id: "},
      {"Content-Length: 11\r\n", "", "Accept: application/json\r\n", "{\n  \"message\":\"Payload too large\",\n"},
      {"Content-Length: 11\r\nContent-Type: application/xml\r\n", "", "",
       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>"},
      {"Content-Length: 11\r\n", "", "Accept: text/plain;q=0.1, text/html\r\n", "<!doctype html>"},
  };
  Options options;
  options.client_max_body_bytes = 10;
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  for (const auto& c : cases) {
    auto client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\n" + c.fields + c.accept + "\r\n" + c.body);
    auto reply = read_reply(client);
    EXPECT_EQ(reply.status, 413) << c.fields;
    EXPECT_TRUE(reply.body.starts_with(c.expected)) << reply.body;
    EXPECT_EQ(reply.field("Connection") == "close", c.body.empty());
  }
  auto client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n0123456789");
  auto upstream = origin.accept();
  upstream.head();
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(MalformedRequests, get_an_answer_and_never_reach_an_upstream) {
  struct Case {
    std::string bytes;
    int status;
  };
  const Case cases[] = {
      {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a.test\r\nX : y\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n", 400},
      {"GET /%zz HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 505},
      {"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + std::string(20000, 'x') + "\r\n\r\n", 431},
      {"GET /" + std::string(20000, 'x') + " HTTP/1.1\r\nHost: a.test\r\n\r\n", 414},
      {"\x16\x03\x01\x02\x00\x01", 400},
  };
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("retries":0)");
  for (const auto& c : cases) {
    auto client = gate.client();
    client.send(c.bytes);
    auto reply = read_reply(client);
    EXPECT_EQ(reply.status, c.status) << c.bytes.substr(0, 200);
    EXPECT_EQ(reply.field("X-Kong-Request-Id").size(), 32u);
    EXPECT_FALSE(origin.asked()) << c.bytes.substr(0, 200);
  }
}

TEST(Heads, may_come_byte_by_byte) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  for (char c : get) client.send({&c, 1});
  auto upstream = origin.accept();
  EXPECT_TRUE(upstream.head().starts_with("GET / "));
  for (char c : ok) upstream.send({&c, 1});
  EXPECT_EQ(read_reply(client).body, "hi");
}

TEST(Answers, are_kongs) {
  Gate gate;
  gate.publish(
      {put_route(1, R"({"hosts":["none.test"]})"), put_upstream(1, R"({"name":"empty"})"),
       put_service(2, R"({"host":"empty"})"),
       put_route(2, fmt::format(R"({{"hosts":["empty.test"],"service":{}}})", reference(2))),
       put_upstream(3, R"({"name":"drained"})"), put_target(30, 3, "127.0.0.1:1", 0),
       put_service(3, R"({"host":"drained"})"),
       put_route(3, fmt::format(R"({{"hosts":["drained.test"],"service":{}}})", reference(3))),
       put_route(4, fmt::format(R"({{"hosts":["tls.test"],"protocols":["https"],"service":{}}})", reference(2))),
       put_route(
           5, fmt::format(
                  R"({{"hosts":["moved.test"],"protocols":["https"],"https_redirect_status_code":301,"service":{}}})",
                  reference(2)))});
  struct Case {
    std::string host;
    int status;
    std::string message;
  };
  const Case cases[] = {
      {"unknown.test", 404, "no Route matched with those values"},
      {"none.test", 503, "no Service found with those values"},
      {"empty.test", 503, "failure to get a peer from the ring-balancer"},
      {"drained.test", 503, "failure to get a peer from the ring-balancer"},
      {"tls.test", 426, "Please use HTTPS protocol"},
  };
  auto client = gate.client();
  for (const auto& c : cases) {
    client.send("GET /x?y HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n");
    auto reply = read_reply(client);
    EXPECT_EQ(reply.status, c.status) << c.host;
    EXPECT_EQ(reply.field("Content-Type"), "application/json; charset=utf-8");
    EXPECT_EQ(reply.field("Server"), "weir/0.1.0");
    EXPECT_FALSE(reply.field("X-Kong-Response-Latency").empty());
    EXPECT_EQ(reply.body, "{\n  \"message\":\"" + c.message + "\",\n  \"request_id\":\"" +
                              reply.field("X-Kong-Request-Id") + "\"\n}");
    EXPECT_EQ(reply.field("Upgrade"), c.status == 426 ? "TLS/1.2, HTTP/1.1" : "");
  }
  client.send("GET /x?y HTTP/1.1\r\nHost: moved.test\r\n\r\n");
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 301);
  EXPECT_EQ(reply.field("Location"), "https://moved.test/x?y");
  EXPECT_EQ(reply.body, "");
  client.send("HEAD / HTTP/1.1\r\nHost: unknown.test\r\n\r\nGET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n");
  EXPECT_EQ(read_reply(client, true).status, 404);
  EXPECT_EQ(read_reply(client).status, 404);
  // A body that is here already does not cost the connection.
  client.send(
      "POST / HTTP/1.1\r\nHost: unknown.test\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: none.test\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, 404);
  EXPECT_EQ(read_reply(client).status, 503);
}

TEST(Tunnels, carry_bytes_both_ways_until_both_sides_end) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(
      "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Key: k\r\n\r\nglued");
  auto upstream = origin.accept();
  auto head = upstream.head();
  EXPECT_EQ(field(head, "Upgrade"), "websocket");
  EXPECT_EQ(field(head, "Connection"), "keep-alive, Upgrade");
  EXPECT_FALSE(upstream.has_input(50)) << "bytes went ahead of the 101";
  upstream.send(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Accept: y\r\n\r\nhello");
  auto answer = client.head();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << answer;
  EXPECT_EQ(field(answer, "Upgrade"), "websocket");
  EXPECT_EQ(field(answer, "Sec-WebSocket-Accept"), "y");
  EXPECT_EQ(client.exactly(5), "hello");
  EXPECT_EQ(upstream.exactly(5), "glued");
  client.send("ping");
  EXPECT_EQ(upstream.exactly(4), "ping");
  upstream.send("pong");
  EXPECT_EQ(client.exactly(4), "pong");
  upstream.finish();
  EXPECT_TRUE(client.ended());
  client.send("last words");  // the other direction is still open
  client.finish();
  EXPECT_EQ(upstream.all(), "last words");
}

TEST(Tunnels, end_when_nothing_moves) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("read_timeout":50)");
  auto client = gate.client();
  client.send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  client.head();
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(upstream.ended());
}

TEST(Tunnels, are_not_opened_for_h2c_and_refusals_pass) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
      "x\r\n\r\n");
  auto upstream = origin.accept();
  EXPECT_EQ(field(upstream.head(), "Upgrade"), "");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(field(upstream.head(), "Upgrade"), "websocket");
  upstream.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
  EXPECT_EQ(read_reply(client).status, 403);
  client.send(get);
  EXPECT_FALSE(upstream.head().empty());
}

// With a reader that does not read, the gateway must stop reading too: what it and the kernel's buffers take is far
// below the whole.
TEST(Backpressure, bounds_what_is_held_for_a_slow_reader) {
  constexpr std::size_t whole = 64u << 20, bound = 24u << 20;
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client(16 * 1024);
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(whole) + "\r\n\r\n");
  auto taken = upstream.flood(whole);
  EXPECT_LT(taken, bound);
  auto rest = std::async([&] { upstream.send(std::string(whole - taken, 'x')); });
  client.head();
  std::size_t got = 0;
  while (got < whole) {
    auto piece = client.exactly(std::min<std::size_t>(1u << 20, whole - got));
    ASSERT_FALSE(piece.empty());
    got += piece.size();
  }
  rest.wait();
}

TEST(Backpressure, bounds_what_is_held_for_a_slow_upstream) {
  constexpr std::size_t whole = 64u << 20, bound = 24u << 20;
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(whole) + "\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  auto taken = client.flood(whole);
  EXPECT_LT(taken, bound);
  auto rest = std::async([&] { client.send(std::string(whole - taken, 'x')); });
  std::size_t got = 0;
  while (got < whole) {
    auto piece = upstream.exactly(std::min<std::size_t>(1u << 20, whole - got));
    ASSERT_FALSE(piece.empty());
    got += piece.size();
  }
  rest.wait();
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
}

}  // namespace
}  // namespace weir::proxy::testing
