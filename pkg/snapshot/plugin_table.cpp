#include "snapshot/plugin_table.h"

#include <algorithm>

namespace weir::snapshot {
namespace {

std::string_view bytes_of(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// The order of a chain: of one priority by falling name, as Kong.
bool runs_before(const PluginInstance& a, const PluginInstance& b) {
  if (a.kind->priority != b.kind->priority) return a.kind->priority > b.kind->priority;
  return a.kind->name > b.kind->name;
}

// Stores keep two of one kind and scope from being there; between two changes that swap them the smaller id goes first.
bool is_preferred(const PluginInstance& a, const PluginInstance& b) {
  const auto of_a = CompiledPlugin::specificity_of(a), of_b = CompiledPlugin::specificity_of(b);
  return of_a != of_b ? of_a > of_b : a.origin.id < b.origin.id;
}

// Puts it in place of its kind's less specific instance, or where it belongs.
template <class Pointer>
void consider(std::vector<Pointer>& chain, const Pointer& candidate) {
  const auto place = std::ranges::find_if(chain, [&](const auto& at) { return !runs_before(*at, *candidate); });
  if (place == chain.end() || (*place)->kind != candidate->kind)
    chain.insert(place, candidate);
  else if (is_preferred(*candidate, **place))
    *place = candidate;
}

std::shared_ptr<const Chain> chain_of(std::vector<std::shared_ptr<const PluginInstance>> plugins) {
  if (plugins.empty()) return nullptr;
  auto chain = std::make_shared<Chain>();
  for (const auto& plugin : plugins) chain->phases |= plugin->kind->phases;
  plugins.shrink_to_fit();
  chain->plugins = std::move(plugins);
  return chain;
}

// The filters of a route: nobody configured them.
bool is_internal(const CompiledPlugin& plugin) {
  return plugin.origin.kind != "plugins";
}

bool has_any_under(const Radix<PluginPtr>& plugins, const Uuid& parent) {
  return !plugins.empty() && plugins.for_each_under(Nibbles(parent), [](const PluginPtr&) { return true; });
}

}  // namespace

std::uint8_t CompiledPlugin::specificity_of(const PluginInstance& plugin) {
  // Bits: consumer, route, service.
  constexpr std::uint8_t order[] = {0, 1, 2, 4, 3, 5, 6, 7};
  return order[(plugin.consumer ? 4 : 0) | (plugin.route ? 2 : 0) | (plugin.service ? 1 : 0)];
}

Uuid digest_of(const model::Object& plugin) {
  return Uuid::from_name(Uuid{}, boost::json::serialize(plugin));
}

Result<PluginPtr> compile_plugin(const model::Plugin& now, const Uuid& digest, const Origin& origin, FindKind find_kind,
                                 plugin::Services& services) {
  const auto* kind = find_kind(now.name);
  if (!kind) return fail("plugin '{}' is not one of this version", now.name);
  auto out = std::make_shared<CompiledPlugin>();
  out->origin = origin;
  out->kind = kind;
  out->route = now.route;
  out->service = now.service;
  out->consumer = now.consumer;
  const auto speaks = [&](std::string_view protocol) { return std::ranges::count(now.protocols, protocol) > 0; };
  out->http = speaks("http");
  out->https = speaks("https");
  out->digest = digest;
  auto made =
      kind->make(now.config,
                 plugin::Scope{now.id, now.instance_name.value_or(""), now.route, now.service, now.consumer}, services);
  if (!made) return fail("plugin '{}': {}", now.name, made.error().message);
  out->plugin = std::move(*made);
  return out;
}

PluginPtr PluginTable::find(const Uuid& id) const {
  const auto* found = by_id_.find(Nibbles(id));
  return found ? *found : nullptr;
}

void PluginTable::insert(const PluginPtr& plugin) {
  const auto& id = plugin->origin.id;
  by_id_.edit(Nibbles(id)) = plugin;
  if (!is_internal(*plugin)) {
    size_++;
    kinds_.edit(Bytes{plugin->kind->name})++;
  }
  if (!plugin->http && !plugin->https) return;  // of grpc only: never runs, and nothing gives way to it
  const auto put = [&](Radix<PluginPtr>& plugins, const Uuid& parent) {
    plugins.edit(Nibbles(std::string(bytes_of(parent)).append(bytes_of(id)))) = plugin;
  };
  if (plugin->consumer)
    put(of_consumer_, *plugin->consumer);
  else if (plugin->route)
    put(of_route_, *plugin->route);
  else if (plugin->service)
    put(of_service_, *plugin->service);
  else
    global_.edit(Nibbles(id)) = plugin;
}

void PluginTable::erase(const CompiledPlugin& plugin) {
  // The instance may live in here only.
  const auto id = plugin.origin.id;
  const auto kept = find(id);
  const auto drop = [&](Radix<PluginPtr>& plugins, const std::optional<Uuid>& parent) {
    if (parent) plugins.erase(Nibbles(std::string(bytes_of(*parent)).append(bytes_of(id))));
  };
  drop(of_consumer_, kept->consumer);
  drop(of_route_, kept->route);
  drop(of_service_, kept->service);
  global_.erase(Nibbles(id));
  by_id_.erase(Nibbles(id));
  if (is_internal(*kept)) return;
  size_--;
  if (--kinds_.edit(Bytes{kept->kind->name}) == 0) kinds_.erase(Bytes{kept->kind->name});
}

std::size_t PluginTable::size_of_kind(std::string_view kind) const {
  const auto* count = kinds_.find(Bytes{kind});
  return count ? *count : 0;
}

bool PluginTable::has_plugins_of_route(const Uuid& id) const {
  return has_any_under(of_route_, id);
}
bool PluginTable::has_plugins_of_service(const Uuid& id) const {
  return has_any_under(of_service_, id);
}
bool PluginTable::has_plugins_of_consumer(const Uuid& id) const {
  return has_any_under(of_consumer_, id);
}

std::vector<Uuid> PluginTable::services() const {
  std::vector<Uuid> out;
  of_service_.for_each([&](const PluginPtr& plugin) {
    if (out.empty() || out.back() != *plugin->service) out.push_back(*plugin->service);
    return false;
  });
  return out;
}

void PluginTable::add_global(Best& best) const {
  global_.for_each([&](const PluginPtr& plugin) {
    consider<Best::value_type>(best, plugin);
    return false;
  });
}

bool PluginTable::add_service(const Uuid& service, Best& best) const {
  bool any = false;
  of_service_.for_each_under(Nibbles(service), [&](const PluginPtr& plugin) {
    consider<Best::value_type>(best, plugin);
    any = true;
    return false;
  });
  return any;
}

std::shared_ptr<const Chain> PluginTable::route_chain(const Uuid& route, const std::optional<Uuid>& service) const {
  Best best;
  of_route_.for_each_under(Nibbles(route), [&](const PluginPtr& plugin) {
    if (!plugin->service || plugin->service == service) consider<Best::value_type>(best, plugin);
    return false;
  });
  if (best.empty()) return nullptr;
  if (service) add_service(*service, best);
  add_global(best);
  return chain_of(std::move(best));
}

std::shared_ptr<const Chain> PluginTable::service_chain(const Uuid& service) const {
  Best best;
  if (!add_service(service, best)) return nullptr;
  add_global(best);
  return chain_of(std::move(best));
}

std::shared_ptr<const Chain> PluginTable::global_chain() const {
  Best best;
  add_global(best);
  return chain_of(std::move(best));
}

void PluginTable::merge_consumer(const Uuid& consumer, const Uuid* route, const Uuid* service,
                                 std::vector<const PluginInstance*>& chain) const {
  const auto applies = [](const std::optional<Uuid>& wanted, const Uuid* given) {
    return !wanted || (given && *wanted == *given);
  };
  of_consumer_.for_each_under(Nibbles(consumer), [&](const PluginPtr& plugin) {
    if (applies(plugin->route, route) && applies(plugin->service, service))
      consider<const PluginInstance*>(chain, plugin.get());
    return false;
  });
}

}  // namespace weir::snapshot
