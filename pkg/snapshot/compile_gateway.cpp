// What the Gateway API declares: entries with their listeners, and the routes that are attached to those.
#include "net/upstream_tls.h"
#include "snapshot/compiler.h"

namespace weir::snapshot {
namespace {

// Faults of these have a place of their own, whatever kind of object they are said to be of.
constexpr std::string_view entries_kind = "gateway entries", routes_kind = "gateway routes";

Origin origin_of(std::string_view source, std::string_view kind, const Uuid& id, const model::DeclaredByPtr& by) {
  if (!by) return {source, kind, id, "", 0, nullptr};
  return {source, by->kind, id, by->name, by->generation, by};
}

}  // namespace

void Compiler::apply_gateway(const model::GatewayChange& change) {
  if (!change.route) apply_entry(change);
  if (!change.entry) apply_gateway_route(change);
}

void Compiler::apply_entry(const model::GatewayChange& change) {
  clear_fault(entries_kind, change.id, Cause::itself);
  if (!change.entry) {
    t_.gateway.entries.erase(Nibbles(change.id));
    return;
  }
  auto compiled = std::make_shared<const CompiledEntry>(change.entry);
  for (const auto& listener : change.entry->listeners) {
    const auto* taken = *compiled->listeners.find(listener.hostname);
    if (taken != &listener)
      report(entries_kind, origin_of(source_, entries_kind, change.id, change.entry->by), Cause::itself,
             fmt::format("listener '{}' is left out: its host name '{}' is that of listener '{}'", listener.name,
                         listener.hostname, taken->name));
  }
  t_.gateway.entries.edit(Nibbles(change.id)) = std::move(compiled);
}

void Compiler::apply_gateway_route(const model::GatewayChange& change) {
  const auto* known = t_.gateway.routes.find(Nibbles(change.id));
  const auto old = known ? *known : nullptr;
  clear_fault(routes_kind, change.id, Cause::itself);
  if (!change.route) {
    if (!old) return;
    remove_gateway_route(*old);
    put_filters(nullptr, change.id, old->route.origin);
    return t_.route_slots.give_back(old->route.own_chain);
  }
  auto from = origin_of(source_, routes_kind, change.id, change.route->by);
  auto compiled = compile_gateway_route(change.route, t_.patterns);
  if (!compiled) return report(routes_kind, from, Cause::itself, std::move(compiled.error().message));
  if (old) remove_gateway_route(*old);
  put_filters(change.route.get(), change.id, from);
  (*compiled)->route.origin = std::move(from);
  (*compiled)->route.own_chain = old ? old->route.own_chain : t_.route_slots.take();
  add_gateway_route(std::move(*compiled));
}

// Null: its authorities cannot be used, of which the translation has told.
std::shared_ptr<const net::UpstreamTls> Compiler::upstream_tls(const model::BackendTls& wanted) {
  auto made = net::UpstreamTls::make({wanted.hostname, wanted.names, wanted.uris, wanted.authorities});
  return made ? std::move(*made) : nullptr;
}

void Compiler::add_gateway_route(std::shared_ptr<CompiledGatewayRoute> compiled) {
  auto& route = compiled->route;
  const auto& id = route.origin.id;
  route.services.reserve(compiled->declared->services.size());
  for (const auto& each : compiled->declared->services) {
    const bool is_nil = each.service == Uuid{};
    auto slot = is_nil ? no_slot : refer_to_service(each.service).slot;
    auto tls = each.tls ? upstream_tls(*each.tls) : nullptr;
    if (each.tls && !tls) slot = no_slot;  // never in plain, and never to somebody that nobody vouches for
    route.services.push_back({slot, each.weight, std::move(tls)});
    route.weights += each.weight;
  }
  if (compiled->service) route.service = route.services[0].service;
  const GatewayRoutePtr done = std::move(compiled);
  for (const auto& each : done->declared->services)
    if (each.service != Uuid{}) t_.gateway.routes_of_service.edit(Nibbles(pair_key(each.service, id))) = done;
  t_.gateway.routes.edit(Nibbles(id)) = done;
  t_.route_count++;
  if (t_.plugins.has_plugins_of_route(id)) stale_routes_.insert(id);
  check_services_of(*done);
  for (const auto& at : done->declared->attached) {
    auto& router = t_.gateway.routers.edit(Nibbles(pair_key(at.entry, at.listener)));
    for (const auto& host : at.hosts) router.insert(done, host);
    if (at.hosts.empty()) router.insert(done, "");
  }
}

void Compiler::remove_gateway_route(const CompiledGatewayRoute& route) {
  const auto& id = route.route.origin.id;
  put_route_chain(route.route, route.service, nullptr);
  for (const auto& each : route.declared->services) {
    if (each.service == Uuid{}) continue;
    leave_service(each.service);
    t_.gateway.routes_of_service.erase(Nibbles(pair_key(each.service, id)));
  }
  for (const auto& at : route.declared->attached) {
    const auto key = pair_key(at.entry, at.listener);
    auto& router = t_.gateway.routers.edit(Nibbles(key));
    for (const auto& host : at.hosts) router.erase(route, host);
    if (at.hosts.empty()) router.erase(route, "");
    if (router.empty()) t_.gateway.routers.erase(Nibbles(key));
  }
  clear_fault(routes_kind, id, Cause::relation);
  route.release_patterns(t_.patterns);
  t_.gateway.routes.erase(Nibbles(id));
  t_.route_count--;
}

void Compiler::check_services_of(const CompiledGatewayRoute& route) {
  const auto& origin = route.route.origin;
  clear_fault(routes_kind, origin.id, Cause::relation);
  for (const auto& each : route.declared->services) {
    if (each.service == Uuid{}) continue;
    const auto* use = t_.service_uses.find(Nibbles(each.service));
    if (use && use->present) continue;
    return report(routes_kind, origin, Cause::relation, fmt::format("its service {} is missing", each.service.text()));
  }
}

}  // namespace weir::snapshot
