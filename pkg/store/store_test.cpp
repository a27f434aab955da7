// What every Store does, on SQLite and on PostgreSQL.
#include <algorithm>
#include <set>

#include "store/any_store.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Problem;

std::vector<std::string> ids(const Page& page) {
  std::vector<std::string> out;
  for (const auto& row : page.rows) out.push_back(id_text(row));
  return out;
}

TEST_P(AnyStore, gives_back_what_was_inserted) {
  const auto store = opened();
  const auto service = put(*store, services(), R"({"name":"s","url":"http://h:81/p","tags":["a","b"]})");
  const auto route =
      put(*store, routes(), child("service", service, R"("hosts":["a.b"],"paths":["/x"],"headers":{"x-y":["1"]})"));
  const auto upstream = put(*store, upstreams(), R"({"name":"u"})");
  const auto target = put(*store, targets(), child("upstream", upstream, R"("target":"127.0.0.1:3000","weight":7)"));

  EXPECT_EQ(**store->find(services(), id_value(service)), service);
  EXPECT_EQ(**store->find(routes(), id_value(route)), route);
  EXPECT_EQ(**store->find(upstreams(), id_value(upstream)), upstream);
  EXPECT_EQ(**store->find(targets(), id_value(target)), target);
  EXPECT_EQ(target.at("created_at"), 1700000000.125);
  EXPECT_EQ(**store->find_by(services(), "name", "s"), service);
  EXPECT_FALSE(store->find(services(), Uuid::random())->has_value());
  EXPECT_FALSE(store->find_by(services(), "name", "S")->has_value());
}

TEST_P(AnyStore, finds_a_target_by_its_upstream_and_address) {
  const auto store = opened();
  const auto one = put(*store, upstreams(), R"({"name":"one"})"), two = put(*store, upstreams(), R"({"name":"two"})");
  const auto target = put(*store, targets(), child("upstream", two, R"("target":"h:80")"));
  const auto first = id_value(one), second = id_value(two);
  EXPECT_FALSE(store->find_by(targets(), "target", "h:80", &first)->has_value());
  EXPECT_EQ(**store->find_by(targets(), "target", "h:80", &second), target);
}

TEST_P(AnyStore, refuses_a_second_entity_of_the_same_name) {
  const auto store = opened();
  put(*store, services(), R"({"name":"s","host":"h"})");
  const auto refused = store->insert(services(), made(services(), R"({"name":"s","host":"other"})"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::unique_violation);
  EXPECT_EQ(refused.error().message, R"(UNIQUE violation detected on '{name="s"}')");
  EXPECT_EQ(refused.error().fields, (Object{{"name", "s"}}));
  EXPECT_EQ(refused.error().http_status(), 409u);
}

TEST_P(AnyStore, refuses_a_second_target_of_the_same_address_in_one_upstream) {
  const auto store = opened();
  const auto one = put(*store, upstreams(), R"({"name":"one"})"), two = put(*store, upstreams(), R"({"name":"two"})");
  put(*store, targets(), child("upstream", one, R"("target":"h:80")"));
  put(*store, targets(), child("upstream", two, R"("target":"h:80")"));
  const auto refused = store->insert(targets(), made(targets(), child("upstream", one, R"("target":"h:80")")));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::unique_violation);
  EXPECT_EQ(refused.error().fields, (Object{{"upstream", {{"id", id_text(one)}}}, {"target", "h:80"}}));
}

TEST_P(AnyStore, refuses_the_same_id_twice) {
  const auto store = opened();
  auto service = put(*store, services(), R"({"host":"h"})");
  const auto refused = store->insert(services(), service);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::primary_key_violation);
}

TEST_P(AnyStore, names_the_reference_that_leads_nowhere) {
  const auto store = opened();
  const std::string id = "a1234567-0000-4000-8000-00000000000f";
  const auto refused = store->insert(routes(), made(routes(), R"({"paths":["/"],"service":{"id":")" + id + R"("}})"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::foreign_key_violation);
  EXPECT_EQ(refused.error().message,
            "the foreign key '{id=\"" + id + "\"}' does not reference an existing 'services' entity.");
  EXPECT_EQ(refused.error().fields, (Object{{"service", {{"id", id}}}}));
}

TEST_P(AnyStore, keeps_a_service_that_routes_still_use) {
  const auto store = opened();
  const auto service = put(*store, services(), R"({"host":"h"})");
  const auto route = put(*store, routes(), child("service", service, R"("paths":["/"])"));
  const auto refused = store->remove(services(), id_value(service));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, "an existing 'routes' entity references this 'services' entity");
  EXPECT_EQ(refused.error().fields, (Object{{"@referenced_by", "routes"}}));
  EXPECT_TRUE(store->remove(routes(), id_value(route)).has_value());
  EXPECT_EQ(store->remove(services(), id_value(service))->size(), 1u);
  EXPECT_TRUE(store->remove(services(), id_value(service))->empty());
}

TEST_P(AnyStore, deletes_targets_with_their_upstream_and_names_them_first) {
  const auto store = opened();
  const auto upstream = put(*store, upstreams(), R"({"name":"u"})"),
             other = put(*store, upstreams(), R"({"name":"v"})");
  std::set<Uuid> expected;
  for (int port = 1; port <= 3; port++)
    expected.insert(id_value(
        put(*store, targets(), child("upstream", upstream, fmt::format(R"("target":"h:{}","tags":["t"])", port)))));
  const auto kept = put(*store, targets(), child("upstream", other, R"("target":"h:1")"));
  const auto changes = store->remove(upstreams(), id_value(upstream));
  ASSERT_TRUE(changes.has_value());
  ASSERT_EQ(changes->size(), 4u);
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ((*changes)[i].schema, &targets());
    EXPECT_FALSE((*changes)[i].now.has_value());
    expected.erase((*changes)[i].id);
  }
  EXPECT_TRUE(expected.empty());
  EXPECT_EQ(changes->back().schema, &upstreams());
  EXPECT_EQ(store->page(targets(), {})->rows.size(), 1u);
  EXPECT_TRUE(store->tags(std::nullopt, 100, "")->rows.empty());
}

TEST_P(AnyStore, updates_and_upserts_by_id) {
  const auto store = opened();
  auto service = made(services(), R"({"name":"s","host":"h"})");
  const auto missing = store->update(services(), service);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Problem::not_found);
  ASSERT_TRUE(store->upsert(services(), service).has_value());
  service["host"] = "other";
  const auto changed = store->upsert(services(), service);
  ASSERT_TRUE(changed.has_value());
  EXPECT_EQ(changed->changes.size(), 1u);
  EXPECT_EQ(changed->changes[0].now, service);
  service["port"] = 81;
  ASSERT_TRUE(store->update(services(), service).has_value());
  EXPECT_EQ(**store->find(services(), id_value(service)), service);
}

TEST_P(AnyStore, undoes_all_of_a_write_that_fails_half_way) {
  const auto store = opened();
  put(*store, services(), R"({"name":"held","host":"h"})");
  const auto refused = store->insert_all({{&services(), made(services(), R"({"name":"new","host":"h"})")},
                                          {&services(), made(services(), R"({"name":"held","host":"h"})")}});
  EXPECT_FALSE(refused.has_value());
  EXPECT_FALSE(store->find_by(services(), "name", "new")->has_value());
  EXPECT_EQ(store->insert_all({{&services(), made(services(), R"({"name":"new","host":"h"})")}})->size(), 1u);
}

TEST_P(AnyStore, pages_in_id_order) {
  const auto store = opened();
  std::vector<std::string> expected;
  for (int i = 0; i < 25; i++) expected.push_back(id_text(put(*store, services(), R"({"host":"h"})")));
  std::ranges::sort(expected);
  std::vector<std::string> seen;
  PageQuery query;
  query.size = 10;
  for (int pages = 1;; pages++) {
    const auto page = store->page(services(), query);
    ASSERT_TRUE(page.has_value());
    for (const auto& id : ids(*page)) seen.push_back(id);
    if (!page->next_offset) {
      EXPECT_EQ(pages, 3);
      break;
    }
    query.offset = *page->next_offset;
    EXPECT_EQ(query.offset.find('='), std::string::npos);
  }
  EXPECT_EQ(seen, expected);
}

TEST_P(AnyStore, ends_a_list_without_an_empty_page) {
  const auto store = opened();
  for (int i = 0; i < 10; i++) put(*store, services(), R"({"host":"h"})");
  PageQuery query;
  query.size = 10;
  EXPECT_FALSE(store->page(services(), query)->next_offset.has_value());
}

TEST_P(AnyStore, says_what_is_wrong_with_an_offset) {
  const auto store = opened();
  for (const auto& [offset, why] : std::vector<std::pair<std::string, std::string>>{{"x", "bad base64 encoding"},
                                                                                    {"!!!!", "bad base64 encoding"},
                                                                                    {"eHh4", "bad json encoding"},
                                                                                    {"WzFd", "bad json encoding"}}) {
    PageQuery query;
    query.offset = offset;
    const auto page = store->page(services(), query);
    ASSERT_FALSE(page.has_value()) << offset;
    EXPECT_EQ(page.error().code, Problem::invalid_offset);
    EXPECT_EQ(page.error().message, fmt::format("'{}' is not a valid offset: {}", offset, why));
  }
}

TEST_P(AnyStore, lists_targets_of_an_upstream_newest_first_with_plain_offsets) {
  const auto store = opened();
  const auto upstream = put(*store, upstreams(), R"({"name":"u"})"),
             other = put(*store, upstreams(), R"({"name":"v"})");
  put(*store, targets(), child("upstream", other, R"("target":"h:1")"), 9.0);
  std::vector<std::string> expected;
  for (int i = 0; i < 5; i++)
    expected.insert(expected.begin(),
                    id_text(put(*store, targets(),
                                child("upstream", upstream, fmt::format(R"("target":"h:{}")", i + 1)), 1000.5 + i)));
  PageQuery query;
  query.size = 3;
  query.parent_field = "upstream";
  query.parent = id_value(upstream);
  auto page = store->page(targets(), query);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(ids(*page), std::vector<std::string>(expected.begin(), expected.begin() + 3));
  EXPECT_EQ(page->next_offset, "3");
  query.offset = "3";
  page = store->page(targets(), query);
  EXPECT_EQ(ids(*page), std::vector<std::string>(expected.begin() + 3, expected.end()));
  EXPECT_FALSE(page->next_offset.has_value());
  query.offset = "-1";
  EXPECT_EQ(store->page(targets(), query).error().code, Problem::invalid_offset);
}

TEST_P(AnyStore, filters_by_parent_and_by_tags) {
  const auto store = opened();
  const auto one = put(*store, services(), R"({"host":"h","tags":["a","b"]})"),
             two = put(*store, services(), R"({"host":"h","tags":["b"]})");
  put(*store, services(), R"({"host":"h","tags":["ab","a b"]})");
  put(*store, services(), R"({"host":"h"})");
  const auto route = put(*store, routes(), child("service", one, R"("paths":["/1"])"));
  put(*store, routes(), child("service", two, R"("paths":["/2"])"));

  PageQuery below;
  below.parent_field = "service";
  below.parent = id_value(one);
  EXPECT_EQ(ids(*store->page(routes(), below)), std::vector{id_text(route)});

  const auto tagged = [&](std::vector<std::string> tags, bool any) {
    PageQuery query;
    query.tags = std::move(tags);
    query.any_tag = any;
    return store->page(services(), query)->rows.size();
  };
  EXPECT_EQ(tagged({"a"}, false), 1u);
  EXPECT_EQ(tagged({"b"}, false), 2u);
  EXPECT_EQ(tagged({"a", "b"}, false), 1u);
  EXPECT_EQ(tagged({"a", "b"}, true), 2u);
  EXPECT_EQ(tagged({"a b"}, false), 1u);
  EXPECT_EQ(tagged({"\",\""}, false), 0u);
}

TEST_P(AnyStore, keeps_the_list_of_tags_by_itself) {
  const auto store = opened();
  auto one = put(*store, services(), R"({"host":"h","tags":["a","b"]})");
  put(*store, upstreams(), R"({"name":"u","tags":["b","c"]})");
  std::multiset<std::string> seen;
  std::string offset;
  for (;;) {
    const auto page = store->tags(std::nullopt, 3, offset);
    ASSERT_TRUE(page.has_value());
    for (const auto& row : page->rows) seen.insert(row.tag + " " + row.entity_name);
    if (!page->next_offset) break;
    offset = *page->next_offset;
  }
  EXPECT_EQ(seen, (std::multiset<std::string>{"a services", "b services", "b upstreams", "c upstreams"}));
  EXPECT_EQ(store->tags("b", 100, "")->rows.size(), 2u);
  EXPECT_EQ(store->tags("b", 1, "")->rows.size(), 1u);
  EXPECT_TRUE(store->tags("b", 1, "")->next_offset.has_value());

  one["tags"] = json::array{"z"};
  ASSERT_TRUE(store->update(services(), one).has_value());
  EXPECT_TRUE(store->tags("a", 100, "")->rows.empty());
  EXPECT_EQ(store->tags("z", 100, "")->rows.at(0).entity_id, id_text(one));
  one["tags"] = nullptr;
  ASSERT_TRUE(store->update(services(), one).has_value());
  EXPECT_TRUE(store->tags("z", 100, "")->rows.empty());
  EXPECT_FALSE(store->tags("b", 100, "%").has_value());
}

WEIR_FOR_ANY_STORE(AnyStore);

// ---- several at once ------------------------------------------------------------------------------------------------

using Entities = std::vector<std::pair<const Schema*, Object>>;
class ReplaceAll : public AnyStore {};
class UpsertAll : public AnyStore {};

TEST_P(ReplaceAll, tells_only_what_differs) {
  const auto store = opened();
  const auto service = made(services(), R"({"name":"s","host":"h"})");
  const auto route = made(routes(), child("service", service, R"("name":"r","paths":["/"])"));
  const Entities first{{&services(), service}, {&routes(), route}};
  EXPECT_EQ(store->replace_all(first)->size(), 2u);
  EXPECT_TRUE(store->replace_all(first)->empty());

  // Read again later: filled-in times do not count.
  auto later = service;
  later["created_at"] = later["updated_at"] = 1800000000;
  EXPECT_TRUE(store->replace_all({{&services(), later}, {&routes(), route}})->empty());

  later["host"] = "other";
  const auto changed = store->replace_all({{&services(), later}, {&routes(), route}});
  ASSERT_TRUE(changed.has_value());
  ASSERT_EQ(changed->size(), 1u);
  EXPECT_EQ((*changed)[0].now->at("host"), "other");
  EXPECT_EQ((*changed)[0].now->at("created_at"), 1700000000);  // the age of a route decides between equals

  const auto emptied = store->replace_all({});
  ASSERT_EQ(emptied->size(), 2u);
  EXPECT_EQ((*emptied)[0].schema, &routes());
  EXPECT_EQ((*emptied)[1].schema, &services());
}

TEST_P(ReplaceAll, lets_two_rows_exchange_their_names) {
  const auto store = opened();
  auto one = made(upstreams(), R"({"name":"one"})"), two = made(upstreams(), R"({"name":"two"})");
  ASSERT_TRUE(store->replace_all({{&upstreams(), one}, {&upstreams(), two}}).has_value());
  std::swap(one["name"], two["name"]);
  const auto changed = store->replace_all({{&upstreams(), one}, {&upstreams(), two}});
  ASSERT_TRUE(changed.has_value()) << changed.error().message;
  EXPECT_EQ(changed->size(), 2u);
  EXPECT_EQ(**store->find_by(upstreams(), "name", "two"), one);
}

TEST_P(ReplaceAll, moves_children_to_a_new_parent_before_the_old_one_goes) {
  const auto store = opened();
  const auto old_upstream = made(upstreams(), R"({"name":"u"})"), new_upstream = made(upstreams(), R"({"name":"u"})");
  auto target = made(targets(), child("upstream", old_upstream, R"("target":"h:1")"));
  ASSERT_TRUE(store->replace_all({{&upstreams(), old_upstream}, {&targets(), target}}).has_value());
  target["upstream"] = Object{{"id", id_text(new_upstream)}};
  const auto changed = store->replace_all({{&upstreams(), new_upstream}, {&targets(), target}});
  ASSERT_TRUE(changed.has_value()) << changed.error().message;
  EXPECT_EQ(changed->size(), 3u);
  EXPECT_EQ(changed->back().id, id_value(old_upstream));
  EXPECT_TRUE(store->find(targets(), id_value(target))->has_value());
}

TEST_P(ReplaceAll, changes_nothing_when_something_is_wrong) {
  const auto store = opened();
  const auto held = put(*store, services(), R"({"name":"s","host":"h"})");
  const auto refused = store->replace_all(
      {{&routes(), made(routes(), R"({"paths":["/"],"service":{"id":"a1234567-0000-4000-8000-00000000000f"}})")}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Problem::foreign_key_violation);
  EXPECT_EQ(**store->find_by(services(), "name", "s"), held);
}

TEST_P(UpsertAll, replaces_rows_of_the_same_id_and_leaves_the_others) {
  const auto store = opened();
  auto one = put(*store, services(), R"({"name":"one","host":"h"})");
  put(*store, services(), R"({"name":"two","host":"h"})");
  EXPECT_TRUE(store->upsert_all({{&services(), one}})->empty());
  one["host"] = "other";
  const auto changes =
      store->upsert_all({{&services(), one}, {&services(), made(services(), R"({"name":"three","host":"h"})")}});
  ASSERT_TRUE(changes.has_value());
  EXPECT_EQ(changes->size(), 2u);
  EXPECT_EQ(store->page(services(), {})->rows.size(), 3u);
}

WEIR_FOR_ANY_STORE(ReplaceAll);
WEIR_FOR_ANY_STORE(UpsertAll);

}  // namespace
}  // namespace weir::store
