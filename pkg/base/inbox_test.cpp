#include "base/inbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

using weir::Inbox;

TEST(Inbox, runs_in_order_and_wakes_once_for_a_burst) {
  int wakes = 0;
  std::vector<int> ran;
  Inbox inbox([&] { wakes++; });
  for (int i = 0; i < 3; i++) inbox.post([&ran, i] { ran.push_back(i); });
  EXPECT_EQ(wakes, 1);
  inbox.run();
  EXPECT_EQ(ran, (std::vector{0, 1, 2}));
}

TEST(Inbox, leaves_what_is_posted_meanwhile_for_the_next_run) {
  int ran = 0;
  Inbox inbox([] {});
  inbox.post([&] { inbox.post([&] { ran++; }); });
  inbox.run();
  EXPECT_EQ(ran, 0);
  inbox.run();
  EXPECT_EQ(ran, 1);
}

TEST(Inbox, loses_nothing_from_many_threads) {
  std::atomic<int> wakes{0};
  int ran = 0;
  Inbox inbox([&] { wakes++; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; i++) inbox.post([&ran] { ran++; });
    });
  for (auto& t : threads) t.join();
  inbox.run();
  EXPECT_EQ(ran, 4000);
  EXPECT_GE(wakes.load(), 1);
}
