#include "reconcile/writes.h"

#include <gtest/gtest.h>

#include "reconcile/kube_for_tests.h"

namespace weir::reconcile {
namespace {

struct Bench {
  FakeClient client;
  FakeInformers informers;
  Writes writes{client, informers};

  void put(const std::string& key, std::string body = "{}", bool once = false) {
    writes.put(key, {.kind = kinds::service,
                     .name = Name{"ns", key},
                     .make = [body] { return std::optional(Writes::Request{"PATCH", "/x", body, "application/json"}); },
                     .once = once});
  }
};

TEST(Writes, has_a_bounded_number_on_their_way) {
  Bench b;
  for (int i = 0; i < 40; ++i) b.put(std::to_string(i));
  EXPECT_EQ(b.client.sent.size(), Writes::on_their_way_max);
  b.client.answer(200);
  EXPECT_EQ(b.client.sent.size(), Writes::on_their_way_max);
  while (!b.client.sent.empty()) b.client.answer(200);
  EXPECT_EQ(b.writes.written(), 40u);
  EXPECT_EQ(b.writes.waiting(), 0u);
}

TEST(Writes, sends_only_the_newest_of_a_key) {
  Bench b;
  b.put("a", "1");
  b.put("a", "2");
  b.put("a", "3");
  ASSERT_EQ(b.client.sent.size(), 1u);
  b.client.answer(200);
  ASSERT_EQ(b.client.sent.size(), 1u);
  EXPECT_EQ(b.client.sent[0].body, "3");
  b.client.answer(200);
  EXPECT_TRUE(b.client.sent.empty());
  EXPECT_EQ(b.writes.written(), 2u);
}

TEST(Writes, keeps_what_the_server_answers) {
  Bench b;
  b.put("a");
  b.client.answer(200, R"({"kind": "Service", "metadata": {"namespace": "ns", "name": "a"}, "x": 1})");
  ASSERT_TRUE(b.informers.get(kinds::service, {"ns", "a"}));
  b.put("b");
  b.client.answer(200, R"({"kind": "Status", "metadata": {"name": "b"}})");
  EXPECT_FALSE(b.informers.get(kinds::service, {"", "b"}));
}

TEST(Writes, tries_again_after_growing_pauses_when_the_server_is_away_or_busy) {
  Bench b;
  b.put("a");
  std::chrono::milliseconds last{0};
  for (const int status : {0, 429, 500, 503}) {
    ASSERT_EQ(b.client.sent.size(), 1u);
    status ? b.client.answer(status) : b.client.cut();
    ASSERT_TRUE(b.client.sent.empty());
    ASSERT_EQ(b.client.later.size(), 1u);
    EXPECT_GT(b.client.later[0].first, last);
    last = b.client.later[0].first;
    b.client.run_later();
  }
  EXPECT_EQ(b.writes.faults(), 4u);
  EXPECT_FALSE(b.writes.fault().empty());
  b.client.answer(200);
  EXPECT_EQ(b.writes.waiting(), 0u);
  EXPECT_TRUE(b.writes.fault().empty());
}

TEST(Writes, gives_up_what_is_refused_for_what_it_says_and_what_is_gone) {
  Bench b;
  for (const int status : {400, 404, 422}) {
    b.put("a");
    b.client.answer(status);
    EXPECT_EQ(b.writes.waiting(), 0u) << status;
    EXPECT_TRUE(b.client.later.empty());
  }
  EXPECT_EQ(b.writes.faults(), 2u) << "404 is none";
}

TEST(Writes, reads_the_object_again_after_a_conflict) {
  Bench b;
  b.put("a");
  b.client.answer(409);
  ASSERT_EQ(b.client.sent.size(), 1u);
  EXPECT_EQ(b.client.sent[0].method, "GET");
  EXPECT_EQ(b.client.sent[0].path, "/api/v1/namespaces/ns/services/a");
  b.client.answer(200, R"({"kind": "Service", "metadata": {"namespace": "ns", "name": "a"}})");
  EXPECT_TRUE(b.informers.get(kinds::service, {"ns", "a"}));
  b.client.run_later();
  ASSERT_EQ(b.client.sent.size(), 1u);
  EXPECT_EQ(b.client.sent[0].method, "PATCH");
  b.client.answer(409);
  b.client.answer(404);
  EXPECT_EQ(b.writes.waiting(), 0u);
}

TEST(Writes, a_write_for_once_is_not_tried_again) {
  Bench b;
  b.put("a", "{}", true);
  b.client.answer(503);
  EXPECT_EQ(b.writes.waiting(), 0u);
  EXPECT_TRUE(b.client.later.empty());
}

TEST(Writes, sends_nothing_when_nothing_is_to_be_written_by_then) {
  Bench b;
  bool needed = true;
  for (int i = 0; i < 16; ++i) b.put(std::to_string(i));
  b.writes.put("late", {.kind = kinds::service, .name = Name{"ns", "late"}, .make = [&] {
                          return needed ? std::optional(Writes::Request{}) : std::nullopt;
                        }});
  needed = false;
  while (!b.client.sent.empty()) b.client.answer(200);
  EXPECT_EQ(b.writes.written(), 16u);
  EXPECT_EQ(b.writes.waiting(), 0u);
}

TEST(Writes, forgets_what_waits_when_it_is_cleared) {
  Bench b;
  for (int i = 0; i < 20; ++i) b.put(std::to_string(i));
  b.writes.clear();
  while (!b.client.sent.empty()) b.client.answer(200);
  EXPECT_EQ(b.writes.written(), Writes::on_their_way_max);
  EXPECT_EQ(b.writes.waiting(), 0u);
}

}  // namespace
}  // namespace weir::reconcile
