#include <atomic>
#include <condition_variable>
#include <mutex>

#include "store/lookup.h"
#include "store/postgres_follow_test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

const Schema& consumers() {
  return model::schema<model::Consumer>();
}
const Schema& keys() {
  return model::schema<model::KeyAuthCredential>();
}

struct Answer {
  Found found;
  double expires_at = 0;
};

// Answers as they come, on the lookup's thread.
class Asked {
 public:
  explicit Asked(const PostgresServer& server) : lookup_(postgres_lookup(server)) {}
  void ask(const Schema& schema, std::string_view field, std::string value) {
    const auto key = fmt::format("{}.{}={}", schema.name(), field, value);
    lookup_->find({&schema, field, value}, [this, key](Found found, double expires_at) {
      const std::lock_guard lock(mutex_);
      answers_[key].push_back({std::move(found), expires_at});
      count_++;
      came_.notify_all();
    });
    asked_++;
  }
  bool wait(std::chrono::seconds limit = 20s) {
    std::unique_lock lock(mutex_);
    return came_.wait_for(lock, limit, [&] { return count_ == asked_; });
  }
  Answer find(const Schema& schema, std::string_view field, std::string_view value) {
    ask(schema, field, std::string(value));
    EXPECT_TRUE(wait());
    const std::lock_guard lock(mutex_);
    return answers_[fmt::format("{}.{}={}", schema.name(), field, value)].back();
  }
  std::map<std::string, std::vector<Answer>>& answers() { return answers_; }
  void end() { lookup_.reset(); }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::map<std::string, std::vector<Answer>> answers_;
  int asked_ = 0, count_ = 0;
  std::unique_ptr<Lookup> lookup_;
};

// Consumers alice, c0 ... c99, each with the key k0 ...; alice with two.
struct Filled {
  explicit Filled(PostgresCluster& cluster = PostgresCluster::shared()) : name(database(cluster)) {
    const auto postgres = Postgres::make(options_for(name, cluster));
    auto& store = postgres->store();
    const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const auto alice = put(store, consumers(), R"({"username":"alice"})");
    alice_id = id_text(alice);
    put(store, keys(), child("consumer", alice, R"("key":"secret")"));
    put(store, keys(), child("consumer", alice, R"("key":"mortal","ttl":100)"), now);
    std::vector<std::pair<const Schema*, Object>> all;
    for (int i = 0; i < 100; i++) {
      all.emplace_back(&consumers(), made(consumers(), fmt::format(R"({{"username":"c{}"}})", i)));
      const auto key = made(keys(), child("consumer", all.back().second, fmt::format(R"("key":"k{}")", i)));
      all.emplace_back(&keys(), key);
    }
    const auto done = store.insert_all(all);
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  }
  std::string name, alice_id;
};

TEST(PostgresLookup, finds_rows_by_id_unique_field_and_parent) {
  Filled filled;
  Asked asked(PostgresCluster::shared().server(filled.name));
  const auto by_name = asked.find(consumers(), "username", "alice");
  ASSERT_EQ(by_name.found.rows.size(), 1u);
  EXPECT_EQ(id_text(*by_name.found.rows[0]), filled.alice_id);
  EXPECT_EQ(by_name.expires_at, 0);
  auto upper = filled.alice_id;
  std::ranges::transform(upper, upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  EXPECT_EQ(asked.find(consumers(), "id", upper).found.rows.size(), 1u);
  EXPECT_EQ(asked.find(keys(), "consumer", filled.alice_id).found.rows.size(), 2u);
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto mortal = asked.find(keys(), "key", "mortal");
  ASSERT_EQ(mortal.found.rows.size(), 1u);
  EXPECT_NEAR(mortal.expires_at, now + 100, 5);
  for (const auto& none : {"unknown", "", "it's", "{\"a\\b\",}", "\xff\xfe", "a\nb"}) {
    const auto answer = asked.find(keys(), "key", none);
    EXPECT_TRUE(answer.found.rows.empty()) << none;
  }
  EXPECT_FALSE(asked.find(keys(), "key", std::string("secret\0", 7)).found.failed);
  EXPECT_FALSE(asked.find(consumers(), "id", "nonsense").found.failed);
  EXPECT_EQ(asked.find(keys(), "key", "secret").found.rows.size(), 1u) << "and is of use after all of that";
}

TEST(PostgresLookup, leaves_out_rows_that_ran_out_or_are_faulty) {
  Filled filled;
  auto& cluster = PostgresCluster::shared();
  cluster.sql(filled.name, "UPDATE keyauth_credentials SET ttl = now() - interval '1 s' WHERE key = 'k1'");
  cluster.sql(filled.name, "UPDATE keyauth_credentials SET consumer_id = NULL WHERE key = 'k2'");
  Asked asked(cluster.server(filled.name));
  for (const auto& key : {"k1", "k2"}) {
    const auto answer = asked.find(keys(), "key", key);
    EXPECT_FALSE(answer.found.failed) << key;
    EXPECT_TRUE(answer.found.rows.empty()) << key;
  }
}

TEST(PostgresLookup, asks_for_many_at_once) {
  PostgresCluster cluster({.settings = {"log_statement=all"}});
  Filled filled(cluster);
  Asked asked(cluster.server(filled.name));
  asked.find(consumers(), "username", "alice");
  const auto count = [&] {
    const auto log = cluster.log();
    int out = 0;
    for (std::size_t at = 0; (at = log.find("FROM \"keyauth_credentials\" WHERE", at)) != std::string::npos; at++)
      out++;
    return out;
  };
  const int before = count();
  for (int i = 0; i < 20'000; i++) asked.ask(keys(), "key", fmt::format("k{}", i % 200));
  ASSERT_TRUE(asked.wait());
  for (int i = 0; i < 200; i++) {
    const auto& answers = asked.answers()[fmt::format("keyauth_credentials.key=k{}", i)];
    ASSERT_EQ(answers.size(), 100u);
    for (const auto& answer : answers) ASSERT_EQ(answer.found.rows.size(), i < 100 ? 1u : 0u) << i;
  }
  EXPECT_LT(count() - before, 500);
}

TEST(PostgresLookup, fails_at_once_while_the_server_is_away_and_finds_again_afterwards) {
  PostgresCluster cluster;
  Filled filled(cluster);
  auto server = cluster.server(filled.name);
  server.timeout = 700ms;
  Asked asked(server);
  EXPECT_EQ(asked.find(keys(), "key", "k1").found.rows.size(), 1u);
  cluster.restart();
  EXPECT_EQ(asked.find(keys(), "key", "k1").found.rows.size(), 1u) << "a restart alone is not noticed";

  cluster.freeze();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(asked.find(keys(), "key", "k1").found.failed);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s);
  const auto again = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; i++) EXPECT_TRUE(asked.find(keys(), "key", "k1").found.failed);
  EXPECT_LT(std::chrono::steady_clock::now() - again, 300ms) << "no waiting for a server that is known to be away";
  cluster.thaw();
  const auto there_again = [&] {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (!asked.find(keys(), "key", "k1").found.failed) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  };
  EXPECT_TRUE(there_again());
  cluster.kill();
  EXPECT_TRUE(asked.find(keys(), "key", "k1").found.failed);
  cluster.start();
  EXPECT_TRUE(there_again());
}

TEST(PostgresLookup, answers_everyone_when_it_ends) {
  Filled filled;
  Asked asked(PostgresCluster::shared().server(filled.name));
  for (int i = 0; i < 1000; i++) asked.ask(keys(), "key", fmt::format("k{}", i));
  asked.end();
  EXPECT_TRUE(asked.wait(1s));
}

}  // namespace
}  // namespace weir::store
