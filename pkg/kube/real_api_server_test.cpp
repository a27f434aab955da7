// One conversation with a real API server: what no scripted one can prove. In one test, since to start it takes
// seconds.
#include "kube/real_api_server.h"

#include <set>

#include "kube/lease.h"
#include "kube/lease_record.h"

namespace weir::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace json = boost::json;

constexpr Kind config_map{"", "v1", "ConfigMap", "configmaps"};
constexpr Kind secret{"", "v1", "Secret", "secrets"};
constexpr Kind lease{"coordination.k8s.io", "v1", "Lease", "leases"};
constexpr Kind crd{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false};
constexpr Kind gadget{"example.org", "v1", "Gadget", "gadgets"};

std::string map_named(std::string_view name, std::string_view value) {
  return fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}"}},"data":{{"value":"{}"}}}})",
                     name, value);
}

class RealConversation : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = RealApiServer::missing(); !why.empty()) GTEST_SKIP() << why;
    server = std::make_unique<RealApiServer>();
    kube = std::make_unique<ClientForTests>(server->access());
    ASSERT_TRUE(becomes_ready()) << server->log();
  }
  void TearDown() override {
    informers.reset();
    kube.reset();
  }
  bool becomes_ready() {
    return eventually(
        [&] {
          const auto answer = kube->request("GET", "/readyz");
          return (answer && answer->ok()) || !server->runs();
        },
        seconds(60));
  }
  Answer ok(const std::string& method, const std::string& path, const std::string& body = {},
            const std::string& type = "application/json") {
    auto answer = kube->request(method, path, body, type);
    EXPECT_TRUE(answer && answer->ok()) << method << " " << path << ": "
                                        << (answer ? answer->reason() : answer.error().message);
    return answer ? std::move(*answer) : Answer{};
  }
  bool has(const Kind& kind, const std::string& name, const std::string& part, milliseconds limit = seconds(10)) {
    return eventually([&] { return informers->text(kind, {"default", name}).find(part) != std::string::npos; }, limit);
  }
  void lists_and_watches();
  void applies_and_puts();
  void tells_what_is_denied();
  void sees_kinds_come();
  void elects_and_is_present();
  void survives_a_restart();
  void verifies_the_server();

  std::unique_ptr<RealApiServer> server;
  std::unique_ptr<ClientForTests> kube;
  std::unique_ptr<InformersForTests> informers;
};

// Sockets of this process that lead to the port.
std::size_t connections_to(std::uint16_t port) {
  std::set<std::string> ours;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    ours.insert(std::filesystem::read_symlink(entry.path(), gone).string());
  }
  std::ifstream table("/proc/net/tcp");
  std::string line;
  std::size_t out = 0;
  while (std::getline(table, line)) {
    std::istringstream columns(line);
    std::string number, local, remote, state, skip, inode;
    columns >> number >> local >> remote >> state >> skip >> skip >> skip >> skip >> skip >> inode;
    if (remote.ends_with(fmt::format(":{:04X}", port)) && state == "01" && ours.contains("socket:[" + inode + "]"))
      out++;
  }
  return out;
}

void RealConversation::lists_and_watches() {
  for (int i = 0; i < 600; i++) ok("POST", config_map.path("default"), map_named(fmt::format("m{}", i), "first"));
  informers = std::make_unique<InformersForTests>(*kube);
  for (const auto& kind : {config_map, lease, crd, gadget}) informers->watch(kind);
  ASSERT_TRUE(eventually([&] { return informers->synced(); }));
  EXPECT_EQ(informers->names(config_map, "default").size(), 600u) << "in two pages";
  EXPECT_EQ(informers->text(config_map, {"default", "m7"}).find("managedFields"), std::string::npos);
  EXPECT_EQ(connections_to(server->port), 1u) << "HTTP/2 carries all";

  std::vector<std::chrono::steady_clock::duration> took;
  for (int i = 0; i < 50; i++) {
    informers->take_changes();
    ok("PUT", config_map.path("default", "m7"), map_named("m7", fmt::format("v{}", i)));
    const auto written = std::chrono::steady_clock::now();
    EXPECT_TRUE(has(config_map, "m7", fmt::format("\"v{}\"", i)));
    took.push_back(std::chrono::steady_clock::now() - written);
  }
  std::ranges::sort(took);
  RecordProperty("median_us_from_write_to_informer", static_cast<int>(took[25] / std::chrono::microseconds(1)));
  EXPECT_LT(took[25], milliseconds(50));
  ok("DELETE", config_map.path("default", "m8"));
  EXPECT_TRUE(eventually([&] { return informers->text(config_map, {"default", "m8"}).empty(); }));
  EXPECT_TRUE(eventually([&] { return informers->revision(config_map) > 600; }));
}

void RealConversation::applies_and_puts() {
  const auto path = config_map.path("default", "applied") + "?fieldManager=weir&force=true";
  const auto answer = ok("PATCH", path, map_named("applied", "by-apply"), "application/apply-patch+yaml");
  EXPECT_EQ(answer.status, 201);
  const auto answered = json::parse(answer.body).get_object();
  kube->on_thread([&] { informers->informers->put(config_map, answered); });
  EXPECT_TRUE(has(config_map, "applied", "by-apply", milliseconds(0))) << "without waiting for the watch";
  const auto revision = std::stoull(std::string(answered.at("metadata").at("resourceVersion").as_string()));
  EXPECT_TRUE(eventually([&] { return informers->revision(config_map) >= revision; }));
  std::vector<std::string> told = informers->changes();
  EXPECT_EQ(std::ranges::count(told, "configmaps:default/applied"), 1) << "the watch told nothing new";
  EXPECT_EQ(ok("PATCH", path, map_named("applied", "by-apply"), "application/apply-patch+yaml").status, 200);
}

void RealConversation::tells_what_is_denied() {
  ClientForTests nobody(server->access("nobody-token"));
  InformersForTests denied(nobody);
  denied.watch(secret);
  EXPECT_TRUE(eventually([&] { return denied.synced(); }));
  const auto fault = denied.counts("secrets").fault;
  EXPECT_TRUE(fault.starts_with("cannot list secrets in group \"\": secrets is forbidden: User \"nobody\"")) << fault;
  ClientForTests stranger(server->access("wrong-token"));
  EXPECT_EQ(stranger.request("GET", secret.path()).value().status, 401);
}

void RealConversation::sees_kinds_come() {
  EXPECT_TRUE(informers->counts("gadgets.example.org").absent);
  ok("POST", crd.path(), R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
      "metadata":{"name":"gadgets.example.org"},"spec":{"group":"example.org","scope":"Namespaced",
      "names":{"kind":"Gadget","plural":"gadgets","singular":"gadget"},"versions":[{"name":"v1","served":true,
      "storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}})");
  EXPECT_TRUE(eventually([&] { return !informers->counts("gadgets.example.org").absent; }));
  const std::string one = R"({"apiVersion":"example.org/v1","kind":"Gadget","metadata":{"name":"g"},"spec":{"a":1}})";
  EXPECT_TRUE(eventually([&] {
    const auto answer = kube->request("POST", gadget.path("default"), one);
    return answer && (answer->ok() || answer->status == 409);
  }));
  EXPECT_TRUE(has(gadget, "g", R"("a":1)"));
}

void RealConversation::elects_and_is_present() {
  std::atomic<bool> first = false, second = false;
  std::unique_ptr<Election> one, two;
  std::unique_ptr<Presence> presence;
  const auto candidate = [&](std::unique_ptr<Election>& election, const char* identity, std::atomic<bool>& leads) {
    kube->on_thread([&] {
      election = Election::start(
          *kube->client, {"default", "leader", identity, milliseconds(2000), milliseconds(1500), milliseconds(200)},
          [&leads](bool now) { leads = now; });
    });
  };
  candidate(one, "one", first);
  EXPECT_TRUE(eventually([&] { return first.load(); }));
  candidate(two, "two", second);
  EXPECT_TRUE(has(lease, "leader", R"("holderIdentity":"one")"));
  kube->on_thread([&] { one.reset(); });
  EXPECT_TRUE(eventually([&] { return second.load(); }));
  EXPECT_TRUE(has(lease, "leader", R"("leaseTransitions":1)"));
  EXPECT_EQ(kube->on_thread([&] { return two->fault(); }), "");

  kube->on_thread([&] {
    presence = Presence::start(*kube->client, {"default",
                                               "weir-a",
                                               "pod-a",
                                               {{"app", "weir"}},
                                               "11111111-2222-3333-4444-555555555555",
                                               seconds(10),
                                               milliseconds(300)});
    presence->tell("weir.dev/applied", "42");
  });
  EXPECT_TRUE(has(lease, "weir-a", R"("weir.dev/applied":"42")"));
  EXPECT_TRUE(has(lease, "weir-a", R"("uid":"11111111-2222-3333-4444-555555555555")"));
  const auto before = informers->text(lease, {"default", "weir-a"});
  EXPECT_TRUE(eventually([&] { return informers->text(lease, {"default", "weir-a"}) != before; })) << "renewed";
  kube->on_thread([&] {
    presence.reset();
    two.reset();
  });
  EXPECT_TRUE(eventually([&] { return informers->text(lease, {"default", "weir-a"}).empty(); }));
  EXPECT_TRUE(has(lease, "leader", R"("holderIdentity":"")"));
}

void RealConversation::survives_a_restart() {
  server->kill();
  EXPECT_TRUE(eventually([&] { return !informers->counts("configmaps").fault.empty(); }));
  EXPECT_EQ(informers->names(config_map, "default").size(), 600u) << "what was known stays";
  server->start();
  ASSERT_TRUE(becomes_ready()) << server->log();
  ok("PUT", config_map.path("default", "m9"), map_named("m9", "after"));
  EXPECT_TRUE(has(config_map, "m9", "after", seconds(30)));
  EXPECT_TRUE(eventually([&] { return informers->counts("configmaps").fault.empty(); }));
}

void RealConversation::verifies_the_server() {
  auto access = server->access();
  access.insecure = false;
  EXPECT_FALSE(ClientForTests(access).request("GET", "/readyz")) << "nobody has signed it but itself";
  access.ca_file = server->certificate();
  access.tls_server_name = "kubernetes.default.svc";
  const auto verified = ClientForTests(access).request("GET", "/readyz");
  EXPECT_TRUE(verified) << verified.error().message;
  access.tls_server_name = "other.example";
  EXPECT_FALSE(ClientForTests(access).request("GET", "/readyz"));
}

TEST_F(RealConversation, holds_from_the_first_list_to_a_restart) {
  lists_and_watches();
  applies_and_puts();
  tells_what_is_denied();
  sees_kinds_come();
  elects_and_is_present();
  verifies_the_server();
  survives_a_restart();
}

}  // namespace
}  // namespace weir::kube
