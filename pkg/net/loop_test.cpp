#include "net/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "net/connection.h"

namespace weir::net {
namespace {

struct Timer : Handle {
  explicit Timer(std::function<void()> f) : fired(std::move(f)) {}
  void on_events(std::uint32_t) override {}
  void on_timeout() override { fired(); }
  std::function<void()> fired;
};

TEST(Loop, runs_posted_work_of_other_threads_in_order) {
  Loop loop;
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([&, i] { seen.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(seen.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST(Loop, fires_timeouts_late_by_a_slot_at_most_and_never_early) {
  Loop loop;
  auto begin = Loop::clock_us();
  std::uint64_t first = 0, second = 0;
  Timer early([&] { first = Loop::clock_us() - begin; });
  Timer late([&] {
    second = Loop::clock_us() - begin;
    loop.stop();
  });
  Timer cleared([&] { ADD_FAILURE() << "was cleared"; });
  loop.set_timeout(cleared, 10);
  loop.clear_timeout(cleared);
  loop.set_timeout(early, 60000);
  loop.set_timeout(early, 20);  // earlier than where it is linked
  loop.set_timeout(late, 10);
  loop.set_timeout(late, 300);  // later: it stays linked, and is looked at again
  loop.run();
  EXPECT_GE(first, 15'000u);  // the clock is some ms coarse
  EXPECT_GE(second, 295'000u);
  EXPECT_LT(first, second);
}

TEST(Loop, lets_a_handler_end_others_that_are_due) {
  Loop loop;
  std::vector<std::unique_ptr<Timer>> timers;
  int fired = 0;
  for (int i = 0; i < 3; ++i)
    timers.push_back(std::make_unique<Timer>([&] {
      ++fired;
      for (auto& t : timers)
        if (t) loop.bury(std::move(t));
      loop.stop();
    }));
  for (auto& t : timers) loop.set_timeout(*t, 1);
  loop.run();
  EXPECT_EQ(fired, 1);
}

struct Eager : Handle {
  void on_events(std::uint32_t events) override {
    EXPECT_EQ(events, 0u);
    if (on) on();
  }
  std::function<void()> on;
};

TEST(Loop, calls_again_those_who_ask_but_not_those_who_ended) {
  Loop loop;
  auto ended = std::make_unique<Eager>();
  ended->on = [] { ADD_FAILURE() << "is over"; };
  Eager first, last;
  int turns = 0;
  first.on = [&] {
    if (ended) loop.bury(std::move(ended));
    if (++turns < 5) loop.again(first);
  };
  last.on = [&] {
    if (turns == 5) return loop.stop();
    loop.again(last);
  };
  for (Handle* h : std::initializer_list<Handle*>{&first, ended.get(), &last}) loop.again(*h);
  loop.run();
  EXPECT_EQ(turns, 5);
}

struct Pipe : Connection {
  void on_events(std::uint32_t events) override {
    note(events);
    if (on) on();
  }
  std::function<void()> on;
};

TEST(Connection, keeps_what_a_slow_reader_does_not_take_and_owns_nothing_else) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  Loop loop;
  Pipe writer, reader;
  writer.fd = fds[0];
  reader.fd = fds[1];
  const std::string big(4 << 20, 'x');
  std::size_t got = 0;
  ASSERT_TRUE(writer.send("head", big));
  EXPECT_FALSE(writer.writable());
  EXPECT_GT(writer.unsent(), 0u);
  ASSERT_TRUE(writer.send("tail"));
  writer.on = [&] { EXPECT_TRUE(writer.flush()); };
  reader.on = [&] {
    char buffer[65536];
    while (reader.has_input()) {
      ssize_t n = reader.receive(buffer, sizeof buffer);
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    if (got == big.size() + 8) loop.stop();
  };
  loop.add(writer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  loop.add(reader, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  loop.run();
  EXPECT_TRUE(writer.writable());
  EXPECT_EQ(writer.unsent(), 0u);
}

TEST(Connection, tells_the_end_of_the_stream) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  Pipe reader;
  reader.fd = fds[1];
  ASSERT_EQ(::write(fds[0], "ab", 2), 2);
  ::close(fds[0]);
  reader.note(EPOLLIN | EPOLLRDHUP);
  char buffer[16];
  EXPECT_EQ(reader.receive(buffer, sizeof buffer), 2);
  ASSERT_TRUE(reader.has_input()) << "the end gives no further edge";
  EXPECT_EQ(reader.receive(buffer, sizeof buffer), 0);
  EXPECT_TRUE(reader.ended());
}

}  // namespace
}  // namespace weir::net
