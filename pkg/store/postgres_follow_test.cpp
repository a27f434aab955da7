#include "store/postgres_follow_test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

auto& cluster() {
  return PostgresCluster::shared();
}
constexpr std::string_view id_of_another_node = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";

std::string new_id() {
  return Uuid::random().text();
}

// Other nodes are heard by polling only, often.
PostgresOptions deaf(const std::string& database) {
  auto out = options_for(database);
  out.listen = false;
  out.update_frequency = 30ms;
  return out;
}

TEST(PostgresFollow, starts_with_what_the_database_holds) {
  const auto name = database();
  const auto id = new_id();
  cluster().sql(name, service_sql(id, "h"));
  Follower node(options_for(name));
  node.load();
  EXPECT_FALSE(node.loaded.from_mirror);
  EXPECT_FALSE(node.loaded.empty);
  EXPECT_EQ(node.field("services", id, "host"), "h");
  EXPECT_TRUE(node.postgres->reachable());
  for (int i = 0; i < 5; i++) node.apply(node.postgres->follow());
  EXPECT_EQ(node.changes, 0);
}

TEST(PostgresFollow, refuses_a_database_that_is_not_set_up_and_names_the_command) {
  const auto postgres = Postgres::make(options_for(cluster().create_database()));
  const auto loaded = postgres->load([](const Schema&, Object) {}, [](Fault) {});
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().message.find("weir migrations bootstrap"), std::string::npos) << loaded.error().message;
}

TEST(PostgresFollow, refuses_a_database_that_is_behind_or_ahead_and_says_what_to_do) {
  struct Case {
    std::string sql, says;
  };
  const Case cases[] = {
      {"UPDATE schema_meta SET executed = array_remove(executed, '024_380_to_390') WHERE subsystem = 'core'",
       "weir migrations up"},
      {"UPDATE schema_meta SET executed = executed || '{099_from_the_future}' WHERE subsystem = 'core'",
       "newer version"},
  };
  for (const auto& one : cases) {
    const auto name = database();
    cluster().sql(name, one.sql);
    const auto postgres = Postgres::make(options_for(name));
    const auto loaded = postgres->load([](const Schema&, Object) {}, [](Fault) {});
    ASSERT_FALSE(loaded.has_value()) << one.sql;
    EXPECT_NE(loaded.error().message.find(one.says), std::string::npos) << loaded.error().message;
  }
}

TEST(PostgresFollow, applies_what_another_node_wrote_and_its_own_writes_once) {
  const auto name = database();
  Follower a(options_for(name)), b(options_for(name));
  a.load();
  b.load();
  a.until([&] { return a.postgres->fd() >= 0; });
  b.until([&] { return b.postgres->fd() >= 0; });
  auto service = put(a.postgres->store(), services(), R"({"name":"a","host":"one"})");
  const auto id = id_text(service);
  // NOTIFY, since the next poll is seconds away.
  EXPECT_TRUE(b.until([&] { return b.field("services", id, "host") == "one"; }, 3s));
  EXPECT_EQ(b.lags, 1u);
  service["host"] = "two";
  ASSERT_TRUE(a.postgres->store().update(services(), service));
  EXPECT_TRUE(b.until([&] { return b.field("services", id, "host") == "two"; }, 3s));
  ASSERT_TRUE(a.postgres->store().remove(services(), id_value(service)));
  EXPECT_TRUE(b.until([&] { return b.find("services", id) == nullptr; }, 3s));
  EXPECT_EQ(b.changes, 3);
  a.apply(a.postgres->follow());
  a.until([] { return false; }, 100ms);
  EXPECT_EQ(a.changes, 0) << "its own";
  EXPECT_EQ(a.lags, 0u);
  EXPECT_EQ(b.stale, 0);
}

TEST(PostgresFollow, reads_events_that_commit_behind_newer_ones) {
  // savepoint: in a snapshot such a transaction has another number than its rows.
  for (const bool savepoint : {false, true}) {
    const auto name = database();
    Follower node(deaf(name));
    node.load();
    Session late(name), soon(name);
    const auto late_id = new_id(), soon_id = new_id();
    late.run("BEGIN");
    late.run("UPDATE workspaces SET comment = 'a transaction of its own' WHERE false; SELECT txid_current()");
    if (savepoint) late.run("SAVEPOINT one");
    late.run(service_sql(late_id, "late") + key_sql("services", late_id));
    if (savepoint) late.run("RELEASE one");
    soon.run(service_sql(soon_id, "soon") + key_sql("services", soon_id));
    ASSERT_TRUE(node.until([&] { return node.find("services", soon_id) != nullptr; }));
    for (int i = 0; i < 3; i++) {
      const auto follows = node.follows;
      node.until([&] { return node.follows > follows; });
    }
    EXPECT_EQ(node.find("services", late_id), nullptr);
    late.run("COMMIT");
    EXPECT_TRUE(node.until([&] { return node.find("services", late_id) != nullptr; }, 3s)) << savepoint;
    EXPECT_EQ(node.changes, 2);
  }
}

TEST(PostgresFollow, reads_nothing_of_a_transaction_that_is_rolled_back) {
  const auto name = database();
  Follower node(deaf(name));
  node.load();
  Session session(name);
  const auto id = new_id(), other = new_id();
  session.run("BEGIN");
  session.run(service_sql(id, "never") + key_sql("services", id));
  session.run("ROLLBACK");
  session.run(service_sql(other, "h") + key_sql("services", other));
  ASSERT_TRUE(node.until([&] { return node.find("services", other) != nullptr; }));
  EXPECT_EQ(node.find("services", id), nullptr);
}

TEST(PostgresFollow, applies_events_as_kong_writes_them) {
  const auto name = database();
  Session kong(name);
  const auto service = new_id(), route = new_id(), upstream = new_id(), target = new_id(), plugin = new_id();
  Follower node(deaf(name));
  node.load();
  const auto soon = [&](auto done) { return node.until(done, 3s); };

  kong.run(service_sql(service, "h") + key_sql("services", service));
  EXPECT_TRUE(soon([&] { return node.field("services", service, "host") == "h"; }));

  kong.run(
      fmt::format("INSERT INTO routes (id, created_at, updated_at, name, service_id, protocols, paths, strip_path, "
                  "preserve_host, https_redirect_status_code, regex_priority, request_buffering, "
                  "response_buffering, ws_id) SELECT '{}', now(), now(), 'r', '{}', '{{http}}', '{{/a}}', true, "
                  "false, 426, 0, true, true, id FROM workspaces WHERE name = 'default'",
                  route, service));
  kong.run(key_sql("routes", route));
  kong.run(core_event_sql("router:version"));
  EXPECT_TRUE(soon([&] { return node.field("routes", route, "paths") == R"(["/a"])"; }));

  kong.run(
      fmt::format("INSERT INTO upstreams (id, created_at, updated_at, name, algorithm, slots, hash_on, "
                  "hash_fallback, hash_on_cookie_path, use_srv_name, ws_id) SELECT '{}', now(), now(), 'u', "
                  "'round-robin', 10000, 'none', 'none', '/', false, id FROM workspaces WHERE name = 'default'",
                  upstream));
  kong.run(event_sql("balancer:upstreams", fmt::format("create:<ws>:{}:u", upstream)));
  EXPECT_TRUE(soon([&] { return node.find("upstreams", upstream) != nullptr; }));

  kong.run(
      fmt::format("INSERT INTO targets (id, created_at, updated_at, upstream_id, target, weight, ws_id, cache_key) "
                  "SELECT '{0}', now(), now(), '{1}', 'h:1', 100, id, 'targets:{1}:h:1::::' || id FROM "
                  "workspaces WHERE name = 'default'",
                  target, upstream));
  kong.run(event_sql("balancer:targets", "create:" + upstream));
  EXPECT_TRUE(soon([&] { return node.field("targets", target, "weight") == "100"; }));
  kong.run(fmt::format("UPDATE targets SET weight = 7 WHERE id = '{}'", target));
  kong.run(core_event_sql(fmt::format("targets:{}:h:1::::<ws>", upstream)));
  EXPECT_TRUE(soon([&] { return node.field("targets", target, "weight") == "7"; }));
  kong.run(fmt::format("DELETE FROM targets WHERE id = '{}'", target));
  kong.run(event_sql("balancer:targets", "delete:" + upstream));
  EXPECT_TRUE(soon([&] { return node.find("targets", target) == nullptr; }));

  // Of a table whose version alone was told: everything is compared.
  kong.run(fmt::format("UPDATE services SET host = 'other' WHERE id = '{}'", service));
  kong.run(event_sql("invalidations_kong_core_db_cache", "router:version", id_of_another_node));
  EXPECT_TRUE(soon([&] { return node.field("services", service, "host") == "other"; }));

  // What goes with a parent, even without an event of its own.
  kong.run(
      fmt::format("INSERT INTO targets (id, created_at, updated_at, upstream_id, target, weight, ws_id, cache_key) "
                  "SELECT '{0}', now(), now(), '{1}', 'h:1', 100, id, 'targets:{1}:h:1::::' || id FROM "
                  "workspaces WHERE name = 'default'",
                  target, upstream));
  kong.run(event_sql("balancer:targets", "create:" + upstream));
  EXPECT_TRUE(soon([&] { return node.find("targets", target) != nullptr; }));
  kong.run(fmt::format("DELETE FROM upstreams WHERE id = '{}'", upstream));
  kong.run(event_sql("balancer:upstreams", fmt::format("delete:<ws>:{}:u", upstream)));
  EXPECT_TRUE(
      soon([&] { return node.find("upstreams", upstream) == nullptr && node.find("targets", target) == nullptr; }));

  kong.run(event_sql("invalidations", "consumers:alice:::::<ws>"));
  EXPECT_TRUE(soon([&] { return std::ranges::find(node.keys, "consumers:alice:::::") != node.keys.end(); }));
  kong.run(event_sql("log_level", "{}") + event_sql("made_up", "x") + core_event_sql("services:nonsense:::::") +
           core_event_sql("nothing") + key_sql("services", new_id()));
  const auto changes = node.changes;
  node.until([] { return false; }, 100ms);
  EXPECT_EQ(node.changes, changes);
  EXPECT_TRUE(node.postgres->reachable());
}

TEST(PostgresFollow, applies_an_event_for_later_now_and_once_more) {
  const auto name = database();
  Follower node(deaf(name));
  node.load();
  const auto id = new_id();
  auto event = key_sql("services", id);
  event.replace(event.find("NULL"), 4, "now() + interval '400 ms'");
  cluster().sql(name, service_sql(id, "one") + event);
  ASSERT_TRUE(node.until([&] { return node.field("services", id, "host") == "one"; }, 350ms));
  // Changed without an event: only the second look shows it.
  cluster().sql(name, fmt::format("UPDATE services SET host = 'two' WHERE id = '{}'", id));
  EXPECT_TRUE(node.until([&] { return node.field("services", id, "host") == "two"; }, 3s));
}

TEST(PostgresFollow, hears_again_after_its_listening_connection_was_cut) {
  const auto name = database();
  Follower a(options_for(name)), node(options_for(name));
  a.load();
  node.load();
  ASSERT_TRUE(node.until([&] { return node.postgres->fd() >= 0; }));
  for (int i = 0; i < 3; i++) {
    cluster().sql(name,
                  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname "
                  "= current_database()");
    const auto service = put(a.postgres->store(), services(), R"({"host":"h"})");
    EXPECT_TRUE(node.until([&] { return node.find("services", id_text(service)) != nullptr; }, 3s)) << i;
  }
  EXPECT_EQ(node.stale, 0);
  EXPECT_LT(node.follows, 60) << "in a tight loop";
}

TEST(PostgresFollow, compares_everything_after_its_connection_was_cut) {
  const auto name = database();
  const auto changed = new_id(), deleted = new_id(), made = new_id(), same = new_id();
  Session kong(name);
  kong.run(service_sql(changed, "old") + service_sql(deleted, "h") + service_sql(same, "h"));
  Follower node(deaf(name));
  node.load();
  ASSERT_TRUE(node.until([&] { return node.follows > 2; }));
  kong.run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir' AND datname = "
      "current_database()");
  // Without events, as though they had expired.
  kong.run(fmt::format("UPDATE services SET host = 'new' WHERE id = '{}'", changed));
  kong.run(fmt::format("DELETE FROM services WHERE id = '{}'", deleted));
  kong.run(service_sql(made, "h"));
  ASSERT_TRUE(node.until([&] { return node.stale > 0; }));
  EXPECT_EQ(node.field("services", changed, "host"), "new");
  EXPECT_EQ(node.find("services", deleted), nullptr);
  EXPECT_NE(node.find("services", made), nullptr);
  EXPECT_EQ(node.changes, 3);
}

TEST(PostgresFollow, leaves_faulty_rows_out_until_they_are_mended) {
  const auto name = database();
  const auto good = new_id(), bad = new_id();
  Session kong(name);
  kong.run(service_sql(bad, "h"));
  kong.run(fmt::format("UPDATE services SET protocol = 'nonsense' WHERE id = '{}'", bad));
  Follower node(deaf(name));
  node.load();
  ASSERT_EQ(node.faults.size(), 1u);
  EXPECT_EQ(node.faults[0].schema, "services");
  EXPECT_EQ(node.faults[0].id, bad);
  EXPECT_EQ(node.find("services", bad), nullptr);
  kong.run(service_sql(good, "h") + key_sql("services", good));
  ASSERT_TRUE(node.until([&] { return node.find("services", good) != nullptr; }));
  EXPECT_EQ(node.faults.size(), 1u);
  kong.run(fmt::format("UPDATE services SET protocol = 'http' WHERE id = '{}';", bad) + key_sql("services", bad));
  ASSERT_TRUE(node.until([&] { return node.find("services", bad) != nullptr; }));
  EXPECT_TRUE(node.faults.empty());
  // One that was good goes on as it was.
  kong.run(fmt::format("UPDATE services SET protocol = 'nonsense', host = 'x' WHERE id = '{}';", good) +
           key_sql("services", good));
  ASSERT_TRUE(node.until([&] { return !node.faults.empty(); }));
  EXPECT_EQ(node.field("services", good, "host"), "h");
  kong.run(fmt::format("DELETE FROM services WHERE id = '{}';", good) + key_sql("services", good));
  ASSERT_TRUE(node.until([&] { return node.find("services", good) == nullptr; }));
  EXPECT_TRUE(node.faults.empty());
}

}  // namespace
}  // namespace weir::store
