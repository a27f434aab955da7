#include "store/desk.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "store/test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

// What happened on the desk, in order.
class Told {
 public:
  void add(std::string what) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
  }
  std::vector<std::string> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  bool until(std::size_t count) const {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (all().size() < count && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return all().size() >= count;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> all_;
};

class FakePostgres final : public Postgres {
 public:
  FakePostgres() : fd_(::eventfd(0, EFD_NONBLOCK)), store_(opened()) {}
  ~FakePostgres() override { ::close(fd_); }
  Store& store() override { return *store_; }
  Result<Loaded> load(const std::function<void(const Schema&, Object)>&, const std::function<void(Fault)>&) override {
    return Loaded{};
  }
  Followed follow() override {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
    follows++;
    due_ = std::chrono::steady_clock::now() + 1h;
    Followed out;
    if (count > 0) out.keys.push_back("noticed");
    out.faults = faults;
    return out;
  }
  int fd() const override { return fd_; }
  std::chrono::steady_clock::time_point due() const override { return due_; }
  bool reachable() const override { return true; }

  void notice() {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(fd_, &one, sizeof one), 8);
  }
  void set_due(std::chrono::steady_clock::time_point at) { due_ = at; }  // on the desk
  std::atomic<int> follows{0};
  std::vector<Fault> faults;  // on the desk

 private:
  int fd_;
  std::chrono::steady_clock::time_point due_ = std::chrono::steady_clock::now() + 1h;
  std::unique_ptr<Store> store_;
};

TEST(Desk, runs_what_is_posted_in_order_and_all_of_it_before_it_ends) {
  std::vector<int> order;
  auto desk = Desk::start(nullptr, [](Followed) {});
  for (int i = 0; i < 1000; i++) desk->post([&, i] { order.push_back(i); });
  desk.reset();
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(Desk, follows_after_work_and_when_the_database_calls) {
  FakePostgres postgres;
  Told told;
  auto desk = Desk::start(&postgres, [&](Followed followed) {
    for (const auto& key : followed.keys) told.add(key);
  });
  std::promise<void> ran;
  desk->post([&] { ran.set_value(); });
  ran.get_future().wait();
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (postgres.follows == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(postgres.follows, 1) << "after the work";
  postgres.notice();
  EXPECT_TRUE(told.until(1));
  EXPECT_EQ(postgres.follows, 2);
  EXPECT_EQ(told.all(), (std::vector<std::string>{"noticed"})) << "nothing is told when there is nothing";
}

TEST(Desk, follows_when_it_is_due_and_sleeps_otherwise) {
  FakePostgres postgres;
  postgres.set_due(std::chrono::steady_clock::now() + 20ms);
  auto desk = Desk::start(&postgres, [](Followed) {});
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (postgres.follows == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(postgres.follows, 1);
  // Had it not gone to sleep, it would have followed many times until this work.
  for (int i = 0; i < 3; i++) {
    std::promise<void> ran;
    desk->post([&] { ran.set_value(); });
    ran.get_future().wait();
  }
  desk.reset();
  EXPECT_LE(postgres.follows, 4);
}

TEST(Desk, tells_faults_when_they_change) {
  FakePostgres postgres;
  Told told;
  auto desk = Desk::start(
      &postgres, [&](Followed followed) { told.add(followed.faults.empty() ? "none" : followed.faults[0].message); });
  desk->post([&] { postgres.faults = {{"services", "1", "bad"}}; });
  EXPECT_TRUE(told.until(1));
  desk->post([] {});
  desk->post([&] { postgres.faults = {{"services", "1", "worse"}}; });
  EXPECT_TRUE(told.until(2));
  desk->post([&] { postgres.faults.clear(); });
  EXPECT_TRUE(told.until(3));
  EXPECT_EQ(told.all(), (std::vector<std::string>{"bad", "worse", "none"}));
}

TEST(DeskLookup, finds_rows_of_a_store_without_a_server) {
  const auto store = opened();
  auto desk = Desk::start(nullptr, [](Followed) {});
  const auto& consumers = model::schema<model::Consumer>();
  const auto& keys = model::schema<model::KeyAuthCredential>();
  const auto consumer = put(*store, consumers, R"({"username":"alice"})");
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto key = put(*store, keys, child("consumer", consumer, R"("key":"secret")"));
  const auto mortal = put(*store, keys, child("consumer", consumer, R"("key":"mortal","ttl":100)"), now);
  const auto lookup = desk_lookup(*desk, *store);
  const auto find = [&](const Schema& schema, std::string_view field, std::string_view value) {
    std::promise<std::pair<Found, double>> answer;
    lookup->find({&schema, field, value},
                 [&](Found found, double expires_at) { answer.set_value({std::move(found), expires_at}); });
    return answer.get_future().get();
  };
  EXPECT_EQ(find(consumers, "username", "alice").first.rows.size(), 1u);
  EXPECT_EQ(find(consumers, "id", id_text(consumer)).first.rows.size(), 1u);
  EXPECT_EQ(find(consumers, "id", "nonsense").first.rows.size(), 0u);
  EXPECT_EQ(find(keys, "consumer", id_text(consumer)).first.rows.size(), 2u);
  const auto [none, never] = find(keys, "key", "unknown");
  EXPECT_FALSE(none.failed);
  EXPECT_TRUE(none.rows.empty());
  EXPECT_EQ(never, 0);
  const auto [found, expires_at] = find(keys, "key", "mortal");
  ASSERT_EQ(found.rows.size(), 1u);
  EXPECT_NEAR(expires_at, now + 100, 3);
}

}  // namespace
}  // namespace weir::store
