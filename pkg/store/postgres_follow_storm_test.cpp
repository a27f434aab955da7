// Many writers whose transactions take their time, and how soon a change is known elsewhere.
#include <atomic>
#include <mutex>
#include <random>

#include "base/inbox.h"
#include "store/desk.h"
#include "store/postgres_follow_test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

constexpr int writers = 4, changes_each = 500, rows = 40;

// Each change raises the port of a row by one, so that what is applied backwards or left out at the end shows.
void write(const std::string& name, const std::vector<std::string>& ids, unsigned seed, bool notify) {
  std::mt19937 random(seed);
  Session session(name);
  for (int i = 0; i < changes_each; i++) {
    const auto& id = ids[random() % ids.size()];
    session.run("BEGIN");
    session.run(fmt::format("UPDATE services SET port = port + 1 WHERE id = '{}'", id));
    session.run(key_sql("services", id));
    if (notify) session.run("NOTIFY weir_cluster_events");
    // Mostly none, now and then long: others commit before it.
    const auto dice = random() % 100;
    if (dice < 2)
      std::this_thread::sleep_for(150ms);
    else if (dice < 40)
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    session.run("COMMIT");
  }
}

TEST(PostgresFollowStorm, misses_nothing_and_applies_nothing_backwards) {
  auto& cluster = PostgresCluster::shared();
  const auto name = database();
  std::vector<std::string> ids;
  for (int i = 0; i < rows; i++) {
    ids.push_back(Uuid::random().text());
    cluster.sql(name, service_sql(ids.back(), "h"));
  }
  auto options = options_for(name);
  options.update_frequency = 200ms;
  Follower node(options);
  node.load();
  ASSERT_TRUE(node.until([&] { return node.postgres->fd() >= 0; }));

  std::atomic<int> running{writers};
  std::vector<std::thread> threads;
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  for (unsigned i = 0; i < writers; i++)
    threads.emplace_back([&, i] {
      write(name, ids, seed + i, i % 2 == 0);
      running--;
    });
  std::map<std::string, std::int64_t> seen;
  int backwards = 0, turns = 0;
  const auto look = [&] {
    for (const auto& id : ids) {
      const auto port = node.find("services", id)->at("port").as_int64();
      backwards += port < seen[id];
      seen[id] = port;
    }
  };
  while (running > 0) {
    node.turn(5);
    look();
    if (++turns % 200 == 0)
      cluster.sql(name,
                  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname "
                  "= current_database()");
  }
  for (auto& thread : threads) thread.join();
  std::map<std::string, std::int64_t> held;
  std::int64_t total = 0;
  for (const auto& row : cluster.sql(name, "SELECT id, port FROM services")) {
    held[row[0]] = std::stoll(row[1]);
    total += held[row[0]] - 80;
  }
  ASSERT_EQ(total, writers * changes_each);
  EXPECT_TRUE(node.until([&] {
    look();
    return seen == held;
  }));
  EXPECT_EQ(backwards, 0);
  EXPECT_EQ(node.lags, static_cast<std::size_t>(writers * changes_each)) << "each event once";
  EXPECT_EQ(node.stale, 0) << "by events, not by comparing everything";
}

TEST(PostgresFollowStorm, knows_a_change_of_another_node_within_milliseconds) {
  const auto name = database();
  const auto a = Postgres::make(options_for(name)), b = Postgres::make(options_for(name));
  for (const auto* node : {&a, &b}) ASSERT_TRUE((*node)->load([](const Schema&, Object) {}, [](Fault) {}));
  std::mutex mutex;
  std::map<Uuid, std::chrono::steady_clock::time_point> known;
  auto desk_a = Desk::start(a.get(), [](Followed) {});
  auto desk_b = Desk::start(b.get(), [&](Followed followed) {
    const std::lock_guard lock(mutex);
    for (const auto& change : followed.changes) known.emplace(change.id, std::chrono::steady_clock::now());
  });
  const auto knows = [&](const Uuid& id) {
    const std::lock_guard lock(mutex);
    return known.contains(id);
  };
  std::map<Uuid, std::chrono::steady_clock::time_point> written;
  for (int i = 0; i < 200; i++) {
    std::atomic<bool> done{false};
    Uuid id;
    desk_a->post([&] {
      id = id_value(put(a->store(), services(), R"({"host":"h"})"));
      written[id] = std::chrono::steady_clock::now();
      done = true;
      done.notify_all();
    });
    done.wait(false);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!knows(id) && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(100us);
    ASSERT_TRUE(knows(id)) << i;
  }
  desk_a.reset();
  desk_b.reset();
  std::vector<double> lags;
  for (const auto& [id, at] : written)
    lags.push_back(std::chrono::duration<double, std::milli>(known[id] - at).count());
  std::ranges::sort(lags);
  RecordProperty("p50_ms", fmt::format("{:.1f}", lags[100]));
  RecordProperty("p99_ms", fmt::format("{:.1f}", lags[197]));
  EXPECT_LT(lags[197], 50) << "ms";
}

}  // namespace
}  // namespace weir::store
