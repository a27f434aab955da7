#include "gateway/kubernetes_metrics.h"

#include <prometheus/metric_family.h>

namespace weir::gateway {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily& family(std::vector<MetricFamily>& out, std::string name, std::string help, MetricType type) {
  return out.emplace_back(MetricFamily{std::move(name), std::move(help), type, {}});
}

void add(MetricFamily& family, double value, std::vector<prometheus::ClientMetric::Label> labels = {}) {
  auto& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
}

void single(std::vector<MetricFamily>& out, std::string name, std::string help, MetricType type, double value) {
  add(family(out, std::move(name), std::move(help), type), value);
}

void collect_watches(const reconcile::Counts& counts, std::vector<MetricFamily>& out) {
  const auto each = [&](std::string name, std::string help, MetricType type, auto&& value) {
    auto& made = family(out, std::move(name), std::move(help), type);
    for (const auto& [resource, watch] : counts.watches)
      add(made, static_cast<double>(value(watch)), {{"resource", resource}});
  };
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  each("weir_kube_objects", "Objects of Kubernetes that are kept.", MetricType::Gauge,
       [](const auto& watch) { return watch.objects; });
  each("weir_kube_lists_total", "Lists that were asked for.", MetricType::Counter,
       [](const auto& watch) { return watch.lists; });
  each("weir_kube_events_total", "Events that watches brought.", MetricType::Counter,
       [](const auto& watch) { return watch.events; });
  each("weir_kube_watch_faults_total", "Lists and watches that failed.", MetricType::Counter,
       [](const auto& watch) { return watch.faults; });
  each("weir_kube_watch_up", "Whether the watch runs: 1 or 0.", MetricType::Gauge,
       [](const auto& watch) { return watch.synced && watch.fault.empty() ? 1 : 0; });
  each("weir_kube_watch_silence_seconds", "Time since the watch was heard of last, bookmarks included.",
       MetricType::Gauge, [&](const auto& watch) { return watch.last_event_at > 0 ? now - watch.last_event_at : 0.0; });
}

void collect_latency(const metrics::Histogram& histogram, std::vector<MetricFamily>& out) {
  auto& made = family(out, "weir_kube_event_to_served_seconds",
                      "From the event of a watch until every worker serves what it changed.", MetricType::Histogram);
  auto& shown = made.metric.emplace_back().histogram;
  for (std::size_t i = 0; i <= histogram.bounds.size(); i++) {
    shown.sample_count += histogram.buckets[i].get();
    const double bound =
        i < histogram.bounds.size() ? histogram.bounds[i] / 1000 : std::numeric_limits<double>::infinity();
    shown.bucket.push_back({shown.sample_count, bound});
  }
  shown.sample_sum = static_cast<double>(histogram.sum_us.get()) / 1e6;
}

}  // namespace

void collect_metrics(const Kubernetes& kubernetes, std::vector<MetricFamily>& out) {
  const auto counts = kubernetes.counts();
  const auto gauge = [&](std::string name, std::string help, auto value) {
    single(out, std::move(name), std::move(help), MetricType::Gauge, static_cast<double>(value));
  };
  const auto counter = [&](std::string name, std::string help, auto value) {
    single(out, std::move(name), std::move(help), MetricType::Counter, static_cast<double>(value));
  };
  collect_watches(counts, out);
  gauge("weir_kube_reachable", "Whether the API server answers: 1 or 0.", counts.reachable);
  gauge("weir_kube_synced", "Whether every watch has had its first list: 1 or 0.", counts.synced);
  gauge("weir_kube_leader", "Whether this replica writes status: 1 or 0.", counts.leader);
  gauge("weir_kube_replicas", "Replicas that are alive.", counts.replicas);
  gauge("weir_kube_units", "Objects that are translated.", counts.units);
  gauge("weir_kube_faulty_units", "Objects of which not all is in force.", counts.faulty_units);
  gauge("weir_kube_queue", "Objects that wait to be translated.", counts.queue);
  gauge("weir_kube_status_queue", "Objects whose status waits to be written.", counts.status_queue);
  counter("weir_kube_translations_total", "Translations of objects.", counts.translations);
  counter("weir_kube_batches_total", "Changes that were handed to the snapshot.", counts.batches);
  counter("weir_kube_status_writes_total", "Statuses that were written.", counts.status_writes);
  counter("weir_kube_status_faults_total", "Writes of status that failed.", counts.status_faults);
  collect_latency(kubernetes.event_to_served(), out);
}

}  // namespace weir::gateway
