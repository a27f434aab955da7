// Routes of the Gateway API through a real worker: weighted services, filters, timeouts, upgrades.
#include "proxy/gateway_test_support.h"
#include "proxy/plugin_test_support.h"

namespace weir::proxy::testing {
namespace {

std::string request(std::string_view target, std::string_view more = "", std::string_view method = "GET") {
  return fmt::format("{} {} HTTP/1.1\r\nHost: a.test\r\n{}\r\n", method, target, more);
}

TEST(GatewayRoutes, belong_to_the_listeners_of_their_entry) {
  GatewayGate gate;
  Answerer upstream;
  gate.serve({gate.backend(1, upstream.port())}, route_to({{1, 1}}));
  auto inside = Socket::connect(gate.open(entry_number, false, 80));
  inside.send(request("/x/%7ey?q=%20"));
  EXPECT_EQ(read_reply(inside).status, 200);
  const auto sent = upstream.wait_for(1)[0];
  EXPECT_TRUE(sent.starts_with("GET /x/~y?q=%20 HTTP/1.1\r\nHost: a.test\r\n")) << sent;
  EXPECT_EQ(field(sent, "X-Forwarded-Port"), "80");
  EXPECT_EQ(field(sent, "X-Forwarded-Prefix"), "");
  auto outside = gate.client();
  outside.send(request("/x"));
  EXPECT_EQ(read_reply(outside).status, 404);
  auto elsewhere = Socket::connect(gate.open(77));
  elsewhere.send(request("/x"));
  EXPECT_EQ(read_reply(elsewhere).status, 404);
}

TEST(GatewayRoutes, spread_requests_by_weight_exactly) {
  GatewayGate gate;
  Answerer one(answer_of("one")), two(answer_of("two")), never(answer_of("never"));
  gate.serve({gate.backend(1, one.port()), gate.backend(2, two.port()), gate.backend(3, never.port())},
             route_to({{1, 30}, {2, 10}, {3, 0}}));
  auto client = Socket::connect(gate.open());
  std::map<std::string, int> answers;
  for (int i = 0; i < 40; ++i) {
    client.send(request("/"));
    ++answers[read_reply(client).body];
  }
  EXPECT_EQ(answers["one"], 30);
  EXPECT_EQ(answers["two"], 10);
}

TEST(GatewayRoutes, answer_500_for_the_share_that_has_no_backend) {
  GatewayGate gate;
  Answerer one;
  const auto service = gate.backend(1, one.port());
  const auto count = [&](model::GatewayRoute route) {
    gate.serve({service}, std::move(route));
    auto client = Socket::connect(gate.open());
    int failed = 0;
    for (int i = 0; i < 8; ++i) {
      client.send(request("/"));
      const auto status = read_reply(client).status;
      EXPECT_TRUE(status == 200 || status == 500) << status;
      failed += status == 500;
    }
    return failed;
  };
  EXPECT_EQ(count(route_to({{1, 1}, {0, 3}})), 6);
  EXPECT_EQ(count(route_to({{1, 0}})), 8);
  EXPECT_EQ(count(route_to({})), 8);
}

TEST(GatewayRoutes, redirect_without_a_backend) {
  GatewayGate gate;
  model::Filters filters;
  filters.redirect.emplace().path = {model::PathModifier::Kind::prefix, "/new"};
  auto route = with_filters(route_to({}), filters);
  route.path = "/old";
  gate.serve({}, std::move(route));
  auto client = Socket::connect(gate.open(entry_number, false, 8080));
  client.send(request("/old/x?y=1"));
  const auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 302);
  EXPECT_EQ(reply.field("Location"), "http://a.test:8080/new/x?y=1");
}

TEST(GatewayRoutes, rewrite_and_edit_what_goes_to_the_upstream_and_comes_back) {
  GatewayGate gate;
  Answerer upstream("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Old: 1\r\n\r\n");
  model::Filters filters;
  filters.rewrite = model::Rewrite{"inner.test", {model::PathModifier::Kind::prefix, "/new"}};
  filters.request.set = {{"X-Set", "1"}};
  filters.response.add = {{"X-Added", "2"}};
  filters.response.remove = {"X-Old"};
  auto route = with_filters(route_to({{1, 1}}), filters);
  route.path = "/old";
  auto only = std::make_shared<model::Filters>();
  only->request.add = {{"X-Backend", "one"}};
  route.services[0].filters = only;
  gate.serve({gate.backend(1, upstream.port())}, std::move(route));
  auto client = Socket::connect(gate.open());
  client.send(request("/old/a?b"));
  const auto reply = read_reply(client);
  EXPECT_EQ(reply.field("X-Added"), "2");
  EXPECT_EQ(reply.field("X-Old"), "");
  const auto sent = upstream.wait_for(1)[0];
  EXPECT_TRUE(sent.starts_with("GET /new/a?b HTTP/1.1\r\nHost: inner.test\r\n")) << sent;
  EXPECT_EQ(field(sent, "X-Set"), "1");
  EXPECT_EQ(field(sent, "X-Backend"), "one");
  EXPECT_EQ(field(sent, "X-Forwarded-Host"), "a.test");
}

TEST(GatewayRoutes, end_after_the_time_that_is_given_to_the_request) {
  GatewayGate gate;
  Origin silent;
  auto route = route_to({{1, 1}});
  route.request_timeout = std::chrono::milliseconds(100);
  gate.serve({gate.backend(1, silent.port())}, route);
  const auto port = gate.open();
  auto client = Socket::connect(port);
  client.send(request("/"));
  auto upstream = silent.accept();
  EXPECT_TRUE(upstream.head().starts_with("GET / "));
  const auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 504);
  EXPECT_NE(reply.body.find("upstream request timeout"), std::string::npos) << reply.body;
  EXPECT_TRUE(upstream.ended());

  // One that has begun is cut, so that nobody takes it for whole.
  client.send(request("/"));
  upstream = silent.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_TRUE(client.head().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(client.all(), "ab");

  // One that is done in time is not touched, and neither is the connection after it.
  client = Socket::connect(port);
  client.send(request("/"));
  upstream = silent.accept();
  upstream.head();
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
  EXPECT_FALSE(client.has_input(600));
}

TEST(GatewayRoutes, end_requests_that_come_too_slowly) {
  GatewayGate gate;
  Origin origin;
  auto route = route_to({{1, 1}});
  route.request_timeout = std::chrono::milliseconds(100);
  gate.serve({gate.backend(1, origin.port())}, route);
  auto client = Socket::connect(gate.open());
  client.send(request("/", "Content-Length: 10\r\n", "POST") + "abc");
  EXPECT_EQ(read_reply(client).status, 504);
  EXPECT_TRUE(client.ended());
}

TEST(GatewayRoutes, end_requests_that_plugins_hold_too_long) {
  PluginGate gate;
  Answerer upstream;
  Asker asker;
  gate.add("first", {.access = asker.step()});
  auto route = route_to({{1, 1}});
  route.request_timeout = std::chrono::milliseconds(100);
  route.id = id(1);
  route.attached = {{id(entry_number), id(snapshot::testing::listener_number), {}}};
  gate.publish({GatewayGate::backend(1, upstream.port())},
               {put_entry(entry_number, {""}), {id(1), nullptr, std::make_shared<const model::GatewayRoute>(route)}});
  const auto fd = net::listen_on("127.0.0.1", 0, 16, true);
  ASSERT_TRUE(fd);
  const auto port = net::local_port(*fd);
  gate.worker->open({.ip = "127.0.0.1", .port = port, .entry = id(entry_number)}, *fd);
  auto client = Socket::connect(port);
  client.send(request("/"));
  EXPECT_EQ(read_reply(client).status, 504);
  asker.answer();  // too late, for nobody
  client.send(request("/"));
  asker.wait_for(1);
  asker.answer();
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(GatewayRoutes, try_again_when_one_attempt_takes_too_long) {
  GatewayGate gate;
  Origin silent;
  auto route = route_to({{1, 1}});
  route.backend_timeout = std::chrono::milliseconds(100);
  gate.serve({gate.backend(1, silent.port(), R"("retries":1)")}, route);
  auto client = Socket::connect(gate.open());
  client.send(request("/"));
  auto first = silent.accept();
  first.head();
  auto second = silent.accept();
  second.head();
  EXPECT_TRUE(first.ended());
  EXPECT_EQ(read_reply(client).status, 504);

  client.send(request("/"));
  first = silent.accept();
  first.head();
  second = silent.accept();
  second.head();
  second.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
  EXPECT_FALSE(client.has_input(600)) << "the second attempt's time goes on";
}

TEST(GatewayRoutes, carry_upgrades) {
  GatewayGate gate;
  Origin origin;
  auto route = route_to({{1, 1}});
  route.request_timeout = route.backend_timeout = std::chrono::milliseconds(100);
  gate.serve({gate.backend(1, origin.port())}, route);
  auto client = Socket::connect(gate.open());
  client.send(request("/chat", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  auto upstream = origin.accept();
  EXPECT_EQ(field(upstream.head(), "Upgrade"), "websocket");
  upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
  EXPECT_TRUE(client.head().starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(client.exactly(5), "hello");
  EXPECT_FALSE(client.has_input(500)) << "timeouts of requests do not end a tunnel";
  client.send("ping");
  EXPECT_EQ(upstream.exactly(4), "ping");
}

}  // namespace
}  // namespace weir::proxy::testing
