#include "admin/fake_node.h"
#include "base/log.h"

namespace weir::admin {
namespace {

class Debugging : public ApiTest {
 protected:
  ~Debugging() override { log::set_level(before); }
  const log::Level before = log::level();
};

TEST_F(Debugging, shows_and_drops_what_the_node_keeps_under_a_key) {
  const std::string key = "consumers:bob:::::", escaped = "consumers%3Abob%3A%3A%3A%3A%3A";
  node.cache[key] = boost::json::array{model::Object{{"username", "bob"}}};
  node.cache["consumers:eve:::::"] = boost::json::array{};
  EXPECT_EQ(get("/cache/" + key).body, R"([{"username":"bob"}])");
  EXPECT_EQ(get("/cache/" + escaped).status, 200u);
  EXPECT_EQ(get("/cache/consumers:eve:::::").body, "[]");
  EXPECT_EQ(get("/cache/none").status, 404u);
  EXPECT_EQ(get("/cache/none").message(), "Not found");
  EXPECT_EQ(ask(*api, "DELETE", "/cache/" + key).status, 204u);
  EXPECT_EQ(get("/cache/" + key).status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/cache").status, 204u);
  EXPECT_TRUE(node.cache.empty());
}

TEST_F(Debugging, gives_up_on_workers_that_do_not_answer) {
  node.silent = true;
  Request request;
  request.method = "GET";
  request.path = "/cache/k";
  std::move_only_function<void()> deadline;
  request.after = [&](std::chrono::milliseconds, std::move_only_function<void()> work) {
    deadline = std::move(work);
    return std::make_shared<int>();
  };
  std::vector<unsigned> told;
  api->handle(std::move(request), [&](const Response& response) { told.push_back(response.status); });
  EXPECT_TRUE(told.empty());
  ASSERT_TRUE(deadline);
  deadline();
  ASSERT_EQ(node.unanswered.size(), 1u);
  node.unanswered[0](std::nullopt);  // too late
  EXPECT_EQ(told, std::vector<unsigned>{503});
}

TEST_F(Debugging, changes_the_log_level_for_a_while) {
  log::set_level(log::Level::notice);
  EXPECT_EQ(get("/debug/node/log-level").message(), "log level: notice");
  const auto changed = ask(*api, "PUT", "/debug/node/log-level/debug?timeout=5");
  EXPECT_EQ(changed.status, 200u);
  EXPECT_EQ(changed.message(), "log level changed");
  EXPECT_EQ(log::level(), log::Level::debug);
  EXPECT_EQ(ask(*api, "PUT", "/debug/node/log-level/debug").message(), "log level is already debug");
  EXPECT_EQ(ask(*api, "PUT", "/debug/node/log-level/info").status, 200u);
  ASSERT_EQ(timers.size(), 2u);
  EXPECT_EQ(timers[0].delay, std::chrono::seconds(5));
  EXPECT_EQ(timers[1].delay, std::chrono::seconds(60));
  timers[1].work();
  EXPECT_EQ(log::level(), log::Level::notice) << "back to what it was before both";
  EXPECT_EQ(ask(*api, "PUT", "/debug/node/log-level/error?timeout=0").status, 200u);
  EXPECT_EQ(timers.size(), 2u);
  EXPECT_EQ(log::level(), log::Level::error);
}

TEST_F(Debugging, refuses_unknown_levels_and_times) {
  const auto reply = ask(*api, "PUT", "/debug/node/log-level/loud");
  EXPECT_EQ(reply.status, 400u);
  EXPECT_EQ(reply.message(), "unknown log level: loud");
  for (const auto* timeout : {"-1", "x", "nan", "1e99", ""})
    EXPECT_EQ(ask(*api, "PUT", fmt::format("/debug/node/log-level/debug?timeout={}", timeout)).status, 400u) << timeout;
  EXPECT_EQ(log::level(), before);
}

TEST_F(Debugging, has_no_timers_to_show) {
  EXPECT_EQ(get("/timers").status, 200u);
  EXPECT_TRUE(get("/timers").json().at("stats").at("timers").as_object().empty());
}

}  // namespace
}  // namespace weir::admin
