// Upstreams that must show a certificate for a name that is wanted.
#include "model/pem_for_tests.h"
#include "net/tls.h"
#include "proxy/gateway_test_support.h"
#include "proxy/tls_test_support.h"

namespace weir::proxy::testing {
namespace {

const model::testing::Pem& own() {
  static const auto pem = model::testing::make_pem({.name = "up.test", .uri = "spiffe://up/one", .authority = true});
  return pem;
}
const model::testing::Pem& foreign() {
  static const auto pem = model::testing::make_pem({.name = "up.test", .authority = true});
  return pem;
}

struct Wanted {
  std::string_view what;
  model::BackendTls tls;
  bool served;
};
class UpstreamTls : public ::testing::TestWithParam<Wanted> {};

// The upstream's side: its handshake, and its answer when that went well.
void answer_one(Origin& origin, SSL_CTX* context, std::string_view server_name) {
  auto socket = origin.accept();
  std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), socket.fd());
  char buffer[4096];
  if (SSL_accept(ssl.get()) == 1 && SSL_read(ssl.get(), buffer, sizeof buffer) > 0) {
    EXPECT_EQ(SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name), server_name);
    SSL_write(ssl.get(), ok.data(), static_cast<int>(ok.size()));
  }
  ERR_clear_error();
}

TEST_P(UpstreamTls, is_served_by_whom_it_wants_only) {
  const net::PemPair pair{own().certificate, own().key};
  std::unique_ptr<SSL_CTX, FreeSsl> context(*net::server_context_from_pem({&pair, 1}));
  GatewayGate gate;
  Origin origin;
  auto route = route_to({{1, 1}});
  route.services[0].tls = std::make_shared<const model::BackendTls>(GetParam().tls);
  gate.serve({gate.backend(1, origin.port())}, std::move(route));
  auto client = Socket::connect(gate.open());
  auto upstream = std::async([&] { answer_one(origin, context.get(), GetParam().tls.hostname); });
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, GetParam().served ? 200 : 502);
}

INSTANTIATE_TEST_SUITE_P(
    Names, UpstreamTls,
    ::testing::Values(Wanted{"its name", {"up.test", {}, {}, own().certificate}, true},
                      Wanted{"another name", {"other.test", {}, {}, own().certificate}, false},
                      Wanted{"a listed name", {"other.test", {"no.test", "up.test"}, {}, own().certificate}, true},
                      Wanted{"other names", {"up.test", {"no.test"}, {}, own().certificate}, false},
                      Wanted{"its URI", {"other.test", {}, {"spiffe://up/one"}, own().certificate}, true},
                      Wanted{"another URI", {"up.test", {}, {"spiffe://up/two"}, own().certificate}, false},
                      Wanted{"other authorities", {"up.test", {}, {}, foreign().certificate}, false},
                      Wanted{"the system's authorities", {"up.test", {}, {}, ""}, false}),
    [](const auto& row) {
      std::string name(row.param.what);
      std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
      return name;
    });

}  // namespace
}  // namespace weir::proxy::testing
