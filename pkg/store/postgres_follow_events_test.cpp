#include "store/postgres_follow_events.h"

#include "store/test_support.h"

namespace weir::store {
namespace {

constexpr std::string_view core = "invalidations_kong_core_db_cache", others = "invalidations", node = "n";
constexpr std::string_view id = "11111111-1111-4111-8111-111111111111",
                           workspace = "22222222-2222-4222-8222-222222222222",
                           id2 = "33333333-3333-4333-8333-333333333333";

using Clock = Events::Clock;

std::string printed(const Named& named) {
  std::string out;
  for (const auto* schema : model::schemas()) {
    const auto at = named.rows.find(schema);
    if (at == named.rows.end()) continue;
    out += fmt::format("{}(", schema->name());
    for (const auto& one : at->second.ids) out += fmt::format("id {};", one.text().substr(0, 2));
    for (const auto& one : at->second.cache_keys) out += fmt::format("key {};", one);
    for (const auto& one : at->second.parents) out += fmt::format("of {};", one.text().substr(0, 2));
    if (at->second.all) out += "all;";
    out += ")";
  }
  for (const auto& key : named.keys) out += fmt::format("[{}]", key);
  return out;
}

TEST(Events, say_which_rows_may_have_changed) {
  struct Case {
    std::string_view channel;
    std::string data;
    bool known;
    std::string named;
  };
  const auto key = [](std::string_view schema, std::string_view rest = ":::::") {
    return fmt::format("{}:{}{}{}", schema, id, rest, workspace);
  };
  const Case cases[] = {
      {core, key("services"), true, "services(id 11;)"},
      {core, key("routes"), true, "routes(id 11;)"},
      {core, key("upstreams"), true, "upstreams(id 11;)"},
      {core, fmt::format("services:{}::::", id), true, "services(id 11;)"},  // Kong 1
      {others, fmt::format("routes:{}::::", id), true, "routes(id 11;)"},
      {core, fmt::format("plugins:key-auth::{}:::{}", id, workspace), true,
       fmt::format("plugins(key plugins:key-auth::{}:::{};)", id, workspace)},
      {core, fmt::format("targets:{}:h:1::::{}", id, workspace), true,
       fmt::format("targets(key targets:{}:h:1::::{};)", id, workspace)},
      {"balancer:upstreams", fmt::format("create:{}:{}:name", workspace, id), true, "upstreams(id 11;)"},
      {"balancer:upstreams", fmt::format("delete:{}:name", id), true, "upstreams(id 11;)"},
      {"balancer:upstreams", fmt::format("update:{}:{}:{}", workspace, id, id2), true, "upstreams(id 11;)"},
      {"balancer:upstreams", "create:all:all", true, "upstreams(all;)"},
      {"balancer:targets", fmt::format("create:{}", id), true, "targets(of 11;)"},
      {"balancer:targets", "all", true, "targets(all;)"},
      {core, "router:version", true, "services(all;)routes(all;)"},
      {core, "plugins_iterator:version", true, "plugins(all;)"},
      {core, "services:nonsense:::::", false, ""},
      {core, "services", false, ""},
      {core, "", false, ""},
      {core, ":::::", false, ""},
      {core, "unknown_entity:x:::::", false, ""},
      {core, std::string(100'000, 'x'), false, ""},
      {"log_level", R"({"log_level":7})", false, ""},
      {"balancer:post_health", "h|1.2.3.4|80|0|i|n", false, ""},
  };
  for (const auto& one : cases) {
    Events events;
    EXPECT_EQ(events.take(node, one.channel, one.data, Clock::now()), one.known) << one.data;
    EXPECT_EQ(printed(events.finish(Clock::now())), one.named) << one.channel << " " << one.data;
    EXPECT_TRUE(events.finish(Clock::now()).empty()) << "told once";
  }
}

TEST(Events, name_looked_up_rows_as_nodes_keep_them) {
  struct Case {
    std::string data, named;
  };
  const Case cases[] = {
      {fmt::format("consumers:alice:::::{}", workspace), "[consumers:alice:::::]"},
      {"keyauth_credentials:secret:::::", "[keyauth_credentials:secret:::::]"},
      {fmt::format("keyauth_credentials:a:b:::::{}", workspace), "[keyauth_credentials:a:b:::::]"},
      {"keyauth_credentials:old::::", "[keyauth_credentials:old::::][keyauth_credentials:old:::::]"},
      {fmt::format("acls:{}:group::::{}", id, workspace),
       fmt::format("[acls:{0}:::::][acls:{0}:group::::][acls:{0}:group:::::][acls:group:::::]", id)},
  };
  for (const auto& one : cases) {
    Events events;
    EXPECT_TRUE(events.take(node, others, one.data, Clock::now())) << one.data;
    EXPECT_EQ(printed(events.finish(Clock::now())), one.named);
  }
}

TEST(Events, take_a_version_for_what_the_key_beside_it_said) {
  const auto now = Clock::now();
  Events events;
  events.take(node, core, "router:version", now);
  events.take(node, core, fmt::format("routes:{}:::::", id), now);
  EXPECT_EQ(printed(events.finish(now)), "routes(id 11;)") << "in either order";
  // The second of the two comes with the next poll.
  events.take(node, core, "router:version", now);
  EXPECT_EQ(printed(events.finish(now + std::chrono::milliseconds(100))), "");
  // That of another node was not explained by it, and a key of another kind explains nothing.
  events.take("other", core, "router:version", now);
  EXPECT_EQ(printed(events.finish(now)), "services(all;)routes(all;)");
  events.take(node, core, "plugins_iterator:version", now);
  EXPECT_EQ(printed(events.finish(now)), "plugins(all;)");
  events.take(node, core, "router:version", now);
  EXPECT_EQ(printed(events.finish(now + std::chrono::minutes(1))), "services(all;)routes(all;)") << "long after";
}

TEST(Events, join_what_several_named) {
  Named one, two;
  one.rows[&services()].ids.insert(*Uuid::parse(id));
  one.keys.insert("a");
  two.rows[&services()].ids.insert(*Uuid::parse(id2));
  two.rows[&targets()].parents.insert(*Uuid::parse(id));
  two.rows[&routes()].all = true;
  two.keys.insert("b");
  one.merge(two);
  EXPECT_EQ(printed(one), "services(id 11;id 33;)routes(all;)targets(of 11;)[a][b]");
  EXPECT_EQ(one.size(), 5u);
}

}  // namespace
}  // namespace weir::store
