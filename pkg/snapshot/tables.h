// What a Snapshot is made of. All of it is persistent: copying Tables costs a few dozen references.
//
// Two kinds of slots make objects independent of each other: a route holds the slot of its service's id, a service the
// slot of its host's name. A third kind leads from a route to the plugins that it has of its own. Slots are taken as
// soon as somebody refers to them, so what stands behind one may come, change and go without a change to those who
// refer to it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "snapshot/certificates.h"
#include "snapshot/compiled_route.h"
#include "snapshot/gateway_router.h"
#include "snapshot/plugin_table.h"
#include "snapshot/radix.h"
#include "snapshot/router.h"
#include "snapshot/slots.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot {

// compile() with plugins that somebody else makes: for tests.
SnapshotPtr compile_with(const SnapshotPtr& previous, const store::Changes& changes, std::string_view source,
                         plugin::Services* services, const PluginMakers&,
                         std::span<const model::GatewayChange> gateway = {});

using RoutePtr = std::shared_ptr<const CompiledRoute>;

struct CompiledUpstream {
  Origin origin;
  std::string name;  // lower case
  std::optional<std::string> host_header;
  bool use_srv_name = false;
};

struct CompiledTarget {
  Target target;
  Uuid upstream;
  std::int64_t created_at = 0;  // ms
};

// A service's id, while the service is there or a route refers to it.
struct ServiceUse {
  Slot slot = no_slot;
  std::uint32_t routes = 0;
  bool present = false, enabled = false;
};
// A backend's name, while a service or an upstream has it.
struct NameUse {
  Slot slot = no_slot;
  std::uint32_t services = 0;
};

// What the Gateway API declares. Routes are kept by listener, whether the listener is there or not.
struct GatewayTables {
  Radix<EntryPtr> entries;                   // by id
  Radix<GatewayRouter> routers;              // by entry id, listener id
  Radix<GatewayRoutePtr> routes;             // by id
  Radix<GatewayRoutePtr> routes_of_service;  // by service id, route id

  Match match(const Request&) const;
};

struct Snapshot::Tables {
  Router router;
  Patterns patterns;
  Radix<RoutePtr> routes;             // by id
  Radix<RoutePtr> routes_of_service;  // by service id, route id
  SlotPool route_slots;

  PluginTable plugins;
  ChainTable chains;

  Radix<ServiceUse> service_uses;  // by id
  SlotTable<Service> services;
  SlotPool service_slots;

  Radix<NameUse> name_uses;  // by name
  SlotTable<Backend> backends;
  SlotPool backend_slots;

  Radix<std::shared_ptr<const CompiledUpstream>> upstreams;  // by id
  Radix<Uuid> upstreams_of_name;                             // by name, 0, id
  Radix<std::shared_ptr<const CompiledTarget>> targets;      // by id
  // By upstream id, created_at, id.
  Radix<std::shared_ptr<const CompiledTarget>> targets_of_upstream;

  GatewayTables gateway;
  CertificateTables tls;

  Radix<std::shared_ptr<const Fault>> faults;  // by kind, id, cause

  std::size_t route_count = 0, service_count = 0, upstream_count = 0;
};

}  // namespace weir::snapshot
