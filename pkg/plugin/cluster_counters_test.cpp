#include "plugin/cluster_counters.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "base/uuid.h"
#include "store/postgres_test_support.h"

namespace weir::plugin {
namespace {

using namespace std::chrono_literals;
using store::PostgresCluster;

std::string database(PostgresCluster& cluster = PostgresCluster::shared()) {
  auto name = cluster.create_database();
  const auto done = store::migrations_bootstrap(cluster.server(name), 10s, [](const std::string&) {});
  EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  return name;
}

Window window(std::string identifier, std::string period = "minute", std::uint32_t seconds = 60) {
  return {std::move(identifier), std::move(period), 1'700'000'040'000, seconds, Uuid{}.text(), Uuid{}.text()};
}

// Adds from any thread and keeps what was counted.
class Adds {
 public:
  void add(Counters& counters, std::vector<Window> windows, std::uint64_t amount = 1) {
    asked_++;
    counters.add(std::move(windows), amount, [this](std::shared_ptr<const Counted> counted) {
      const std::lock_guard lock(mutex_);
      all_.push_back(std::move(counted));
      came_.notify_all();
    });
  }
  std::vector<std::shared_ptr<const Counted>> wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(came_.wait_for(lock, 20s, [&] { return static_cast<int>(all_.size()) == asked_; }));
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::shared_ptr<const Counted>> all_;
  std::atomic<int> asked_{0};
};
std::shared_ptr<const Counted> add(Counters& counters, std::vector<Window> windows, std::uint64_t amount = 1) {
  Adds adds;
  adds.add(counters, std::move(windows), amount);
  return adds.wait()[0];
}

TEST(ClusterCounters, tell_what_was_counted_before) {
  auto& cluster = PostgresCluster::shared();
  const auto name = database();
  const auto counters = cluster_counters(cluster.server(name));
  for (std::uint64_t i = 0; i < 5; i++) {
    const auto counted = add(*counters, {window("a"), window("a", "hour", 3600)}, i == 3 ? 10 : 1);
    ASSERT_TRUE(counted->ok) << counted->error;
    const auto before = i < 4 ? i : 13;
    EXPECT_EQ(counted->before, (std::vector<std::uint64_t>{before, before}));
  }
  EXPECT_EQ(add(*counters, {window("b")})->before, (std::vector<std::uint64_t>{0}));
  const auto rows = cluster.sql(name,
                                "SELECT identifier, period, extract(epoch from period_date)::bigint, service_id, "
                                "route_id, value, ttl > now() + interval '50 s' FROM ratelimiting_metrics WHERE "
                                "identifier = 'a' AND period = 'minute'");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"a", "minute", "1700000040", Uuid{}.text(), Uuid{}.text(), "14", "t"}));
}

TEST(ClusterCounters, keep_windows_apart_by_everything_that_names_them) {
  const auto counters = cluster_counters(PostgresCluster::shared().server(database()));
  auto other_start = window("a"), other_service = window("a"), other_route = window("a"), upper = window("a");
  other_start.start_ms += 60'000;
  other_service.service_id = Uuid::random().text();
  other_route.route_id = Uuid::random().text();
  for (const auto& one : {window("a"), other_start, other_service, other_route, window("a", "hour"), window("A"),
                          window("it's \"quoted\" {\\,}"), window("ünicode"), window("")}) {
    EXPECT_EQ(add(*counters, {one})->before, (std::vector<std::uint64_t>{0})) << one.identifier;
    EXPECT_EQ(add(*counters, {one})->before, (std::vector<std::uint64_t>{1})) << one.identifier;
  }
  upper.service_id = other_service.service_id;
  std::ranges::transform(upper.service_id, upper.service_id.begin(),
                         [](char c) { return static_cast<char>(std::toupper(c)); });
  EXPECT_EQ(add(*counters, {upper})->before, (std::vector<std::uint64_t>{2}));
}

TEST(ClusterCounters, count_exactly_over_nodes_and_threads) {
  auto& cluster = PostgresCluster::shared();
  const auto name = database();
  const auto a = cluster_counters(cluster.server(name)), b = cluster_counters(cluster.server(name));
  constexpr int threads = 4, each = 2000;
  Adds adds;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; i++)
    running.emplace_back([&, i] {
      // Many windows in an order of each node's own, so that locks are taken crosswise.
      for (int n = 0; n < each; n++) {
        const auto other = window(fmt::format("client-{}", (n * (i % 2 == 0 ? 1 : each - 1)) % 50));
        adds.add(i % 2 == 0 ? *a : *b, {other, window("all")});
      }
    });
  for (auto& thread : running) thread.join();
  const auto all = adds.wait();
  std::vector<std::uint64_t> places;
  for (const auto& counted : all) {
    ASSERT_TRUE(counted->ok) << counted->error;
    places.push_back(counted->before[1]);
  }
  std::ranges::sort(places);
  for (std::size_t i = 0; i < places.size(); i++) ASSERT_EQ(places[i], i) << "every place once";
  EXPECT_EQ(cluster.sql(name, "SELECT sum(value) FROM ratelimiting_metrics WHERE identifier LIKE 'client-%'")[0][0],
            std::to_string(threads * each));
}

TEST(ClusterCounters, fail_quickly_while_the_database_is_away) {
  PostgresCluster cluster;
  const auto name = database(cluster);
  auto server = cluster.server(name);
  server.timeout = 500ms;
  const auto counters = cluster_counters(server);
  ASSERT_TRUE(add(*counters, {window("a")})->ok);
  cluster.freeze();
  auto begun = std::chrono::steady_clock::now();
  const auto first = add(*counters, {window("a")});
  EXPECT_FALSE(first->ok);
  EXPECT_FALSE(first->error.empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
  begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; i++) EXPECT_FALSE(add(*counters, {window("a")})->ok);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 300ms);
  cluster.thaw();
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  bool ok = false;
  while (!ok && std::chrono::steady_clock::now() < deadline) ok = add(*counters, {window("b")})->ok;
  EXPECT_TRUE(ok);
}

TEST(ClusterCounters, say_when_a_value_is_too_large_and_go_on) {
  const auto counters = cluster_counters(PostgresCluster::shared().server(database()));
  EXPECT_FALSE(add(*counters, {window("a")}, 1ull << 40)->ok);
  EXPECT_TRUE(add(*counters, {window("a")})->ok);
}

TEST(ClusterCounters, answer_everyone_when_they_end) {
  Adds adds;
  auto counters = cluster_counters(PostgresCluster::shared().server(database()));
  for (int i = 0; i < 100; i++) adds.add(*counters, {window("a")});
  counters.reset();
  EXPECT_EQ(adds.wait().size(), 100u);
}

}  // namespace
}  // namespace weir::plugin
