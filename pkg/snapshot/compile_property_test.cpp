// However a configuration came about, change by change, it behaves as one that was compiled at once; and no snapshot
// changes after it was made.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "snapshot/plugin_test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

// Few names and values, so that objects meet: hosts that overlap, paths that nest, parents that are missing.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) { install_test_kinds(); }

  // Some changes, remembered in the final state.
  store::Changes step() {
    store::Changes changes;
    for (std::size_t count = 1 + random_() % 4; count > 0; count--) {
      changes.push_back(random_change());
      entities_.insert_or_assign({std::string(changes.back().schema->name()), changes.back().id}, changes.back());
      if (!changes.back().now) entities_.erase({std::string(changes.back().schema->name()), changes.back().id});
    }
    return changes;
  }

  store::Changes all_shuffled() {
    store::Changes changes;
    for (const auto& [key, change] : entities_) changes.push_back(change);
    std::shuffle(changes.begin(), changes.end(), random_);
    return changes;
  }

 private:
  store::Change random_change() {
    const auto number = 1 + below(12);
    const bool drops = below(4) == 0;
    switch (below(8)) {
      case 0:
        return drops ? drop<model::Upstream>(number % 5) : random_upstream(number % 5);
      case 1:
        return drops ? drop<model::Target>(number) : random_target(number);
      case 2:
        return drops ? drop<model::Service>(number % 5) : random_service(number % 5);
      case 3:
      case 4:
        return drops ? drop<model::Plugin>(number) : random_plugin(number);
      default:
        return drops ? drop<model::Route>(number) : random_route(number);
    }
  }
  store::Change random_upstream(std::uint32_t number) {
    return put_upstream(number, fmt::format(R"({{"name":"{}"}})", one_of({"u", "v", "W", "w"})));
  }
  store::Change random_target(std::uint32_t number) {
    return put_target(number, below(5), fmt::format("t{}:80", below(3)), static_cast<int>(below(3)));
  }
  store::Change random_service(std::uint32_t number) {
    return put_service(number, fmt::format(R"({{"host":"{}","enabled":{},"path":"/{}"}})",
                                           one_of({"u", "V", "w", "x", "y"}), below(4) != 0, below(100)));
  }
  // In all scopes, two of one kind and scope among them.
  store::Change random_plugin(std::uint32_t number) {
    PluginScope scope;
    if (below(2) == 0) scope.route = 1 + below(12);
    if (below(2) == 0) scope.service = below(5);
    if (below(3) == 0) scope.consumer = 100 + below(2);
    scope.extra = fmt::format(R"("enabled":{},"protocols":[{}])", below(6) != 0,
                              one_of({R"("http","https")", R"("https")", R"("grpc")"}));
    return put_plugin(number, one_of({"high", "middle", "other-middle", "low"}), scope);
  }
  store::Change random_route(std::uint32_t number) {
    std::string json = R"({"protocols":["http","https"])";
    const auto field = [&](std::string_view name, std::initializer_list<std::string_view> values) {
      json += fmt::format(R"(,"{}":[{})", name, one_of(values));
      if (below(3) == 0) json += fmt::format(",{}", one_of(values));
      json += "]";
    };
    const auto kinds = 1 + below(15);
    if (kinds & 1)
      field("hosts",
            {R"("a.com")", R"("*.com")", R"("a.*")", R"("b.a.com")", R"("*.a.com")", R"("a.com:81")", R"("*.com:81")"});
    if (kinds & 2) field("paths", {R"("/")", R"("/x")", R"("/x/y")", R"("/xy")", R"("~/x")", R"("~/x/.")"});
    if (kinds & 4) json += fmt::format(R"(,"methods":["{}"])", one_of({"GET", "PUT"}));
    if (kinds & 8)
      json += fmt::format(R"(,"headers":{{{}}})",
                          one_of({R"("x-a":["1"])", R"("x-a":["~*[12]"])", R"("x-a":["1"],"x-b":["1"])"}));
    if (below(3) != 0) json += R"(,"service":)" + reference(below(5));
    json += fmt::format(R"(,"regex_priority":{}}})", below(2));
    return put_route(number, json, 100 + below(3));
  }

  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  std::string_view one_of(std::initializer_list<std::string_view> values) {
    return *(values.begin() + below(static_cast<std::uint32_t>(values.size())));
  }

  std::mt19937 random_;
  std::map<std::pair<std::string, Uuid>, store::Change> entities_;
};

void describe(const Backend* backend, std::string& out) {
  if (!backend) return void(out += " none");
  out += fmt::format(" {} {} {}", backend->name, backend->is_upstream, backend->origin.id.text());
  for (const auto& target : backend->targets)
    out += fmt::format(" {}:{}={}", target->host, target->port, target->weight);
}

void describe_plugins(const Snapshot& snapshot, std::string& out) {
  out += fmt::format("\n{} plugins, {} high, for all {}", snapshot.plugins(), snapshot.plugins_of_kind("high"),
                     numbers(snapshot.chain(nullptr)));
  std::vector<const PluginInstance*> chain;
  for (std::uint32_t number = 0; number <= 12; number++) {
    const auto* route = snapshot.find_route(id(number));
    if (number > 0 && !route) continue;
    out += fmt::format("\nroute {}: {}", number, numbers(snapshot.chain(route)));
    for (std::uint32_t consumer = 100; consumer < 102; consumer++) {
      snapshot.chain_of(route, id(consumer), chain);
      out += fmt::format("; {} {}", snapshot.has_plugins_of(id(consumer)), numbers(chain));
    }
  }
}

// All that can be asked of a snapshot, but for slot numbers, which depend on history.
std::string behaviour(const Snapshot& snapshot) {
  static const auto requests = [] {
    std::vector<Asked> all;
    for (const auto* method : {"GET", "PUT"})
      for (const auto* host : {"a.com", "b.a.com", "c.a.com", "a.org", "c.com:81", "a.com:81", "none"})
        for (const auto* path : {"/", "/x", "/x/y/z", "/xyz", "/q"})
          for (const auto& headers :
               {std::multimap<std::string, std::string>{}, {{"x-a", "1"}}, {{"x-a", "1"}, {"x-b", "1"}}})
            all.emplace_back(fmt::format("{} {}{}", method, host, path), headers);
    return all;
  }();
  std::string out = fmt::format("{} {} {}\n", snapshot.routes(), snapshot.services(), snapshot.upstreams());
  for (const auto& asked : requests) {
    const auto match = snapshot.match(asked.request());
    if (!match.route) {
      out += "-\n";
      continue;
    }
    out += fmt::format("{} {}", match.route->origin.id.text(), match.prefix_bytes);
    if (const auto* service = snapshot.service(match.route->service)) {
      out += fmt::format(" {} {}", service->origin.id.text(), service->path);
      describe(snapshot.backend(service->backend), out);
    }
    out += '\n';
  }
  for (const auto* name : {"u", "v", "w", "x"}) describe(snapshot.find_backend(name), out);
  describe_plugins(snapshot, out);
  for (const auto& fault : snapshot.faults())
    out += fmt::format("\n{} {} {}", fault.origin.kind, fault.origin.id.text(), fault.message);
  return out;
}

void expect_changed_backends(const SnapshotPtr& before, const Snapshot& after) {
  std::vector<Slot> differ;
  const auto slots = std::max(before ? before->backend_slots() : 0, after.backend_slots());
  for (Slot slot = 0; slot < slots; slot++)
    if ((before ? before->backend(slot) : nullptr) != after.backend(slot)) differ.push_back(slot);
  EXPECT_EQ(std::vector(after.changed_backends().begin(), after.changed_backends().end()), differ);
}

TEST(CompileProperty, growing_change_by_change_equals_compiling_at_once) {
  for (unsigned seed = 0; seed < 25; seed++) {
    SCOPED_TRACE(seed);
    World world(seed);
    SnapshotPtr snapshot;
    std::vector<std::pair<SnapshotPtr, std::string>> kept;
    for (int step = 0; step < 60; step++) {
      const auto before = snapshot;
      snapshot = compile_plugins(world.step(), before);
      ASSERT_EQ(snapshot->revision(), static_cast<std::uint64_t>(step) + 1);
      expect_changed_backends(before, *snapshot);
      const auto now = behaviour(*snapshot);
      ASSERT_EQ(now, behaviour(*compile_plugins(world.all_shuffled()))) << "step " << step;
      if (step % 10 == 0) kept.emplace_back(snapshot, now);
      if (::testing::Test::HasFailure()) return;
    }
    for (const auto& [old, was] : kept) EXPECT_EQ(behaviour(*old), was);
  }
}

TEST(CompileProperty, applying_everything_again_changes_nothing) {
  World world(99);
  SnapshotPtr snapshot;
  for (int step = 0; step < 40; step++) snapshot = compile_plugins(world.step(), snapshot);
  const auto was = behaviour(*snapshot);
  EXPECT_EQ(behaviour(*compile_plugins(world.all_shuffled(), snapshot)), was);
}

}  // namespace
}  // namespace weir::snapshot
