// What only the PostgreSQL store does: Kong's forms, events, servers that are away. What every store does is in
// store_test.cpp and store_children_test.cpp.
#include "store/postgres_store.h"

#include <algorithm>
#include <set>
#include <thread>

#include "store/any_store.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using model::Problem;

class PostgresStoreTest : public ::testing::Test {
 protected:
  PostgresStoreTest() : options(fresh_postgres()) {
    install_test_plugins();
    store = std::make_unique<PostgresStore>(options);
    workspace = sql("SELECT id FROM workspaces").at(0).at(0);
  }
  ~PostgresStoreTest() override { model::install_plugin_schemas({}); }

  PostgresCluster::Rows sql(const std::string& text) const {
    return PostgresCluster::shared().sql(options.server.database, text);
  }
  // "channel data", and forgotten.
  std::multiset<std::string> events() const {
    std::multiset<std::string> out;
    for (const auto& row : sql("DELETE FROM cluster_events RETURNING channel || ' ' || data")) out.insert(row[0]);
    return out;
  }
  std::string core(const std::string& key) const { return "invalidations_kong_core_db_cache " + key + workspace; }
  std::string other(const std::string& key) const { return "invalidations " + key + workspace; }

  PostgresOptions options;
  std::unique_ptr<PostgresStore> store;
  std::string workspace;
};
using PostgresForms = PostgresStoreTest;
using PostgresEvents = PostgresStoreTest;

TEST_F(PostgresForms, are_those_of_kong) {
  const auto service = put(*store, services(), R"({"name":"s","host":"h","tags":["a","b \"c\\"]})");
  const auto route =
      put(*store, routes(), child("service", service, R"("paths":["/x","~/\\d{2}"],"headers":{"x-y":["1"]})"));
  const auto upstream = put(*store, upstreams(), R"({"name":"u"})");
  const auto target = put(*store, targets(), child("upstream", upstream, R"("target":"h:80")"));
  const auto plugin = put(*store, plugins(), R"({"name":"key-auth"})");
  EXPECT_EQ(sql("SELECT extract(epoch FROM created_at)::bigint, tags[2], ws_id, enabled FROM services")[0],
            (std::vector<std::string>{"1700000000", "b \"c\\", workspace, "t"}));
  EXPECT_EQ(sql("SELECT paths[2], headers -> 'x-y' ->> 0, protocols[2], sources, path_handling FROM routes")[0],
            (std::vector<std::string>{"~/\\d{2}", "1", "https", "<null>", "v0"}));
  EXPECT_EQ(sql("SELECT created_at::text, cache_key FROM targets")[0],
            (std::vector<std::string>{"2023-11-14 22:13:20.125+00",
                                      "targets:" + id_text(upstream) + ":h:80::::" + workspace}));
  EXPECT_EQ(sql("SELECT cache_key, config ? 'realm', config -> 'realm', protocols::text FROM plugins")[0],
            (std::vector<std::string>{"plugins:key-auth:::::" + workspace, "t", "null", "{grpc,grpcs,http,https}"}));
  EXPECT_EQ(sql("SELECT array_length(tags, 1) FROM tags WHERE entity_name = 'services'")[0][0], "2");
  EXPECT_EQ(**store->find(routes(), id_value(route)), route);
  EXPECT_EQ(**store->find(targets(), id_value(target)), target);
  EXPECT_EQ(**store->find(plugins(), id_value(plugin)), plugin);
}

// As Kong inserts them: arrays of records, times of sub-second accuracy, configurations with fields that are not known.
TEST_F(PostgresForms, of_rows_that_kong_wrote_are_read) {
  sql("INSERT INTO services (id, created_at, updated_at, name, retries, protocol, host, port, connect_timeout, "
      "write_timeout, read_timeout, enabled, ws_id) VALUES ('a1234567-0000-4000-8000-000000000001', "
      "TO_TIMESTAMP(1700000000.9) AT TIME ZONE 'UTC', TO_TIMESTAMP(1700000001) AT TIME ZONE 'UTC', 's', 5, 'http', "
      "'h', 80, 60000, 60000, 60000, true, '" +
      workspace +
      "'); INSERT INTO plugins (id, name, config, enabled, protocols, ws_id) VALUES "
      "('a1234567-0000-4000-8000-000000000002', 'limit', '{\"minute\":7,\"unknown\":{\"a\":1}}', true, "
      "'{http,https}', '" +
      workspace +
      "'); INSERT INTO consumers (id, username, ws_id) VALUES ('a1234567-0000-4000-8000-000000000003', 'alice', '" +
      workspace + "')");
  const auto service = *store->find_by(services(), "name", "s", nullptr);
  ASSERT_TRUE(service.has_value());
  EXPECT_EQ(service->at("created_at"), 1700000000);
  const auto plugin = *store->find(plugins(), *Uuid::parse("a1234567-0000-4000-8000-000000000002"));
  ASSERT_TRUE(plugin.has_value());
  EXPECT_EQ(plugin->at("config").at("minute"), 7);
  EXPECT_FALSE(plugin->at("config").as_object().contains("unknown"));
  EXPECT_TRUE(store->find_by(consumers(), "username", "alice", nullptr)->has_value());
}

TEST_F(PostgresForms, columns_that_are_not_known_here_survive_an_update) {
  auto route = put(*store, routes(), R"({"paths":["/"]})");
  sql("UPDATE routes SET expression = 'http.path == \"/\"'");
  route["paths"] = boost::json::array{"/other"};
  ASSERT_TRUE(store->update(routes(), route).has_value());
  EXPECT_EQ(sql("SELECT expression FROM routes")[0][0], "http.path == \"/\"");
}

TEST_F(PostgresForms, leave_out_rows_that_break_their_schema) {
  const auto service = put(*store, services(), R"({"name":"good","host":"h"})");
  put(*store, routes(), child("service", service, R"("paths":["/"])"));
  put(*store, services(), R"({"name":"bad","host":"h"})");
  sql("UPDATE services SET port = 70000 WHERE name = 'bad'");
  std::vector<std::string> order;
  std::vector<Fault> faults;
  ASSERT_TRUE(store
                  ->load([&](const Schema& schema, Object) { order.emplace_back(schema.name()); },
                         [&](Fault fault) { faults.push_back(std::move(fault)); })
                  .has_value());
  EXPECT_EQ(order, (std::vector<std::string>{"services", "routes"}));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].schema, "services");
  EXPECT_NE(faults[0].message.find("port"), std::string::npos) << faults[0].message;
}

TEST_F(PostgresForms, cannot_hold_the_character_nul) {
  auto service = made(services(), R"({"name":"s","host":"h"})");
  service["path"] = std::string_view("/a\0b", 4);
  const auto refused = store->insert(services(), service);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::schema_violation);
  EXPECT_TRUE(refused.error().fields.contains("path"));
  EXPECT_FALSE(store->find_by(services(), "name", std::string_view("s\0", 2), nullptr)->has_value());
}

TEST_F(PostgresForms, loads_more_rows_than_one_piece_holds) {
  std::vector<std::pair<const Schema*, Object>> all;
  for (int i = 0; i < 2100; i++) all.emplace_back(&services(), made(services(), R"({"host":"h"})"));
  ASSERT_TRUE(store->insert_all(all).has_value());
  std::size_t seen = 0;
  ASSERT_TRUE(store->load([&](const Schema&, Object) { seen++; }, [](Fault) {}).has_value());
  EXPECT_EQ(seen, all.size());
}

// ---- events ---------------------------------------------------------------------------------------------------------

TEST_F(PostgresEvents, are_those_that_kong_sends) {
  auto service = put(*store, services(), R"({"name":"s","host":"h"})");
  const auto service_key = core("services:" + id_text(service) + ":::::");
  EXPECT_EQ(events(), (std::multiset<std::string>{service_key}));
  service["host"] = "other";
  ASSERT_TRUE(store->update(services(), service).has_value());
  const std::string router = "invalidations_kong_core_db_cache router:version";
  EXPECT_EQ(events(), (std::multiset<std::string>{service_key, router}));

  const auto route = put(*store, routes(), child("service", service, R"("paths":["/"])"));
  EXPECT_EQ(events(), (std::multiset<std::string>{core("routes:" + id_text(route) + ":::::"), router}));
  put(*store, plugins(), child("route", route, R"("name":"limit")"));
  const auto plugin_key = core("plugins:limit:" + id_text(route) + "::::");
  const std::string plugins_version = "invalidations_kong_core_db_cache plugins_iterator:version";
  EXPECT_EQ(events(), (std::multiset<std::string>{plugin_key, plugins_version}));
  ASSERT_TRUE(store->remove(routes(), id_value(route)).has_value());
  EXPECT_EQ(events(), (std::multiset<std::string>{core("routes:" + id_text(route) + ":::::"), router, plugin_key,
                                                  plugins_version}));

  const auto upstream = put(*store, upstreams(), R"({"name":"u"})");
  EXPECT_EQ(events(),
            (std::multiset<std::string>{core("upstreams:" + id_text(upstream) + ":::::"),
                                        "balancer:upstreams create:" + workspace + ":" + id_text(upstream) + ":u"}));
  put(*store, targets(), child("upstream", upstream, R"("target":"h:80")"));
  const auto target_key = core("targets:" + id_text(upstream) + ":h:80::::");
  EXPECT_EQ(events(), (std::multiset<std::string>{target_key, "balancer:targets create:" + id_text(upstream)}));
  ASSERT_TRUE(store->remove(upstreams(), id_value(upstream)).has_value());
  EXPECT_EQ(events(),
            (std::multiset<std::string>{target_key, "balancer:targets delete:" + id_text(upstream),
                                        core("upstreams:" + id_text(upstream) + ":::::"),
                                        "balancer:upstreams delete:" + workspace + ":" + id_text(upstream) + ":u"}));
}

TEST_F(PostgresEvents, name_consumers_and_credentials_as_they_were_and_as_they_are) {
  auto alice = put(*store, consumers(), R"({"username":"alice"})");
  events();
  alice["username"] = "bob";
  ASSERT_TRUE(store->update(consumers(), alice).has_value());
  const auto renamed = events();
  for (const auto& key : {"consumers:" + id_text(alice) + ":::::", std::string("consumers:alice:::::"),
                          std::string("consumers:bob:::::")})
    EXPECT_EQ(renamed.count(other(key)), 1u) << key;
  put(*store, key_auths(), child("consumer", alice, R"("key":"k")"));
  put(*store, acls(), child("consumer", alice, R"("group":"g")"));
  sql("INSERT INTO jwt_secrets (id, consumer_id, key, ws_id) VALUES (gen_random_uuid(), '" + id_text(alice) +
      "', 'issuer', '" + workspace + "')");
  events();
  ASSERT_TRUE(store->remove(consumers(), id_value(alice)).has_value());
  const auto gone = events();
  for (const auto& key :
       {std::string("keyauth_credentials:k:::::"), "acls:" + id_text(alice) + ":g::::",
        "acls:" + id_text(alice) + ":::::", std::string("consumers:bob:::::"), std::string("jwt_secrets:issuer:::::")})
    EXPECT_EQ(gone.count(other(key)), 1u) << key;
}

TEST_F(PostgresEvents, carry_the_node_and_the_times_of_the_server) {
  put(*store, services(), R"({"host":"h"})");
  EXPECT_EQ(sql("SELECT node_id, nbf, expire_at - at, abs(extract(epoch FROM now() - at)) < 10 FROM cluster_events")[0],
            (std::vector<std::string>{options.node_id.text(), "<null>", "01:00:00", "t"}));
  sql("DELETE FROM cluster_events");
  options.update_propagation = 400s;
  PostgresStore(options).insert(services(), made(services(), R"({"host":"h"})"));
  EXPECT_EQ(sql("SELECT nbf - at, expire_at - at FROM cluster_events")[0],
            (std::vector<std::string>{"00:06:40", "01:06:40"}));
}

TEST_F(PostgresEvents, come_with_the_row_or_not_at_all) {
  put(*store, services(), R"({"name":"s","host":"h"})");
  EXPECT_EQ(events().size(), 1u);
  EXPECT_FALSE(store->insert(services(), made(services(), R"({"name":"s","host":"h"})")).has_value());
  EXPECT_EQ(events().size(), 0u);
  // When the events cannot be written, neither is the row.
  sql("ALTER TABLE cluster_events ADD CONSTRAINT nothing CHECK (channel = 'nothing')");
  const auto refused = store->insert(services(), made(services(), R"({"name":"new","host":"h"})"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::database_error);
  EXPECT_FALSE(refused.error().unavailable);
  EXPECT_FALSE(store->find_by(services(), "name", "new", nullptr)->has_value());
}

TEST_F(PostgresEvents, wake_those_who_listen_unless_they_are_turned_off) {
  PostgresConnection listener(options.server);
  ASSERT_TRUE(listener.query("LISTEN weir_cluster_events").has_value());
  const auto heard = [&] {
    // A round trip: what was committed before it is there after it.
    EXPECT_TRUE(listener.query("SELECT 1").has_value());
    return listener.notices()->size();
  };
  put(*store, services(), R"({"host":"h"})");
  EXPECT_EQ(heard(), 1u);
  options.listen = false;
  put(*std::make_unique<PostgresStore>(options), services(), R"({"host":"h"})");
  EXPECT_EQ(heard(), 0u);
}

TEST_F(PostgresEvents, hooks_hear_what_was_committed) {
  std::vector<std::string> heard;
  PostgresStore told(options, {[&](const Changes& changes) {
                                 for (const auto& change : changes) heard.emplace_back(change.schema->name());
                               },
                               {}});
  const auto upstream = put(told, upstreams(), R"({"name":"u"})");
  put(told, targets(), child("upstream", upstream, R"("target":"h:80")"));
  EXPECT_FALSE(told.insert(upstreams(), made(upstreams(), R"({"name":"u"})")).has_value());
  ASSERT_TRUE(told.remove(upstreams(), id_value(upstream)).has_value());
  EXPECT_EQ(heard, (std::vector<std::string>{"upstreams", "targets", "targets", "upstreams"}));
}

// ---- others at the same time ----------------------------------------------------------------------------------------

TEST_F(PostgresStoreTest, many_writers_lose_nothing_and_get_no_errors) {
  constexpr int writers = 4, each = 30;
  std::vector<Object> shared;
  for (int i = 0; i < 4; i++)
    shared.push_back(put(*store, services(), fmt::format(R"({{"name":"shared{}","host":"h"}})", i)));
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers; writer++)
    threads.emplace_back([&, writer] {
      PostgresStore own(options);
      for (int i = 0; i < each; i++) {
        const auto name = fmt::format(R"({{"name":"w{}-{}","host":"h"}})", writer, i);
        if (!own.insert(services(), made(services(), name))) failures++;
        // The same rows in opposite orders.
        std::vector<std::pair<const Schema*, Object>> rows;
        for (auto row : shared) {
          row["port"] = 1000 + writer * 100 + i;
          rows.emplace_back(&services(), std::move(row));
        }
        if (writer % 2 == 1) std::ranges::reverse(rows);
        if (i % 10 == 0 && !own.upsert_all(rows)) failures++;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(sql("SELECT count(*) FROM services")[0][0], std::to_string(4 + writers * each));
  EXPECT_GE(std::stoi(sql("SELECT count(*) FROM cluster_events WHERE data LIKE 'services:%'")[0][0]), writers * each);
}

void until_somebody_waits(const PostgresOptions& options) {
  for (const auto end = Clock::now() + 10s; Clock::now() < end; std::this_thread::sleep_for(5ms))
    if (PostgresCluster::shared().sql(options.server.database,
                                      "SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] != "0")
      return;
}

TEST_F(PostgresStoreTest, tries_again_after_a_deadlock) {
  auto one = put(*store, services(), R"({"name":"one","host":"h"})");
  auto two = put(*store, upstreams(), R"({"name":"two"})");
  PostgresConnection other(options.server);
  ASSERT_TRUE(other.script("SET deadlock_timeout = '10s'; BEGIN; SELECT id FROM upstreams FOR UPDATE").has_value());
  one["host"] = "new";
  two["slots"] = 20000;
  std::thread writer([&] {
    const auto changes = store->upsert_all({{&services(), one}, {&upstreams(), two}});
    ASSERT_TRUE(changes.has_value()) << changes.error().message;
    EXPECT_EQ(changes->size(), 2u);
  });
  until_somebody_waits(options);
  EXPECT_TRUE(other.script("SELECT id FROM services FOR UPDATE").has_value());  // the store gives way
  EXPECT_TRUE(other.script("COMMIT").has_value());
  writer.join();
  EXPECT_EQ(sql("SELECT host FROM services")[0][0], "new");
}

TEST_F(PostgresStoreTest, a_child_cannot_slip_below_a_parent_that_is_being_deleted) {
  const auto upstream = put(*store, upstreams(), R"({"name":"u"})");
  PostgresConnection other(options.server);
  ASSERT_TRUE(other.script("BEGIN; SELECT id FROM upstreams FOR UPDATE; DELETE FROM upstreams").has_value());
  std::thread inserter([&] {
    const auto refused = store->insert(targets(), made(targets(), child("upstream", upstream, R"("target":"h:1")")));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Problem::foreign_key_violation);
  });
  until_somebody_waits(options);
  ASSERT_TRUE(other.script("COMMIT").has_value());
  inserter.join();
}

// ---- away -----------------------------------------------------------------------------------------------------------

void expect_unavailable(Store& store) {
  const auto unavailable = [](const auto& answer) {
    return !answer.has_value() && answer.error().unavailable && answer.error().http_status() == 503u &&
           !answer.error().message.empty();
  };
  EXPECT_TRUE(unavailable(store.find(services(), Uuid::random())));
  EXPECT_TRUE(unavailable(store.page(services(), {})));
  EXPECT_TRUE(unavailable(store.tags(std::nullopt, 10, "")));
  EXPECT_TRUE(unavailable(store.find_all(consumers(), "username", "a")));
  EXPECT_TRUE(unavailable(store.insert(services(), made(services(), R"({"host":"h"})"))));
  EXPECT_TRUE(unavailable(store.remove(services(), Uuid::random())));
  EXPECT_FALSE(store.reachable());
  EXPECT_FALSE(store.load([](const Schema&, Object) {}, [](Fault) {}).has_value());
}

struct OwnCluster {
  PostgresCluster cluster;
  PostgresOptions options;
  OwnCluster() {
    options.server = cluster.server("postgres");
    options.server.timeout = 500ms;
    options.node_id = Uuid::random();
    const auto done = migrations_bootstrap(options.server, 10s, [](const std::string&) {});
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  }
};

TEST(PostgresAway, every_call_says_unavailable_and_heals) {
  OwnCluster own;
  PostgresStore store(own.options);
  const auto service = put(store, services(), R"({"name":"s","host":"h"})");
  for (const bool frozen : {false, true}) {
    if (frozen)
      own.cluster.freeze();
    else
      own.cluster.kill();
    const auto start = Clock::now();
    expect_unavailable(store);
    EXPECT_LT(Clock::now() - start, 4s);
    if (frozen)
      own.cluster.thaw();
    else
      own.cluster.start();
    for (const auto end = Clock::now() + 10s; !store.reachable() && Clock::now() < end;)
      std::this_thread::sleep_for(20ms);
    EXPECT_EQ(**store.find(services(), id_value(service)), service);
  }
}

TEST(PostgresAway, a_commit_without_an_answer_is_told) {
  OwnCluster own;
  bool told = false;
  PostgresStore store(own.options, {{}, [&] { told = true; }});
  // Makes the commit itself wait: deferred until then.
  own.cluster.sql("postgres",
                  "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN "
                  "NULL; END $$; CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON services DEFERRABLE INITIALLY DEFERRED "
                  "FOR EACH ROW EXECUTE FUNCTION wait()");
  std::thread killer([&] {
    for (const auto end = Clock::now() + 10s; Clock::now() < end;)
      if (own.cluster
              .sql("postgres",
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = "
                   "'PgSleep'")
              .size() == 1)
        return;
  });
  const auto answer = store.insert(services(), made(services(), R"({"host":"h"})"));
  killer.join();
  ASSERT_FALSE(answer.has_value());
  EXPECT_TRUE(answer.error().unavailable);
  EXPECT_TRUE(told);
  EXPECT_NE(answer.error().message.find("not known"), std::string::npos) << answer.error().message;
}

TEST(PostgresAway, lists_come_from_the_read_only_server_and_writes_never_go_there) {
  OwnCluster own;
  PostgresCluster standby(PostgresCluster::Options{.standby_of = &own.cluster});
  auto options = own.options;
  options.read_only = standby.server("postgres");
  options.read_only->timeout = 500ms;
  PostgresStore store(options);
  put(store, services(), R"({"name":"s","host":"h"})");
  for (const auto end = Clock::now() + 10s; store.page(services(), {})->rows.empty() && Clock::now() < end;)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(store.page(services(), {})->rows.size(), 1u);
  EXPECT_EQ(standby.sql("postgres", "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'weir'")[0][0],
            "t");
  standby.kill();
  EXPECT_EQ(store.page(services(), {})->rows.size(), 1u);  // the primary has it, too

  options.server = *options.read_only;
  standby.start();
  PostgresStore refused(options);
  const auto write = refused.insert(services(), made(services(), R"({"host":"h"})"));
  ASSERT_FALSE(write.has_value());
  EXPECT_TRUE(write.error().unavailable);
}

TEST(PostgresAway, a_wrong_password_is_not_printed) {
  auto options = fresh_postgres();
  PostgresCluster::shared().sql("postgres",
                                "DO $$ BEGIN CREATE ROLE with_password LOGIN PASSWORD 'right'; EXCEPTION "
                                "WHEN duplicate_object THEN NULL; END $$");
  options.server.user = "with_password";
  options.server.password = "very-secret";
  PostgresStore store(options);
  const auto refused = store.find(services(), Uuid::random());
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().unavailable);
  EXPECT_EQ(refused.error().message.find("very-secret"), std::string::npos);
  EXPECT_EQ(boost::json::serialize(refused.error().body()).find("very-secret"), std::string::npos);
}

}  // namespace
}  // namespace weir::store
