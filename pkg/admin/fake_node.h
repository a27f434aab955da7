// For tests: an Admin API over an empty SQLite store in memory, and a node that only notes what it is told.
#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "admin/api.h"
#include "base/text.h"

namespace weir::admin {

class FakeNode : public Node {
 public:
  void apply(store::Changes changes, std::function<void()> adopted) override {
    ++applied;
    last_changes = changes;
    snapshot_ = snapshot::compile(snapshot_, changes, "sqlite");
    if (hold)
      held.push_back(std::move(adopted));
    else
      adopted();
  }
  snapshot::SnapshotPtr snapshot() const override { return snapshot_; }
  std::optional<Elsewhere> declared_elsewhere(const model::Schema&, const model::Object& entity) const override {
    const auto* name = entity.if_contains("name");
    if (elsewhere.empty() || !name || *name != boost::json::value(elsewhere)) return std::nullopt;
    return Elsewhere{"name", "WeirUpstream default/" + elsewhere};
  }
  TargetView target(const snapshot::Target& t) const override {
    if (!t.is_ip) return {"dns server error: 3 name error", false, {}};
    return {"A", true, {{t.host, t.port, t.weight}}};
  }
  ConnectionCounts connections() const override { return {3, 1, 1, 1, 10, 9, 42}; }
  std::optional<std::string> unready() const override { return draining ? std::optional("draining") : not_ready; }
  void set_draining() override { draining = true; }
  std::vector<store::Fault> store_faults() const override { return faults; }
  std::string metrics() const override { return "weir_up 1\n"; }
  model::Object configuration() const override { return {{"database", "sqlite"}, {"pg_password", "******"}}; }
  std::string node_id() const override { return "11111111-2222-3333-4444-555555555555"; }
  std::string configuration_hash() const override { return std::string(32, '0'); }
  bool database_reachable() const override { return reachable; }
  void cached(std::string key, std::function<void(std::optional<boost::json::value>)> done) override {
    if (silent) return unanswered.push_back(std::move(done));
    const auto found = cache.find(key);
    done(found == cache.end() ? std::nullopt : std::optional(found->second));
  }
  void drop_cached(std::optional<std::string> key, std::function<void()> done) override {
    key ? static_cast<void>(cache.erase(*key)) : cache.clear();
    done();
  }

  int applied = 0;
  store::Changes last_changes;
  bool hold = false, draining = false, reachable = true;
  std::map<std::string, boost::json::value> cache;
  bool silent = false;  // workers that answer nothing
  std::vector<std::function<void(std::optional<boost::json::value>)>> unanswered;
  std::vector<std::function<void()>> held;
  std::optional<std::string> not_ready;
  std::string elsewhere;  // a name that another source declares
  std::vector<store::Fault> faults;

 private:
  snapshot::SnapshotPtr snapshot_;
};

// Runs everything at once, as if the store had no thread of its own.
inline Threads inline_threads() {
  const auto now = [](Threads::Work work) { work(); };
  return {now, now};
}

struct Reply {
  unsigned status = 0;
  Headers headers;
  std::string body;

  boost::json::value json() const {
    boost::system::error_code failed;
    auto value = boost::json::parse(body, failed);
    EXPECT_FALSE(failed) << body;
    return value;
  }
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers)
      if (text::equal_ignoring_case(key, name)) return value;
    return "";
  }
  std::string message() const {
    const auto value = json();
    const auto* found = value.is_object() ? value.get_object().if_contains("message") : nullptr;
    return found && found->is_string() ? std::string(found->get_string()) : "";
  }
};

inline const Headers json_type{{"Content-Type", "application/json"}};
inline const Headers form_type{{"Content-Type", "application/x-www-form-urlencoded"}};

// Sends requests as the HTTP server would, and holds what they work with.
class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    auto opened = store::open_sqlite(":memory:");
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    store = std::move(*opened);
    api = Api::make(*store, node, {}, inline_threads());
  }

  Reply ask(Api& api, std::string method, std::string_view target, std::string body = "", Headers headers = {}) {
    Request request;
    request.method = std::move(method);
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) request.query = target.substr(question + 1);
    request.body = std::move(body);
    request.headers = std::move(headers);
    request.after = [this](std::chrono::milliseconds delay, std::move_only_function<void()> work) {
      timers.push_back({delay, std::move(work)});
      return std::make_shared<int>();
    };
    Reply reply;
    api.handle(std::move(request), [&reply](Response r) { reply = {r.status, r.headers, r.body}; });
    return reply;
  }
  Reply get(std::string_view target) { return ask(*api, "GET", target); }
  Reply send(std::string method, std::string_view target, std::string json) {
    return ask(*api, std::move(method), target, std::move(json), json_type);
  }
  Reply post(std::string_view target, std::string json) { return send("POST", target, std::move(json)); }
  Reply form(std::string_view target, std::string body) {
    return ask(*api, "POST", target, std::move(body), form_type);
  }

  struct Timer {  // that the API asked for; run by the test
    std::chrono::milliseconds delay;
    std::move_only_function<void()> work;
  };
  std::vector<Timer> timers;
  std::unique_ptr<store::Store> store;
  FakeNode node;
  std::unique_ptr<Api> api;
};

inline boost::json::array rows_of(const Reply& list) {
  return list.json().at("data").as_array();
}
inline std::string text_of(const boost::json::value& value) {
  return boost::json::serialize(value);
}

}  // namespace weir::admin
