// Listeners that come and go at run time, and the certificates that they show.
#include <fstream>
#include <set>

#include "net/tls.h"
#include "proxy/gateway_test_support.h"
#include "proxy/tls_test_support.h"

namespace weir::proxy::testing {
namespace {

TEST(Listeners, that_open_before_the_first_snapshot_wait_for_it) {
  GatewayGate gate;
  Answerer upstream;
  auto client = Socket::connect(gate.open());
  client.send(get);
  EXPECT_FALSE(client.has_input(100));
  gate.serve({gate.backend(1, upstream.port())}, route_to({{1, 1}}));
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(Listeners, end_their_connections_when_they_close_and_no_others) {
  GatewayGate gate;
  Origin origin;
  gate.serve({gate.backend(1, origin.port())}, route_to({{1, 1}}));
  const auto port = gate.open(), other = gate.open(77);
  auto idle = Socket::connect(port), busy = Socket::connect(port), outside = Socket::connect(other);
  const auto ask = [&](Socket& client) {
    client.send(get);
    auto upstream = origin.accept();
    upstream.head();
    return upstream;
  };
  auto first = ask(idle);
  first.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
  EXPECT_EQ(read_reply(idle).status, 200);
  outside.send(get);
  EXPECT_EQ(read_reply(outside).status, 404);
  auto waiting = ask(busy);
  gate.worker->close(id(entry_number));
  EXPECT_TRUE(idle.ended());
  waiting.send(ok);
  const auto reply = read_reply(busy);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("Connection"), "close");
  EXPECT_TRUE(busy.ended());
  outside.send(get);
  EXPECT_EQ(read_reply(outside).status, 404) << "another entry's connection goes on";
  // Its port is free again.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
  auto fd = net::listen_on("127.0.0.1", port, 16, false);
  while (!fd && std::chrono::steady_clock::now() < end) fd = net::listen_on("127.0.0.1", port, 16, false);
  ASSERT_TRUE(fd) << fd.error().message;
  ::close(*fd);
}

TEST(Listeners, are_the_workers_even_when_it_ends_first) {
  std::uint16_t port;
  {
    GatewayGate gate;
    port = gate.open();
    gate.worker->stop();
    port = gate.open();
  }
  const auto fd = net::listen_on("127.0.0.1", port, 16, false);  // nobody holds it any more
  ASSERT_TRUE(fd) << fd.error().message;
  ::close(*fd);
}

// Each request on a connection of its own; one that was accepted must be answered.
TEST(Listeners, lose_no_request_while_they_come_and_go) {
  constexpr std::uint32_t rounds = 6;
  GatewayGate gate;
  Answerer upstream;
  auto route = route_to({{1, 1}});
  route.id = id(1);
  std::vector<model::GatewayChange> changes;
  for (std::uint32_t i = 0; i <= rounds; ++i) {
    changes.push_back(put_entry(entry_number + i, {""}));
    route.attached.push_back({id(entry_number + i), id(snapshot::testing::listener_number), {}});
  }
  changes.push_back({id(1), nullptr, std::make_shared<const model::GatewayRoute>(route)});
  gate.publish({gate.backend(1, upstream.port())}, changes);
  std::atomic<std::uint16_t> port = gate.open();
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0, lost = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      while (!stop) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        timeval limit{3, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        const auto address = *net::Address::from_ip("127.0.0.1", port);
        if (::connect(fd, address.get(), address.size()) != 0) {
          ::close(fd);  // it has gone: nothing was promised
          continue;
        }
        Socket client(fd);
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        (client.all().starts_with("HTTP/1.1 200 ") ? answered : lost).fetch_add(1);
      }
    });
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const auto before = answered.load();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
    while (answered < before + 50 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    port = gate.open(entry_number + round + 1);
    gate.worker->close(id(entry_number + round));
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(lost, 0);
  EXPECT_GE(answered, 50 * static_cast<int>(rounds));
}

// --- certificates ---

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

store::Change put_certificate(std::uint32_t number, const Folder& folder, const std::string& name) {
  const auto cert = folder / (name + ".pem"), key = folder / (name + "_key.pem");
  EXPECT_TRUE(net::make_self_signed(cert, key));
  boost::json::object fields{{"cert", read_file(cert)}, {"key", read_file(key)}};
  return put<model::Certificate>(number, boost::json::serialize(fields));
}

// A listener of an entry: name and certificate.
model::GatewayChange tls_entry(const std::vector<std::pair<std::string, std::uint32_t>>& listeners) {
  auto entry = std::make_shared<model::Entry>();
  entry->id = id(entry_number);
  entry->tls = true;
  std::uint32_t number = snapshot::testing::listener_number;
  for (const auto& [host, certificate] : listeners)
    entry->listeners.push_back({id(number++), host, host, {id(certificate)}});
  return {id(entry_number), std::move(entry), nullptr};
}

// A handshake; what came of it.
struct Handshake {
  Handshake(std::uint16_t port, SSL_CTX* context, const char* sni, SSL_SESSION* session = nullptr)
      : socket(Socket::connect(port)), ssl(SSL_new(context)) {
    SSL_set_fd(ssl.get(), socket.fd());
    if (sni) SSL_set_tlsext_host_name(ssl.get(), sni);
    if (session) SSL_set_session(ssl.get(), session);
    done = SSL_connect(ssl.get()) == 1;
    if (!done) {
      alert = ERR_reason_error_string(ERR_peek_last_error());
      ERR_clear_error();
      return;
    }
    std::unique_ptr<X509, decltype(&X509_free)> peer(SSL_get1_peer_certificate(ssl.get()), &X509_free);
    std::unique_ptr<BIGNUM, decltype(&BN_free)> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(peer.get()), nullptr),
                                                       &BN_free);
    std::unique_ptr<char, void (*)(char*)> text(BN_bn2hex(number.get()), [](char* p) { OPENSSL_free(p); });
    serial = text.get();
  }
  int status() {
    SSL_write(ssl.get(), get.data(), static_cast<int>(get.size()));
    std::string out;
    char c;
    while (!out.ends_with("\r\n\r\n") && SSL_read(ssl.get(), &c, 1) == 1) out += c;
    const Reply reply{0, out, ""};
    for (auto left = std::atoi(reply.field("Content-Length").c_str()); left > 0; --left) SSL_read(ssl.get(), &c, 1);
    return out.size() > 12 ? std::atoi(out.c_str() + 9) : 0;
  }

  Socket socket;
  std::unique_ptr<SSL, FreeSsl> ssl;
  bool done = false;
  std::string alert, serial;  // of the certificate
};

TEST(Certificates, of_an_entry_are_chosen_by_name_and_rotate_under_open_connections) {
  Folder folder;
  GatewayGate gate;
  Answerer upstream;
  gate.publish({put_certificate(1, folder, "one"), put_certificate(2, folder, "two")});
  auto route = route_to({{1, 1}});
  gate.serve({gate.backend(1, upstream.port())}, route);
  gate.publish({}, {tls_entry({{"a.test", 1}, {"*.wild.test", 2}})});
  const auto port = gate.open(entry_number, true, 443);
  std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));

  Handshake a(port, context.get(), "A.test"), wild(port, context.get(), "x.wild.test");
  ASSERT_TRUE(a.done && wild.done) << a.alert << wild.alert;
  EXPECT_NE(a.serial, wild.serial);
  EXPECT_EQ(a.status(), 200);
  EXPECT_EQ(field(upstream.wait_for(1)[0], "X-Forwarded-Proto"), "https");
  EXPECT_EQ(field(upstream.wait_for(1)[0], "X-Forwarded-Port"), "443");
  for (const char* unknown : {"b.test", static_cast<const char*>(nullptr)}) {
    Handshake refused(port, context.get(), unknown);
    EXPECT_FALSE(refused.done);
    EXPECT_NE(refused.alert.find("unrecognized name"), std::string::npos) << refused.alert;
  }
  EXPECT_TRUE(becomes(gate.worker->counters().tls_handshakes_failed, 2));

  gate.publish({put_certificate(1, folder, "new")});
  Handshake renewed(port, context.get(), "a.test");
  ASSERT_TRUE(renewed.done) << renewed.alert;
  EXPECT_NE(renewed.serial, a.serial);
  EXPECT_EQ(a.status(), 200) << "the connection from before goes on";
  EXPECT_EQ(a.status(), 200);
}

TEST(Certificates, keep_their_sessions_to_themselves) {
  Folder folder;
  GatewayGate gate;
  Answerer upstream;
  gate.publish({put_certificate(1, folder, "one"), put_certificate(2, folder, "two")});
  gate.serve({gate.backend(1, upstream.port())}, route_to({{1, 1}}));
  auto second = tls_entry({{"a.test", 2}});
  auto other = std::make_shared<model::Entry>(*second.entry);
  other->id = id(77);
  gate.publish({}, {tls_entry({{"a.test", 1}, {"b.test", 2}}), {id(77), other, nullptr}});
  const auto port = gate.open(entry_number, true), elsewhere = gate.open(77, true);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context.get(), version);
    Handshake first(port, context.get(), "a.test");
    ASSERT_TRUE(first.done) << first.alert;
    EXPECT_EQ(first.status(), 200);  // reads the ticket too
    std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(SSL_get1_session(first.ssl.get()),
                                                                      &SSL_SESSION_free);
    Handshake same(port, context.get(), "a.test", session.get());
    Handshake other_name(port, context.get(), "b.test", session.get());
    Handshake other_entry(elsewhere, context.get(), "a.test", session.get());
    ASSERT_TRUE(same.done && other_name.done && other_entry.done);
    EXPECT_EQ(SSL_session_reused(same.ssl.get()), 1) << version;
    EXPECT_EQ(SSL_session_reused(other_name.ssl.get()), 0) << version;
    EXPECT_EQ(SSL_session_reused(other_entry.ssl.get()), 0) << version;
    EXPECT_NE(other_name.serial, first.serial);
    EXPECT_EQ(same.status(), 200) << "its name is known although the session was resumed";
  }
}

TEST(Certificates, of_names_stand_beside_the_default_one) {
  Folder folder;
  ASSERT_TRUE(net::make_self_signed(folder / "c.pem", folder / "k.pem"));
  std::unique_ptr<SSL_CTX, FreeSsl> server(*net::server_context(folder / "c.pem", folder / "k.pem"));
  Gate gate({}, {{.ip = "127.0.0.1", .port = 0, .tls = true}}, server.get());
  Answerer upstream;
  gate.serve({fmt::format("127.0.0.1:{}", upstream.port())});
  gate.publish({put_certificate(1, folder, "one"),
                put<model::Sni>(1, R"({"name":"a.test","certificate":)" + reference(1) + "}")});
  std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  Handshake named(gate.worker->port(0), context.get(), "a.test"), other(gate.worker->port(0), context.get(), "b.test"),
      none(gate.worker->port(0), context.get(), nullptr);
  ASSERT_TRUE(named.done && other.done && none.done);
  EXPECT_NE(named.serial, other.serial);
  EXPECT_EQ(other.serial, none.serial);
  EXPECT_EQ(named.status(), 200);
  EXPECT_EQ(none.status(), 200);
}

TEST(Certificates, of_one_listener_do_not_serve_the_names_of_another) {
  Folder folder;
  GatewayGate gate;
  Answerer upstream;
  gate.publish({put_certificate(1, folder, "one")});
  gate.serve({gate.backend(1, upstream.port())}, route_to({{1, 1}}));
  gate.publish({}, {tls_entry({{"a.test", 1}, {"b.test", 1}})});
  const auto port = gate.open(entry_number, true);
  std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  Handshake b(port, context.get(), "b.test");
  ASSERT_TRUE(b.done);
  EXPECT_EQ(b.status(), 421) << "asks for a.test, which is another listener's";
}

}  // namespace
}  // namespace weir::proxy::testing
