#include "gateway/node.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "gateway/kubernetes_metrics.h"
#include "gateway/process.h"
#include "gateway/version.h"
#include "metrics/exposition.h"
#include "store/cache_keys.h"

namespace weir::gateway {
namespace {

void add(metrics::Node::Lookups& sum, const store::Cache::Counts& counts) {
  sum.hits += counts.hits;
  sum.negative_hits += counts.negative_hits;
  sum.misses += counts.misses;
  sum.resurrected += counts.resurrected;
  sum.evicted += counts.evicted;
  sum.failed += counts.failed;
  sum.entries += counts.entries;
  sum.bytes += counts.bytes;
}

}  // namespace

NodeView::NodeView(const Parts& parts, std::vector<proxy::Worker*> workers)
    : parts_(parts),
      workers_(std::move(workers)),
      started_at_(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()) {}

void NodeView::apply(store::Changes changes, std::function<void()> adopted) {
  parts_.configuration.apply(std::move(changes), std::move(adopted));
}

snapshot::SnapshotPtr NodeView::snapshot() const {
  return parts_.publisher.snapshot();
}

std::optional<admin::Node::Elsewhere> NodeView::declared_elsewhere(const model::Schema& schema,
                                                                   const model::Object& entity) const {
  return kubernetes_ ? kubernetes_->owner_of(schema, entity) : std::nullopt;
}

admin::TargetView NodeView::target(const snapshot::Target& target) const {
  admin::TargetView view;
  if (target.is_ip) {
    view.dns = target.host.find(':') == std::string::npos ? "A" : "AAAA";
    view.addresses.push_back({target.host, target.port, target.weight});
    return view;
  }
  const auto answer = parts_.resolver.find(target.host);
  view.resolved = answer && answer->state == net::Resolved::State::ok;
  view.dns = view.resolved ? answer->type : answer ? answer->message : "not resolved yet";
  if (!view.resolved) return view;
  for (const auto& record : answer->records)
    view.addresses.push_back({record.address.ip(), record.address.port() ? record.address.port() : target.port,
                              record.weight ? record.weight : target.weight});
  return view;
}

admin::ConnectionCounts NodeView::connections() const {
  admin::ConnectionCounts out;
  for (const auto* worker : workers_) {
    const auto* w = &worker->counters();
    out.accepted += w->connections_accepted.get();
    out.active += w->connections_active.get();
    out.waiting += w->connections_idle.get();
    out.requests += w->requests_total.get();
  }
  out.handled = out.accepted;
  out.writing = out.active - std::min(out.active, out.waiting);
  return out;
}

std::optional<std::string> NodeView::unready() const {
  if (draining_) return "draining";
  if (parts_.publisher.adopted_revision() == 0) return "router builds not yet complete";
  if (!parts_.configuration.loaded()) return "failed to connect to database";
  if (kubernetes_ && !kubernetes_->loaded()) return "configuration of Kubernetes not yet complete";
  if (parts_.options.ready_requires_database && !database_reachable()) return "failed to connect to database";
  return std::nullopt;
}

std::vector<store::Fault> NodeView::store_faults() const {
  auto all = parts_.configuration.faults();
  if (kubernetes_) std::ranges::move(kubernetes_->faults(), std::back_inserter(all));
  return all;
}

std::string NodeView::metrics() const {
  const auto resolver = parts_.resolver.counts();
  const auto& snapshot = *parts_.publisher.snapshot();
  metrics::Node node;
  node.node_id = parts_.options.node_id;
  node.version = version;
  node.store_reachable = database_reachable();
  node.snapshot_revision = snapshot.revision();
  node.adopted_revision = parts_.publisher.adopted_revision();
  node.routes = snapshot.routes();
  node.services = snapshot.services();
  node.upstreams = snapshot.upstreams();
  node.faults = snapshot.faults().size() + store_faults().size();
  node.started_at = started_at_;
  node.resident_bytes = resident_bytes();
  node.open_fds = open_descriptors();
  node.cpu_seconds = cpu_seconds();
  node.dns_queries = resolver.queries;
  node.dns_failures = resolver.failures;
  node.dns_stale_answers = resolver.stale_answers;
  node.last_change_seconds = parts_.publisher.last_change_seconds();
  node.followed = &parts_.configuration.lag();
  std::vector<const metrics::Counters*> counters;
  for (const auto* worker : workers_) {
    counters.push_back(&worker->counters());
    add(node.lookups, worker->cache_counts());
  }
  std::vector<prometheus::MetricFamily> more;
  parts_.plugins.route_metrics.collect(more, target_states());
  if (kubernetes_) collect_metrics(*kubernetes_, more);
  return metrics::exposition(counters, node, std::move(more));
}

// Kong's words for the health of each address, when a plugin asks for it.
std::vector<plugin::TargetState> NodeView::target_states() const {
  std::vector<plugin::TargetState> out;
  if (!parts_.plugins.route_metrics.target_health_wanted()) return out;
  const auto& snapshot = *parts_.publisher.snapshot();
  for (snapshot::Slot slot = 0; slot < snapshot.backend_slots(); slot++) {
    const auto* backend = snapshot.backend(slot);
    if (!backend || !backend->is_upstream) continue;
    for (const auto& target : backend->targets) {
      const auto view = this->target(*target);
      const auto name = fmt::format("{}:{}", target->host, target->port);
      if (!view.resolved) out.push_back({backend->name, name, "", "dns_error"});
      for (const auto& address : view.addresses)
        out.push_back({backend->name, name, fmt::format("{}:{}", address.ip, address.port), "healthchecks_off"});
    }
  }
  return out;
}

bool NodeView::database_reachable() const {
  const auto* postgres = parts_.store.postgres();
  return postgres ? postgres->reachable() : readable_->load();
}

void NodeView::check_store(store::Desk& desk) {
  if (parts_.store.postgres()) return;
  desk.post([store = &*parts_.store, readable = readable_] { *readable = store->reachable(); });
}

void NodeView::cached(std::string key, std::function<void(std::optional<boost::json::value>)> done) {
  ask_worker(0, std::string(store::without_workspace(key)), std::move(done));
}

// Each worker has a cache of its own; the first one that has the key tells.
void NodeView::ask_worker(std::size_t number, std::string key,
                          std::function<void(std::optional<boost::json::value>)> done) {
  if (number == workers_.size()) return done(std::nullopt);
  workers_[number]->peek(
      key, [this, number, key, done = std::move(done)](std::shared_ptr<const store::Found> found) mutable {
        boost::asio::post(parts_.io, [this, number, key = std::move(key), done = std::move(done),
                                      found = std::move(found)]() mutable {
          if (!found) return ask_worker(number + 1, std::move(key), std::move(done));
          boost::json::array rows;
          for (const auto& row : found->rows) rows.push_back(*row);
          done(rows.size() == 1 ? std::move(rows[0]) : boost::json::value(std::move(rows)));
        });
      });
}

void NodeView::drop_cached(std::optional<std::string> key, std::function<void()> done) {
  if (key)
    parts_.publisher.invalidate(std::vector{std::string(store::without_workspace(*key))});
  else
    parts_.publisher.invalidate(std::nullopt);
  parts_.publisher.publish(std::move(done));
}

model::Object NodeView::configuration() const {
  return parts_.settings.shown();
}
std::string NodeView::node_id() const {
  return parts_.options.node_id;
}
std::string NodeView::configuration_hash() const {
  return parts_.configuration.hash();
}

}  // namespace weir::gateway
