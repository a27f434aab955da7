#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "store/same.h"
#include "store/sqlite_store.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

namespace json = boost::json;

TEST(SqliteStore, survives_a_reopen) {
  const TemporaryFolder folder;
  Object service;
  {
    const auto store = opened(folder / "weir.db");
    service = put(*store, services(), R"({"name":"s","host":"h"})");
  }
  EXPECT_EQ(**opened(folder / "weir.db")->find_by(services(), "name", "s"), service);
}

TEST(SqliteStore, loads_parents_first_and_quarantines_what_breaks_its_schema) {
  const TemporaryFolder folder;
  {
    const auto store = opened(folder / "weir.db");
    const auto service = put(*store, services(), R"({"name":"good","host":"h"})");
    put(*store, routes(), child("service", service, R"("name":"good","paths":["/"])"));
    put(*store, services(), R"({"name":"port","host":"h"})");
    put(*store, services(), R"({"name":"json","host":"h"})");
    put(*store, services(), R"({"name":"blob","host":"h"})");
    const auto upstream = put(*store, upstreams(), R"({"name":"u"})");
    put(*store, targets(), child("upstream", upstream, R"("target":"h:1")"));
    auto& db = static_cast<SqliteStore&>(*store).database();
    ASSERT_TRUE(db.execute("UPDATE services SET port = 70000 WHERE name = 'port';"
                           "UPDATE services SET tags = '[\"x\"' WHERE name = 'json';"
                           "UPDATE services SET host = x'ff00' WHERE name = 'blob';"
                           "UPDATE targets SET upstream_id = NULL")
                    .has_value());
  }
  const auto store = opened(folder / "weir.db");
  std::vector<std::string> order;
  std::vector<Fault> faults;
  const auto loaded = store->load([&](const Schema& schema, Object) { order.emplace_back(schema.name()); },
                                  [&](Fault fault) { faults.push_back(std::move(fault)); });
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(std::ranges::count(order, "services"), 1);
  EXPECT_LT(std::ranges::find(order, "services"), std::ranges::find(order, "routes"));
  ASSERT_EQ(faults.size(), 4u);
  EXPECT_NE(faults[0].message.find("port"), std::string::npos) << faults[0].message;
  EXPECT_NE(faults[1].message.find("tags"), std::string::npos) << faults[1].message;
  EXPECT_NE(faults[2].message.find("host"), std::string::npos) << faults[2].message;
  EXPECT_EQ(faults[3].schema, "targets");
  EXPECT_NE(faults[3].message.find("upstream"), std::string::npos) << faults[3].message;
  // One damaged row does not hide the others in a list either.
  EXPECT_EQ(store->page(services(), {})->rows.size(), 2u);
}

// ---- tables ---------------------------------------------------------------------------------------------------------

TEST(Tables, have_the_columns_of_kongs) {
  const std::map<std::string, std::string> kong{
      {"services",
       "id created_at updated_at name retries protocol host port path connect_timeout write_timeout read_timeout tags "
       "client_certificate_id tls_verify tls_verify_depth ca_certificates ws_id enabled"},
      {"routes",
       "id created_at updated_at name service_id protocols methods hosts paths snis sources destinations "
       "regex_priority "
       "strip_path preserve_host tags https_redirect_status_code headers path_handling ws_id request_buffering "
       "response_buffering expression priority"},
      {"upstreams",
       "id created_at name hash_on hash_fallback hash_on_header hash_fallback_header hash_on_cookie "
       "hash_on_cookie_path "
       "slots healthchecks tags algorithm host_header client_certificate_id ws_id hash_on_query_arg "
       "hash_fallback_query_arg hash_on_uri_capture hash_fallback_uri_capture use_srv_name updated_at"},
      {"targets", "id created_at upstream_id target weight tags ws_id cache_key updated_at"},
      {"consumers", "id created_at username custom_id tags ws_id updated_at"},
      {"plugins",
       "id created_at name consumer_id service_id route_id config enabled cache_key protocols tags ws_id instance_name "
       "updated_at"},
      {"keyauth_credentials", "id created_at consumer_id key tags ttl ws_id"},
      {"basicauth_credentials", "id created_at consumer_id username password tags ws_id"},
      {"acls", "id created_at consumer_id group cache_key tags ws_id"},
      {"certificates", "id created_at cert key tags ws_id cert_alt key_alt updated_at"},
      {"snis", "id created_at name certificate_id tags ws_id updated_at"},
      {"ca_certificates", "id created_at cert tags ws_id cert_digest updated_at"},
      {"workspaces", "id name comment created_at meta config updated_at"},
      {"tags", "entity_id entity_name tags"},
      {"parameters", "key value created_at"},
      {"cluster_events", "id node_id at nbf expire_at channel data"},
      {"schema_meta", "key subsystem last_executed executed pending"}};
  const auto store = opened();
  auto& db = static_cast<SqliteStore&>(*store).database();
  for (const auto& [table, columns] : kong) {
    std::set<std::string> expected, held;
    for (const auto column : text::split(columns, ' ')) expected.emplace(column);
    auto query = db.prepare("SELECT name FROM pragma_table_info(?1)");
    query->bind(1, table);
    while (query->step().value()) held.emplace(query->text(0));
    EXPECT_EQ(held, expected) << table;
  }
}

TEST(Tables, gain_the_columns_that_they_lack) {
  const TemporaryFolder folder;
  const auto path = folder / "weir.db";
  {
    const auto store = opened(path);
    put(*store, services(), R"({"name":"s","host":"h"})");
    auto& db = static_cast<SqliteStore&>(*store).database();
    ASSERT_TRUE(db.execute("ALTER TABLE services DROP COLUMN enabled; ALTER TABLE services DROP COLUMN path;"
                           "DELETE FROM schema_meta")
                    .has_value());
  }
  const auto store = opened(path);
  const auto service = store->find_by(services(), "name", "s");
  ASSERT_TRUE(service.has_value() && service->has_value());
  EXPECT_EQ((*service)->at("enabled"), true);
  EXPECT_TRUE((*service)->at("path").is_null());
}

TEST(Tables, keep_kongs_cache_key_for_targets) {
  const auto store = opened();
  const auto upstream = put(*store, upstreams(), R"({"name":"u"})");
  put(*store, targets(), child("upstream", upstream, R"("target":"h:80")"));
  auto& db = static_cast<SqliteStore&>(*store).database();
  auto query = db.prepare("SELECT cache_key, (SELECT id FROM workspaces WHERE name = 'default') FROM targets");
  ASSERT_TRUE(query->step().value());
  EXPECT_EQ(query->text(0), fmt::format("targets:{}:h:80::::{}", id_text(upstream), query->text(1)));
}

TEST(Same, compares_by_value_not_by_form) {
  EXPECT_TRUE(same(json::parse(R"({"a":1,"b":[1.0,null]})"), json::parse(R"({"b":[1,null],"a":1e0})")));
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{{"1", "2"},
                                                                             {"[1]", "[1,2]"},
                                                                             {R"({"a":1})", R"({"b":1})"},
                                                                             {"null", "false"},
                                                                             {R"("1")", "1"},
                                                                             {R"({"a":1})", "{}"}})
    EXPECT_FALSE(same(json::parse(a), json::parse(b))) << a << " " << b;
}

}  // namespace
}  // namespace weir::store
