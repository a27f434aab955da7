// The configured plugins and the chains that are made of them. Persistent, as all that a Snapshot is made of.
//
// A chain is kept for each route that has plugins of its own, for each service that has some, and one for all others;
// so 100,000 routes without plugins cost nothing, and a change remakes only chains that may hold what changed.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/entities.h"
#include "plugin/plugin.h"
#include "snapshot/radix.h"
#include "snapshot/slots.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot {

struct CompiledPlugin : PluginInstance {
  Uuid digest;  // of the entity it was made of: the same one again is not made again

  // Where it stands among instances of one kind; the largest runs (kong-entities.md section 6).
  std::uint8_t specificity() const { return specificity_of(*this); }
  static std::uint8_t specificity_of(const PluginInstance&);
};
using PluginPtr = std::shared_ptr<const CompiledPlugin>;

using FindKind = const plugin::Kind* (*)(std::string_view name);
// Where plugins come from; tests bring their own.
struct PluginMakers {
  FindKind find_kind;
  // What filters of the Gateway API become; null: they are left out.
  const plugin::Kind* filters = nullptr;
  std::unique_ptr<const plugin::Plugin> (*make_filters)(const model::GatewayRoute&) = nullptr;
};

// The error names the plugin and what in its configuration cannot be used.
Result<PluginPtr> compile_plugin(const model::Plugin&, const Uuid& digest, const Origin&, FindKind, plugin::Services&);
Uuid digest_of(const model::Object& plugin);

class PluginTable {
 public:
  PluginPtr find(const Uuid& id) const;
  void insert(const PluginPtr&);
  void erase(const CompiledPlugin&);  // the one that was inserted

  std::size_t size() const { return size_; }
  std::size_t size_of_kind(std::string_view kind) const;

  bool has_plugins_of_route(const Uuid&) const;
  bool has_plugins_of_service(const Uuid&) const;
  bool has_plugins_of_consumer(const Uuid&) const;
  // The services that have plugins of their own, in order.
  std::vector<Uuid> services() const;

  // The chain that those plugins make which have no consumer: null when none is the route's own (is the service's own,
  // is there).
  std::shared_ptr<const Chain> route_chain(const Uuid& route, const std::optional<Uuid>& service) const;
  std::shared_ptr<const Chain> service_chain(const Uuid& service) const;
  std::shared_ptr<const Chain> global_chain() const;

  // Replaces those of `chain` (in order) that a plugin of the consumer goes before, and adds the others.
  void merge_consumer(const Uuid& consumer, const Uuid* route, const Uuid* service,
                      std::vector<const PluginInstance*>& chain) const;

 private:
  using Best = std::vector<std::shared_ptr<const PluginInstance>>;
  void add_global(Best&) const;
  bool add_service(const Uuid&, Best&) const;  // whether there is any

  Radix<PluginPtr> by_id_;
  // Those that can run, each in one: by id; by service and id; by route and id; by consumer and id.
  Radix<PluginPtr> global_, of_service_, of_route_, of_consumer_;
  Radix<std::size_t> kinds_;  // how many there are, by name
  std::size_t size_ = 0;
};

// Where the chains are found: by the slots that a route holds.
struct ChainTable {
  std::shared_ptr<const Chain> global;
  SlotTable<Chain> services, routes;
  Radix<Uuid> routes_of_service;  // that have a chain: by service id (nil: none), route id

  const Chain* find(const Route* route) const {
    if (route) {
      if (const auto* own = routes.at(route->own_chain)) return own;
      if (const auto* own = services.at(route->service)) return own;
    }
    return global.get();
  }
};

}  // namespace weir::snapshot
