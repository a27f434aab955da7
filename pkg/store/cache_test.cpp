#include "store/cache.h"

#include <deque>

#include "store/cache_keys.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

// Questions as they come in, answered by the test.
class FakeLookup : public Lookup {
 public:
  struct Asked {
    std::string schema, field, value;
    std::function<void(Found, double)> done;
  };
  void find(const LookupKey& key, std::function<void(Found, double)> done) override {
    asked.push_back({std::string(key.schema->name()), std::string(key.field), std::string(key.value), std::move(done)});
  }
  void answer(Found found, double expires_at = 0) {
    ASSERT_FALSE(asked.empty());
    auto first = std::move(asked.front());
    asked.pop_front();
    first.done(std::move(found), expires_at);
  }
  std::deque<Asked> asked;
};

Found found(std::string_view text = "x", std::size_t rows = 1) {
  Found out;
  for (std::size_t i = 0; i < rows; i++) out.rows.push_back(std::make_shared<const Object>(Object{{"name", text}}));
  return out;
}
Found none() {
  return {};
}
Found failed() {
  return {true, {}};
}
std::string name_in(const std::shared_ptr<const Found>& found) {
  if (!found) return "(asked)";
  if (found->failed) return "(failed)";
  return found->rows.empty() ? "(none)" : std::string(found->rows[0]->at("name").as_string());
}

class CacheTest : public ::testing::Test {
 protected:
  void make(Cache::Options options = {}) {
    cache = std::make_unique<Cache>(options, lookup, [this](auto work) { posted.push_back(std::move(work)); }, counts);
  }
  void run() {
    auto batch = std::exchange(posted, {});
    for (auto& work : batch) work();
  }
  LookupKey key(std::string_view value, std::string_view field = "name") { return {&services(), field, value}; }
  std::string find(std::string_view value, std::uint64_t now = 0, std::string_view field = "name") {
    return name_in(cache->find(key(value, field), now, [this] { ready++; }));
  }
  // Asks and answers.
  void fill(std::string_view value, Found answer, std::uint64_t now = 0, double expires_at = 0) {
    ASSERT_EQ(find(value, now), "(asked)");
    lookup.answer(std::move(answer), expires_at);
    run();
    ASSERT_NE(find(value, now), "(asked)");
  }

  FakeLookup lookup;
  Cache::Counts counts;
  std::vector<std::move_only_function<void()>> posted;
  int ready = 0;
  std::unique_ptr<Cache> cache;
};

TEST_F(CacheTest, asks_once_and_then_knows) {
  make();
  EXPECT_EQ(find("a"), "(asked)");
  ASSERT_EQ(lookup.asked.size(), 1u);
  EXPECT_EQ(lookup.asked[0].schema, "services");
  EXPECT_EQ(lookup.asked[0].field, "name");
  EXPECT_EQ(lookup.asked[0].value, "a");
  lookup.answer(found("one"));
  EXPECT_EQ(ready, 0) << "told on the lookup's thread";
  run();
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(find("a"), "one");
  EXPECT_EQ(find("a"), "one");
  EXPECT_TRUE(lookup.asked.empty());
  EXPECT_EQ(counts.misses, 1u);
  EXPECT_EQ(counts.hits, 1u) << "the one that waited is a miss only";
  EXPECT_EQ(counts.entries, 1u);
  EXPECT_EQ(cache->entries(), 1u);
  EXPECT_GT(cache->bytes(), 0u);
  EXPECT_EQ(counts.bytes, cache->bytes());
}

TEST_F(CacheTest, remembers_that_there_is_none) {
  make();
  fill("a", none());
  EXPECT_EQ(find("a", 1'000'000'000), "(none)");
  EXPECT_EQ(counts.negative_hits, 1u);
  EXPECT_EQ(counts.hits, 0u);
}

TEST_F(CacheTest, asks_one_question_for_many_waiters) {
  make();
  for (int i = 0; i < 100; i++) EXPECT_EQ(find("a"), "(asked)");
  EXPECT_EQ(lookup.asked.size(), 1u);
  lookup.answer(found("one"));
  run();
  EXPECT_EQ(ready, 100);
  for (int i = 0; i < 100; i++) EXPECT_EQ(find("a"), "one");
  EXPECT_EQ(counts.misses, 100u);
  EXPECT_EQ(counts.hits, 0u);
}

TEST_F(CacheTest, tells_fields_of_one_text_apart) {
  make();
  fill("a", found("by name"));
  EXPECT_EQ(find("a", 0, "id"), "(asked)");
  lookup.answer(found("by id"));
  run();
  EXPECT_EQ(find("a", 0, "id"), "by id");
  EXPECT_EQ(find("a"), "by name");
  cache->invalidate("services:a:::::");
  EXPECT_EQ(cache->entries(), 0u);
}

TEST_F(CacheTest, keeps_answers_for_their_time) {
  Cache::Options options;
  options.ttl = std::chrono::seconds(10);
  options.neg_ttl = std::chrono::seconds(1);
  options.resurrect_ttl = std::chrono::seconds(0);
  make(options);
  fill("a", found("one"), 100'000);
  fill("b", none(), 100'000);
  EXPECT_EQ(find("b", 100'900), "(none)");
  EXPECT_EQ(find("b", 101'900), "(asked)");
  EXPECT_EQ(find("a", 109'900), "one");
  EXPECT_EQ(find("a", 110'900), "(asked)");
}

TEST_F(CacheTest, keeps_a_row_no_longer_than_it_lives) {
  make();
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  fill("a", found("one"), 100'000, now + 5);
  EXPECT_EQ(find("a", 104'000), "one");
  EXPECT_EQ(find("a", 105'500), "(asked)");
  lookup.answer(failed());
  run();
  EXPECT_EQ(find("a", 105'500), "(failed)") << "a row that ran out must not come back";
  EXPECT_EQ(counts.resurrected, 0u);
}

TEST_F(CacheTest, serves_an_outdated_answer_while_the_database_is_away) {
  Cache::Options options;
  options.ttl = std::chrono::seconds(10);
  options.resurrect_ttl = std::chrono::seconds(30);
  make(options);
  fill("a", found("one"), 1000);
  for (std::uint64_t now : {20'000, 60'000}) {
    EXPECT_EQ(find("a", now), "(asked)");
    lookup.answer(failed());
    run();
    EXPECT_EQ(find("a", now), "one");
    EXPECT_EQ(find("a", now + 29'000), "one");
    EXPECT_TRUE(lookup.asked.empty());
  }
  EXPECT_EQ(counts.resurrected, 2u);
  EXPECT_EQ(counts.failed, 2u);
  EXPECT_EQ(find("a", 100'000), "(asked)");
  lookup.answer(found("two"));
  run();
  EXPECT_EQ(find("a", 100'000), "two");
}

TEST_F(CacheTest, gives_a_failed_answer_to_those_who_wait_and_asks_again_soon) {
  make();
  fill("a", failed(), 1000);
  EXPECT_EQ(find("a", 1100), "(failed)") << "no storm of questions";
  EXPECT_EQ(find("a", 2000), "(asked)");
  lookup.answer(found("one"));
  run();
  EXPECT_EQ(find("a", 2000), "one");
  EXPECT_EQ(counts.failed, 1u);
  EXPECT_EQ(counts.negative_hits, 1u);
}

TEST_F(CacheTest, gives_waiters_their_answer_however_late_they_come_for_it) {
  Cache::Options options;
  options.ttl = std::chrono::milliseconds(1);
  make(options);
  EXPECT_EQ(find("a", 0), "(asked)");
  EXPECT_EQ(find("a", 0), "(asked)");
  lookup.answer(found("one"));
  run();
  EXPECT_EQ(find("a", 50'000), "one");
  EXPECT_EQ(find("a", 50'000), "one");
  EXPECT_EQ(find("a", 50'000), "(asked)");
}

TEST_F(CacheTest, forgets_what_is_invalidated) {
  make();
  fill("a", found("one"));
  fill("b", found("two"));
  fill("c", none());
  cache->invalidate("services:a:::::");
  cache->invalidate("services:unknown:::::");
  EXPECT_EQ(find("a"), "(asked)");
  EXPECT_EQ(find("b"), "two");
  cache->invalidate("services:c:::::");
  EXPECT_EQ(find("c"), "(asked)");
  EXPECT_EQ(counts.entries, 1u);
  cache->invalidate("services:b:::::");
  EXPECT_EQ(counts.entries, 0u);
  EXPECT_EQ(counts.bytes, 0u);
}

TEST_F(CacheTest, serves_what_was_cleared_only_while_the_database_is_away) {
  make();
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  fill("a", found("one"));
  fill("b", found("two"));
  fill("mortal", found("three"), 0, now + 1000);
  cache->clear();
  EXPECT_EQ(cache->peek("services:a:::::"), nullptr);
  EXPECT_EQ(find("a"), "(asked)");
  lookup.answer(found("new"));
  run();
  EXPECT_EQ(find("a"), "new");
  EXPECT_EQ(find("b"), "(asked)");
  lookup.answer(failed());
  run();
  EXPECT_EQ(find("b"), "two");
  EXPECT_EQ(counts.resurrected, 1u);
  EXPECT_EQ(find("mortal"), "(asked)");
  lookup.answer(failed());
  run();
  EXPECT_EQ(find("mortal"), "(failed)");
  EXPECT_EQ(counts.bytes, cache->bytes());
}

TEST_F(CacheTest, asks_again_when_an_invalidation_overtakes_the_answer) {
  make();
  EXPECT_EQ(find("a"), "(asked)");
  cache->invalidate("services:a:::::");
  lookup.answer(found("old"));
  run();
  EXPECT_EQ(ready, 0) << "told of an answer from before the invalidation";
  ASSERT_EQ(lookup.asked.size(), 1u);
  cache->clear();
  lookup.answer(found("older"));
  run();
  EXPECT_EQ(ready, 0);
  lookup.answer(found("new"));
  run();
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(find("a"), "new");
}

TEST_F(CacheTest, asks_again_when_an_invalidation_comes_between_answer_and_owner) {
  make();
  EXPECT_EQ(find("a"), "(asked)");
  lookup.answer(found("old"));
  cache->invalidate("services:a:::::");
  run();
  EXPECT_EQ(ready, 0);
  lookup.answer(found("new"));
  run();
  EXPECT_EQ(find("a"), "new");
}

TEST_F(CacheTest, gives_up_on_a_row_that_never_rests) {
  make();
  EXPECT_EQ(find("a"), "(asked)");
  int questions = 0;
  while (ready == 0 && questions < 1000) {
    cache->invalidate("services:a:::::");
    lookup.answer(found("old"));
    run();
    questions++;
  }
  EXPECT_EQ(ready, 1);
  EXPECT_LT(questions, 100);
  EXPECT_EQ(find("a"), "(failed)");
}

TEST_F(CacheTest, does_not_resurrect_what_was_invalidated) {
  Cache::Options options;
  options.ttl = std::chrono::seconds(1);
  make(options);
  fill("a", found("one"), 0);
  EXPECT_EQ(find("a", 5000), "(asked)");
  cache->invalidate("services:a:::::");
  lookup.answer(failed());
  run();
  lookup.answer(failed());
  run();
  EXPECT_EQ(find("a", 5000), "(failed)");
}

TEST_F(CacheTest, holds_no_more_than_its_bytes_and_drops_the_least_used) {
  Cache::Options options;
  options.bytes_max = 64 * 1024;
  make(options);
  fill("used", found("one"));
  for (int i = 0; i < 2000; i++) {
    fill(std::to_string(i), found("row"));
    EXPECT_EQ(find("used"), "one") << i;
    ASSERT_LE(cache->bytes(), options.bytes_max);
  }
  EXPECT_GT(cache->entries(), 20u);
  EXPECT_EQ(counts.evicted, 2001 - cache->entries());
  EXPECT_EQ(find("1999"), "row");
  EXPECT_EQ(find("0"), "(asked)");
}

TEST_F(CacheTest, lets_unknown_keys_push_out_no_known_ones) {
  Cache::Options options;
  options.bytes_max = 64 * 1024;
  make(options);
  fill("known", found("one"));
  for (int i = 0; i < 2000; i++) fill(std::to_string(i), none());
  EXPECT_LE(cache->bytes(), options.bytes_max / 4 + 2000);
  EXPECT_EQ(find("known"), "one");
}

TEST_F(CacheTest, gives_waiters_even_what_is_too_large_to_keep) {
  Cache::Options options;
  options.bytes_max = 1000;
  make(options);
  fill("a", found(std::string(5000, 'x')));
  fill("b", found("small"));
  EXPECT_EQ(find("a"), "(asked)");
}

TEST_F(CacheTest, asks_no_more_questions_than_it_may) {
  Cache::Options options;
  options.waiting_max = 3;
  make(options);
  for (int i = 0; i < 3; i++) EXPECT_EQ(find(std::to_string(i)), "(asked)");
  EXPECT_EQ(find("3"), "(failed)");
  EXPECT_EQ(find("2"), "(asked)") << "a waiter of a question under way is none";
  EXPECT_EQ(counts.failed, 1u);
  lookup.answer(none());
  run();
  EXPECT_EQ(find("3"), "(asked)");
}

TEST_F(CacheTest, shows_what_is_cached) {
  make();
  EXPECT_EQ(cache->peek("services:a:::::"), nullptr);
  find("a");
  EXPECT_EQ(cache->peek("services:a:::::"), nullptr) << "not known yet";
  lookup.answer(found("one"));
  run();
  fill("b", none());
  fill("c", failed());
  EXPECT_EQ(name_in(cache->peek("services:a:::::")), "one");
  EXPECT_EQ(name_in(cache->peek("services:b:::::")), "(none)");
  EXPECT_EQ(cache->peek("services:c:::::"), nullptr);
}

TEST_F(CacheTest, outlives_answers_that_come_after_its_end) {
  make();
  find("a");
  find("b");
  lookup.answer(found("one"));
  cache.reset();
  run();
  lookup.answer(found("two"));
  run();
  EXPECT_EQ(ready, 0);
}

TEST_F(CacheTest, lets_a_waiter_ask_invalidate_and_clear) {
  make();
  int told = 0;
  cache->find(key("a"), 0, [&] {
    told++;
    EXPECT_EQ(find("a"), "one");
    EXPECT_EQ(find("b"), "(asked)");
    cache->invalidate("services:a:::::");
    cache->clear();
  });
  lookup.answer(found("one"));
  run();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(lookup.asked.size(), 2u - 1u);
}

TEST_F(CacheTest, is_invalidated_by_the_keys_that_nodes_tell_each_other) {
  make();
  fill("a", found("one"));
  cache->invalidate(key("a").text());
  EXPECT_EQ(find("a"), "(asked)");
}

}  // namespace
}  // namespace weir::store
