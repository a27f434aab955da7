// Consumers, credentials and plugins in SQLite: what goes with a parent, what ends by itself, how rows are found.
#include <algorithm>

#include "store/cache_keys.h"
#include "store/sqlite_store.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

class SqliteChildren : public ::testing::Test {
 protected:
  SqliteChildren() { install_test_plugins(); }
  ~SqliteChildren() override { model::install_plugin_schemas({}); }

  Database& database() { return static_cast<SqliteStore&>(*store).database(); }

  std::unique_ptr<Store> store = opened();
};

TEST_F(SqliteChildren, are_found_by_an_index) {
  const auto plan = [&](const std::string& sql) {
    auto query = database().prepare("EXPLAIN QUERY PLAN " + sql);
    EXPECT_TRUE(query.has_value() && query->step().value());
    return std::string(query->text(3));
  };
  for (const auto& [table, field] : std::vector<std::pair<std::string, std::string>>{
           {"keyauth_credentials", "key"}, {"basicauth_credentials", "username"}, {"consumers", "custom_id"}})
    EXPECT_TRUE(
        plan(fmt::format("SELECT * FROM {} WHERE ws_id = ?3 AND \"{}\" = ?1", table, field)).starts_with("SEARCH"))
        << table;
  EXPECT_TRUE(plan("SELECT * FROM acls WHERE consumer_id = ?1 ORDER BY id").starts_with("SEARCH"));
}

TEST_F(SqliteChildren, a_mirror_holds_plugins_of_consumers_that_it_has_not) {
  auto mirror = open_sqlite(":memory:", "sqlite", References::unchecked);
  ASSERT_TRUE(mirror.has_value());
  const auto of_nobody = [&](Store& to, std::string_view name) {
    return to.insert(
        plugins(),
        made(plugins(),
             fmt::format(R"({{"name":"{}","consumer":{{"id":"a1234567-0000-4000-8000-00000000000f"}}}})", name)));
  };
  EXPECT_FALSE(of_nobody(*store, "limit").has_value());
  ASSERT_TRUE(of_nobody(**mirror, "limit").has_value());
  // Children still go with a parent that is there.
  const auto service = put(**mirror, services(), R"({"host":"h"})");
  put(**mirror, plugins(), child("service", service, R"("name":"limit")"));
  EXPECT_EQ((*mirror)->remove(services(), id_value(service))->size(), 2u);
  EXPECT_EQ((*mirror)->page(plugins(), {})->rows.size(), 1u);
}

TEST_F(SqliteChildren, tables_come_to_a_file_of_the_first_version) {
  const TemporaryFolder folder;
  const auto path = folder / "weir.db";
  {
    const auto file = opened(path);
    put(*file, services(), R"({"name":"s","host":"h"})");
    auto& db = static_cast<SqliteStore&>(*file).database();
    ASSERT_TRUE(db.execute("DROP TABLE acls; DROP TABLE basicauth_credentials; DROP TABLE keyauth_credentials;"
                           "DROP TABLE plugins; DROP TABLE consumers;"
                           "DROP TABLE snis; DROP TABLE certificates; DROP TABLE ca_certificates;"
                           "UPDATE schema_meta SET last_executed = '000_base', executed = '[\"000_base\"]'")
                    .has_value());
  }
  const auto file = opened(path);
  const auto alice = put(*file, consumers(), R"({"username":"alice"})");
  put(*file, acls(), child("consumer", alice, R"("group":"g")"));
  EXPECT_TRUE(file->find_by(services(), "name", "s")->has_value());
  EXPECT_TRUE(file->page(model::schema<model::Sni>(), {})->rows.empty());
}

}  // namespace
}  // namespace weir::store
