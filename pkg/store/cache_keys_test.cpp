#include "store/cache_keys.h"

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

}  // namespace
}  // namespace weir::store
