#include "plugin/redis_counters.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>

#include "plugin/redis_server_for_tests.h"

namespace weir::plugin {
namespace {

using Clock = std::chrono::steady_clock;

Window minute_of(std::string identifier, std::uint64_t limit = 0) {
  return {std::move(identifier), "minute", 1'735'732'800'000, 60, "service-id", "route-id", limit};
}

std::shared_ptr<const Counted> add(Counters& counters, std::vector<Window> windows, std::uint64_t amount = 1) {
  std::promise<std::shared_ptr<const Counted>> told;
  auto answer = told.get_future();
  counters.add(std::move(windows), amount, [&](std::shared_ptr<const Counted> counted) { told.set_value(counted); });
  if (answer.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
    ADD_FAILURE() << "never answered";
    std::abort();  // the promise must not go while somebody may use it
  }
  return answer.get();
}

RedisServer named(const RedisServerForTests& server, std::uint32_t timeout_ms = 5000) {
  RedisServer out;
  out.host = "127.0.0.1";
  out.port = server.port;
  out.timeout_ms = timeout_ms;
  return out;
}

TEST(RedisCounters, count_under_kongs_keys_and_let_them_end) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server));
  const auto first = add(*counters, {minute_of("alice")});
  ASSERT_TRUE(first->ok) << first->error;
  EXPECT_EQ(first->before, std::vector<std::uint64_t>{0});
  EXPECT_EQ(add(*counters, {minute_of("alice")}, 5)->before, std::vector<std::uint64_t>{1});
  const std::string key = "ratelimit:route-id:service-id:alice:1735732800000:minute";
  EXPECT_EQ(server.command({"GET", key}), "6");
  const auto left = std::stoi(server.command({"TTL", key}));
  EXPECT_GT(left, 50);
  EXPECT_LE(left, 60);
}

TEST(RedisCounters, count_in_no_window_when_one_is_exhausted) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server));
  auto hour = minute_of("a", 10);
  hour.period = "hour";
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(add(*counters, {minute_of("a", 2), hour})->ok);
  EXPECT_EQ(server.command({"GET", "ratelimit:route-id:service-id:a:1735732800000:minute"}), "2");
  EXPECT_EQ(server.command({"GET", "ratelimit:route-id:service-id:a:1735732800000:hour"}), "2");
  EXPECT_EQ(add(*counters, {minute_of("a", 2), hour})->before, (std::vector<std::uint64_t>{2, 2}));
}

TEST(RedisCounters, are_exact_for_two_nodes_with_many_threads) {
  RedisServerForTests server;
  RedisCounters one, other;
  const std::vector<std::shared_ptr<Counters>> nodes{one.at(named(server)), other.at(named(server))};
  constexpr int threads = 8, calls = 500, limit = 1000;
  std::atomic<int> passed{0}, failed{0}, open{threads * calls};
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      for (int i = 0; i < calls; ++i)
        nodes[static_cast<std::size_t>(t) % 2]->add({minute_of("x", limit)}, 1,
                                                    [&](const std::shared_ptr<const Counted>& counted) {
                                                      if (!counted->ok)
                                                        ++failed;
                                                      else if (counted->before[0] < limit)
                                                        ++passed;
                                                      --open;
                                                    });
    });
  for (auto& worker : workers) worker.join();
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  while (open > 0 && Clock::now() < deadline) std::this_thread::yield();
  ASSERT_EQ(open, 0);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(passed, limit);
}

TEST(RedisCounters, answer_within_the_timeout_when_the_server_is_frozen_and_go_on_after_it) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server, 200));
  ASSERT_TRUE(add(*counters, {minute_of("a")})->ok);
  server.freeze();
  const auto begin = Clock::now();
  const auto late = add(*counters, {minute_of("a")});
  EXPECT_FALSE(late->ok);
  EXPECT_NE(late->error.find("200 ms"), std::string::npos) << late->error;
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(2));
  // For a while nobody waits for it again.
  const auto second = Clock::now();
  EXPECT_FALSE(add(*counters, {minute_of("a")})->ok);
  EXPECT_LT(Clock::now() - second, std::chrono::milliseconds(100));
  server.thaw();
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  bool again = false;
  while (!again && Clock::now() < deadline) again = add(*counters, {minute_of("b")})->ok;
  EXPECT_TRUE(again);
}

TEST(RedisCounters, survive_a_server_that_is_killed_and_started_again) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server, 1000));
  ASSERT_TRUE(add(*counters, {minute_of("a")})->ok);
  server.kill();
  EXPECT_FALSE(add(*counters, {minute_of("a")})->ok);
  server.start();
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  std::shared_ptr<const Counted> counted;
  do counted = add(*counters, {minute_of("a")});
  while (!counted->ok && Clock::now() < deadline);
  ASSERT_TRUE(counted->ok) << counted->error;
  EXPECT_EQ(counted->before[0], 0u);  // it kept nothing
  // Restarted while nobody asks: the connection is stale, and the script unknown.
  server.kill();
  server.start();
  const auto first = add(*counters, {minute_of("a")});
  EXPECT_TRUE(first->ok) << first->error;
}

TEST(RedisCounters, send_the_script_again_when_the_server_forgot_it) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server));
  ASSERT_TRUE(add(*counters, {minute_of("a")})->ok);
  ASSERT_EQ(server.command({"SCRIPT", "FLUSH"}), "OK");
  const auto counted = add(*counters, {minute_of("a")});
  ASSERT_TRUE(counted->ok) << counted->error;
  EXPECT_EQ(counted->before[0], 1u);
}

TEST(RedisCounters, log_in_and_choose_the_database_and_name_no_secret) {
  RedisServerForTests server({"--requirepass", "open-sesame"}, "open-sesame");
  RedisCounters redis;
  auto settings = named(server);
  settings.password = "open-sesame";
  settings.username = "default";
  settings.database = 3;
  const auto counted = add(*redis.at(settings), {minute_of("a")});
  ASSERT_TRUE(counted->ok) << counted->error;
  EXPECT_EQ(server.command({"DBSIZE"}), "0");
  EXPECT_NE(server.command({"INFO", "keyspace"}).find("db3:keys=1"), std::string::npos);
  settings.password = "wrong-secret";
  const auto refused = add(*redis.at(settings), {minute_of("a")});
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->error.find("login"), std::string::npos) << refused->error;
  EXPECT_EQ(refused->error.find("wrong-secret"), std::string::npos) << refused->error;
}

TEST(RedisCounters, say_what_is_wrong_with_a_key_of_another_kind) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server));
  server.command({"LPUSH", "ratelimit:route-id:service-id:a:1735732800000:minute", "x"});
  const auto counted = add(*counters, {minute_of("a")});
  EXPECT_FALSE(counted->ok);
  EXPECT_NE(counted->error.find("WRONGTYPE"), std::string::npos) << counted->error;
  EXPECT_TRUE(add(*counters, {minute_of("b")})->ok);  // the others are served
}

TEST(RedisCounters, end_at_once_while_a_server_does_not_answer) {
  RedisServerForTests server;
  auto redis = std::make_unique<RedisCounters>();
  auto counters = redis->at(named(server, 60'000));
  ASSERT_TRUE(add(*counters, {minute_of("a")})->ok);
  server.freeze();
  std::promise<bool> told;
  counters->add({minute_of("a")}, 1, [&](const auto& counted) { told.set_value(counted->ok); });
  const auto begin = Clock::now();
  counters.reset();
  redis.reset();
  EXPECT_FALSE(told.get_future().get());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
}

TEST(RedisCounters, share_a_server_and_leave_one_that_nobody_holds) {
  RedisServerForTests server;
  RedisCounters redis;
  const auto counters = redis.at(named(server));
  EXPECT_EQ(redis.at(named(server)), counters);
  std::weak_ptr<Counters> gone = redis.at(named(server, 77));
  EXPECT_FALSE(gone.expired());
  redis.at(named(server));
  EXPECT_TRUE(gone.expired());
}

TEST(RedisCounters, fail_when_the_name_is_unknown) {
  RedisCounters redis;
  RedisServer server;
  server.host = "no-such-host.invalid";
  server.timeout_ms = 3000;
  const auto counted = add(*redis.at(server), {minute_of("a")});
  EXPECT_FALSE(counted->ok);
  EXPECT_NE(counted->error.find("resolved"), std::string::npos) << counted->error;
}

}  // namespace
}  // namespace weir::plugin
