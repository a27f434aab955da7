#include <re2/re2.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

const std::string uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

std::string id_of(const Plugin& plugin, std::string_view header = "kong-request-id") {
  FakeExchange x;
  EXPECT_EQ(x.run_access(plugin), Step::next);
  return x.sent(header);
}

TEST(CorrelationId, makes_an_id_of_the_wanted_form) {
  struct Case {
    std::string config, pattern;
  };
  const Case cases[] = {
      {"{}", uuid + "#[1-9][0-9]*"},
      {R"({"generator":"uuid"})", uuid},
      {R"({"generator":"tracker"})", fmt::format("198\\.51\\.100\\.7-8443-{}-7-3-1700000000\\.045", ::getpid())}};
  for (const auto& c : cases) {
    struct Served : FakeExchange {
      std::string server_ip() const override { return "198.51.100.7"; }
    } x;
    x.port_ = 8443;
    x.now_ms_ = 1'700'000'000'045;
    EXPECT_EQ(x.run_access(*make_plugin(correlation_id(), c.config)), Step::next);
    EXPECT_TRUE(RE2::FullMatch(x.sent("kong-request-id"), c.pattern)) << x.sent("kong-request-id");
  }
}

TEST(CorrelationId, counts_per_worker_and_gives_no_id_twice) {
  const auto plugin = make_plugin(correlation_id(), "{}");
  const auto first = id_of(*plugin), second = id_of(*plugin);
  const auto hash = first.find('#');
  EXPECT_EQ(first.substr(0, hash), second.substr(0, hash)) << "one UUID for a worker";
  EXPECT_EQ(std::stoull(second.substr(hash + 1)), std::stoull(first.substr(hash + 1)) + 1);

  std::set<std::string> seen{first, second};
  std::mutex mutex;
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; i++) {
    workers.emplace_back([&] {
      for (int n = 0; n < 100; n++) {
        auto id = id_of(*plugin);
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(seen.insert(std::move(id)).second);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(seen.size(), 402u);

  const auto random = make_plugin(correlation_id(), R"({"generator":"uuid"})");
  EXPECT_NE(id_of(*random), id_of(*random));
}

TEST(CorrelationId, keeps_the_client_s_id_unless_it_is_empty) {
  const auto plugin = make_plugin(correlation_id(), R"({"header_name":"X-Trace"})");
  FakeExchange given;
  given.with("x-trace", "mine");
  given.run_access(*plugin);
  EXPECT_EQ(given.sent("X-Trace"), "mine");
  EXPECT_EQ(given.edits, 0u);
  FakeExchange empty;
  empty.with("x-trace", "");
  empty.run_access(*plugin);
  EXPECT_TRUE(RE2::FullMatch(empty.sent("X-Trace"), uuid + "#\\d+"));
}

TEST(CorrelationId, echoes_the_same_id_when_told_to) {
  const auto plugin = make_plugin(correlation_id(), R"({"echo_downstream":true})");
  FakeExchange x;
  x.run_access(*plugin);
  x.run_header_filter(*plugin);
  EXPECT_EQ(x.response("Kong-Request-ID"), x.sent("Kong-Request-ID"));

  FakeExchange unrouted;  // access did not run
  unrouted.run_header_filter(*plugin);
  EXPECT_TRUE(RE2::FullMatch(unrouted.response("Kong-Request-ID"), uuid + "#\\d+"));

  const auto silent = make_plugin(correlation_id(), "{}");
  FakeExchange y;
  y.run_access(*silent);
  y.run_header_filter(*silent);
  EXPECT_EQ(y.response("Kong-Request-ID"), "-");
}

TEST(CorrelationId, says_what_is_wrong_with_a_configuration) {
  EXPECT_NE(faults_of(correlation_id(), R"({"generator":"x"})").find("expected one of: uuid, uuid#counter, tracker"),
            std::string::npos);
  EXPECT_NE(faults_of(correlation_id(), R"({"header_name":"a:b"})").find("header_name"), std::string::npos);
  EXPECT_EQ(correlation_id().priority, 100001);
}

}  // namespace
}  // namespace weir::plugin
