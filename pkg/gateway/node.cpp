#include "gateway/node.h"

#include "gateway/process.h"
#include "gateway/version.h"
#include "metrics/exposition.h"

namespace weir::gateway {

NodeView::NodeView(const Settings& settings, const Options& options, store::Store& store, net::Resolver& resolver,
                   Publisher& publisher, Configuration& configuration, std::vector<const metrics::Counters*> workers)
    : settings_(settings),
      options_(options),
      store_(store),
      resolver_(resolver),
      publisher_(publisher),
      configuration_(configuration),
      workers_(std::move(workers)),
      started_at_(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()) {}

void NodeView::apply(store::Changes changes, std::function<void()> adopted) {
  configuration_.apply(changes, std::move(adopted));
}

snapshot::SnapshotPtr NodeView::snapshot() const {
  return publisher_.snapshot();
}

admin::TargetView NodeView::target(const snapshot::Target& target) const {
  admin::TargetView view;
  if (target.is_ip) {
    view.dns = target.host.find(':') == std::string::npos ? "A" : "AAAA";
    view.addresses.push_back({target.host, target.port, target.weight});
    return view;
  }
  const auto answer = resolver_.find(target.host);
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
  for (const auto* w : workers_) {
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
  if (publisher_.adopted_revision() == 0) return "router builds not yet complete";
  return std::nullopt;
}

std::vector<store::Fault> NodeView::store_faults() const {
  return configuration_.faults();
}

std::string NodeView::metrics() const {
  const auto resolver = resolver_.counts();
  const auto& snapshot = *publisher_.snapshot();
  metrics::Node node;
  node.node_id = options_.node_id;
  node.version = version;
  node.store_reachable = store_.reachable();
  node.snapshot_revision = snapshot.revision();
  node.adopted_revision = publisher_.adopted_revision();
  node.routes = snapshot.routes();
  node.services = snapshot.services();
  node.upstreams = snapshot.upstreams();
  node.faults = snapshot.faults().size() + configuration_.faults().size();
  node.started_at = started_at_;
  node.resident_bytes = resident_bytes();
  node.open_fds = open_descriptors();
  node.cpu_seconds = cpu_seconds();
  node.dns_queries = resolver.queries;
  node.dns_failures = resolver.failures;
  node.dns_stale_answers = resolver.stale_answers;
  node.last_change_seconds = publisher_.last_change_seconds();
  return metrics::exposition(workers_, node);
}

model::Object NodeView::configuration() const {
  return settings_.shown();
}
std::string NodeView::node_id() const {
  return options_.node_id;
}
std::string NodeView::configuration_hash() const {
  return configuration_.hash();
}

}  // namespace weir::gateway
