#include "kube/informer.h"

#include <set>

#include "kube/watch.h"

namespace weir::kube {
namespace {

std::string full_name(const Kind& kind) {
  return kind.group.empty() ? std::string(kind.plural) : fmt::format("{}.{}", kind.plural, kind.group);
}

constexpr std::string_view by_name = "metadata.name=";

class Keeper final : public Informers, public Watch::Sink {
 public:
  Keeper(Client& client, Handler& handler) : client_(client), handler_(handler) {}

  void watch(const Kind&, Options) override;
  bool synced() const override {
    return std::ranges::all_of(watches_, [](const auto& watch) { return watch->synced(); });
  }
  void watch_object(const Kind&, const Name&) override;
  void forget_object(const Kind&, const Name&) override;
  bool known(const Kind& kind, const Name& name) const override {
    const auto at = singles_.find({full_name(kind), name});
    if (at != singles_.end()) return at->second->synced();
    return false;
  }
  const std::string* text(const Kind&, const Name&) const override;
  std::optional<Object> get(const Kind&, const Name&) const override;
  void each(const Kind&, std::string_view space, const std::function<void(const Name&)>&) const override;
  std::uint64_t revision(const Kind&) const override;
  std::map<std::string, WatchCounts> counts() const override;
  void put(const Kind&, Object) override;

 private:
  void changed(const Watch&, const Name&) override;
  void settled(const Watch&, bool first) override;
  void away() override { any_away_ = true; }
  void answered() override;
  void tell_idle();
  void custom_resource_changed(std::string_view name);
  template <class See>
  void each_watch(See see) const {
    for (const auto& watch : watches_) see(*watch);
    for (const auto& [key, watch] : singles_) see(*watch);
  }
  // Those that a kind is kept by.
  std::vector<Watch*> of(const Kind&) const;

  Client& client_;
  Handler& handler_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  bool burst_ = false;  // idle() is on its way
  bool any_away_ = false;
  mutable std::mutex mutex_;  // of which watches there are, for counts()
  std::vector<std::unique_ptr<Watch>> watches_;
  std::map<std::pair<std::string, Name>, std::unique_ptr<Watch>> singles_;  // by full_name() and name
};

void Keeper::watch(const Kind& kind, Options options) {
  for (const auto& watch : watches_)
    if (watch->kind == kind && watch->options == options) return;
  auto added = std::make_unique<Watch>(client_, kind, std::move(options), *this);
  auto& watch = *added;
  {
    std::lock_guard lock(mutex_);
    watches_.push_back(std::move(added));
  }
  watch.start();
}

void Keeper::watch_object(const Kind& kind, const Name& name) {
  std::pair key{full_name(kind), name};
  if (singles_.contains(key)) return;
  Options options{name.space, {}, std::string(by_name) + name.name};
  auto added = std::make_unique<Watch>(client_, kind, std::move(options), *this);
  auto& watch = *added;
  {
    std::lock_guard lock(mutex_);
    singles_.emplace(std::move(key), std::move(added));
  }
  watch.start();
}

void Keeper::forget_object(const Kind& kind, const Name& name) {
  const auto at = singles_.find({full_name(kind), name});
  if (at == singles_.end()) return;
  at->second->stop();
  // It may be the one that calls us: it goes when it has returned.
  auto gone = std::shared_ptr<Watch>(std::move(at->second));
  {
    std::lock_guard lock(mutex_);
    singles_.erase(at);
  }
  client_.post([gone = std::move(gone)] {});
}

std::vector<Watch*> Keeper::of(const Kind& kind) const {
  std::vector<Watch*> out;
  for (const auto& watch : watches_)
    if (watch->kind == kind) out.push_back(watch.get());
  const auto name = full_name(kind);
  for (auto at = singles_.lower_bound({name, {}}); at != singles_.end() && at->first.first == name; ++at)
    out.push_back(at->second.get());
  return out;
}

const std::string* Keeper::text(const Kind& kind, const Name& name) const {
  const auto in = [&](const Watch& watch) -> const std::string* {
    const auto at = watch.objects().find(name);
    return at == watch.objects().end() ? nullptr : &at->second.text;
  };
  for (const auto& watch : watches_)
    if (watch->kind == kind)
      if (const auto* found = in(*watch)) return found;
  if (singles_.empty()) return nullptr;
  const auto at = singles_.find({full_name(kind), name});
  return at == singles_.end() ? nullptr : in(*at->second);
}

std::optional<Object> Keeper::get(const Kind& kind, const Name& name) const {
  const auto* found = text(kind, name);
  if (!found) return std::nullopt;
  return parse_kept(*found);
}

void Keeper::each(const Kind& kind, std::string_view space, const std::function<void(const Name&)>& see) const {
  const auto walk = [&](const Watch& watch, const auto& found) {
    const auto& objects = watch.objects();
    auto at = space.empty() ? objects.begin() : objects.lower_bound(Name{std::string(space), {}});
    for (; at != objects.end() && (space.empty() || at->first.space == space); ++at) found(at->first);
  };
  const auto watches = of(kind);
  if (watches.size() == 1) return walk(*watches.front(), see);
  std::set<Name> several;
  for (const auto* watch : watches) walk(*watch, [&](const Name& name) { several.insert(name); });
  for (const auto& name : several) see(name);
}

std::uint64_t Keeper::revision(const Kind& kind) const {
  // Several watches of a kind: all are at the smallest position at least.
  const auto watches = of(kind);
  const auto least = std::ranges::min_element(watches, {}, [](const auto* watch) { return watch->position(); });
  return least == watches.end() ? 0 : (*least)->position();
}

std::map<std::string, WatchCounts> Keeper::counts() const {
  std::map<std::string, WatchCounts> out;
  std::lock_guard lock(mutex_);
  each_watch([&](const Watch& watch) {
    auto one = watch.counts();
    const auto [at, fresh] = out.try_emplace(full_name(watch.kind), one);
    if (fresh) return;
    auto& sum = at->second;
    sum.objects += one.objects, sum.lists += one.lists, sum.events += one.events, sum.faults += one.faults;
    sum.synced = sum.synced && one.synced;
    if (sum.fault.empty()) sum.fault = std::move(one.fault);
    sum.last_event_at = std::max(sum.last_event_at, one.last_event_at);
  });
  return out;
}

void Keeper::put(const Kind& kind, Object object) {
  const auto item = keep(object, kind);
  if (!item) return;
  for (auto* watch : of(kind)) watch->put(*item);
}

void Keeper::changed(const Watch& watch, const Name& name) {
  handler_.changed(watch.kind, name);
  tell_idle();
  if (watch.kind.plural == "customresourcedefinitions") custom_resource_changed(name.name);
}

void Keeper::settled(const Watch& watch, bool first) {
  // Whoever asked for this one object waits for the answer, also where it is that there is none.
  if (first && watch.options.field_selector.starts_with(by_name)) {
    const Name name{watch.options.space, watch.options.field_selector.substr(by_name.size())};
    if (singles_.contains({full_name(watch.kind), name})) handler_.changed(watch.kind, name);
  }
  tell_idle();
}

void Keeper::tell_idle() {
  if (std::exchange(burst_, true)) return;
  client_.when_quiet([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    burst_ = false;
    handler_.idle();
  });
}

void Keeper::answered() {
  if (!std::exchange(any_away_, false)) return;
  each_watch([](Watch& watch) { watch.server_is_back(); });
}

// name: "plural.group".
void Keeper::custom_resource_changed(std::string_view name) {
  each_watch([&](Watch& watch) {
    if (full_name(watch.kind) == name) watch.installed();
  });
}

}  // namespace

std::unique_ptr<Informers> Informers::make(Client& client, Handler& handler) {
  return std::make_unique<Keeper>(client, handler);
}

}  // namespace weir::kube
