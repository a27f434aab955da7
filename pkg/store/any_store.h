// For tests of what every Store does: the same test on SQLite and on a real PostgreSQL.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "store/postgres_store.h"
#include "store/postgres_test_support.h"
#include "store/sqlite_store.h"
#include "store/test_support.h"

namespace weir::store {

// A database of its own with Kong's schema, copied from one that was bootstrapped once.
inline PostgresOptions fresh_postgres() {
  auto& cluster = PostgresCluster::shared();
  static const std::string bootstrapped = [&] {
    const auto name = cluster.create_database();
    const auto done = migrations_bootstrap(cluster.server(name), std::chrono::seconds(10), [](const std::string&) {});
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
    return name;
  }();
  PostgresOptions out;
  out.server = cluster.server(cluster.create_database(bootstrapped));
  out.node_id = Uuid::random();
  return out;
}

class AnyStore : public ::testing::TestWithParam<std::string_view> {
 protected:
  bool postgres() const { return GetParam() == "postgres"; }

  std::unique_ptr<Store> opened() {
    if (!postgres()) {
      auto store = store::opened();
      sqlite_ = static_cast<SqliteStore*>(store.get());
      return store;
    }
    const auto options = fresh_postgres();
    database_ = options.server.database;
    return std::make_unique<PostgresStore>(options);
  }

  // On the database of the store that was opened last, behind its back.
  void execute(const std::string& sql) {
    if (postgres())
      PostgresCluster::shared().sql(database_, sql);
    else
      ASSERT_TRUE(sqlite_->database().execute(sql).has_value()) << sql;
  }
  double number(const std::string& sql) {
    if (postgres()) return std::stod(PostgresCluster::shared().sql(database_, sql).at(0).at(0));
    auto query = sqlite_->database().prepare(sql);
    return query.has_value() && query->step().value_or(false) ? query->real(0) : -1;
  }

 private:
  SqliteStore* sqlite_ = nullptr;
  std::string database_;
};

inline std::string kind_name(const ::testing::TestParamInfo<std::string_view>& info) {
  return std::string(info.param);
}
#define WEIR_FOR_ANY_STORE(fixture) \
  INSTANTIATE_TEST_SUITE_P(On, fixture, ::testing::Values("sqlite", "postgres"), kind_name)

}  // namespace weir::store
