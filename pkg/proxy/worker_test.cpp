// A worker as a whole: shares, changes under way, names, limits, draining, TLS.
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/resource.h>

#include <filesystem>

#include "net/tls.h"
#include "proxy/context.h"
#include "proxy/test_support.h"
#include "proxy/tls_test_support.h"

namespace weir::proxy::testing {
namespace {

// Upstreams that answer with their index, driven by the test's thread: `turn` serves one request.
struct Fleet {
  explicit Fleet(std::size_t count) : origins(count), open(count) {}
  std::vector<std::string> targets() const {
    std::vector<std::string> out;
    for (const auto& o : origins) out.push_back(o.target());
    return out;
  }
  // Sends one request and returns which upstream got it.
  std::size_t turn(Socket& client) {
    client.send(get);
    for (;;) {
      for (std::size_t i = 0; i < origins.size(); ++i) {
        if (open[i].fd() < 0 && origins[i].asked()) open[i] = origins[i].accept();
        if (open[i].fd() < 0 || !open[i].has_input(1)) continue;
        if (open[i].head().empty()) {  // the gateway closed it
          open[i].close();
          continue;
        }
        open[i].send(ok);
        EXPECT_EQ(read_reply(client).status, 200);
        return i;
      }
    }
  }
  std::vector<Origin> origins;
  std::vector<Socket> open;
};

store::Changes weights(const Fleet& fleet, const std::vector<int>& weight) {
  store::Changes changes;
  for (std::uint32_t i = 0; i < weight.size(); ++i)
    changes.push_back(put_target(10 + i, 1, fleet.origins[i].target(), weight[i]));
  return changes;
}

TEST(Balancing, gives_each_target_its_exact_share_on_one_connection_each) {
  Gate gate;
  Fleet fleet(3);
  gate.serve(fleet.targets());
  gate.publish(weights(fleet, {100, 300, 0}));
  auto client = gate.client();
  std::vector<int> got(3);
  for (int i = 0; i < 40; ++i) ++got[fleet.turn(client)];
  EXPECT_EQ(got, (std::vector{10, 30, 0}));
  EXPECT_TRUE(becomes(gate.worker->counters().upstream_connections_opened, 2));
  EXPECT_TRUE(becomes(gate.worker->counters().answered_by_upstream[200], 40));
}

TEST(Balancing, goes_on_in_its_cycle_across_changes) {
  Gate gate;
  Fleet fleet(2);
  gate.serve(fleet.targets());
  auto client = gate.client();
  std::vector<int> got(2);
  for (int i = 0; i < 20; ++i) {
    ++got[fleet.turn(client)];
    gate.publish({put_route(50 + static_cast<std::uint32_t>(i), fmt::format(R"({{"hosts":["x{}.test"]}})", i))});
    if (i % 3 == 0) gate.publish({put_target(10, 1, fleet.origins[0].target(), 100 + i % 2)});
  }
  EXPECT_NEAR(got[0], 10, 1);
  EXPECT_TRUE(becomes(gate.worker->counters().upstream_connections_opened, 2)) << "a change cost idle connections";
}

TEST(Balancing, obeys_the_next_configuration_from_the_next_request) {
  Gate gate;
  Fleet fleet(2);
  gate.serve(fleet.targets());
  auto client = gate.client();
  fleet.turn(client);
  gate.publish({drop<model::Target>(10)});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fleet.turn(client), 1u);
  gate.publish(weights(fleet, {100, 0}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fleet.turn(client), 0u);
}

TEST(Publishing, lets_exchanges_finish_on_what_they_began_with) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  gate.publish({drop<model::Route>(1), drop<model::Service>(1), drop<model::Target>(10), drop<model::Upstream>(1)});
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).body, "hi");
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 404);
  EXPECT_TRUE(upstream.ended()) << "nobody can use the idle connection any more";
}

TEST(Publishing, comes_before_the_first_answer) {
  Gate gate;
  auto client = gate.client();
  client.send(get);
  EXPECT_FALSE(client.has_input(50));
  Origin origin;
  gate.serve({origin.target()});
  auto upstream = origin.accept();
  upstream.head();
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(Names, are_waited_for_and_followed) {
  Gate gate;
  Origin first, second;
  gate.serve({"up.test:" + std::to_string(first.port())});
  auto client = gate.client();
  client.send(get);
  EXPECT_FALSE(client.has_input(50));
  gate.worker->resolved("up.test", FakeResolver::addresses("up.test", {{"127.0.0.1", 0}}));
  auto upstream = first.accept();
  EXPECT_EQ(field(upstream.head(), "Host"), "up.test:" + std::to_string(first.port()));
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
  // An SRV record brings its own port.
  gate.worker->resolved("up.test", FakeResolver::addresses("up.test", {{"127.0.0.1", second.port()}}));
  client.send(get);
  auto other = second.accept();
  other.head();
  other.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(Names, that_do_not_resolve_give_503) {
  Gate gate;
  gate.resolver.answers["gone.test"] = FakeResolver::addresses("gone.test", {});
  gate.publish({put_service(1, R"({"host":"gone.test"})"),
                put_service(2, R"({"host":"slow.test","connect_timeout":50})"),
                put_route(1, fmt::format(R"({{"hosts":["gone.test"],"service":{}}})", reference(1))),
                put_route(2, fmt::format(R"({{"hosts":["slow.test"],"service":{}}})", reference(2)))});
  auto client = gate.client();
  for (const auto* host : {"gone.test", "slow.test"}) {
    client.send("GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n");
    auto reply = read_reply(client);
    EXPECT_EQ(reply.status, 503);
    EXPECT_NE(reply.body.find("\"message\":\"name resolution failed\""), std::string::npos) << reply.body;
  }
  gate.publish({drop<model::Route>(1), drop<model::Route>(2), drop<model::Service>(1), drop<model::Service>(2)});
  std::lock_guard lock(gate.resolver.mutex);
  EXPECT_EQ(gate.resolver.watches, (std::map<std::string, int>{{"gone.test", 0}, {"slow.test", 0}}));
}

TEST(Names, of_plain_hosts_take_the_services_port) {
  Gate gate;
  Origin origin;
  gate.resolver.answers["plain.test"] = FakeResolver::addresses("plain.test", {{"127.0.0.1", 0}});
  gate.publish({put_service(1, fmt::format(R"({{"host":"plain.test","port":{}}})", origin.port())),
                put_route(1, fmt::format(R"({{"hosts":["a.test"],"service":{}}})", reference(1)))});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  EXPECT_EQ(field(upstream.head(), "Host"), "plain.test:" + std::to_string(origin.port()));
}

TEST(Limits, close_connections_that_are_too_many) {
  Options options;
  options.connections_max = 2;
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  auto first = gate.client(), second = gate.client(), third = gate.client();
  EXPECT_TRUE(third.ended());
  EXPECT_TRUE(becomes(gate.worker->counters().connections_refused, 1));
  first.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  EXPECT_EQ(read_reply(first).status, 404);
}

TEST(Limits, end_connections_after_their_requests) {
  Options options;
  options.keepalive_requests = 2;
  options.upstream_keepalive_max_requests = 1;
  Gate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  auto client = gate.client();
  for (int i = 0; i < 2; ++i) {
    client.send(get);
    auto upstream = origin.accept();
    upstream.head();
    upstream.send(ok);
    EXPECT_EQ(read_reply(client).field("Connection"), i ? "close" : "");
    EXPECT_TRUE(upstream.ended());
  }
  EXPECT_TRUE(client.ended());
}

TEST(Limits, keep_no_more_idle_upstream_connections_than_allowed) {
  for (std::uint32_t size : {0u, 1u}) {
    Options options;
    options.upstream_keepalive_pool_size = size;
    Gate gate(options);
    Origin origin;
    gate.serve({origin.target()});
    Socket clients[2] = {gate.client(), gate.client()}, upstreams[2];
    for (int i = 0; i < 2; ++i) {
      clients[i].send(get);
      upstreams[i] = origin.accept();
      upstreams[i].head();
    }
    for (int i = 0; i < 2; ++i) {
      upstreams[i].send(ok);
      read_reply(clients[i]);
    }
    EXPECT_TRUE(upstreams[1].ended());
    EXPECT_EQ(upstreams[0].has_input(50), size == 0);
  }
}

// With no file descriptor left, clients wait in the queue and are served when there is one again.
TEST(Limits, survive_the_end_of_file_descriptors) {
  Gate gate;
  gate.serve({"127.0.0.1:1"});
  auto client = gate.client();
  client.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, 404);
  auto waiting = Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::vector<int> taken;
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  rlimit few{256, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
  auto address = *net::Address::from_ip("127.0.0.1", gate.worker->port(0));
  EXPECT_EQ(::connect(waiting.fd(), address.get(), address.size()), 0);
  waiting.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  client.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, 404);
  EXPECT_FALSE(waiting.has_input(50));
  for (int fd : taken) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(read_reply(waiting).status, 404);
}

TEST(Draining, answers_what_is_in_flight_and_closes_the_rest) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  auto idle = gate.client(), busy = gate.client();
  idle.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  read_reply(idle);
  busy.send(get);
  auto upstream = origin.accept();
  upstream.head();
  auto queued = gate.client();  // perhaps still in the listener's queue
  queued.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  std::promise<void> drained;
  gate.worker->drain([&] { drained.set_value(); });
  EXPECT_TRUE(idle.ended());
  auto early = read_reply(queued);
  EXPECT_EQ(early.status, 404);
  auto done = drained.get_future();
  EXPECT_EQ(done.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  upstream.send(ok);
  auto reply = read_reply(busy);
  EXPECT_EQ(reply.body, "hi");
  EXPECT_EQ(reply.field("Connection"), "close");
  EXPECT_TRUE(busy.ended());
  queued.close();
  done.wait();
  EXPECT_TRUE(becomes(gate.worker->counters().connections_active, 0));
  EXPECT_TRUE(becomes(gate.worker->counters().connections_idle, 0));
  EXPECT_TRUE(becomes(gate.worker->counters().upstream_connections_active, 0));
}

TEST(Draining, resets_nobody_who_is_connecting_meanwhile) {
  for (int round = 0; round < 3; round++) {
    Gate gate;
    Origin origin;
    gate.serve({origin.target()});
    std::atomic<bool> over{false};
    std::atomic<int> lost{0}, answered{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; i++)
      clients.emplace_back([&] {
        while (!over) {
          // Answered, or refused before anything was promised: never reset.
          const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          const auto address = *net::Address::from_ip("127.0.0.1", gate.worker->port(0));
          if (::connect(fd, address.get(), address.size()) == 0) {
            char bytes[512];
            const std::string_view ask = "GET / HTTP/1.1\r\nHost: no.test\r\nConnection: close\r\n\r\n";
            const bool fine =
                ::send(fd, ask.data(), ask.size(), MSG_NOSIGNAL) > 0 && ::recv(fd, bytes, sizeof bytes, 0) > 0;
            (fine ? answered : lost)++;
          } else {
            over = true;  // the listener is gone
          }
          ::close(fd);
        }
      });
    while (answered < 50) std::this_thread::yield();
    std::promise<void> drained;
    gate.worker->drain([&] { drained.set_value(); });
    drained.get_future().wait();
    for (auto& client : clients) client.join();
    EXPECT_EQ(lost, 0);
  }
}

TEST(BulkHold, turns_to_small_reads_once_slow_readers_hold_enough) {
  FakeResolver resolver;
  FakeLookup lookup;
  const Options options;
  Context context(options, resolver, lookup, *Trust::parse({}));
  constexpr std::uint64_t whole = 100u << 20;
  EXPECT_EQ(context.stride(Context::read_bytes), Context::read_bytes);
  EXPECT_EQ(context.stride(whole), Context::bulk_read_bytes);
  std::vector<BulkHold> holds(Context::bulk_holders_max);
  for (auto& hold : holds) {
    hold.update(context, Context::bulk_read_bytes);
    hold.update(context, Context::bulk_read_bytes - 1);  // still one
  }
  EXPECT_EQ(context.stride(whole), Context::read_bytes);
  holds.front().update(context, 0);
  EXPECT_EQ(context.stride(whole), Context::bulk_read_bytes);
}

TEST(Listening, says_what_is_wrong) {
  FakeResolver resolver;
  FakeLookup lookup;
  Origin taken;
  struct Case {
    Listen listen;
    std::string part;
  };
  for (const auto& c :
       {Case{{.ip = "127.0.0.1", .port = taken.port(), .reuseport = false}, "in use"},
        Case{{.ip = "192.0.2.1", .port = 0}, "no such address"}, Case{{.ip = "nonsense"}, "not an IP"}}) {
    auto worker = Worker::start(0, {}, {c.listen}, nullptr, resolver, lookup);
    ASSERT_FALSE(worker);
    EXPECT_NE(worker.error().message.find(c.part), std::string::npos) << worker.error().message;
  }
  Options options;
  options.trusted_ips = {"10.0.0.0/33"};
  EXPECT_FALSE(Worker::start(0, options, {}, nullptr, resolver, lookup));
}

TEST(Counters, tell_who_answered_and_who_is_connected) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  const auto& counters = gate.worker->counters();
  auto client = gate.client();
  client.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  read_reply(client);
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  EXPECT_TRUE(becomes(counters.connections_active, 1));
  EXPECT_TRUE(becomes(counters.connections_idle, 0));
  upstream.send(ok);
  read_reply(client);
  client.close();
  auto other = gate.client();
  other.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  read_reply(other);
  EXPECT_TRUE(becomes(counters.requests_total, 3));
  EXPECT_TRUE(becomes(counters.answered_by_weir[404], 2));
  EXPECT_TRUE(becomes(counters.answered_by_upstream[200], 1));
  EXPECT_TRUE(becomes(counters.connections_accepted, 2));
  EXPECT_TRUE(becomes(counters.upstream_connections_idle, 1));
}

// --- TLS ---------------------------------------------------------------------------------------------------------

TEST(Tls, ends_at_the_gateway_and_begins_anew_to_https_upstreams) {
  Folder folder;
  ASSERT_TRUE(net::make_self_signed(folder / "c.pem", folder / "k.pem"));
  std::unique_ptr<SSL_CTX, FreeSsl> server(*net::server_context(folder / "c.pem", folder / "k.pem"));
  std::unique_ptr<SSL_CTX, FreeSsl> plain(SSL_CTX_new(TLS_client_method()));
  Gate gate({}, {{.ip = "127.0.0.1", .port = 0, .tls = true}}, server.get());
  Origin origin;
  gate.serve({origin.target()}, R"("protocol":"https")", R"("strip_path":true)", R"("host_header":"up.test")");
  TlsSocket client(gate.client(), plain.get(), false, "a.test");
  for (int round = 0; round < 3; ++round) {
    client.send(get);
    static std::unique_ptr<TlsSocket> upstream;
    if (round == 0) upstream = std::make_unique<TlsSocket>(origin.accept(), server.get(), true);
    auto head = upstream->until("\r\n\r\n");
    EXPECT_EQ(field(head, "X-Forwarded-Proto"), "https");
    EXPECT_EQ(field(head, "Host"), "up.test");
    EXPECT_STREQ(SSL_get_servername(upstream->ssl(), TLSEXT_NAMETYPE_host_name), "up.test");
    const std::string body(round == 1 ? 3000000 : 10, 'b');
    auto rest = std::async([&] {
      upstream->send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
      upstream->send(body);
    });
    EXPECT_TRUE(client.until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(client.exactly(body.size()) == body);
    rest.wait();
    if (round == 2) upstream.reset();
  }
  EXPECT_TRUE(becomes(gate.worker->counters().tls_handshakes, 1));
  EXPECT_TRUE(becomes(gate.worker->counters().upstream_connections_opened, 1));
}

TEST(Tls, refuses_what_is_not_tls_and_those_who_dawdle) {
  Folder folder;
  ASSERT_TRUE(net::make_self_signed(folder / "c.pem", folder / "k.pem"));
  std::unique_ptr<SSL_CTX, FreeSsl> server(*net::server_context(folder / "c.pem", folder / "k.pem"));
  Options options;
  options.tls_handshake_timeout = std::chrono::milliseconds(50);
  Gate gate(options, {{.ip = "127.0.0.1", .port = 0, .tls = true}}, server.get());
  gate.serve({"127.0.0.1:1"});
  auto plain = gate.client();
  plain.send(get);
  plain.all();
  auto silent = gate.client();
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(becomes(gate.worker->counters().tls_handshakes_failed, 2));
}

}  // namespace
}  // namespace weir::proxy::testing
