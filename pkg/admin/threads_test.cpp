// The Admin API between two real threads: which work runs where, and what a slow store holds up.
#include <gtest/gtest.h>

#include <atomic>

#include "admin/fake_node.h"
#include "admin/two_threads.h"

namespace weir::admin {
namespace {

// Notes on which threads it was called.
class WatchedNode final : public FakeNode {
 public:
  void apply(store::Changes changes, std::function<void()> adopted) override {
    note();
    FakeNode::apply(std::move(changes), std::move(adopted));
  }
  snapshot::SnapshotPtr snapshot() const override {
    note();
    return FakeNode::snapshot();
  }
  TargetView target(const snapshot::Target& t) const override {
    note();
    return FakeNode::target(t);
  }
  bool database_reachable() const override {
    note();
    return FakeNode::database_reachable();
  }

  std::atomic<std::thread::id> control{};
  mutable std::atomic<int> elsewhere = 0, calls = 0;

 private:
  void note() const {
    ++calls;
    if (std::this_thread::get_id() != control) ++elsewhere;
  }
};

class BetweenThreads : public testing::Test {
 protected:
  BetweenThreads() {
    auto opened = store::open_sqlite(":memory:");
    EXPECT_TRUE(opened);
    store = std::move(*opened);
    node.control = control.id();
    api = control.ask([this] {
      return Api::make(*store, node, {},
                       {[this](Threads::Work work) { on_store.post(std::move(work)); },
                        [this](Threads::Work work) { control.post(std::move(work)); }});
    });
  }
  ~BetweenThreads() override {
    on_store.end();
    control.end();
  }

  // Sends without waiting; the future has the reply, and on which thread it was given.
  struct Told {
    Response response;
    std::thread::id thread;
  };
  std::future<Told> start(std::string method, std::string path, std::string body = "") {
    std::promise<Told> told;
    auto out = told.get_future();
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.body = std::move(body);
    if (!request.body.empty()) request.headers = json_type;
    control.post([this, request = std::move(request), told = std::move(told)]() mutable {
      api->handle(std::move(request), [told = std::move(told)](Response response) mutable {
        told.set_value({std::move(response), std::this_thread::get_id()});
      });
    });
    return out;
  }
  Response ask(std::string method, std::string path, std::string body = "") {
    return start(std::move(method), std::move(path), std::move(body)).get().response;
  }
  static std::string message(const Response& response) {
    return std::string(boost::json::parse(response.body).at("message").as_string());
  }
  // Keeps the store's thread busy until the promise is kept.
  std::promise<void> stall() {
    std::promise<void> release;
    on_store.post([until = release.get_future()]() mutable { until.wait(); });
    return release;
  }

  std::unique_ptr<store::Store> store;
  WatchedNode node;
  QueueThread on_store, control;
  std::unique_ptr<Api> api;
};

TEST_F(BetweenThreads, entities_are_stored_and_applied_each_on_its_thread) {
  std::vector<std::future<Told>> answers;
  for (int i = 0; i < 50; ++i)
    answers.push_back(start("POST", "/services", fmt::format(R"({{"name":"s{}","host":"h"}})", i)));
  for (int i = 0; i < 50; ++i) answers.push_back(start("GET", fmt::format("/services/s{}", i)));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto told = answers[i].get();
    EXPECT_EQ(told.response.status, i < 50 ? 201u : 200u) << told.response.body;
    EXPECT_EQ(told.thread, control.id());
  }
  EXPECT_EQ(node.calls, 50);
  EXPECT_EQ(node.elsewhere, 0);
  EXPECT_EQ(control.ask([this] { return node.applied; }), 50);
}

TEST_F(BetweenThreads, health_joins_rows_of_the_store_with_what_the_node_sees) {
  EXPECT_EQ(ask("POST", "/upstreams", R"({"name":"u"})").status, 201u);
  EXPECT_EQ(ask("POST", "/upstreams/u/targets", R"({"target":"10.0.0.1:80"})").status, 201u);
  const auto health = ask("GET", "/upstreams/u/health");
  EXPECT_EQ(health.status, 200u);
  EXPECT_EQ(boost::json::parse(health.body).at("data").at(0).at("data").at("addresses").at(0).at("ip"), "10.0.0.1");
  EXPECT_EQ(ask("GET", "/upstreams/none/health").status, 404u);
  EXPECT_EQ(node.elsewhere, 0);
}

TEST_F(BetweenThreads, a_stalled_store_holds_up_entities_only) {
  auto release = stall();
  auto waiting = start("GET", "/services");
  for (const auto* path : {"/", "/status", "/metrics", "/schemas/services", "/endpoints", "/openapi.json"})
    EXPECT_EQ(ask("GET", path).status, 200u) << path;
  EXPECT_EQ(ask("GET", "/nowhere").status, 404u);
  EXPECT_EQ(ask("PUT", "/services").status, 405u);
  EXPECT_EQ(ask("OPTIONS", "/services").status, 204u);
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  release.set_value();
  EXPECT_EQ(waiting.get().response.status, 200u);
}

TEST_F(BetweenThreads, requests_that_wait_for_the_store_are_bounded) {
  auto release = stall();
  std::vector<std::future<Told>> waiting;
  for (int i = 0; i < 1000; ++i) waiting.push_back(start("GET", "/services"));
  const auto refused = ask("GET", "/services");
  EXPECT_EQ(refused.status, 503u);
  EXPECT_EQ(message(refused), "too many requests are waiting for the database");
  EXPECT_NE(std::ranges::find(refused.headers, Headers::value_type("Retry-After", "1")), refused.headers.end());
  release.set_value();
  for (auto& answer : waiting) EXPECT_EQ(answer.get().response.status, 200u);
  EXPECT_EQ(ask("GET", "/services").status, 200u);
}

TEST_F(BetweenThreads, a_database_that_is_away_shows_in_the_status) {
  control.ask([this] { node.reachable = false; });
  EXPECT_EQ(boost::json::parse(ask("GET", "/status").body).at("database").at("reachable"), false);
}

}  // namespace
}  // namespace weir::admin
