#include "snapshot/snapshot.h"

#include "base/text.h"
#include "snapshot/tables.h"

namespace weir::snapshot {

Snapshot::Snapshot() : tables_(std::make_shared<Tables>()) {}

Match Snapshot::match(const Request& request) const {
  return request.entry == Uuid{} ? tables_->router.match(request) : tables_->gateway.match(request);
}

const model::Entry* Snapshot::entry(const Uuid& id) const {
  const auto* entry = tables_->gateway.entries.find(Nibbles(id));
  return entry ? (*entry)->declared.get() : nullptr;
}

ssl_ctx_st* Snapshot::tls_context(const Uuid& entry, std::string_view sni) const {
  const LowerName name(sni);
  if (entry == Uuid{}) return tables_->tls.find(name.view());
  const auto* found = tables_->gateway.entries.find(Nibbles(entry));
  const auto* listener = found ? (*found)->listener(name.view()) : nullptr;
  if (!listener) return nullptr;
  ssl_ctx_st* first = nullptr;
  for (const auto& id : listener->certificates) {
    auto* context = tables_->tls.find(id);
    if (context && listener->certificates.size() > 1 && is_for(context, name.view())) return context;
    if (!first) first = context;
  }
  return first;
}

const Service* Snapshot::service(Slot slot) const {
  return tables_->services.at(slot);
}

const Backend* Snapshot::backend(Slot slot) const {
  return tables_->backends.at(slot);
}

const Backend* Snapshot::find_backend(std::string_view upstream_name) const {
  const auto* use = tables_->name_uses.find(Bytes{text::lower(upstream_name)});
  const auto* found = use ? backend(use->slot) : nullptr;
  return found && found->is_upstream ? found : nullptr;
}

const Route* Snapshot::find_route(const Uuid& id) const {
  if (const auto* route = tables_->routes.find(Nibbles(id))) return &(*route)->route;
  const auto* route = tables_->gateway.routes.find(Nibbles(id));
  return route ? &(*route)->route : nullptr;
}

const Service* Snapshot::find_service(const Uuid& id) const {
  const auto* use = tables_->service_uses.find(Nibbles(id));
  return use ? service(use->slot) : nullptr;
}

const Chain* Snapshot::chain(const Route* route) const {
  return tables_->chains.find(route);
}

bool Snapshot::has_plugins_of(const Uuid& consumer) const {
  return tables_->plugins.has_plugins_of_consumer(consumer);
}

void Snapshot::chain_of(const Route* route, const Uuid& consumer, std::vector<const PluginInstance*>& out) const {
  out.clear();
  if (const auto* base = chain(route))
    for (const auto& plugin : base->plugins) out.push_back(plugin.get());
  const auto* of_route = route ? service(route->service) : nullptr;
  tables_->plugins.merge_consumer(consumer, route ? &route->origin.id : nullptr,
                                  of_route ? &of_route->origin.id : nullptr, out);
}

std::size_t Snapshot::plugins() const {
  return tables_->plugins.size();
}
std::size_t Snapshot::plugins_of_kind(std::string_view kind) const {
  return tables_->plugins.size_of_kind(kind);
}

Slot Snapshot::backend_slots() const {
  return tables_->backend_slots.end();
}
std::size_t Snapshot::routes() const {
  return tables_->route_count;
}
std::size_t Snapshot::services() const {
  return tables_->service_count;
}
std::size_t Snapshot::upstreams() const {
  return tables_->upstream_count;
}

std::vector<Fault> Snapshot::faults() const {
  std::vector<Fault> out;
  tables_->faults.for_each([&](const auto& fault) {
    out.push_back(*fault);
    return false;
  });
  return out;
}

}  // namespace weir::snapshot
