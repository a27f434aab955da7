// Services, and the routes of Kong's kind.
#include "base/text.h"
#include "model/entities.h"
#include "snapshot/compiler.h"

namespace weir::snapshot {
namespace {

std::shared_ptr<Service> compile_service(const model::Service& now, Origin origin) {
  auto service = std::make_shared<Service>();
  service->origin = std::move(origin);
  service->tls = now.protocol == "https";
  service->host = now.host;
  service->port = now.port;
  service->path = now.path.value_or("/");
  service->retries = static_cast<std::uint32_t>(now.retries);
  service->connect_timeout = std::chrono::milliseconds(now.connect_timeout);
  service->write_timeout = std::chrono::milliseconds(now.write_timeout);
  service->read_timeout = std::chrono::milliseconds(now.read_timeout);
  return service;
}

std::string route_key(const CompiledRoute& route) {
  return pair_key(*route.service, route.route.origin.id);
}

}  // namespace

void Compiler::apply_service(const store::Change& change) {
  const auto* known = t_.service_uses.find(Nibbles(change.id));
  const auto before = known ? *known : ServiceUse{};
  auto after = before;
  clear_fault("services", change.id, Cause::itself);
  if (change.now) {
    const auto now = model::read<model::Service>(*change.now);
    auto from = origin(change, now.name.value_or(""), now.updated_at * 1000);
    if (!check_service(now, from)) return;
    after.present = true;
    after.enabled = now.enabled;
    if (after.slot == no_slot) after.slot = take_service_slot(change.id);
    put_service(after.slot, compile_service(now, std::move(from)));
  } else {
    if (!before.present) return;
    after.present = after.enabled = false;
    put_service(after.slot, nullptr);
    left_services_.insert(change.id);
  }
  t_.service_uses.edit(Nibbles(change.id)) = after;
  t_.service_count += static_cast<std::size_t>(after.present) - static_cast<std::size_t>(before.present);
  if (before.present == after.present && before.enabled == after.enabled) return;
  t_.gateway.routes_of_service.for_each_under(Nibbles(change.id), [&](const GatewayRoutePtr& route) {
    check_services_of(*route);
    return false;
  });
  t_.routes_of_service.for_each_under(Nibbles(change.id), [&](const RoutePtr& route) {
    if (after.present)
      clear_fault("routes", route->route.origin.id, Cause::relation);
    else
      report_missing_service(*route);
    if (after.enabled && !before.enabled) t_.router.insert(route);
    if (!after.enabled && before.enabled) t_.router.erase(*route);
    return false;
  });
}

bool Compiler::check_service(const model::Service& now, const Origin& from) {
  if (now.protocol == "http" || now.protocol == "https") return true;
  report(from, Cause::itself,
         fmt::format("protocol '{}' is not served by this version: use http or https", now.protocol));
  return false;
}

// Puts it in place of the one that is there, and moves the use of the name along.
void Compiler::put_service(Slot slot, std::shared_ptr<Service> service) {
  if (service) service->backend = acquire_name(text::lower(service->host));
  if (const auto* old = t_.services.at(slot)) release_name(text::lower(old->host));
  t_.services.set(slot, std::move(service));
}

Slot Compiler::take_service_slot(const Uuid& id) {
  if (t_.plugins.has_plugins_of_service(id)) stale_services_.insert(id);
  return t_.service_slots.take();
}

const ServiceUse& Compiler::refer_to_service(const Uuid& id) {
  auto& use = t_.service_uses.edit(Nibbles(id));
  if (use.slot == no_slot) use.slot = take_service_slot(id);
  use.routes++;
  return use;
}

const ServiceUse& Compiler::leave_service(const Uuid& id) {
  auto& use = t_.service_uses.edit(Nibbles(id));
  if (--use.routes == 0) left_services_.insert(id);
  return use;
}

// Gives the slot back when neither the service nor a route that refers to it is left.
void Compiler::settle_service(const Uuid& id) {
  const auto* use = t_.service_uses.find(Nibbles(id));
  if (!use || use->present || use->routes > 0) return;
  if (t_.chains.services.at(use->slot)) t_.chains.services.set(use->slot, nullptr);
  t_.service_slots.give_back(use->slot);
  t_.service_uses.erase(Nibbles(id));
}

void Compiler::apply_route(const store::Change& change) {
  const auto* known = t_.routes.find(Nibbles(change.id));
  const auto old = known ? *known : nullptr;
  clear_fault("routes", change.id, Cause::itself);
  if (!change.now) {
    if (!old) return;
    remove_route(*old);
    return t_.route_slots.give_back(old->route.own_chain);
  }
  const auto now = model::read<model::Route>(*change.now);
  auto from = origin(change, now.name.value_or(""), now.updated_at * 1000);
  auto compiled = compile_route(now, from, t_.patterns);
  if (!compiled) return report(from, Cause::itself, std::move(compiled.error().message));
  if (old) remove_route(*old);
  (*compiled)->route.own_chain = old ? old->route.own_chain : t_.route_slots.take();
  add_route(std::move(*compiled));
}

void Compiler::add_route(std::shared_ptr<CompiledRoute> route) {
  bool active = true;
  if (route->service) {
    const auto& use = refer_to_service(*route->service);
    active = use.enabled;
    route->route.service = use.slot;
    if (!use.present) report_missing_service(*route);
    t_.routes_of_service.edit(Nibbles(route_key(*route))) = route;
  }
  t_.routes.edit(Nibbles(route->route.origin.id)) = route;
  t_.route_count++;
  if (t_.plugins.has_plugins_of_route(route->route.origin.id)) stale_routes_.insert(route->route.origin.id);
  if (active) t_.router.insert(route);
}

void Compiler::remove_route(const CompiledRoute& route) {
  put_route_chain(route.route, route.service, nullptr);
  bool active = true;
  if (route.service) {
    active = leave_service(*route.service).enabled;
    t_.routes_of_service.erase(Nibbles(route_key(route)));
    clear_fault("routes", route.route.origin.id, Cause::relation);
  }
  if (active) t_.router.erase(route);
  route.release_patterns(t_.patterns);
  t_.routes.erase(Nibbles(route.route.origin.id));
  t_.route_count--;
}

void Compiler::report_missing_service(const CompiledRoute& route) {
  report(route.route.origin, Cause::relation, fmt::format("its service {} is missing", route.service->text()));
}

}  // namespace weir::snapshot
