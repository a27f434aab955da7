// An API server's objects in memory, as informers show them, for tests of what is built on these.
#pragma once
#include <deque>
#include <map>
#include <set>
#include <string>

#include "kube/informer.h"
#include "reconcile/fields.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

class FakeInformers final : public kube::Informers {
 public:
  // Makes or changes an object; gives it the next resourceVersion. Tells nobody: see told_of.
  Name set(const Kind& kind, Object object) {
    auto& metadata = object["metadata"].as_object();
    metadata["resourceVersion"] = std::to_string(++revision_);
    Name name{std::string(fields::meta(object, "namespace")), std::string(fields::meta(object, "name"))};
    objects_[key(kind)][name] = boost::json::serialize(object);
    return name;
  }
  void remove(const Kind& kind, const Name& name) {
    ++revision_;
    objects_[key(kind)].erase(name);
  }
  // Objects that are followed one by one: answered once this was called.
  void answer(const Kind& kind, const Name& name) { answered_.insert({key(kind), name}); }
  const std::multiset<std::pair<std::string, Name>>& followed() const { return followed_; }
  bool is_synced = true;

  std::set<std::string> watched;  // by "plural.group"

  void watch(const Kind& kind, Options) override { watched.insert(key(kind)); }
  bool synced() const override { return is_synced; }
  void watch_object(const Kind& kind, const Name& name) override { followed_.insert({key(kind), name}); }
  void forget_object(const Kind& kind, const Name& name) override {
    followed_.erase(followed_.find({key(kind), name}));
    answered_.erase({key(kind), name});
  }
  bool known(const Kind& kind, const Name& name) const override { return answered_.contains({key(kind), name}); }
  const std::string* text(const Kind& kind, const Name& name) const override {
    const auto of_kind = objects_.find(key(kind));
    if (of_kind == objects_.end()) return nullptr;
    const auto at = of_kind->second.find(name);
    return at == of_kind->second.end() ? nullptr : &at->second;
  }
  std::optional<Object> get(const Kind& kind, const Name& name) const override {
    const auto* found = text(kind, name);
    if (!found) return std::nullopt;
    return boost::json::parse(*found).as_object();
  }
  void each(const Kind& kind, std::string_view space, const std::function<void(const Name&)>& call) const override {
    const auto of_kind = objects_.find(key(kind));
    if (of_kind == objects_.end()) return;
    for (const auto& [name, object] : of_kind->second)
      if (space.empty() || name.space == space) call(name);
  }
  std::uint64_t revision(const Kind&) const override { return revision_; }
  std::map<std::string, kube::WatchCounts> counts() const override { return {}; }
  void put(const Kind& kind, Object object) override {
    Name name{std::string(fields::meta(object, "namespace")), std::string(fields::meta(object, "name"))};
    objects_[key(kind)][name] = boost::json::serialize(object);
  }

 private:
  static std::string key(const Kind& kind) { return fmt::format("{}.{}", kind.plural, kind.group); }

  std::map<std::string, std::map<Name, std::string>> objects_;
  std::multiset<std::pair<std::string, Name>> followed_;
  std::set<std::pair<std::string, Name>> answered_;
  std::uint64_t revision_ = 100;
};

// A client without a thread or a server: what was posted, asked for or put off waits until the test lets it happen.
class FakeClient final : public kube::Client {
 public:
  struct Sent {
    std::string method, path, body, content_type;
    Done done;
    Object json() const { return boost::json::parse(body).as_object(); }
  };
  std::deque<Sent> sent;  // not answered yet
  std::vector<std::pair<std::chrono::milliseconds, Work>> later;
  std::deque<Work> posted;

  void post(Work work) override { posted.push_back(std::move(work)); }
  void after(std::chrono::milliseconds pause, Work work) override { later.emplace_back(pause, std::move(work)); }
  void request(std::string method, std::string path, std::string body, std::string content_type, Done done) override {
    sent.push_back({std::move(method), std::move(path), std::move(body), std::move(content_type), std::move(done)});
  }
  std::unique_ptr<Stream> stream(std::string, std::function<void(std::string_view)>, Done) override { return nullptr; }
  const std::string& default_namespace() const override { return space_; }

  // Answers the oldest request.
  void answer(int status, std::string body = "{}") {
    auto request = std::move(sent.front());
    sent.pop_front();
    kube::Answer answer;
    answer.status = status;
    answer.body = std::move(body);
    request.done(std::move(answer));
  }
  void cut() {
    auto request = std::move(sent.front());
    sent.pop_front();
    request.done(fail("connection refused"));
  }
  void run_posted() {
    while (!posted.empty()) {
      auto work = std::move(posted.front());
      posted.pop_front();
      work();
    }
  }
  // All pauses end.
  void run_later() {
    for (auto& [pause, work] : std::exchange(later, {})) work();
  }

 private:
  std::string space_ = "default";
};

}  // namespace weir::reconcile
