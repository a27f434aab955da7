// For the tests of the feed: a set-up database, a node that follows it, and a session whose transaction a test holds
// open.
#pragma once
#include <poll.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/postgres_test_support.h"
#include "store/test_support.h"

namespace weir::store {

// A new database with Kong's tables.
inline std::string database(PostgresCluster& cluster = PostgresCluster::shared()) {
  static std::map<std::pair<PostgresCluster*, int>, std::string> templates;
  auto& made = templates[{&cluster, cluster.port()}];
  if (made.empty()) {
    made = cluster.create_database();
    const auto done = migrations_bootstrap(cluster.server(made), std::chrono::seconds(10), [](const std::string&) {});
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  }
  return cluster.create_database(made);
}

inline PostgresOptions options_for(const std::string& database, PostgresCluster& cluster = PostgresCluster::shared()) {
  PostgresOptions out;
  out.server = cluster.server(database);
  out.node_id = Uuid::random();
  out.update_frequency = std::chrono::milliseconds(5000);
  return out;
}

// One node's feed, driven as a desk does, with what was handed over applied to `held`.
class Follower {
 public:
  explicit Follower(const PostgresOptions& options) : postgres(Postgres::make(options)) {}

  void load() {
    auto done = postgres->load([&](const Schema& schema, Object entity) { put(schema, std::move(entity)); },
                               [&](Fault fault) { faults.push_back(std::move(fault)); });
    ASSERT_TRUE(done.has_value()) << done.error().message;
    loaded = *done;
  }
  // One turn: follows when there is a reason to.
  void turn(int wait_ms = 20) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(postgres->due() - std::chrono::steady_clock::now());
    pollfd one{postgres->fd(), POLLIN, 0};
    ::poll(&one, 1, std::clamp<int>(static_cast<int>(std::min<long>(left.count(), 1000)), 0, wait_ms));
    if (one.revents != 0 || postgres->due() <= std::chrono::steady_clock::now()) apply(postgres->follow());
  }
  template <class Done>
  bool until(Done done, std::chrono::milliseconds limit = std::chrono::seconds(15)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      turn();
    }
    return true;
  }
  void apply(Followed followed) {
    follows++;
    for (auto& change : followed.changes) {
      changes++;
      if (change.now)
        put(*change.schema, std::move(*change.now));
      else
        held[std::string(change.schema->name())].erase(change.id.text());
    }
    keys.insert(keys.end(), followed.keys.begin(), followed.keys.end());
    lags += followed.committed_at.size();
    stale += followed.all_stale;
    faults = std::move(followed.faults);
  }
  const Object* find(std::string_view schema, const std::string& id) const {
    const auto of = held.find(schema);
    if (of == held.end()) return nullptr;
    const auto at = of->second.find(id);
    return at == of->second.end() ? nullptr : &at->second;
  }
  std::string field(std::string_view schema, const std::string& id, std::string_view name) const {
    const auto* entity = find(schema, id);
    if (entity == nullptr) return "(none)";
    const auto& value = entity->at(name);
    return value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
  }

  std::unique_ptr<Postgres> postgres;
  Postgres::Loaded loaded;
  std::map<std::string, std::map<std::string, Object>, std::less<>> held;
  std::vector<std::string> keys;
  std::vector<Fault> faults;
  int changes = 0, follows = 0, stale = 0;
  std::size_t lags = 0;

 private:
  void put(const Schema& schema, Object entity) {
    auto id = id_text(entity);
    held[std::string(schema.name())].insert_or_assign(std::move(id), std::move(entity));
  }
};

// One connection, statement by statement.
class Session {
 public:
  Session(const std::string& database, PostgresCluster& cluster = PostgresCluster::shared())
      : connection_(PQconnectdb(fmt::format("host=127.0.0.1 user=postgres port={} dbname={} options='-c timezone=UTC'",
                                            cluster.port(), database)
                                    .c_str()),
                    PQfinish) {}
  PostgresCluster::Rows run(const std::string& sql) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection_.get(), sql.c_str()), PQclear);
    const auto status = PQresultStatus(result.get());
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) << sql << "\n"
                                                                         << PQerrorMessage(connection_.get());
    PostgresCluster::Rows out;
    for (int row = 0; row < PQntuples(result.get()); row++) {
      auto& cells = out.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); column++)
        cells.emplace_back(PQgetvalue(result.get(), row, column));
    }
    return out;
  }

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

// What Kong writes. The workspace is read from the database.
inline constexpr std::string_view kong_node = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
inline std::string service_sql(const std::string& id, std::string_view host) {
  return fmt::format(
      "INSERT INTO services (id, created_at, updated_at, name, retries, protocol, host, port, connect_timeout, "
      "write_timeout, read_timeout, ws_id) SELECT '{0}', now(), now(), 's-{0}', 5, 'http', '{1}', 80, 60000, 60000, "
      "60000, id FROM workspaces WHERE name = 'default';",
      id, host);
}
inline std::string event_sql(std::string_view channel, std::string_view data, std::string_view node = kong_node) {
  return fmt::format(
      "INSERT INTO cluster_events (id, node_id, at, nbf, expire_at, channel, data) SELECT gen_random_uuid(), '{}', "
      "CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC', NULL, CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC' + INTERVAL '3600 s', "
      "'{}', replace('{}', '<ws>', id::text) FROM workspaces WHERE name = 'default';",
      node, channel, data);
}
inline std::string core_event_sql(std::string_view data) {
  return event_sql("invalidations_kong_core_db_cache", data);
}
inline std::string key_sql(std::string_view schema, const std::string& id) {
  return core_event_sql(fmt::format("{}:{}:::::<ws>", schema, id));
}

}  // namespace weir::store
