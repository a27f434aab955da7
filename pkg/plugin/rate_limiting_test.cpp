#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "plugin/instances_for_tests.h"
#include "plugin/redis_server_for_tests.h"

namespace weir::plugin {
namespace {

constexpr std::uint64_t noon = 1'735'732'800'000;  // 2025-01-01T12:00:00Z

// Shared counters in memory. away: every call fails.
class CountersInMemory : public Counters {
 public:
  void add(std::vector<Window> windows, std::uint64_t amount,
           std::function<void(std::shared_ptr<const Counted>)> done) override {
    auto counted = std::make_shared<Counted>();
    {
      const std::lock_guard lock(mutex);
      ++calls;
      counted->ok = !away;
      for (const auto& window : windows) {
        auto& count = counts[fmt::format("{} {} {}", window.identifier, window.period, window.start_ms)];
        counted->before.push_back(count);
        if (!away) count += amount;
      }
      last = std::move(windows);
    }
    done(std::move(counted));
  }
  std::mutex mutex;
  bool away = false;
  int calls = 0;
  std::map<std::string, std::uint64_t> counts;
  std::vector<Window> last;
};

struct Host {  // a node
  Host() : services({}, std::unique_ptr<Counters>(counters = new CountersInMemory)) {}
  std::unique_ptr<const Plugin> plugin(std::string_view config, Scope scope = {Uuid::random(), {}, {}, {}, {}}) {
    const auto complete = rate_limiting().config().complete_config(boost::json::parse(config).as_object());
    if (!complete) throw std::runtime_error(boost::json::serialize(complete.error().fields));
    auto made = rate_limiting().make(*complete, scope, services);
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }
  CountersInMemory* counters = nullptr;
  Services services;
};

FakeExchange request(std::uint64_t now = noon) {
  FakeExchange x;
  x.now_ms_ = now;
  return x;
}

// "next", or the status of the answer.
std::string run(const Plugin& plugin, FakeExchange& x) {
  return x.run_access(plugin) == Step::next ? "next" : std::to_string(x.answered);
}

TEST(RateLimiting, has_kongs_faults) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}",
       "at least one of these fields must be non-empty: 'config.second', 'config.minute', 'config.hour', "
       "'config.day', 'config.month', 'config.year'"},
      {R"({"minute":0})", "value must be greater than 0"},
      {R"({"minute":10,"hour":5})", "The limit for hour(5.0) cannot be lower than the limit for minute(10.0)"},
      {R"({"minute":1,"limit_by":"cookie"})", "expected one of: consumer, credential, ip, service, header, path"},
      {R"({"minute":1,"limit_by":"header"})", R"("header_name":"required field missing")"},
      {R"({"minute":1,"limit_by":"path"})", R"("path":"required field missing")"},
      {R"({"minute":1,"policy":"redis"})", R"("redis":{"host":"required field missing"})"},
      {R"({"minute":1,"policy":"redis"})", "failed conditional validation given value of field 'config.policy'"},
      {R"({"minute":1,"sync_rate":1})", "sync_rate can only be used with a redis policy"},
      {R"({"minute":1,"policy":"redis","redis":{"host":"h"},"sync_rate":0.01})", "must not be less than 0.02"},
      {R"({"minute":1,"policy":"redis","redis":{"host":"h","ssl":true}})", "not supported"},
      {R"({"minute":1,"policy":"redis","redis_host":"h","redis_password":"{vault://env/x}"})", "vaults"},
  };
  for (const auto& [config, fault] : cases)
    EXPECT_NE(faults_of(rate_limiting(), config).find(fault), std::string::npos)
        << config << " " << faults_of(rate_limiting(), config);
  EXPECT_EQ(faults_of(rate_limiting(), R"({"second":1.5,"year":2})"), "");
}

TEST(RateLimiting, takes_the_old_names_of_redis) {
  const auto complete = rate_limiting().config().complete_config(
      {{"minute", 1}, {"policy", "redis"}, {"redis_host", "h"}, {"redis_port", 1234}, {"redis_database", 2}});
  ASSERT_TRUE(complete) << boost::json::serialize(complete.error().fields);
  const auto& redis = complete->at("redis").as_object();
  EXPECT_EQ(redis.at("host").as_string(), "h");
  EXPECT_EQ(redis.at("port").to_number<int>(), 1234);
  EXPECT_EQ(redis.at("database").to_number<int>(), 2);
  EXPECT_EQ(redis.at("timeout").to_number<int>(), 2000);
}

TEST(RateLimiting, tells_the_client_its_limits_and_refuses_what_is_over) {
  Host host;
  const auto plugin = host.plugin(R"({"minute":2,"hour":5})");
  for (const int left : {1, 0}) {
    auto x = request(noon + 20'500);
    ASSERT_EQ(run(*plugin, x), "next");
    EXPECT_EQ(x.response("X-RateLimit-Limit-Minute"), "2");
    EXPECT_EQ(x.response("X-RateLimit-Remaining-Minute"), std::to_string(left));
    EXPECT_EQ(x.response("X-RateLimit-Limit-Hour"), "5");
    EXPECT_EQ(x.response("X-RateLimit-Remaining-Hour"), std::to_string(left + 3));
    EXPECT_EQ(x.response("RateLimit-Limit"), "2");
    EXPECT_EQ(x.response("RateLimit-Remaining"), std::to_string(left));
    EXPECT_EQ(x.response("RateLimit-Reset"), "40");
    EXPECT_EQ(x.response("Retry-After"), "-");
  }
  auto x = request(noon + 20'500);
  ASSERT_EQ(run(*plugin, x), "429");
  EXPECT_TRUE(x.by_error);
  EXPECT_EQ(x.answer, "API rate limit exceeded");
  EXPECT_EQ(x.response("X-RateLimit-Remaining-Minute"), "0");
  EXPECT_EQ(x.response("X-RateLimit-Remaining-Hour"), "3");  // nothing was counted
  EXPECT_EQ(x.response("Retry-After"), "40");
  auto later = request(noon + 60'000);
  EXPECT_EQ(run(*plugin, later), "next");
  EXPECT_EQ(later.response("X-RateLimit-Remaining-Hour"), "2");
}

TEST(RateLimiting, refuses_as_configured) {
  Host host;
  const auto plugin =
      host.plugin(R"({"second":1,"hide_client_headers":true,"error_code":503,"error_message":"slow down"})");
  auto first = request(), second = request();
  EXPECT_EQ(run(*plugin, first), "next");
  EXPECT_EQ(run(*plugin, second), "503");
  EXPECT_EQ(second.answer, "slow down");
  for (const auto* x : {&first, &second})
    for (const auto name : {"RateLimit-Limit", "X-RateLimit-Limit-Second", "Retry-After"})
      EXPECT_EQ(x->response(name), "-") << name;
}

TEST(RateLimiting, counts_together_what_limit_by_says) {
  struct Case {
    std::string limit_by;
    std::function<void(FakeExchange&)> same, other;  // the same as another request of this, and another one
  };
  const auto as = [](std::string_view consumer, std::string_view credential) {
    return [=](FakeExchange& x) {
      if (!consumer.empty()) x.consumer_row = std::make_shared<const model::Object>(model::Object{{"id", consumer}});
      if (!credential.empty())
        x.credential_row = std::make_shared<const model::Object>(model::Object{{"id", credential}});
    };
  };
  const auto service = Uuid::random(), other_service = Uuid::random();
  const auto ip = [](std::string address) { return [=](FakeExchange& x) { x.client_ip_ = address; }; };
  const std::vector<Case> cases{
      {R"("consumer")", as("c1", "k1"), as("c2", "k1")},
      {R"("consumer")", as("", "k1"), as("", "k2")},
      {R"("consumer")", ip("192.0.2.7"), ip("192.0.2.8")},
      {R"("credential")", as("c1", "k1"), as("c1", "k2")},
      {R"("ip")", ip("192.0.2.7"), ip("192.0.2.8")},
      {R"("service")", [=](auto& x) { x.service_.emplace().id = service; },
       [=](auto& x) { x.service_.emplace().id = other_service; }},
      {R"("header","header_name":"X-Tenant")", [](auto& x) { x.with("x-tenant", "a"); },
       [](auto& x) { x.with("x-tenant", "b"); }},
      {R"("header","header_name":"X-Tenant")", ip("192.0.2.7"), ip("192.0.2.8")},
      {R"("path","path":"/a")", [](auto& x) { x.path_ = "/a"; }, [](auto& x) { x.path_ = "/b"; }},
      {R"("path","path":"/a")", [](auto& x) { x.path_ = "/b"; }, ip("192.0.2.8")},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.limit_by);
    Host host;
    const auto plugin = host.plugin(fmt::format(R"({{"minute":1,"limit_by":{}}})", c.limit_by));
    auto first = request(), second = request(), other = request();
    c.same(first), c.same(second), c.other(other);
    EXPECT_EQ(run(*plugin, first), "next");
    EXPECT_EQ(run(*plugin, second), "429");
    EXPECT_EQ(run(*plugin, other), "next");
  }
}

TEST(RateLimiting, lets_exactly_the_limit_pass_for_a_hundred_clients_at_once) {
  Host host;
  const auto plugin = host.plugin(R"({"minute":1000,"limit_by":"header","header_name":"x-tenant"})");
  std::atomic<int> passed{0}, refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 100; ++i)
    clients.emplace_back([&] {
      for (int n = 0; n < 30; ++n) {
        auto x = request();
        x.with("x-tenant", "a");
        plugin->access(x) == Step::next ? ++passed : ++refused;
      }
    });
  for (auto& client : clients) client.join();
  EXPECT_EQ(passed, 1000);
  EXPECT_EQ(refused, 2000);
}

TEST(RateLimiting, keeps_counting_when_its_configuration_changes) {
  Host host;
  const Scope scope{Uuid::random(), {}, {}, {}, {}};
  auto x = request(), y = request(), z = request();
  EXPECT_EQ(run(*host.plugin(R"({"minute":2})", scope), x), "next");
  EXPECT_EQ(run(*host.plugin(R"({"minute":1})", scope), y), "429");
  EXPECT_EQ(run(*host.plugin(R"({"minute":3})", scope), z), "next");
}

TEST(RateLimiting, asks_the_cluster_and_does_not_ask_again_for_a_window_that_is_used_up) {
  Host host;
  const auto service = Uuid::random();
  const auto plugin = host.plugin(R"({"minute":2,"hour":9,"policy":"cluster"})", {Uuid::random(), {}, {}, service, {}});
  for (const int left : {1, 0}) {
    auto x = request(noon + 1000);
    ASSERT_EQ(run(*plugin, x), "next");
    EXPECT_EQ(x.response("X-RateLimit-Remaining-Minute"), std::to_string(left));
  }
  ASSERT_EQ(host.counters->calls, 2);
  ASSERT_EQ(host.counters->last.size(), 2u);
  const auto& window = host.counters->last[0];
  EXPECT_EQ(window.identifier, "192.0.2.1");
  EXPECT_EQ(window.period, "minute");
  EXPECT_EQ(window.start_ms, noon);
  EXPECT_EQ(window.seconds, 60u);
  EXPECT_EQ(window.limit, 2u);
  EXPECT_EQ(window.service_id, service.text());
  EXPECT_EQ(window.route_id, "00000000-0000-0000-0000-000000000000");
  auto over = request(noon + 2000), next = request(noon + 60'000);
  EXPECT_EQ(run(*plugin, over), "429");
  EXPECT_EQ(over.response("Retry-After"), "58");
  EXPECT_EQ(over.response("X-RateLimit-Remaining-Hour"), "7");
  EXPECT_EQ(host.counters->calls, 2);
  EXPECT_EQ(run(*plugin, next), "next");
  EXPECT_EQ(host.counters->calls, 3);
}

TEST(RateLimiting, gives_shared_counters_no_identifier_that_they_would_refuse) {
  Host host;
  const auto plugin = host.plugin(R"({"minute":1,"policy":"cluster","limit_by":"header","header_name":"x-tenant"})");
  const std::pair<std::string, std::string> cases[] = {
      {"tenant", "tenant"},
      {"bad\xff", ""},
      {std::string(9000, 'a'), ""},
      {std::string(9000, 'a') + "b", ""},
  };
  std::set<std::string> seen;
  for (const auto& [sent, counted] : cases) {
    auto first = request(), second = request();
    first.with("x-tenant", sent), second.with("x-tenant", sent);
    EXPECT_EQ(run(*plugin, first), "next");
    const auto& identifier = host.counters->last[0].identifier;
    EXPECT_TRUE(counted.empty() ? Uuid::parse(identifier).has_value() : identifier == counted) << identifier;
    seen.insert(identifier);
    EXPECT_EQ(run(*plugin, second), "429");
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST(RateLimiting, obeys_what_other_nodes_counted) {
  Host host;
  const auto plugin = host.plugin(R"({"minute":5,"policy":"cluster"})");
  host.counters->counts[fmt::format("192.0.2.1 minute {}", noon)] = 5;
  auto x = request(), y = request();
  EXPECT_EQ(run(*plugin, x), "429");
  EXPECT_EQ(run(*plugin, y), "429");
  EXPECT_EQ(host.counters->calls, 1);
}

TEST(RateLimiting, passes_or_fails_while_the_counters_are_away) {
  Host host;
  host.counters->away = true;
  auto x = request(), y = request();
  EXPECT_EQ(run(*host.plugin(R"({"minute":1,"policy":"cluster"})"), x), "next");
  EXPECT_EQ(x.response("X-RateLimit-Limit-Minute"), "-");
  EXPECT_EQ(run(*host.plugin(R"({"minute":1,"policy":"cluster","fault_tolerant":false})"), y), "500");
  EXPECT_EQ(y.answer, "An unexpected error occurred");
}

TEST(RateLimiting, needs_a_database_for_the_policy_cluster) {
  const auto complete = rate_limiting().config().complete_config({{"minute", 1}, {"policy", "cluster"}});
  ASSERT_TRUE(complete);
  const auto made = rate_limiting().make(*complete, {}, test_services());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("PostgreSQL"), std::string::npos);
}

TEST(RateLimiting, is_exact_for_two_nodes_with_redis) {
  RedisServerForTests server;
  Host nodes[2];
  const auto config = fmt::format(
      R"({{"minute":300,"policy":"redis","fault_tolerant":false,"redis":{{"host":"127.0.0.1","port":{},"timeout":9000}}}})",
      server.port);
  const std::unique_ptr<const Plugin> plugins[2]{nodes[0].plugin(config), nodes[1].plugin(config)};
  std::atomic<int> passed{0}, refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i)
    clients.emplace_back([&, i] {
      for (int n = 0; n < 40; ++n) {
        auto x = request();
        const auto said = run(*plugins[i % 2], x);
        if (said == "next") ++passed;
        if (said == "429") ++refused;
      }
    });
  for (auto& client : clients) client.join();
  EXPECT_EQ(passed, 300);
  EXPECT_EQ(refused, 340);
}

TEST(RateLimiting, exchanges_counts_with_redis_now_and_then_when_sync_rate_says_so) {
  RedisServerForTests server;
  Host nodes[2];
  const auto config = fmt::format(
      R"({{"hour":100,"policy":"redis","sync_rate":0.02,"redis":{{"host":"127.0.0.1","port":{}}}}})", server.port);
  const std::unique_ptr<const Plugin> plugins[2]{nodes[0].plugin(config), nodes[1].plugin(config)};
  const auto key = fmt::format(
      "ratelimit:00000000-0000-0000-0000-000000000000:00000000-0000-0000-0000-000000000000:192.0.2.1:{}:hour", noon);
  for (int i = 0; i < 40; ++i) {
    auto x = request();
    ASSERT_EQ(run(*plugins[0], x), "next");
    EXPECT_EQ(x.waits, 0u);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (server.command({"GET", key}) != "40" && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_EQ(server.command({"GET", key}), "40");
  // The other node learns of them with its first exchange, and both stop in time.
  auto first = request();
  ASSERT_EQ(run(*plugins[1], first), "next");
  EXPECT_EQ(first.response("X-RateLimit-Remaining-Hour"), "99");
  std::string left;
  while (left != "58" && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (server.command({"GET", key}) != "41") continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    auto x = request();
    ASSERT_EQ(run(*plugins[1], x), "next");
    left = x.response("X-RateLimit-Remaining-Hour");
  }
  EXPECT_EQ(left, "58");
}

}  // namespace
}  // namespace weir::plugin
