#include <cmath>
#include <set>
#include <unordered_set>

#include "base/text.h"
#include "model/entities.h"
#include "snapshot/snapshot.h"
#include "snapshot/tables.h"

namespace weir::snapshot {
namespace {

// A fault's place: by kind of object, id and cause. An object may be faulty by itself and lack its parent, too.
enum class Cause : char { itself = 0, relation = 1 };

std::string fault_key(std::string_view kind, const Uuid& id, Cause cause) {
  std::string key(kind);
  key.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  key += static_cast<char>(cause);
  return key;
}

std::string id_bytes(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::string name_key(const std::string& name, const Uuid& id) {
  return name + '\0' + id_bytes(id);
}

std::string target_key(const CompiledTarget& target) {
  auto key = id_bytes(target.upstream);
  for (int shift = 56; shift >= 0; shift -= 8)
    key += static_cast<char>((static_cast<std::uint64_t>(target.created_at) ^ (1ull << 63)) >> shift);
  return key + id_bytes(target.target.origin.id);
}

// The changes of each kind, the last one of each object: the order between them says nothing any more.
struct Sorted {
  std::vector<const store::Change*> upstreams, services, routes, targets, plugins;

  explicit Sorted(const store::Changes& changes) {
    std::unordered_set<Uuid> seen[5];
    for (auto at = changes.rbegin(); at != changes.rend(); ++at) {
      const auto kind = at->schema->name();
      if (kind == "upstreams") add(upstreams, seen[0], *at);
      if (kind == "services") add(services, seen[1], *at);
      if (kind == "routes") add(routes, seen[2], *at);
      if (kind == "targets") add(targets, seen[3], *at);
      if (kind == "plugins") add(plugins, seen[4], *at);
    }
  }
  static void add(std::vector<const store::Change*>& list, std::unordered_set<Uuid>& seen,
                  const store::Change& change) {
    if (seen.insert(change.id).second) list.push_back(&change);
  }
};

}  // namespace

// Works on its own copy of the tables: what it writes first is copied, from then on it is changed in place.
class Compiler {
 public:
  Compiler(const SnapshotPtr& previous, std::string_view source, plugin::Services* services, FindKind find_kind)
      : source_(source),
        plugin_services_(services),
        find_kind_(find_kind),
        revision_(previous ? previous->revision_ + 1 : 1),
        tables_(previous ? std::make_shared<Tables>(*previous->tables_) : std::make_shared<Tables>()),
        t_(*tables_) {}

  // Parents first, so that at each step what stands above is final.
  void apply(const store::Changes& changes) {
    const Sorted sorted(changes);
    for (const auto* change : sorted.upstreams) apply_upstream(*change);
    for (const auto* change : sorted.services) apply_service(*change);
    for (const auto* change : sorted.routes) apply_route(*change);
    for (const auto* change : sorted.targets) apply_target(*change);
    if (plugin_services_)
      for (const auto* change : sorted.plugins) apply_plugin(*change);
    for (const auto& name : touched_names_) settle_name(name);
    for (const auto& name : left_names_) drop_name(name);
    for (const auto& id : left_services_) settle_service(id);
    settle_chains();
  }

  void apply(std::span<const model::GatewayChange> changes) {
    for (const auto& change : changes) {
      if (change.entry)
        t_.entries.edit(Nibbles(change.id)) = change.entry;
      else if (!change.route)
        t_.entries.erase(Nibbles(change.id));
    }
  }

  SnapshotPtr finish() {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->revision_ = revision_;
    snapshot->tables_ = tables_;
    std::ranges::sort(changed_backends_);
    snapshot->changed_backends_ = std::move(changed_backends_);
    return snapshot;
  }

 private:
  using Tables = Snapshot::Tables;

  // --- upstreams ---

  void apply_upstream(const store::Change& change) {
    const auto* known = t_.upstreams.find(Nibbles(change.id));
    const auto old = known ? *known : nullptr;
    if (old) {
      t_.upstreams_of_name.erase(Bytes{name_key(old->name, change.id)});
      touched_names_.insert(old->name);
    }
    if (!change.now) {
      if (!old) return;
      t_.upstreams.erase(Nibbles(change.id));
      t_.upstream_count--;
      clear_fault("upstreams", change.id, Cause::relation);
      return each_target_of(change.id, [&](const CompiledTarget& target) { report_missing_upstream(target); });
    }
    const auto now = model::read<model::Upstream>(*change.now);
    auto compiled = std::make_shared<CompiledUpstream>();
    compiled->origin = {source_, "upstreams", now.id, now.name, now.updated_at * 1000};
    compiled->name = text::lower(now.name);
    compiled->host_header = now.host_header;
    compiled->use_srv_name = now.use_srv_name;
    t_.upstreams_of_name.edit(Bytes{name_key(compiled->name, now.id)}) = now.id;
    touched_names_.insert(compiled->name);
    t_.upstreams.edit(Nibbles(now.id)) = std::move(compiled);
    if (old) return;
    t_.upstream_count++;
    each_target_of(change.id, [&](const CompiledTarget& target) {
      clear_fault("targets", target.target.origin.id, Cause::relation);
    });
  }

  // --- targets ---

  void apply_target(const store::Change& change) {
    const auto* known = t_.targets.find(Nibbles(change.id));
    const auto old = known ? *known : nullptr;
    clear_fault("targets", change.id, Cause::itself);
    std::shared_ptr<const CompiledTarget> compiled;
    if (change.now) {
      compiled = compile_target(model::read<model::Target>(*change.now));
      if (!compiled) return;
    }
    if (old) {
      t_.targets_of_upstream.erase(Nibbles(target_key(*old)));
      t_.targets.erase(Nibbles(change.id));
      clear_fault("targets", change.id, Cause::relation);
      touch_upstream(old->upstream);
    }
    if (!compiled) return;
    t_.targets.edit(Nibbles(change.id)) = compiled;
    t_.targets_of_upstream.edit(Nibbles(target_key(*compiled))) = compiled;
    if (!touch_upstream(compiled->upstream)) report_missing_upstream(*compiled);
  }

  // Null after reporting what is wrong with it.
  std::shared_ptr<const CompiledTarget> compile_target(const model::Target& now) {
    auto compiled = std::make_shared<CompiledTarget>();
    compiled->upstream = now.upstream;
    compiled->created_at = std::llround(now.created_at * 1000);
    auto& target = compiled->target;
    target.origin = {source_, "targets", now.id, "", std::llround(now.updated_at * 1000)};
    const auto parts = text::split_host_port(now.target);
    if (!parts) {
      report(target.origin, Cause::itself, fmt::format("target '{}' is malformed: give host:port", now.target));
      return nullptr;
    }
    target.host = parts->host;
    target.port = parts->port != 0 ? parts->port : std::uint16_t{8000};
    target.weight = static_cast<std::uint16_t>(now.weight);
    target.is_ip = text::is_ip(parts->host);
    return compiled;
  }

  // False when there is no such upstream.
  bool touch_upstream(const Uuid& id) {
    const auto* upstream = t_.upstreams.find(Nibbles(id));
    if (upstream) touched_names_.insert((*upstream)->name);
    return upstream != nullptr;
  }

  void report_missing_upstream(const CompiledTarget& target) {
    report(target.target.origin, Cause::relation, fmt::format("its upstream {} is missing", target.upstream.text()));
  }

  template <class Visit>
  void each_target_of(const Uuid& upstream, Visit&& visit) {
    t_.targets_of_upstream.for_each_under(Nibbles(upstream), [&](const auto& target) {
      visit(*target);
      return false;
    });
  }

  // --- services ---

  void apply_service(const store::Change& change) {
    const auto* known = t_.service_uses.find(Nibbles(change.id));
    const auto before = known ? *known : ServiceUse{};
    auto after = before;
    clear_fault("services", change.id, Cause::itself);
    if (change.now) {
      const auto now = model::read<model::Service>(*change.now);
      if (!check_service(now)) return;
      after.present = true;
      after.enabled = now.enabled;
      if (after.slot == no_slot) after.slot = take_service_slot(change.id);
      put_service(after.slot, compile_service(now));
    } else {
      if (!before.present) return;
      after.present = after.enabled = false;
      put_service(after.slot, nullptr);
      left_services_.insert(change.id);
    }
    t_.service_uses.edit(Nibbles(change.id)) = after;
    t_.service_count += static_cast<std::size_t>(after.present) - static_cast<std::size_t>(before.present);
    if (before.present == after.present && before.enabled == after.enabled) return;
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

  bool check_service(const model::Service& now) {
    if (now.protocol == "http" || now.protocol == "https") return true;
    report({source_, "services", now.id, now.name.value_or(""), now.updated_at * 1000}, Cause::itself,
           fmt::format("protocol '{}' is not served by this version: use http or https", now.protocol));
    return false;
  }

  std::shared_ptr<Service> compile_service(const model::Service& now) {
    auto service = std::make_shared<Service>();
    service->origin = {source_, "services", now.id, now.name.value_or(""), now.updated_at * 1000};
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

  // Puts it in place of the one that is there, and moves the use of the name along.
  void put_service(Slot slot, std::shared_ptr<Service> service) {
    if (service) service->backend = acquire_name(text::lower(service->host));
    if (const auto* old = t_.services.at(slot)) release_name(text::lower(old->host));
    t_.services.set(slot, std::move(service));
  }

  Slot take_service_slot(const Uuid& id) {
    if (t_.plugins.has_plugins_of_service(id)) stale_services_.insert(id);
    return t_.service_slots.take();
  }

  // Gives the slot back when neither the service nor a route that refers to it is left.
  void settle_service(const Uuid& id) {
    const auto* use = t_.service_uses.find(Nibbles(id));
    if (!use || use->present || use->routes > 0) return;
    if (t_.chains.services.at(use->slot)) t_.chains.services.set(use->slot, nullptr);
    t_.service_slots.give_back(use->slot);
    t_.service_uses.erase(Nibbles(id));
  }

  // --- routes ---

  void apply_route(const store::Change& change) {
    const auto* known = t_.routes.find(Nibbles(change.id));
    const auto old = known ? *known : nullptr;
    clear_fault("routes", change.id, Cause::itself);
    if (!change.now) {
      if (!old) return;
      remove_route(*old);
      return t_.route_slots.give_back(old->route.own_chain);
    }
    const auto now = model::read<model::Route>(*change.now);
    auto compiled = compile_route(now, source_, t_.patterns);
    if (!compiled)
      return report({source_, "routes", now.id, now.name.value_or(""), now.updated_at * 1000}, Cause::itself,
                    std::move(compiled.error().message));
    if (old) remove_route(*old);
    (*compiled)->route.own_chain = old ? old->route.own_chain : t_.route_slots.take();
    add_route(std::move(*compiled));
  }

  void add_route(std::shared_ptr<CompiledRoute> route) {
    bool active = true;
    if (route->service) {
      auto& use = t_.service_uses.edit(Nibbles(*route->service));
      if (use.slot == no_slot) use.slot = take_service_slot(*route->service);
      use.routes++;
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

  void remove_route(const CompiledRoute& route) {
    put_route_chain(route, nullptr);
    bool active = true;
    if (route.service) {
      auto& use = t_.service_uses.edit(Nibbles(*route.service));
      active = use.enabled;
      if (--use.routes == 0) left_services_.insert(*route.service);
      t_.routes_of_service.erase(Nibbles(route_key(route)));
      clear_fault("routes", route.route.origin.id, Cause::relation);
    }
    if (active) t_.router.erase(route);
    route.release_patterns(t_.patterns);
    t_.routes.erase(Nibbles(route.route.origin.id));
    t_.route_count--;
  }

  static std::string route_key(const CompiledRoute& route) {
    return id_bytes(*route.service) + id_bytes(route.route.origin.id);
  }

  void report_missing_service(const CompiledRoute& route) {
    report(route.route.origin, Cause::relation, fmt::format("its service {} is missing", route.service->text()));
  }

  // --- names: what a service's host stands for ---

  Slot acquire_name(const std::string& name) {
    auto& use = t_.name_uses.edit(Bytes{name});
    if (use.slot == no_slot) use.slot = t_.backend_slots.take();
    if (use.services++ == 0) touched_names_.insert(name);
    return use.slot;
  }

  void release_name(const std::string& name) {
    if (--t_.name_uses.edit(Bytes{name}).services == 0) touched_names_.insert(name);
  }

  // Makes the backend of a name anew, or marks the name as left.
  void settle_name(const std::string& name) {
    const auto upstream = upstream_of(name);
    const auto* known = t_.name_uses.find(Bytes{name});
    if (!upstream && (!known || known->services == 0)) {
      if (known) left_names_.push_back(name);
      return;
    }
    auto& use = t_.name_uses.edit(Bytes{name});
    const auto* old = use.slot == no_slot ? nullptr : t_.backends.at(use.slot);
    if (use.slot == no_slot) use.slot = t_.backend_slots.take();
    if (!upstream && old && !old->is_upstream) return;  // still the plain host
    t_.backends.set(use.slot, upstream ? balanced(*upstream) : plain_host(name));
    changed_backends_.push_back(use.slot);
  }

  // After all names that came: within one compile() a slot stands for one name.
  void drop_name(const std::string& name) {
    const auto slot = t_.name_uses.find(Bytes{name})->slot;
    t_.backends.set(slot, nullptr);
    t_.backend_slots.give_back(slot);
    t_.name_uses.erase(Bytes{name});
    changed_backends_.push_back(slot);
  }

  // Names are unique in every store, but not between two changes that swap them: the smallest id has it meanwhile.
  std::shared_ptr<const CompiledUpstream> upstream_of(const std::string& name) {
    std::shared_ptr<const CompiledUpstream> first;
    t_.upstreams_of_name.for_each_under(Bytes{name + '\0'}, [&](const Uuid& id) {
      const auto& upstream = *t_.upstreams.find(Nibbles(id));
      if (!first) {
        first = upstream;
        clear_fault("upstreams", id, Cause::relation);
      } else {
        report(upstream->origin, Cause::relation,
               fmt::format("its name '{}' is that of upstream {}", name, first->origin.id.text()));
      }
      return false;
    });
    return first;
  }

  std::shared_ptr<const Backend> balanced(const CompiledUpstream& upstream) {
    auto backend = std::make_shared<Backend>();
    backend->origin = upstream.origin;
    backend->name = upstream.name;
    backend->is_upstream = true;
    backend->host_header = upstream.host_header;
    backend->use_srv_name = upstream.use_srv_name;
    t_.targets_of_upstream.for_each_under(Nibbles(upstream.origin.id), [&](const auto& target) {
      backend->targets.emplace_back(target, &target->target);
      return false;
    });
    return backend;
  }

  std::shared_ptr<const Backend> plain_host(const std::string& name) {
    auto backend = std::make_shared<Backend>();
    backend->origin.source = source_;
    backend->name = name;
    auto target = std::make_shared<Target>();
    target->host = name.starts_with('[') && name.ends_with(']') ? name.substr(1, name.size() - 2) : name;
    target->is_ip = text::is_ip(target->host);
    backend->targets.push_back(std::move(target));
    return backend;
  }

  // --- plugins ---

  void apply_plugin(const store::Change& change) {
    const auto old = t_.plugins.find(change.id);
    clear_fault("plugins", change.id, Cause::itself);
    PluginPtr made;
    if (change.now) {
      const auto digest = digest_of(*change.now);
      if (old && old->digest == digest) return;
      const auto now = model::read<model::Plugin>(*change.now);
      if (now.enabled) {
        auto compiled = compile_plugin(now, digest, source_, find_kind_, *plugin_services_);
        if (!compiled)
          return report({source_, "plugins", now.id, now.instance_name.value_or(""), now.updated_at * 1000},
                        Cause::itself, std::move(compiled.error().message));
        made = std::move(*compiled);
      }
    }
    if (old) {
      mark_stale(*old);
      t_.plugins.erase(*old);
    }
    if (made) {
      mark_stale(*made);
      t_.plugins.insert(made);
    }
  }

  // Chains that the plugin may be in. Those of consumers are made per request.
  void mark_stale(const PluginInstance& plugin) {
    if (plugin.consumer) return;
    if (plugin.route)
      stale_routes_.insert(*plugin.route);
    else if (plugin.service)
      stale_services_.insert(*plugin.service);
    else
      global_is_stale_ = true;
  }

  // Makes stale chains anew, from what is in all to what is in one, when all else is final.
  void settle_chains() {
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
    for (const auto& id : stale_routes_)
      if (const auto* route = t_.routes.find(Nibbles(id)))
        put_route_chain(**route, t_.plugins.route_chain(id, (*route)->service));
  }

  void put_route_chain(const CompiledRoute& route, std::shared_ptr<const Chain> chain) {
    const auto slot = route.route.own_chain;
    if (!chain && !t_.chains.routes.at(slot)) return;
    const auto key = id_bytes(route.service.value_or(Uuid{})) + id_bytes(route.route.origin.id);
    if (chain)
      t_.chains.routes_of_service.edit(Nibbles(key)) = route.route.origin.id;
    else
      t_.chains.routes_of_service.erase(Nibbles(key));
    t_.chains.routes.set(slot, std::move(chain));
  }

  // --- faults ---

  void report(const Origin& origin, Cause cause, std::string message) {
    t_.faults.edit(Nibbles(fault_key(origin.kind, origin.id, cause))) =
        std::make_shared<const Fault>(Fault{origin, std::move(message)});
  }
  void clear_fault(std::string_view kind, const Uuid& id, Cause cause) {
    if (!t_.faults.empty()) t_.faults.erase(Nibbles(fault_key(kind, id, cause)));
  }

  std::string_view source_;
  plugin::Services* plugin_services_;
  FindKind find_kind_;
  std::uint64_t revision_;
  std::shared_ptr<Tables> tables_;
  Tables& t_;
  std::set<std::string> touched_names_;
  std::vector<std::string> left_names_;
  std::set<Uuid> left_services_;
  std::set<Uuid> stale_services_, stale_routes_;  // whose chains must be made anew
  bool global_is_stale_ = false;
  std::vector<Slot> changed_backends_;
};

SnapshotPtr compile_with(const SnapshotPtr& previous, const store::Changes& changes, std::string_view source,
                         plugin::Services* services, FindKind find_kind,
                         std::span<const model::GatewayChange> gateway) {
  Compiler compiler(previous, source, services, find_kind);
  compiler.apply(gateway);
  compiler.apply(changes);
  return compiler.finish();
}

SnapshotPtr compile(const SnapshotPtr& previous, const store::Changes& changes, std::string_view source,
                    plugin::Services* plugins, std::span<const model::GatewayChange> gateway) {
  return compile_with(previous, changes, source, plugins, plugin::find_kind, gateway);
}

}  // namespace weir::snapshot
