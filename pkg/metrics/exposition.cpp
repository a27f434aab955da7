#include "metrics/exposition.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace weir::metrics {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Workers = std::span<const Counters* const>;
using Labels = std::vector<ClientMetric::Label>;

std::uint64_t sum(Workers workers, auto get) {
  std::uint64_t total = 0;
  for (const auto* worker : workers) total += get(*worker).get();
  return total;
}

std::uint64_t sum(Workers workers, Counter Counters::* counter) {
  return sum(workers, [counter](const Counters& worker) -> const Counter& { return worker.*counter; });
}

// Numbers of several threads are read one after the other, so a difference may come out below zero for a moment.
std::uint64_t minus(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

// Collects the families of one scrape.
class Page {
 public:
  void family(std::string name, std::string help, MetricType type) {
    families_.push_back({std::move(name), std::move(help), type, {}});
  }
  void value(Labels labels, double value) {
    auto& family = families_.back();
    auto& metric = family.metric.emplace_back();
    metric.label = std::move(labels);
    (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  void value(Labels labels, std::uint64_t n) { value(std::move(labels), static_cast<double>(n)); }
  void counter(std::string name, std::string help, double n) {
    family(std::move(name), std::move(help), MetricType::Counter);
    value({}, n);
  }
  void counter(std::string name, std::string help, std::uint64_t n) {
    counter(std::move(name), std::move(help), static_cast<double>(n));
  }
  void gauge(std::string name, std::string help, double n) {
    family(std::move(name), std::move(help), MetricType::Gauge);
    value({}, n);
  }
  void gauge(std::string name, std::string help, std::uint64_t n) {
    gauge(std::move(name), std::move(help), static_cast<double>(n));
  }
  void histogram(std::string name, std::string help, Workers workers, Histogram Counters::* histogram) {
    family(std::move(name), std::move(help), MetricType::Histogram);
    auto& out = families_.back().metric.emplace_back().histogram;
    auto bounds = (Counters{}.*histogram).bounds;
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
      out.sample_count +=
          sum(workers, [&](const Counters& worker) -> const Counter& { return (worker.*histogram).buckets[i]; });
      out.bucket.push_back({out.sample_count, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
    }
    auto us = sum(workers, [&](const Counters& worker) -> const Counter& { return (worker.*histogram).sum_us; });
    out.sample_sum = static_cast<double>(us) / 1000.0;
  }
  void histogram(std::string name, std::string help, const Histogram& from) {
    family(std::move(name), std::move(help), MetricType::Histogram);
    auto& out = families_.back().metric.emplace_back().histogram;
    for (std::size_t i = 0; i <= from.bounds.size(); ++i) {
      out.sample_count += from.buckets[i].get();
      out.bucket.push_back(
          {out.sample_count, i < from.bounds.size() ? from.bounds[i] : std::numeric_limits<double>::infinity()});
    }
    out.sample_sum = static_cast<double>(from.sum_us.get()) / 1000.0;
  }
  // What a plugin counts by route takes the place of the node's sum: both together would count requests twice.
  void join(std::vector<MetricFamily> more) {
    for (auto& family : more) {
      const auto same = std::ranges::find(families_, family.name, &MetricFamily::name);
      if (same == families_.end())
        families_.push_back(std::move(family));
      else
        *same = std::move(family);
    }
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

void requests(Page& page, Workers workers) {
  page.family("kong_http_requests_total",
              "HTTP requests by status code and by who answered: the service or the gateway.", MetricType::Counter);
  // Only codes that occurred: five hundred idle series help nobody.
  auto add = [&](auto Counters::* answered, const char* source) {
    for (std::size_t code = 100; code < 600; ++code) {
      auto n = sum(workers, [&](const Counters& worker) -> const Counter& { return (worker.*answered)[code]; });
      if (n != 0) page.value({{"code", std::to_string(code)}, {"source", source}}, n);
    }
  };
  add(&Counters::answered_by_upstream, "service");
  add(&Counters::answered_by_weir, "kong");

  page.histogram("kong_request_latency_ms", "From a request's first byte to its answer's last, in ms.", workers,
                 &Counters::request_ms);
  page.histogram("kong_upstream_latency_ms", "From sending a request on until the upstream's head, in ms.", workers,
                 &Counters::upstream_ms);
  page.histogram("kong_kong_latency_ms", "Time of a request that the gateway itself spent, in ms.", workers,
                 &Counters::weir_ms);
  page.family("kong_bandwidth_bytes", "Bytes of clients' connections, received (ingress) and sent (egress).",
              MetricType::Counter);
  page.value({{"direction", "ingress"}}, sum(workers, &Counters::bytes_from_clients));
  page.value({{"direction", "egress"}}, sum(workers, &Counters::bytes_to_clients));

  page.counter("weir_requests_malformed_total", "Requests refused because they are no valid HTTP.",
               sum(workers, &Counters::requests_malformed));
  page.counter("weir_requests_timed_out_total", "Requests given up because the client was too slow to send them.",
               sum(workers, &Counters::requests_timed_out));
  page.counter("weir_client_aborts_total", "Requests that ended because the client went away.",
               sum(workers, &Counters::client_aborted));
  page.counter("weir_upstream_aborts_total", "Answers cut short because the upstream went away.",
               sum(workers, &Counters::upstream_aborted));
}

// nginx's words, so that Kong's dashboards work: active holds the waiting ones; accepted holds what was refused.
void connections(Page& page, Workers workers, const Node& node) {
  auto accepted = sum(workers, &Counters::connections_accepted);
  auto refused = sum(workers, &Counters::connections_refused);
  auto active = sum(workers, &Counters::connections_active);
  auto idle = sum(workers, &Counters::connections_idle);
  auto total = sum(workers, &Counters::requests_total);
  page.family("kong_nginx_connections_total", "Connections of clients by state.", MetricType::Gauge);
  auto state = [&](const char* name, std::uint64_t n) {
    page.value({{"node_id", node.node_id}, {"subsystem", "http"}, {"state", name}}, n);
  };
  state("accepted", accepted);
  state("handled", minus(accepted, refused));
  state("total", total);
  state("active", active);
  state("reading", 0);  // not told apart from writing
  state("writing", minus(active, idle));
  state("waiting", idle);
  page.family("kong_nginx_requests_total", "Requests since the start.", MetricType::Gauge);
  page.value({{"node_id", node.node_id}, {"subsystem", "http"}}, total);

  page.counter("weir_connections_refused_total", "Connections of clients closed at once because of a limit.", refused);
  page.family("weir_tls_handshakes_total", "TLS handshakes with clients by result.", MetricType::Counter);
  page.value({{"result", "ok"}}, sum(workers, &Counters::tls_handshakes));
  page.value({{"result", "failed"}}, sum(workers, &Counters::tls_handshakes_failed));

  page.family("weir_upstream_connections", "Open connections to upstreams by state.", MetricType::Gauge);
  page.value({{"state", "active"}}, sum(workers, &Counters::upstream_connections_active));
  page.value({{"state", "idle"}}, sum(workers, &Counters::upstream_connections_idle));
  page.counter("weir_upstream_connections_opened_total", "Connections to upstreams that were opened.",
               sum(workers, &Counters::upstream_connections_opened));
  page.counter("weir_upstream_connect_failures_total", "Connections to upstreams that could not be opened.",
               sum(workers, &Counters::upstream_connect_failed));
  page.counter("weir_upstream_retries_total", "Requests tried again with the next target.",
               sum(workers, &Counters::upstream_retries));
  page.counter("weir_plugin_edits_refused_total",
               "Edits of heads by plugins that cannot be printed, or are Weir's own.",
               sum(workers, &Counters::edits_refused));
  page.family("weir_mirrored_requests_total", "Copies of requests by how they ended.", MetricType::Counter);
  page.value({{"result", "answered"}}, sum(workers, &Counters::mirrors_answered));
  page.value({{"result", "dropped"}}, sum(workers, &Counters::mirrors_dropped));
}

void configuration(Page& page, const Node& node) {
  page.gauge("kong_datastore_reachable", "1 while the store of the configuration can be reached.",
             node.store_reachable ? 1.0 : 0.0);
  page.family("kong_node_info", "What this node is; always 1.", MetricType::Gauge);
  page.value({{"node_id", node.node_id}, {"version", node.version}}, 1.0);
  page.gauge("weir_snapshot_revision", "Revision of the newest configuration that was compiled.",
             node.snapshot_revision);
  page.gauge("weir_snapshot_adopted_revision", "Oldest revision that any worker serves.", node.adopted_revision);
  page.gauge("weir_change_seconds", "From the last change's commit until every worker served it.",
             node.last_change_seconds);
  page.gauge("weir_routes", "Routes that are served.", node.routes);
  page.gauge("weir_services", "Services that are served.", node.services);
  page.gauge("weir_upstreams", "Upstreams that are served.", node.upstreams);
  page.gauge("weir_faults", "Objects left out of the configuration because they are faulty.", node.faults);
}

void lookups(Page& page, const Node& node) {
  page.family("weir_cache_lookups_total", "Rows (consumers, credentials) that requests asked for, by result.",
              MetricType::Counter);
  page.value({{"result", "hit"}}, node.lookups.hits);
  page.value({{"result", "negative_hit"}}, node.lookups.negative_hits);
  page.value({{"result", "miss"}}, node.lookups.misses);
  page.value({{"result", "resurrected"}}, node.lookups.resurrected);
  page.value({{"result", "failed"}}, node.lookups.failed);
  page.counter("weir_cache_evictions_total", "Cached rows dropped for want of room.", node.lookups.evicted);
  page.gauge("weir_cache_entries", "Cached rows of all workers.", node.lookups.entries);
  page.gauge("weir_cache_bytes", "Memory of cached rows.", node.lookups.bytes);
  if (node.followed)
    page.histogram("weir_invalidation_lag_ms",
                   "From another node's commit, by the database's clock, until every worker here served it, in ms.",
                   *node.followed);
}

void process(Page& page, const Node& node) {
  page.counter("weir_dns_queries_total", "Queries sent to DNS servers.", node.dns_queries);
  page.counter("weir_dns_failures_total", "Refreshes of a host name that DNS did not answer.", node.dns_failures);
  page.counter("weir_dns_stale_answers_total", "Refreshes that failed while the last good answer stayed in use.",
               node.dns_stale_answers);
  page.gauge("process_resident_memory_bytes", "Resident memory.", node.resident_bytes);
  page.gauge("process_open_fds", "Open file descriptors.", node.open_fds);
  page.counter("process_cpu_seconds_total", "Processor time, user and system.", node.cpu_seconds);
  page.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", node.started_at);
}

}  // namespace

std::string exposition(std::span<const Counters* const> workers, const Node& node, std::vector<MetricFamily> more) {
  Page page;
  configuration(page, node);
  requests(page, workers);
  connections(page, workers, node);
  lookups(page, node);
  process(page, node);
  page.join(std::move(more));
  return page.text();
}

}  // namespace weir::metrics
