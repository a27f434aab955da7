#include "reconcile/events.h"

#include <gtest/gtest.h>

#include "reconcile/kube_for_tests.h"

namespace weir::reconcile {
namespace {

using std::chrono::seconds;

struct Bench {
  FakeClient client;
  FakeInformers informers;
  Writes writes{client, informers};
  Events events{informers, writes, "pod"};
  std::chrono::steady_clock::time_point now{seconds(1000)};

  Name make(std::string name) {
    return informers.set(kinds::http_route, {{"metadata", {{"namespace", "ns"}, {"name", name}, {"uid", "u"}}}});
  }
  void tell(const Name& name, std::int64_t generation, std::string message) {
    events.tell(kinds::http_route, name, generation, message.empty() ? "" : "Bad", message, now);
  }
  std::size_t sent() {
    std::size_t n = 0;
    for (; !client.sent.empty(); ++n) client.answer(201);
    return n;
  }
};

TEST(Events, one_for_each_fault_and_generation) {
  Bench b;
  const auto name = b.make("r");
  b.tell(name, 1, "no Service");
  b.tell(name, 1, "no Service");
  EXPECT_EQ(b.sent(), 1u);
  b.tell(name, 1, "no port");
  EXPECT_EQ(b.sent(), 1u);
  b.tell(name, 2, "no port");
  EXPECT_EQ(b.sent(), 1u);
}

TEST(Events, tell_that_a_fault_is_gone_but_nothing_of_what_never_had_one) {
  Bench b;
  const auto name = b.make("r");
  b.tell(name, 1, "");
  EXPECT_EQ(b.sent(), 0u);
  b.tell(name, 1, "no Service");
  b.tell(name, 1, "");
  ASSERT_EQ(b.client.sent.size(), 2u);
  EXPECT_EQ(b.client.sent[1].json().at("type").as_string(), "Normal");
}

TEST(Events, a_flood_of_faults_is_bounded) {
  Bench b;
  for (int i = 0; i < 1000; ++i) b.tell(b.make(std::to_string(i)), 1, "bad");
  EXPECT_EQ(b.sent(), static_cast<std::size_t>(Events::burst));
  EXPECT_EQ(b.events.suppressed(), 1000 - static_cast<std::uint64_t>(Events::burst));
  b.now += seconds(10);
  for (int i = 2000; i < 2100; ++i) b.tell(b.make(std::to_string(i)), 1, "bad");
  EXPECT_EQ(b.sent(), static_cast<std::size_t>(10 * Events::per_second));
}

TEST(Events, a_long_note_is_cut_between_characters) {
  Bench b;
  std::string message = "x";
  while (message.size() < 3000) message += "é";
  b.tell(b.make("r"), 1, message);
  ASSERT_EQ(b.client.sent.size(), 1u);
  const auto note = std::string(b.client.sent[0].json().at("note").as_string());
  EXPECT_EQ(note.size(), 1023u);
  EXPECT_TRUE(message.starts_with(note));
}

TEST(Events, are_not_made_for_objects_that_are_gone) {
  Bench b;
  b.tell(Name{"ns", "gone"}, 1, "bad");
  EXPECT_EQ(b.sent(), 0u);
}

}  // namespace
}  // namespace weir::reconcile
