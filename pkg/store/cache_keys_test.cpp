#include "store/cache_keys.h"

#include <algorithm>
#include <map>

#include "store/lookup.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

using Keys = std::vector<std::string>;

TEST(CacheKeys, have_kongs_seven_fields_without_the_workspace) {
  const auto service = made(services(), R"({"name":"s","host":"h"})");
  EXPECT_EQ(cache_key(services(), service), fmt::format("services:{}:::::", id_text(service)));
  const auto upstream = made(upstreams(), R"({"name":"u"})");
  const auto target = made(targets(), child("upstream", upstream, R"("target":"h:80")"));
  EXPECT_EQ(cache_key(targets(), target), fmt::format("targets:{}:h:80::::", id_text(upstream)));
  EXPECT_EQ(cache_key_of("consumers", "alice"), "consumers:alice:::::");
}

TEST(CacheKeys, lose_the_workspace_of_other_nodes) {
  EXPECT_EQ(without_workspace("consumers:alice:::::0dc6f45b-8f8d-40d2-a504-473544ee190b"), "consumers:alice:::::");
  EXPECT_EQ(without_workspace("consumers:alice:::::"), "consumers:alice:::::");
  EXPECT_EQ(without_workspace("router:version"), "router:");
  EXPECT_EQ(without_workspace("nothing"), "");
}

TEST(CacheKeys, name_what_an_entity_was_and_what_it_is) {
  const auto upstream = made(upstreams(), R"({"name":"u"})");
  const auto before = made(targets(), child("upstream", upstream, R"("target":"h:80")"));
  auto after = before;
  after["target"] = "h:81";
  const auto id = id_text(upstream);
  const auto old_key = fmt::format("targets:{}:h:80::::", id), new_key = fmt::format("targets:{}:h:81::::", id);
  EXPECT_EQ(cache_keys(targets(), &before, &after), (Keys{old_key, new_key}));
  EXPECT_EQ(cache_keys(targets(), nullptr, &after), Keys{new_key});
  EXPECT_EQ(cache_keys(targets(), &before, nullptr), Keys{old_key});
  EXPECT_EQ(cache_keys(targets(), &before, &before), Keys{old_key});
}

TEST(CacheKeys, of_looked_up_rows_are_those_of_every_lookup) {
  const auto consumer = made(consumers(), R"({"username":"alice","custom_id":"7"})");
  const auto id = id_text(consumer);
  EXPECT_EQ(cache_keys(consumers(), nullptr, &consumer),
            (Keys{cache_key_of("consumers", id), "consumers:alice:::::", "consumers:7:::::"}));
  auto renamed = consumer;
  renamed["username"] = "bob";
  EXPECT_EQ(cache_keys(consumers(), &consumer, &renamed).back(), "consumers:bob:::::");
  EXPECT_EQ((LookupKey{&consumers(), "username", "alice"}).text(), "consumers:alice:::::");

  const auto key = made(key_auths(), child("consumer", consumer, R"("key":"k:1")"));
  const auto keys = cache_keys(key_auths(), &key, nullptr);
  for (const auto& [field, value] :
       std::map<std::string, std::string>{{"key", "k:1"}, {"id", id_text(key)}, {"consumer", id}})
    EXPECT_TRUE(std::ranges::count(keys, LookupKey{&key_auths(), field, value}.text())) << field;

  const auto acl = made(acls(), child("consumer", consumer, R"("group":"g")"));
  EXPECT_EQ(cache_key(acls(), acl), fmt::format("acls:{}:g::::", id));
  const auto listed = cache_keys(acls(), nullptr, &acl);
  EXPECT_TRUE(std::ranges::count(listed, LookupKey{&acls(), "consumer", id}.text()));
}

}  // namespace
}  // namespace weir::store
