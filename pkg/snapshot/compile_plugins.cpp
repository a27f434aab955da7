// Plugins, and the chains that they make.
#include "model/entities.h"
#include "snapshot/compiler.h"

namespace weir::snapshot {
namespace {

bool is_same(const model::DeclaredByPtr& a, const model::DeclaredByPtr& b) {
  if (!a || !b) return a == b;
  return a == b || (a->generation == b->generation && a->name == b->name && a->kind == b->kind);
}

}  // namespace

void Compiler::apply_plugin(const store::Change& change) {
  const auto old = t_.plugins.find(change.id);
  clear_fault("plugins", change.id, Cause::itself);
  PluginPtr made;
  if (change.now) {
    const auto digest = digest_of(*change.now);
    const auto now = model::read<model::Plugin>(*change.now);
    const auto from = origin(change, now.instance_name.value_or(""), now.updated_at * 1000);
    if (old && old->digest == digest) {
      if (is_same(old->origin.by, from.by)) return;
      auto same = std::make_shared<CompiledPlugin>(*old);  // another phase of the object that declares it
      same->origin = from;
      made = std::move(same);
    } else if (now.enabled) {
      auto compiled = compile_plugin(now, digest, from, makers_.find_kind, *plugin_services_);
      if (!compiled) return report(from, Cause::itself, std::move(compiled.error().message));
      made = std::move(*compiled);
    }
  }
  put_plugin(old, std::move(made));
}

// In place of the other; both may be null.
void Compiler::put_plugin(const PluginPtr& old, const PluginPtr& made) {
  if (old) {
    mark_stale(*old);
    t_.plugins.erase(*old);
  }
  if (made) {
    mark_stale(*made);
    t_.plugins.insert(made);
  }
}

// What filters the route has runs as a plugin that is its own.
void Compiler::put_filters(const model::GatewayRoute* route, const Uuid& id, const Origin& from) {
  if (!plugin_services_ || !makers_.filters) return;
  const auto plugin_id = Uuid::from_name(id, "filters");
  const auto old = t_.plugins.find(plugin_id);
  auto plugin = route ? makers_.make_filters(*route) : nullptr;
  if (!plugin) return put_plugin(old, nullptr);
  auto made = std::make_shared<CompiledPlugin>();
  made->origin = from;
  made->origin.id = plugin_id;
  made->kind = makers_.filters;
  made->plugin = std::move(plugin);
  made->route = id;
  put_plugin(old, made);
}

// Chains that the plugin may be in. Those of consumers are made per request.
void Compiler::mark_stale(const PluginInstance& plugin) {
  if (plugin.consumer) return;
  if (plugin.route)
    stale_routes_.insert(*plugin.route);
  else if (plugin.service)
    stale_services_.insert(*plugin.service);
  else
    global_is_stale_ = true;
}

// Makes stale chains anew, from what is in all to what is in one, when all else is final.
void Compiler::settle_chains() {
  const auto mark_route = [&](const Uuid& route) { return stale_routes_.insert(route), false; };
  if (global_is_stale_) {
    t_.chains.global = t_.plugins.global_chain();
    for (const auto& id : t_.plugins.services()) stale_services_.insert(id);
    t_.chains.routes_of_service.for_each(mark_route);
  }
  for (const auto& id : stale_services_) {
    const auto* use = t_.service_uses.find(Nibbles(id));
    if (!use) continue;
    t_.chains.services.set(use->slot, t_.plugins.service_chain(id));
    t_.chains.routes_of_service.for_each_under(Nibbles(id), mark_route);
  }
  for (const auto& id : stale_routes_) {
    const auto settle = [&](const auto* found) {
      if (found) put_route_chain((*found)->route, (*found)->service, t_.plugins.route_chain(id, (*found)->service));
    };
    settle(t_.routes.find(Nibbles(id)));
    settle(t_.gateway.routes.find(Nibbles(id)));
  }
}

void Compiler::put_route_chain(const Route& route, const std::optional<Uuid>& service,
                               std::shared_ptr<const Chain> chain) {
  const auto slot = route.own_chain;
  if (!chain && !t_.chains.routes.at(slot)) return;
  const auto key = pair_key(service.value_or(Uuid{}), route.origin.id);
  if (chain)
    t_.chains.routes_of_service.edit(Nibbles(key)) = route.origin.id;
  else
    t_.chains.routes_of_service.erase(Nibbles(key));
  t_.chains.routes.set(slot, std::move(chain));
}

}  // namespace weir::snapshot
