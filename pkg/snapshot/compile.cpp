#include <unordered_set>

#include "plugin/gateway_filters.h"
#include "snapshot/compiler.h"

namespace weir::snapshot {
namespace {

std::string fault_key(std::string_view kind, const Uuid& id, Cause cause) {
  std::string key(kind);
  key += id_bytes(id);
  key += static_cast<char>(cause);
  return key;
}

// The changes of each kind, the last one of each object: the order between them says nothing any more.
struct Sorted {
  std::vector<const store::Change*> certificates, snis, upstreams, services, routes, targets, plugins;

  explicit Sorted(const store::Changes& changes) {
    std::unordered_set<Uuid> seen[7];
    for (auto at = changes.rbegin(); at != changes.rend(); ++at) {
      const auto kind = at->schema->name();
      if (kind == "upstreams") add(upstreams, seen[0], *at);
      if (kind == "services") add(services, seen[1], *at);
      if (kind == "routes") add(routes, seen[2], *at);
      if (kind == "targets") add(targets, seen[3], *at);
      if (kind == "plugins") add(plugins, seen[4], *at);
      if (kind == "certificates") add(certificates, seen[5], *at);
      if (kind == "snis") add(snis, seen[6], *at);
    }
  }
  static void add(std::vector<const store::Change*>& list, std::unordered_set<Uuid>& seen,
                  const store::Change& change) {
    if (seen.insert(change.id).second) list.push_back(&change);
  }
};

}  // namespace

std::string id_bytes(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::string pair_key(const Uuid& first, const Uuid& second) {
  return id_bytes(first) + id_bytes(second);
}

std::string name_key(const std::string& name, const Uuid& id) {
  return name + '\0' + id_bytes(id);
}

int rank_of_source(std::string_view source) {
  return source == "kube" ? 0 : source == "file" ? 2 : 1;
}

std::string in_words(const Origin& origin, std::string_view what) {
  if (origin.by) return fmt::format("{} {} of {}", origin.by->kind, origin.by->name, origin.source);
  return fmt::format("{} {} of {}", what, origin.id.text(), origin.source);
}

Compiler::Compiler(const SnapshotPtr& previous, std::string_view source, plugin::Services* services,
                   const PluginMakers& makers)
    : source_(source),
      plugin_services_(services),
      makers_(makers),
      revision_(previous ? previous->revision_ + 1 : 1),
      tables_(previous ? std::make_shared<Tables>(*previous->tables_) : std::make_shared<Tables>()),
      t_(*tables_) {}

void Compiler::apply(const store::Changes& changes, std::span<const model::GatewayChange> gateway) {
  const Sorted sorted(changes);
  for (const auto* change : sorted.certificates) apply_certificate(*change);
  for (const auto* change : sorted.snis) apply_sni(*change);
  for (const auto* change : sorted.upstreams) apply_upstream(*change);
  for (const auto* change : sorted.services) apply_service(*change);
  for (const auto* change : sorted.routes) apply_route(*change);
  for (const auto* change : sorted.targets) apply_target(*change);
  for (const auto& change : gateway) apply_gateway(change);
  if (plugin_services_)
    for (const auto* change : sorted.plugins) apply_plugin(*change);
  for (const auto& name : touched_snis_) settle_sni(name);
  for (const auto& name : touched_names_) settle_name(name);
  for (const auto& name : left_names_) drop_name(name);
  for (const auto& id : left_services_) settle_service(id);
  settle_chains();
}

SnapshotPtr Compiler::finish() {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->revision_ = revision_;
  snapshot->tables_ = tables_;
  std::ranges::sort(changed_backends_);
  snapshot->changed_backends_ = std::move(changed_backends_);
  return snapshot;
}

Origin Compiler::origin(const store::Change& change, std::string name, std::int64_t generation) const {
  return {source_, change.schema->name(), change.id, std::move(name), generation, change.by};
}

void Compiler::report(std::string_view kind, const Origin& origin, Cause cause, std::string message) {
  t_.faults.edit(Nibbles(fault_key(kind, origin.id, cause))) =
      std::make_shared<const Fault>(Fault{origin, std::move(message)});
}

void Compiler::clear_fault(std::string_view kind, const Uuid& id, Cause cause) {
  if (!t_.faults.empty()) t_.faults.erase(Nibbles(fault_key(kind, id, cause)));
}

SnapshotPtr compile_with(const SnapshotPtr& previous, const store::Changes& changes, std::string_view source,
                         plugin::Services* services, const PluginMakers& makers,
                         std::span<const model::GatewayChange> gateway) {
  Compiler compiler(previous, source, services, makers);
  compiler.apply(changes, gateway);
  return compiler.finish();
}

SnapshotPtr compile(const SnapshotPtr& previous, const store::Changes& changes, std::string_view source,
                    plugin::Services* plugins, std::span<const model::GatewayChange> gateway) {
  return compile_with(previous, changes, source, plugins,
                      {plugin::find_kind, &plugin::gateway_filters(), plugin::make_gateway_filters}, gateway);
}

}  // namespace weir::snapshot
