// The database goes away in every way it can; the node goes on and catches up.
#include "store/postgres_follow_test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

// Of their own, since it is stopped and frozen.
PostgresCluster& cluster() {
  static PostgresCluster one;
  return one;
}
PostgresOptions options(const std::string& database) {
  auto out = options_for(database, cluster());
  out.server.timeout = 700ms;
  out.update_frequency = 50ms;
  return out;
}
std::string new_id() {
  return Uuid::random().text();
}
void flush_mirror(Follower& node) {
  while (node.postgres->due() <= std::chrono::steady_clock::now()) node.apply(node.postgres->follow());
}

TEST(PostgresFollowFaults, catches_up_after_the_server_was_killed) {
  const auto name = database(cluster());
  const auto before = new_id(), meanwhile = new_id(), after = new_id();
  Follower node(options(name));
  node.load();
  cluster().sql(name, service_sql(before, "h") + key_sql("services", before));
  ASSERT_TRUE(node.until([&] { return node.find("services", before) != nullptr; }));
  cluster().kill();
  ASSERT_TRUE(node.until([&] { return !node.postgres->reachable(); }));
  const auto written = node.postgres->store().insert(services(), made(services(), R"({"host":"h"})"));
  ASSERT_FALSE(written.has_value());
  EXPECT_TRUE(written.error().unavailable);
  EXPECT_NE(node.find("services", before), nullptr);
  cluster().start();
  // By someone else, before the node is there again; no event is left of it.
  cluster().sql(name, service_sql(meanwhile, "h"));
  ASSERT_TRUE(node.until([&] { return node.find("services", meanwhile) != nullptr; }));
  EXPECT_TRUE(node.postgres->reachable());
  EXPECT_GE(node.stale, 1);
  cluster().sql(name, service_sql(after, "h") + key_sql("services", after));
  EXPECT_TRUE(node.until([&] { return node.find("services", after) != nullptr; }));
}

TEST(PostgresFollowFaults, waits_for_a_frozen_server_no_longer_than_the_timeout) {
  const auto name = database(cluster());
  Follower node(options(name));
  node.load();
  ASSERT_TRUE(node.until([&] { return node.postgres->fd() >= 0; }));
  cluster().freeze();
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(node.until([&] { return !node.postgres->reachable(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s);
  // It asks again now and then, and does nothing in between.
  const auto follows = node.follows;
  node.until([] { return false; }, 1500ms);
  EXPECT_LT(node.follows - follows, 10);
  cluster().thaw();
  const auto id = new_id();
  cluster().sql(name, service_sql(id, "h") + key_sql("services", id));
  EXPECT_TRUE(node.until([&] { return node.find("services", id) != nullptr; }));
}

TEST(PostgresFollowFaults, starts_from_the_mirror_and_takes_only_the_differences_later) {
  TemporaryFolder folder;
  const auto name = database(cluster());
  const auto kept = new_id(), changed = new_id(), deleted = new_id(), heard = new_id(), late = new_id();
  cluster().sql(name, service_sql(kept, "h") + service_sql(changed, "old") + service_sql(deleted, "h"));
  auto with_mirror = options(name);
  with_mirror.mirror_path = folder / "mirror";
  {
    Follower node(with_mirror);
    node.load();
    EXPECT_FALSE(node.loaded.from_mirror);
    EXPECT_EQ(node.held["services"].size(), 3u);
    cluster().sql(name, service_sql(heard, "h") + key_sql("services", heard));
    ASSERT_TRUE(node.until([&] { return node.find("services", heard) != nullptr; }));
    const auto own = put(node.postgres->store(), services(), R"({"name":"own","host":"h"})");
    flush_mirror(node);
  }
  cluster().stop();
  Follower node(with_mirror);
  node.load();
  EXPECT_TRUE(node.loaded.from_mirror);
  EXPECT_FALSE(node.loaded.empty);
  EXPECT_EQ(node.held["services"].size(), 5u);
  EXPECT_EQ(node.field("services", changed, "host"), "old");
  EXPECT_FALSE(node.postgres->reachable());
  cluster().start();
  cluster().sql(name,
                fmt::format("UPDATE services SET host = 'new' WHERE id = '{}'; DELETE FROM services WHERE id = '{}'",
                            changed, deleted));
  cluster().sql(name, service_sql(late, "h"));
  ASSERT_TRUE(node.until([&] { return node.find("services", late) != nullptr; }));
  EXPECT_EQ(node.field("services", changed, "host"), "new");
  EXPECT_EQ(node.find("services", deleted), nullptr);
  EXPECT_EQ(node.changes, 3);
}

TEST(PostgresFollowFaults, starts_empty_without_database_and_mirror_and_fills_up_later) {
  const auto name = database(cluster());
  const auto id = new_id();
  cluster().sql(name, service_sql(id, "h"));
  cluster().stop();
  TemporaryFolder folder;
  auto with_mirror = options(name);
  with_mirror.mirror_path = folder / "mirror";
  Follower node(with_mirror);
  node.load();
  EXPECT_TRUE(node.loaded.empty);
  EXPECT_TRUE(node.held.empty());
  cluster().start();
  EXPECT_TRUE(node.until([&] { return node.find("services", id) != nullptr; }));
}

TEST(PostgresFollowFaults, takes_a_mirror_of_an_older_configuration_up_to_date_at_start) {
  TemporaryFolder folder;
  const auto name = database(cluster());
  const auto changed = new_id(), deleted = new_id(), made = new_id();
  cluster().sql(name, service_sql(changed, "old") + service_sql(deleted, "h"));
  auto with_mirror = options(name);
  with_mirror.mirror_path = folder / "mirror";
  const auto run = [&] {
    Follower node(with_mirror);
    node.load();
    flush_mirror(node);
  };
  run();
  cluster().sql(name,
                fmt::format("UPDATE services SET host = 'new' WHERE id = '{}'; DELETE FROM services WHERE id = '{}'",
                            changed, deleted) +
                    ";" + service_sql(made, "h"));
  run();
  cluster().stop();
  Follower node(with_mirror);
  node.load();
  cluster().start();
  ASSERT_TRUE(node.loaded.from_mirror);
  EXPECT_EQ(node.field("services", changed, "host"), "new");
  EXPECT_EQ(node.find("services", deleted), nullptr);
  EXPECT_NE(node.find("services", made), nullptr);
}

TEST(PostgresFollowFaults, goes_on_without_a_mirror_that_is_damaged) {
  TemporaryFolder folder;
  const auto name = database(cluster());
  const auto id = new_id();
  cluster().sql(name, service_sql(id, "h"));
  auto with_mirror = options(name);
  with_mirror.mirror_path = folder / "mirror";
  std::ofstream(with_mirror.mirror_path) << "no database, but something else of the same name";
  Follower node(with_mirror);
  node.load();
  EXPECT_NE(node.find("services", id), nullptr);
}

// A write of its own whose answer is lost may have been done all the same.
TEST(PostgresFollowFaults, finds_what_a_write_did_that_seemed_to_fail) {
  const auto name = database(cluster());
  const auto own = options(name);
  Follower node(own);
  node.load();
  const auto id = new_id();
  // As the server has it after such a commit: an event of this very node, which knows nothing of it.
  cluster().sql(name, service_sql(id, "h") + event_sql("invalidations_kong_core_db_cache",
                                                       fmt::format("services:{}:::::<ws>", id), own.node_id.text()));
  EXPECT_TRUE(node.until([&] { return node.find("services", id) != nullptr; }));
  EXPECT_EQ(node.lags, 0u);
}

}  // namespace
}  // namespace weir::store
