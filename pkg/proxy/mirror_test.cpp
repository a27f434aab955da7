// Copies of requests: whole, in their share, and never in the way of the request itself.
#include "proxy/mirror.h"
#include "proxy/gateway_test_support.h"

namespace weir::proxy::testing {
namespace {

// A route to service 1 with a mirror of service 2.
model::GatewayRoute mirrored(std::uint32_t numerator = 1, std::uint32_t denominator = 1) {
  model::Filters filters;
  filters.mirrors = {{id(2), numerator, denominator}};
  filters.request.set = {{"X-Set", "1"}};
  return with_filters(route_to({{1, 1}}), filters);
}

std::string post(std::string_view framing) {
  return fmt::format("POST /p?q HTTP/1.1\r\nHost: a.test\r\n{}\r\n", framing);
}

TEST(Mirrors, are_sent_what_the_upstream_is_sent) {
  GatewayGate gate;
  Answerer upstream(answer_of("main")), copy(answer_of("copy"));
  gate.serve({gate.backend(1, upstream.port()), gate.backend(2, copy.port())}, mirrored());
  auto client = Socket::connect(gate.open());
  const std::string body(300'000, 'b');
  std::string chunked;
  for (int i = 0; i < 30; ++i) chunked += "2710\r\n" + std::string(10'000, 'c') + "\r\n";
  chunked += "0\r\n\r\n";
  const std::string requests[] = {"GET /g HTTP/1.1\r\nHost: a.test\r\n\r\n", post("Content-Length: 2\r\n") + "xy",
                                  post("Content-Length: 300000\r\n") + body,
                                  post("Transfer-Encoding: chunked\r\n") + chunked};
  for (const auto& request : requests) {
    client.send(request);
    EXPECT_EQ(read_reply(client).body, "main");
    const auto count = upstream.requests().size();
    EXPECT_EQ(upstream.requests().back(), copy.wait_for(count).back());
    EXPECT_TRUE(becomes(gate.worker->counters().mirrors_answered, count));  // so that its connection is free again
  }
  EXPECT_EQ(field(copy.requests()[0], "X-Set"), "1");
  EXPECT_EQ(field(copy.requests()[0], "Host"), "a.test");
  EXPECT_TRUE(copy.requests()[2].ends_with(body));
  EXPECT_EQ(gate.worker->counters().mirrors_dropped.get(), 0u);
  // Each has a connection that is used again.
  EXPECT_EQ(gate.worker->counters().upstream_connections_opened.get(), 2u);
}

TEST(Mirrors, get_their_share) {
  GatewayGate gate;
  Answerer upstream, copy;
  gate.serve({gate.backend(1, upstream.port()), gate.backend(2, copy.port())}, mirrored(20, 100));
  auto client = Socket::connect(gate.open());
  for (int i = 0; i < 100; ++i) {
    client.send(get);
    EXPECT_EQ(read_reply(client).status, 200);
  }
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_answered, 20));
  EXPECT_EQ(copy.requests().size(), 20u);
}

TEST(Mirrors, do_not_hold_up_requests_when_they_are_away_or_silent) {
  GatewayGate gate;
  Answerer upstream;
  Origin silent;
  gate.serve({gate.backend(1, upstream.port()), gate.backend(2, silent.port(), R"("read_timeout":100)")}, mirrored());
  auto client = Socket::connect(gate.open());
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 200);
  auto copy = silent.accept();
  EXPECT_TRUE(copy.head().starts_with("GET / "));
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_dropped, 1)) << "after its read_timeout";
  EXPECT_TRUE(copy.ended());
  copy.close();
  silent.close();
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 200);
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_dropped, 2));
  gate.publish({drop<model::Service>(2)});
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 200);
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_dropped, 3));
}

TEST(Mirrors, that_cannot_keep_up_are_given_up) {
  GatewayGate gate;
  Answerer upstream;
  Origin slow;
  gate.serve({gate.backend(1, upstream.port()), gate.backend(2, slow.port())}, mirrored());
  auto client = Socket::connect(gate.open());
  const std::string body(16'000'000, 'b');
  client.send(post("Content-Length: 16000000\r\n"));
  auto copy = slow.accept();  // which reads nothing of the body
  client.send(body);
  EXPECT_EQ(read_reply(client).status, 200);
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_dropped, 1));
}

TEST(Mirrors, are_cut_when_the_request_is) {
  GatewayGate gate;
  Origin origin, copies;
  gate.serve({gate.backend(1, origin.port()), gate.backend(2, copies.port())}, mirrored());
  auto client = Socket::connect(gate.open());
  client.send(post("Content-Length: 10\r\n") + "abc");
  auto copy = copies.accept();
  EXPECT_TRUE(copy.head().starts_with("POST /p?q "));
  EXPECT_EQ(copy.exactly(3), "abc");
  client.reset();
  EXPECT_TRUE(copy.ended());
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_dropped, 1));
}

TEST(Mirrors, that_answer_early_let_the_request_go_on) {
  GatewayGate gate;
  Origin origin, copies;
  gate.serve({gate.backend(1, origin.port()), gate.backend(2, copies.port())}, mirrored());
  auto client = Socket::connect(gate.open());
  client.send(post("Content-Length: 10\r\n") + "abc");
  auto copy = copies.accept();
  copy.head();
  copy.send("HTTP/1.1 100 Continue\r\n\r\n" + ok);
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_answered, 1));
  client.send("defghij");
  auto upstream = origin.accept();
  upstream.head();
  EXPECT_EQ(upstream.exactly(10), "abcdefghij");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(Mirrors, are_bounded_in_number) {
  GatewayGate gate;
  Answerer upstream;
  Origin silent;
  gate.serve({gate.backend(1, upstream.port()), gate.backend(2, silent.port())}, mirrored());
  auto client = Socket::connect(gate.open());
  const auto most = Mirrors::active_max;
  for (std::size_t i = 0; i < most + 10; ++i) {
    client.send(get);
    EXPECT_EQ(read_reply(client).status, 200);
  }
  EXPECT_TRUE(becomes(gate.worker->counters().mirrors_dropped, 10));
}

}  // namespace
}  // namespace weir::proxy::testing
