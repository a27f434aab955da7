#include "reconcile/unit_table.h"

#include <gtest/gtest.h>

#include <random>

#include "reconcile/kube_for_tests.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

const Kind alpha{"test.dev", "v1", "Alpha", "alphas"};
const Kind beta{"test.dev", "v1", "Beta", "betas"};

Object upstream(const std::string& name, std::int64_t slots) {
  return {{"name", name}, {"slots", slots}};
}

// Units of the tests: spec {slots, shares, reads, lists, secret, backend, tells, throws, keep}.
Output translate(const Kind& kind, const Name& name, const Object& object, View& view) {
  Output out;
  out.by = std::make_shared<const model::DeclaredBy>(model::DeclaredBy{std::string(kind.kind), name.text(), 1});
  const auto& spec = object.at("spec").as_object();
  if (spec.contains("throws")) throw std::runtime_error("told to");
  std::int64_t slots = fields::number_at(spec, "slots").value_or(0);
  const auto add = [&](std::string_view kind_name, const Name& entity, std::int64_t value) {
    out.entities.push_back(
        {model::find_schema("upstreams"), entity_id(kind_name, entity), upstream(entity.text(), value)});
  };
  if (const auto read = fields::text_at(spec, "reads"); !read.empty()) {
    const auto other = view.get(beta, Name{name.space, std::string(read)});
    slots += other ? fields::number_at(other->at("spec").as_object(), "slots").value_or(0) : -1;
  }
  if (spec.contains("lists")) view.each(beta, name.space, [&](const Name&, const Object&) { slots += 1000; });
  if (const auto secret = fields::text_at(spec, "secret"); !secret.empty())
    slots += view.get(kinds::secret, Name{name.space, std::string(secret)}) ? 5 : 7;
  if (const auto shared = fields::text_at(spec, "shares"); !shared.empty())
    add("Shared", Name{name.space, std::string(shared)}, slots);
  if (const auto service = fields::text_at(spec, "backend"); !service.empty())
    out.backends.push_back({Name{name.space, std::string(service)}, 80, "", false});
  if (const auto about = fields::text_at(spec, "tells"); !about.empty())
    out.tells.push_back({beta, Name{name.space, std::string(about)}, "x"});
  for (const auto& [text, count] : view.told(kind, name)) slots += static_cast<std::int64_t>(count) * 100'000;
  out.keep_last = spec.contains("keep");
  add(kind.kind, name, slots);
  auto route = std::make_shared<model::GatewayRoute>();
  route->id = entity_id(kind.kind, name, "route");
  route->path = "/" + std::to_string(slots);
  out.gateway.push_back({route->id, nullptr, route});
  out.status = Object{{"slots", slots}};
  return out;
}

std::vector<UnitKind> unit_kinds() {
  return {{alpha, [](const Name& n, const Object& o, View& v) { return translate(alpha, n, o, v); }},
          {beta, [](const Name& n, const Object& o, View& v) { return translate(beta, n, o, v); }}};
}

Object object(const std::string& name, Object spec, std::int64_t generation = 1) {
  return {{"metadata", {{"namespace", "ns"}, {"name", name}, {"generation", generation}}}, {"spec", std::move(spec)}};
}

struct Bench {
  FakeInformers informers;
  Settings settings;
  UnitTable table{informers, settings, unit_kinds(), read_kinds(), {kinds::secret, kinds::config_map}};
  // What a gateway that applied all batches has.
  std::map<Uuid, Digest> entities, routes;
  std::size_t changes = 0;
  std::vector<Translated> last;

  void set(const Kind& kind, Object value) { table.changed(kind, informers.set(kind, std::move(value)), {}, false); }
  void remove(const Kind& kind, const Name& name) {
    informers.remove(kind, name);
    table.changed(kind, name, {}, false);
  }
  void run(std::size_t most = 500) {
    last.clear();
    do {
      auto turn = table.turn(most);
      std::ranges::move(turn.units, std::back_inserter(last));
      if (turn.batch) apply(*turn.batch);
    } while (table.marked() != 0);
  }
  void apply(const Batch& batch) {
    for (const auto& change : batch.entities) {
      ++changes;
      if (change.now)
        entities[change.id] = digest_of_entity(*change.now);
      else
        entities.erase(change.id);
    }
    for (const auto& change : batch.gateway) {
      if (change.route)
        routes[change.id] = digest_of(*change.route);
      else
        routes.erase(change.id);
    }
  }
  std::int64_t slots(const Translated& unit) { return unit.status->at("slots").as_int64(); }
};

TEST(UnitTable, hands_out_only_what_differs) {
  Bench b;
  b.set(alpha, object("one", {{"slots", 1}}));
  b.set(alpha, object("two", {{"slots", 2}}));
  b.run();
  EXPECT_EQ(b.changes, 2u);
  b.set(alpha, object("one", {{"slots", 3}}, 2));
  b.set(alpha, object("two", {{"slots", 2}, {"unused", true}}, 2));
  auto turn = b.table.turn(500);
  ASSERT_TRUE(turn.batch);
  ASSERT_EQ(turn.batch->entities.size(), 1u);
  EXPECT_EQ(turn.batch->entities[0].id, entity_id("Alpha", {"ns", "one"}));
  EXPECT_EQ(turn.batch->entities[0].by->name, "ns/one");
  EXPECT_EQ(turn.units.size(), 2u);
}

TEST(UnitTable, makes_no_batch_when_nothing_differs) {
  Bench b;
  b.set(alpha, object("one", {{"slots", 1}}));
  b.run();
  b.set(alpha, object("one", {{"slots", 1}, {"more", 1}}, 2));
  const auto turn = b.table.turn(500);
  EXPECT_FALSE(turn.batch);
  ASSERT_EQ(turn.units.size(), 1u);
  EXPECT_EQ(turn.units[0].generation, 2);
}

TEST(UnitTable, makes_the_first_batch_even_when_it_is_empty) {
  Bench b;
  b.table.complete_next();
  const auto turn = b.table.turn(500);
  ASSERT_TRUE(turn.batch);
  EXPECT_TRUE(turn.batch->complete);
  EXPECT_TRUE(turn.batch->entities.empty());
  EXPECT_FALSE(b.table.turn(500).batch);
}

TEST(UnitTable, translates_again_what_read_a_changed_object_also_one_that_was_missing) {
  Bench b;
  b.set(alpha, object("one", {{"slots", 10}, {"reads", "other"}}));
  b.run();
  EXPECT_EQ(b.slots(b.last.at(0)), 9);
  b.set(beta, object("other", {{"slots", 5}}));
  b.run();
  ASSERT_EQ(b.last.size(), 2u);
  EXPECT_EQ(b.slots(b.last.at(1)), 15);
  b.set(beta, object("unread", {{"slots", 5}}));
  b.run();
  EXPECT_EQ(b.last.size(), 1u);
}

TEST(UnitTable, translates_nothing_when_only_a_status_changed) {
  Bench b;
  b.set(alpha, object("one", {{"reads", "other"}}));
  b.set(beta, object("other", {{"slots", 5}}));
  b.run();
  auto with_status = object("other", {{"slots", 5}});
  with_status["status"] = Object{{"seen", true}};
  b.set(beta, with_status);
  b.run();
  EXPECT_TRUE(b.last.empty());
  // Who writes status looks at that one unit again.
  b.table.changed(beta, b.informers.set(beta, with_status), {}, true);
  b.run();
  ASSERT_EQ(b.last.size(), 1u);
  EXPECT_EQ(b.last[0].name.name, "other");
}

TEST(UnitTable, keeps_a_shared_entity_until_its_last_owner_is_gone) {
  Bench b;
  const auto shared = entity_id("Shared", {"ns", "s"});
  b.set(beta, object("one", {{"slots", 1}, {"shares", "s"}}));
  b.run();
  const auto of_beta = b.entities.at(shared);
  b.set(alpha, object("two", {{"slots", 2}, {"shares", "s"}}));
  b.run();
  EXPECT_NE(b.entities.at(shared), of_beta) << "the first by precedence decides";
  b.remove(alpha, {"ns", "two"});
  b.run();
  EXPECT_EQ(b.entities.at(shared), of_beta);
  b.remove(beta, {"ns", "one"});
  b.run();
  EXPECT_FALSE(b.entities.contains(shared));
  EXPECT_TRUE(b.entities.empty());
  EXPECT_TRUE(b.routes.empty());
  EXPECT_EQ(b.table.declared(), 0u);
  EXPECT_EQ(b.table.units(), 0u);
}

TEST(UnitTable, waits_for_a_secret_that_has_not_been_answered_and_lets_it_go_when_nobody_refers_to_it) {
  Bench b;
  const Name secret{"ns", "cert"};
  b.set(alpha, object("one", {{"slots", 1}, {"secret", "cert"}}));
  b.run();
  EXPECT_TRUE(b.last.empty());
  EXPECT_EQ(b.table.waiting(), 1u);
  EXPECT_EQ(b.informers.followed().size(), 1u);
  b.informers.answer(kinds::secret, secret);
  b.table.changed(kinds::secret, secret, {}, false);
  b.run();
  EXPECT_EQ(b.table.waiting(), 0u);
  ASSERT_EQ(b.last.size(), 1u);
  EXPECT_EQ(b.slots(b.last[0]), 8) << "it is not there";
  b.set(kinds::secret, object("cert", {}));
  b.run();
  EXPECT_EQ(b.slots(b.last.at(0)), 6);
  b.set(alpha, object("one", {{"slots", 1}}, 2));
  b.run();
  EXPECT_TRUE(b.informers.followed().empty());
}

TEST(UnitTable, forgets_a_waiting_unit_that_is_deleted) {
  Bench b;
  b.set(alpha, object("one", {{"secret", "cert"}}));
  b.run();
  b.remove(alpha, {"ns", "one"});
  b.run();
  EXPECT_EQ(b.table.waiting(), 0u);
  EXPECT_TRUE(b.informers.followed().empty());
}

TEST(UnitTable, a_translation_that_throws_keeps_what_was_and_touches_no_other) {
  Bench b;
  b.set(alpha, object("one", {{"slots", 1}}));
  b.run();
  const auto before = b.entities;
  b.set(alpha, object("one", {{"throws", true}}, 2));
  b.set(alpha, object("two", {{"slots", 2}}));
  b.run();
  EXPECT_EQ(b.entities.size(), 2u);
  EXPECT_EQ(b.entities.at(before.begin()->first), before.begin()->second);
  EXPECT_EQ(b.table.faulty(), 1u);
  ASSERT_EQ(b.table.faults(10).size(), 1u);
  EXPECT_EQ(b.table.faults(10)[0].id, "ns/one");
  b.set(alpha, object("one", {{"slots", 1}}, 3));
  b.run();
  EXPECT_EQ(b.table.faulty(), 0u);
}

TEST(UnitTable, counts_what_units_tell_and_translates_who_asked) {
  Bench b;
  b.set(beta, object("gate", {{"slots", 1}}));
  b.set(alpha, object("one", {{"tells", "gate"}}));
  b.set(alpha, object("two", {{"tells", "gate"}}));
  b.run();
  EXPECT_EQ(b.slots(b.last.back()), 200'001);
  b.remove(alpha, {"ns", "two"});
  b.run();
  ASSERT_EQ(b.last.size(), 1u);
  EXPECT_EQ(b.slots(b.last.back()), 100'001);
}

TEST(UnitTable, says_whose_an_entity_is) {
  Bench b;
  b.set(alpha, object("one", {{"slots", 1}}));
  b.run();
  const auto owners = b.table.owners(entity_id("Alpha", {"ns", "one"}));
  ASSERT_EQ(owners.size(), 1u);
  EXPECT_EQ(owners[0].second.text(), "ns/one");
  EXPECT_TRUE(b.table.owners(Uuid::random()).empty());
}

TEST(UnitTable, puts_parents_before_children_and_deletes_the_other_way_round) {
  Bench b;
  b.set(kinds::service, json::parse(R"({"metadata": {"namespace": "ns", "name": "web"},
      "spec": {"ports": [{"port": 80}]}})")
                            .as_object());
  b.set(kinds::endpoint_slice, json::parse(R"({"metadata": {"namespace": "ns", "name": "web-1",
      "labels": {"kubernetes.io/service-name": "web"}}, "ports": [{"name": "", "port": 8080}],
      "endpoints": [{"addresses": ["10.0.0.1"]}]})")
                                   .as_object());
  b.set(alpha, object("one", {{"backend", "web"}}));
  auto turn = b.table.turn(500);
  ASSERT_TRUE(turn.batch);
  ASSERT_EQ(turn.batch->entities.size(), 3u);
  EXPECT_EQ(turn.batch->entities[2].schema->name(), "targets");
  b.remove(alpha, {"ns", "one"});
  turn = b.table.turn(500);
  ASSERT_EQ(turn.batch->entities.size(), 3u);
  EXPECT_EQ(turn.batch->entities[0].schema->name(), "targets");
  EXPECT_FALSE(turn.batch->entities[0].now);
}

// After any changes in any order, taken in turns of any size, what was handed out is what a new table makes of the
// objects as they are.
TEST(UnitTable, what_was_handed_out_bit_by_bit_equals_a_translation_from_scratch) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto pick = [&](std::size_t n) { return random() % n; };
  Bench b;
  for (int round = 0; round < 300; ++round) {
    for (std::size_t i = 0, n = 1 + pick(4); i < n; ++i) {
      const auto& kind = pick(2) ? alpha : beta;
      const auto name = std::to_string(pick(6));
      if (pick(4) == 0) {
        b.remove(kind, {"ns", name});
        continue;
      }
      if (pick(6) == 0) {
        const Name secret{"ns", name};
        if (pick(2))
          b.informers.set(kinds::secret, object(name, {}));
        else
          b.informers.remove(kinds::secret, secret);
        b.table.changed(kinds::secret, secret, {}, false);
        continue;
      }
      Object spec{{"slots", pick(5)}};
      if (pick(2)) spec["shares"] = std::to_string(pick(3));
      if (pick(2)) spec["reads"] = std::to_string(pick(6));
      if (pick(4) == 0) spec["lists"] = true;
      if (pick(3) == 0) spec["tells"] = std::to_string(pick(6));
      if (pick(3) == 0) spec["secret"] = std::to_string(pick(6));
      if (pick(3) == 0) spec["backend"] = std::to_string(pick(2));
      b.set(kind, object(name, std::move(spec), round));
    }
    b.run(1 + pick(4));
    // Everything that is asked for is answered.
    for (const auto& [kind, name] : std::multiset(b.informers.followed())) {
      if (b.informers.known(kinds::secret, name)) continue;
      b.informers.answer(kinds::secret, name);
      b.table.changed(kinds::secret, name, {}, false);
    }
    b.run(1 + pick(4));
    if (round % 10 != 0) continue;
    Bench fresh;
    fresh.informers = b.informers;
    for (const auto& kind : {alpha, beta})
      fresh.informers.each(kind, "", [&](const Name& name) { fresh.table.changed(kind, name, {}, false); });
    fresh.run();
    ASSERT_EQ(b.entities, fresh.entities) << "round " << round;
    ASSERT_EQ(b.routes, fresh.routes) << "round " << round;
    ASSERT_EQ(b.table.waiting(), 0u);
  }
}

}  // namespace
}  // namespace weir::reconcile
