// However a configuration came about, change by change, it behaves as one that was compiled at once; and no snapshot
// changes after it was made.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "model/pem_for_tests.h"
#include "snapshot/certificates.h"
#include "snapshot/gateway_test_support.h"
#include "snapshot/plugin_test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

// Few names and values, so that objects meet: hosts that overlap, paths that nest, parents that are missing.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) { install_test_kinds(); }

  struct Step {
    store::Changes changes;
    std::vector<model::GatewayChange> gateway;
  };

  // Some changes, remembered in the final state.
  Step step() {
    auto gateway = gateway_changes();
    store::Changes changes;
    for (std::size_t count = 1 + random_() % 4; count > 0; count--) {
      changes.push_back(random_change());
      entities_.insert_or_assign({std::string(changes.back().schema->name()), changes.back().id}, changes.back());
      if (!changes.back().now) entities_.erase({std::string(changes.back().schema->name()), changes.back().id});
    }
    return {std::move(changes), std::move(gateway)};
  }

  Step all_shuffled() {
    Step all;
    for (const auto& [key, change] : entities_) all.changes.push_back(change);
    for (const auto& [key, change] : gateway_) all.gateway.push_back(change);
    std::shuffle(all.changes.begin(), all.changes.end(), random_);
    std::shuffle(all.gateway.begin(), all.gateway.end(), random_);
    return all;
  }

 private:
  store::Change random_change() {
    const auto number = 1 + below(12);
    const bool drops = below(4) == 0;
    switch (below(10)) {
      case 8:
        return drops ? drop<model::Certificate>(number % 3) : random_certificate(number % 3);
      case 9:
        return drops ? drop<model::Sni>(number % 5) : random_sni(number % 5);
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
    if (below(2) == 0) scope.route = below(3) == 0 ? 21 + below(12) : 1 + below(12);
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

  store::Change random_certificate(std::uint32_t number) {
    static const auto pems = [] {
      std::vector<model::testing::Pem> made;
      for (const auto* name : {"c0.example", "c1.example"}) made.push_back(model::testing::make_pem({.name = name}));
      return made;
    }();
    const auto& pem = pems[below(2)];
    return put<model::Certificate>(
        number, boost::json::serialize(boost::json::object{{"cert", pem.certificate}, {"key", pem.key}}));
  }
  store::Change random_sni(std::uint32_t number) {
    return put<model::Sni>(number, fmt::format(R"({{"name":"{}","certificate":{}}})",
                                               one_of({"a.com", "*.com", "a.*", "*", "b.a.com"}), reference(below(3))));
  }

  // Entries 1000 and 1001 and routes 21 to 32 of their listeners 2000 and 2001.
  std::vector<model::GatewayChange> gateway_changes() {
    std::vector<model::GatewayChange> changes;
    for (std::size_t count = below(4); count > 0; count--) {
      const bool is_entry = below(5) == 0;
      const auto number = is_entry ? 1000 + below(2) : 21 + below(12);
      changes.push_back(below(4) == 0 ? drop_gateway(number) : is_entry ? random_entry(number) : random_http(number));
      gateway_.insert_or_assign(changes.back().id, changes.back());
      if (!changes.back().entry && !changes.back().route) gateway_.erase(changes.back().id);
    }
    return changes;
  }
  model::GatewayChange random_entry(std::uint32_t number) {
    const auto host = [&] { return std::string(one_of({"", "*.com", "a.com", "*.a.com"})); };
    auto change = put_entry(number, {host(), host()}, below(2) == 0);
    auto entry = *change.entry;
    for (auto& listener : entry.listeners) listener.certificates = {id(below(3)), id(below(3))};
    change.entry = std::make_shared<const model::Entry>(std::move(entry));
    return change;
  }
  model::GatewayChange random_http(std::uint32_t number) {
    RouteSpec spec;
    spec.path = one_of({"prefix /", "prefix /x", "prefix /x/y/", "exact /x", "exact /x/y", "regex /x.*", "regex /xy?"});
    for (auto hosts = below(3); hosts > 0; hosts--)
      spec.hosts.emplace_back(one_of({"a.com", "*.com", "b.a.com", "*.a.com"}));
    if (below(3) == 0) spec.method = one_of({"GET", "PUT"});
    if (below(3) == 0) spec.headers.push_back({"x-a", std::string(one_of({"1", "[12]"})), below(2) == 0});
    if (below(3) == 0) spec.queries.push_back({"q", "1", false});
    spec.created_at = below(3);
    spec.order = one_of({"a", "b", "ab"});
    for (auto services = below(3); services > 0; services--) spec.services.emplace_back(below(5), below(3));
    spec.listener = 2000 + below(2);
    spec.entry = 1000 + below(2);
    spec.filters = below(3) == 0;
    return put_gateway_route(number, spec);
  }

  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  std::string_view one_of(std::initializer_list<std::string_view> values) {
    return *(values.begin() + below(static_cast<std::uint32_t>(values.size())));
  }

  std::mt19937 random_;
  std::map<std::pair<std::string, Uuid>, store::Change> entities_;
  std::map<Uuid, model::GatewayChange> gateway_;
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

void describe_certificate(ssl_ctx_st* context, std::string& out) {
  out += !context ? " -" : is_for(context, "c0.example") ? " c0" : " c1";
}

void describe_gateway(const Snapshot& snapshot, std::string& out) {
  for (const auto* host : {"a.com", "b.a.com", "c.com", "none"}) {
    out += fmt::format("\n{}:", host);
    for (const auto& entry : {Uuid{}, id(1000), id(1001)}) describe_certificate(snapshot.tls_context(entry, host), out);
    for (const auto* request : {"GET {}/", "PUT {}/x?q=1", "https GET {}/x/y", "GET {}/x/y/z?q=1", "GET {}/xy"})
      for (const std::uint32_t entry : {1000, 1001}) {
        const auto asked = by_entry(Asked(fmt::format(fmt::runtime(request), host), {{"x-a", "1"}}, "b.a.com"), entry);
        const auto match = snapshot.match(asked.request());
        out += fmt::format(" {}{}:{}", match.misdirected ? "!" : "", match.route ? match.route->origin.id.bytes[15] : 0,
                           match.prefix_bytes);
      }
  }
  for (std::uint32_t number = 21; number <= 32; number++) {
    const auto* route = snapshot.find_route(id(number));
    if (!route) continue;
    out += fmt::format("\nroute {}: {} plugins, {}", number,
                       snapshot.chain(route) ? snapshot.chain(route)->plugins.size() : 0, route->weights);
    for (const auto& each : route->services) {
      const auto* service = snapshot.service(each.service);
      out += fmt::format(" {} {}", each.weight, service ? service->origin.id.text() : "-");
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
  describe_gateway(snapshot, out);
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

SnapshotPtr compile_step(const World::Step& step, const SnapshotPtr& previous = nullptr) {
  return compile_plugins(step.changes, previous, step.gateway);
}

TEST(CompileProperty, growing_change_by_change_equals_compiling_at_once) {
  for (unsigned seed = 0; seed < 25; seed++) {
    SCOPED_TRACE(seed);
    World world(seed);
    SnapshotPtr snapshot;
    std::vector<std::pair<SnapshotPtr, std::string>> kept;
    for (int step = 0; step < 60; step++) {
      const auto before = snapshot;
      snapshot = compile_step(world.step(), before);
      ASSERT_EQ(snapshot->revision(), static_cast<std::uint64_t>(step) + 1);
      expect_changed_backends(before, *snapshot);
      const auto now = behaviour(*snapshot);
      ASSERT_EQ(now, behaviour(*compile_step(world.all_shuffled()))) << "step " << step;
      if (step % 10 == 0) kept.emplace_back(snapshot, now);
      if (::testing::Test::HasFailure()) return;
    }
    for (const auto& [old, was] : kept) EXPECT_EQ(behaviour(*old), was);
  }
}

TEST(CompileProperty, applying_everything_again_changes_nothing) {
  World world(99);
  SnapshotPtr snapshot;
  for (int step = 0; step < 40; step++) snapshot = compile_step(world.step(), snapshot);
  const auto was = behaviour(*snapshot);
  EXPECT_EQ(behaviour(*compile_step(world.all_shuffled(), snapshot)), was);
}

}  // namespace
}  // namespace weir::snapshot
