#include "gateway/kubernetes.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/log.h"
#include "net/listener.h"

namespace weir::gateway {
namespace {

constexpr std::string_view source = "kube";

// The unique field that a client gives: "name", "username", "key".
const model::Field* naming_field(const model::Schema& schema) {
  for (const auto& field : schema.fields())
    if (field.unique && field.automatic != model::Auto::uuid) return &field;
  return nullptr;
}

std::string name_key(const model::Schema& schema, const model::Object& entity) {
  const auto* field = naming_field(schema);
  const auto* value = field ? entity.if_contains(field->name) : nullptr;
  if (!value || !value->is_string()) return {};
  return fmt::format("{}:{}", schema.name(), std::string_view(value->get_string()));
}

bool same_place(const model::Entry& a, const model::Entry& b) {
  return a.ip == b.ip && a.port == b.port && a.tls == b.tls && a.public_port == b.public_port;
}

}  // namespace

Kubernetes::Kubernetes(boost::asio::io_context& io, Publisher& publisher, store::Desk& desk, store::Store& rows,
                       std::vector<proxy::Worker*> workers)
    : io_(io), publisher_(publisher), desk_(desk), rows_(rows), workers_(std::move(workers)) {}

Result<> Kubernetes::start(const KubernetesOptions& options) {
  auto reconciler = reconcile::Reconciler::start(options.access, options.reconcile, [this](reconcile::Batch batch) {
    boost::asio::post(
        io_, [this, batch = std::make_shared<reconcile::Batch>(std::move(batch))] { take(std::move(*batch)); });
  });
  if (!reconciler) return std::unexpected(reconciler.error());
  reconciler_ = std::move(*reconciler);
  return {};
}

void Kubernetes::take(reconcile::Batch batch) {
  waiting_.push_back(std::make_shared<reconcile::Batch>(std::move(batch)));
  serve_waiting();
}

void Kubernetes::serve_waiting() {
  while (!storing_ && !waiting_.empty()) {
    const auto batch = std::move(waiting_.front());
    waiting_.pop_front();
    if (std::ranges::any_of(batch->entities, [](const auto& change) { return !change.schema->core(); }))
      store_rows(batch);
    else
      serve(batch);
  }
}

// Looked-up rows go to their store first; workers forget what they had cached of them before the batch is served.
void Kubernetes::store_rows(BatchPtr batch) {
  storing_ = true;
  desk_.post([this, batch = std::move(batch)] {
    auto stale = std::make_shared<std::vector<std::string>>();
    for (const auto& change : batch->entities) {
      if (change.schema->core()) continue;
      model::Outcome<store::Changes> changes =
          change.now ? rows_.upsert_all({{change.schema, *change.now}}) : rows_.remove(*change.schema, change.id);
      if (!changes) {
        log::error("row of Kubernetes left out", {{"entity", change.schema->name()},
                                                  {"object", change.by ? change.by->name : std::string()},
                                                  {"error", changes.error().message}});
        continue;
      }
      for (auto& each : *changes) stale->insert(stale->end(), each.keys.begin(), each.keys.end());
    }
    boost::asio::post(io_, [this, batch, stale] {
      if (!stale->empty()) publisher_.invalidate(*stale);
      storing_ = false;
      serve(batch);
      serve_waiting();
    });
  });
}

void Kubernetes::serve(BatchPtr batch) {
  note_names(*batch);
  close_changed(batch->gateway);
  store::Changes core;
  for (const auto& change : batch->entities)
    if (change.schema->core()) core.push_back(change);
  publisher_.compile(core, source, batch->gateway);
  publisher_.publish([this, batch] {
    loaded_ = loaded_ || batch->complete;
    reconciler_->adopted(batch->number, refused(*batch));
  });
  // Workers take what they are handed in order: the snapshot is there before the listener that needs it.
  open_all();
}

void Kubernetes::note_names(const reconcile::Batch& batch) {
  std::lock_guard lock(names_mutex_);
  for (const auto& change : batch.entities) {
    if (const auto old = owners_.find(change.id); old != owners_.end()) {
      names_.erase(old->second.first);
      owners_.erase(old);
    }
    if (!change.now || !change.by) continue;
    auto key = name_key(*change.schema, *change.now);
    if (key.empty()) continue;
    names_[key] = change.id;
    owners_[change.id] = {std::move(key), fmt::format("{} {}", change.by->kind, change.by->name)};
  }
}

std::optional<admin::Node::Elsewhere> Kubernetes::owner_of(const model::Schema& schema,
                                                           const model::Object& entity) const {
  const auto key = name_key(schema, entity);
  if (key.empty()) return std::nullopt;
  std::lock_guard lock(names_mutex_);
  const auto at = names_.find(key);
  if (at == names_.end()) return std::nullopt;
  return admin::Node::Elsewhere{naming_field(schema)->name, owners_.at(at->second).second};
}

// --- listeners of Gateways ---

void Kubernetes::close_changed(const std::vector<model::GatewayChange>& changes) {
  for (const auto& change : changes) {
    if (change.route) continue;
    const auto at = places_.find(change.id);
    if (at == places_.end() && !change.entry) continue;
    auto& place = at == places_.end() ? places_[change.id] : at->second;
    const bool moved = place.entry && (!change.entry || !same_place(*place.entry, *change.entry));
    if (moved && std::exchange(place.open, false))
      for (auto* worker : workers_) worker->close(change.id);
    if (change.entry)
      place.entry = change.entry;
    else
      places_.erase(change.id);
  }
}

void Kubernetes::open_all() {
  for (auto& [id, place] : places_)
    if (!place.open) open(id, place);
}

void Kubernetes::retry() {
  open_all();
}

// One socket for each worker: the kernel spreads connections over them.
void Kubernetes::open(const Uuid& id, Place& place) {
  const auto& entry = *place.entry;
  for (const auto& [other, taken] : places_)
    if (taken.open && taken.entry->ip == entry.ip && taken.entry->port == entry.port) {
      place.fault =
          fmt::format("{}:{} is in use by {} {}", entry.ip, entry.port, taken.entry->by->kind, taken.entry->by->name);
      return;
    }
  proxy::Listen listen{.ip = entry.ip,
                       .port = entry.port,
                       .tls = entry.tls,
                       .backlog = 16384,
                       .reuseport = true,
                       .entry = id,
                       .public_port = entry.public_port};
  std::vector<int> sockets;
  for (std::size_t i = 0; i < workers_.size(); i++) {
    auto fd = net::listen_on(listen.ip, listen.port, listen.backlog, true);
    if (!fd) {
      if (place.fault != fd.error().message)
        log::error("listener of a Gateway not opened", {{"gateway", entry.by->name}, {"error", fd.error().message}});
      place.fault = fd.error().message;
      for (const int socket : sockets) ::close(socket);
      return;
    }
    sockets.push_back(*fd);
  }
  for (std::size_t i = 0; i < workers_.size(); i++) workers_[i]->open(listen, sockets[i]);
  place.open = true;
  place.fault.clear();
  log::notice("listening", {{"what", "gateway"},
                            {"gateway", entry.by->name},
                            {"address", entry.ip},
                            {"port", entry.port},
                            {"tls", entry.tls}});
}

std::vector<reconcile::Refusal> Kubernetes::refused(const reconcile::Batch& batch) const {
  std::vector<reconcile::Refusal> out;
  for (const auto& change : batch.gateway)
    if (const auto at = places_.find(change.id); at != places_.end() && !at->second.open)
      out.push_back({change.id, at->second.fault});
  if (batch.entities.empty() && batch.gateway.empty()) return out;
  std::unordered_map<Uuid, bool> mine;
  for (const auto& change : batch.entities) mine[change.id] = true;
  for (const auto& change : batch.gateway) mine[change.id] = true;
  for (const auto& fault : publisher_.snapshot()->faults())
    if (fault.origin.source == source && mine.contains(fault.origin.id))
      out.push_back({fault.origin.id, fault.message});
  return out;
}

std::vector<store::Fault> Kubernetes::faults() const {
  const auto counts = reconciler_->counts();
  auto out = counts.faults;
  if (!counts.fault.empty()) out.push_back({"kubernetes", "leader election", counts.fault});
  for (const auto& [resource, watch] : counts.watches)
    if (!watch.fault.empty() && !watch.absent) out.push_back({"kubernetes", resource, watch.fault});
  for (const auto& [id, place] : places_)
    if (!place.open && !place.fault.empty()) out.push_back({"Gateway", place.entry->by->name, place.fault});
  return out;
}

}  // namespace weir::gateway
