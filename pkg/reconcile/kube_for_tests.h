// An API server's objects in memory, as informers show them, for tests of what is built on these.
#pragma once
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

  void watch(const Kind&, Options) override {}
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

}  // namespace weir::reconcile
