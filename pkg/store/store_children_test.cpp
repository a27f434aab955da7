// Consumers, credentials and plugins in every Store: what goes with a parent, what ends by itself, how rows are found.
#include <algorithm>

#include "store/any_store.h"
#include "store/cache_keys.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Problem;

class Children : public AnyStore {
 protected:
  Children() { install_test_plugins(); }
  ~Children() override { model::install_plugin_schemas({}); }
  void set_ttl(const Object& row, double from_now) {
    execute(fmt::format("UPDATE keyauth_credentials SET ttl = {} WHERE id = '{}'",
                        postgres() ? fmt::format("clock_timestamp() + {} * interval '1 second'", from_now)
                                   : fmt::format("(julianday('now') - 2440587.5) * 86400.0 + {}", from_now),
                        id_text(row)));
  }

  std::unique_ptr<Store> store = opened();
};

TEST_P(Children, come_back_as_they_were_inserted) {
  const auto consumer = put(*store, consumers(), R"({"username":"alice","custom_id":"7","tags":["a"]})");
  const auto service = put(*store, services(), R"({"name":"s","host":"h"})");
  const auto plugin =
      put(*store, plugins(), child("service", service, R"("name":"limit","instance_name":"i","config":{"minute":5})"));
  const auto key = put(*store, key_auths(), child("consumer", consumer, R"("key":"k","tags":["b"])"));
  const auto password = put(*store, basic_auths(), child("consumer", consumer, R"("username":"u","password":"p")"));
  const auto acl = put(*store, acls(), child("consumer", consumer, R"("group":"g")"));

  EXPECT_EQ(**store->find_by(consumers(), "username", "alice"), consumer);
  EXPECT_EQ(**store->find_by(consumers(), "custom_id", "7"), consumer);
  EXPECT_EQ(**store->find(plugins(), id_value(plugin)), plugin);
  const auto service_id = id_value(service);
  EXPECT_EQ(**store->find_by(plugins(), "instance_name", "i", &service_id), plugin);
  EXPECT_EQ(**store->find_by(key_auths(), "key", "k"), key);
  EXPECT_EQ(**store->find_by(basic_auths(), "username", "u"), password);
  const auto alice = id_value(consumer), nobody = Uuid::random();
  EXPECT_EQ(**store->find_by(acls(), "group", "g", &alice), acl);
  EXPECT_FALSE(store->find_by(acls(), "group", "g", &nobody)->has_value());
}

TEST_P(Children, are_found_by_any_key_of_a_lookup) {
  const auto alice = put(*store, consumers(), R"({"username":"alice"})");
  const auto bob = put(*store, consumers(), R"({"username":"bob"})");
  for (const auto group : {"a", "b", "c"})
    put(*store, acls(), child("consumer", alice, fmt::format(R"("group":"{}")", group)));
  put(*store, acls(), child("consumer", bob, R"("group":"a")"));
  const auto groups = store->find_all(acls(), "consumer", id_text(alice));
  ASSERT_TRUE(groups.has_value());
  EXPECT_EQ(groups->size(), 3u);
  EXPECT_TRUE(std::ranges::is_sorted(*groups, {}, id_text));
  EXPECT_EQ(store->find_all(consumers(), "username", "bob")->at(0), bob);
  EXPECT_EQ(store->find_all(consumers(), "id", id_text(bob))->at(0), bob);
  EXPECT_TRUE(store->find_all(consumers(), "username", "carol")->empty());
  EXPECT_TRUE(store->find_all(acls(), "consumer", Uuid::random().text())->empty());
}

TEST_P(Children, keep_kongs_uniqueness) {
  const auto alice = put(*store, consumers(), R"({"username":"alice"})");
  const auto service = put(*store, services(), R"({"host":"h"})");
  put(*store, plugins(), child("service", service, R"("name":"limit")"));
  const auto again = store->insert(plugins(), made(plugins(), child("service", service, R"("name":"limit")")));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Problem::unique_violation);
  EXPECT_EQ(again.error().fields, (Object{{"name", "limit"},
                                          {"route", nullptr},
                                          {"service", Object{{"id", id_text(service)}}},
                                          {"consumer", nullptr}}));
  EXPECT_EQ(again.error().message,
            fmt::format("UNIQUE violation detected on '{{consumer=null,name=\"limit\",route=null,"
                        "service={{id=\"{}\"}}}}'",
                        id_text(service)));
  EXPECT_TRUE(store->insert(plugins(), made(plugins(), R"({"name":"limit"})")).has_value());
  EXPECT_FALSE(store->insert(plugins(), made(plugins(), R"({"name":"limit"})")).has_value());

  put(*store, acls(), child("consumer", alice, R"("group":"g")"));
  const auto member = store->insert(acls(), made(acls(), child("consumer", alice, R"("group":"g")")));
  ASSERT_FALSE(member.has_value());
  EXPECT_EQ(member.error().fields.at("group"), "g");
  put(*store, key_auths(), child("consumer", alice, R"("key":"k")"));
  const auto key = store->insert(key_auths(), made(key_auths(), child("consumer", alice, R"("key":"k")")));
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().fields, (Object{{"key", "k"}}));
  const auto orphan =
      store->insert(key_auths(), made(key_auths(), R"({"consumer":{"id":"a1234567-0000-4000-8000-00000000000f"}})"));
  ASSERT_FALSE(orphan.has_value());
  EXPECT_EQ(orphan.error().code, Problem::foreign_key_violation);
}

TEST_P(Children, go_with_their_parent_each_told_with_its_keys) {
  const auto alice = put(*store, consumers(), R"({"username":"alice"})");
  const auto plugin = put(*store, plugins(), child("consumer", alice, R"("name":"limit")"));
  const auto key = put(*store, key_auths(), child("consumer", alice, R"("key":"k")"));
  const auto password = put(*store, basic_auths(), child("consumer", alice, R"("username":"u","password":"p")"));
  const auto acl = put(*store, acls(), child("consumer", alice, R"("group":"g")"));
  const auto changes = store->remove(consumers(), id_value(alice));
  ASSERT_TRUE(changes.has_value());
  ASSERT_EQ(changes->size(), 5u);
  EXPECT_EQ(changes->back().schema, &consumers());
  const auto told = [&](const Schema& schema, const Object& row, const std::string& cache_key) {
    for (const auto& change : *changes)
      if (change.schema == &schema && change.id == id_value(row) && !change.now)
        return std::ranges::count(change.keys, cache_key) == 1;
    return false;
  };
  EXPECT_TRUE(told(consumers(), alice, "consumers:alice:::::"));
  EXPECT_TRUE(told(plugins(), plugin, fmt::format("plugins:limit:::{}::", id_text(alice))));
  EXPECT_TRUE(told(key_auths(), key, "keyauth_credentials:k:::::"));
  EXPECT_TRUE(told(basic_auths(), password, "basicauth_credentials:u:::::"));
  EXPECT_TRUE(told(acls(), acl, fmt::format("acls:{}:::::", id_text(alice))));
  for (const auto* schema : {&plugins(), &key_auths(), &basic_auths(), &acls()})
    EXPECT_TRUE(store->page(*schema, {})->rows.empty()) << schema->name();

  const auto service = put(*store, services(), R"({"host":"h"})");
  put(*store, plugins(), child("service", service, R"("name":"limit")"));
  EXPECT_EQ(store->remove(services(), id_value(service))->size(), 2u);
}

TEST_P(Children, changes_name_the_keys_of_before_and_after) {
  auto alice = put(*store, consumers(), R"({"username":"alice"})");
  alice["username"] = "bob";
  const auto updated = store->update(consumers(), alice);
  ASSERT_TRUE(updated.has_value());
  const auto& keys = updated->changes.at(0).keys;
  EXPECT_EQ(std::ranges::count(keys, "consumers:alice:::::"), 1);
  EXPECT_EQ(std::ranges::count(keys, "consumers:bob:::::"), 1);
  alice["username"] = "carol";
  EXPECT_EQ(std::ranges::count(store->upsert(consumers(), alice)->changes.at(0).keys, "consumers:bob:::::"), 1);
  alice["username"] = "dave";
  EXPECT_EQ(std::ranges::count(store->upsert_all({{&consumers(), alice}})->at(0).keys, "consumers:carol:::::"), 1);
  alice["username"] = "eve";
  EXPECT_EQ(std::ranges::count(store->replace_all({{&consumers(), alice}})->at(0).keys, "consumers:dave:::::"), 1);
  EXPECT_EQ(std::ranges::count(store->replace_all({})->at(0).keys, "consumers:eve:::::"), 1);
  EXPECT_EQ(store->insert(consumers(), alice)->changes.at(0).keys.back(), "consumers:eve:::::");
}

TEST_P(Children, show_how_long_they_still_live) {
  const auto alice = put(*store, consumers(), R"({"username":"alice"})");
  const auto key = put(*store, key_auths(), child("consumer", alice, R"("key":"k","ttl":100)"));
  EXPECT_EQ(key.at("ttl"), 100);
  set_ttl(key, 50.9);
  const auto held = **store->find(key_auths(), id_value(key));
  EXPECT_EQ(held.at("ttl"), 50);

  // An update of something else does not move the end.
  auto changed = held;
  changed["tags"] = json::array{"a"};
  ASSERT_TRUE(store->update(key_auths(), changed).has_value());
  const auto end = [&] {
    return number(postgres() ? "SELECT extract(epoch FROM ttl - clock_timestamp()) FROM keyauth_credentials"
                             : "SELECT ttl - (julianday('now') - 2440587.5) * 86400.0 FROM keyauth_credentials");
  };
  EXPECT_GT(end(), 50.3);
  EXPECT_LT(end(), 50.95);
  changed["ttl"] = 20;
  ASSERT_TRUE(store->update(key_auths(), changed).has_value());
  EXPECT_GT(end(), 19);
  EXPECT_LT(end(), 20.1);
  changed["ttl"] = nullptr;
  ASSERT_TRUE(store->update(key_auths(), changed).has_value());
  EXPECT_TRUE((**store->find(key_auths(), id_value(key))).at("ttl").is_null());
}

TEST_P(Children, are_gone_when_their_time_is_over) {
  const auto alice = put(*store, consumers(), R"({"username":"alice"})");
  const auto key = put(*store, key_auths(), child("consumer", alice, R"("key":"k","ttl":100)"));
  const auto other = put(*store, key_auths(), child("consumer", alice, R"("key":"other")"));
  set_ttl(key, -1);
  EXPECT_FALSE(store->find(key_auths(), id_value(key))->has_value());
  EXPECT_FALSE(store->find_by(key_auths(), "key", "k")->has_value());
  EXPECT_TRUE(store->find_all(key_auths(), "key", "k")->empty());
  EXPECT_EQ(store->find_all(key_auths(), "consumer", id_text(alice))->size(), 1u);
  EXPECT_EQ(store->page(key_auths(), {})->rows.size(), 1u);
  // Its key can be given again.
  EXPECT_TRUE(store->insert(key_auths(), made(key_auths(), child("consumer", alice, R"("key":"k")"))).has_value());

  set_ttl(other, -1);
  auto again = other;
  EXPECT_TRUE(store->replace_all({{&consumers(), alice}, {&key_auths(), again}}).has_value());
  EXPECT_TRUE(store->find(key_auths(), id_value(other))->has_value());
}

TEST_P(Children, only_core_entities_are_loaded) {
  const auto alice = put(*store, consumers(), R"({"username":"alice"})");
  put(*store, key_auths(), child("consumer", alice, R"("key":"k")"));
  const auto plugin = put(*store, plugins(), child("consumer", alice, R"("name":"limit")"));
  std::vector<std::string> seen;
  ASSERT_TRUE(store
                  ->load([&](const Schema& schema, Object) { seen.emplace_back(schema.name()); },
                         [](Fault fault) { ADD_FAILURE() << fault.message; })
                  .has_value());
  EXPECT_EQ(seen, std::vector<std::string>{"plugins"});
}

TEST_P(Children, rows_of_plugins_are_adapted_or_left_out) {
  const auto plugin = put(*store, plugins(), R"({"name":"limit","config":{"minute":5}})");
  const auto unknown = put(*store, plugins(), R"({"name":"key-auth"})");
  execute(
      "UPDATE plugins SET config = '{\"minute\":7,\"old\":1}' WHERE name = 'limit';"
      "UPDATE plugins SET name = 'nope' WHERE name = 'key-auth'");
  std::vector<Object> seen;
  std::vector<Fault> faults;
  ASSERT_TRUE(store
                  ->load([&](const Schema&, Object entity) { seen.push_back(std::move(entity)); },
                         [&](Fault fault) { faults.push_back(std::move(fault)); })
                  .has_value());
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].at("config"), json::parse(R"({"minute":7,"policy":"local"})"));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].id, id_text(unknown));
  EXPECT_NE(faults[0].message.find("plugin 'nope' not enabled"), std::string::npos) << faults[0].message;
}

WEIR_FOR_ANY_STORE(Children);

}  // namespace
}  // namespace weir::store
