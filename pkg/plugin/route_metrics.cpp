#include "plugin/route_metrics.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

namespace weir::plugin {
namespace {

using metrics::Counter;
using metrics::Histogram;
using Labels = std::vector<prometheus::ClientMetric::Label>;
using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using ::prometheus::MetricType;

std::atomic<std::uint64_t> next_serial{1};

struct Key {  // what a series is found by; views into the request, or into the series itself
  Uuid route_id, service_id;
  std::string_view route, service, host, consumer;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    auto out = std::hash<Uuid>{}(key.route_id);
    const auto mix = [&](std::size_t more) { out = (out ^ more) * 0x9E3779B97F4A7C15ULL; };
    mix(std::hash<Uuid>{}(key.service_id));
    for (const auto text : {key.route, key.service, key.host, key.consumer}) mix(std::hash<std::string_view>{}(text));
    return out;
  }
};

}  // namespace

// Status codes of a series, few each: a list that only grows.
struct RouteMetrics::Codes {
  int status = 0;
  bool from_upstream = false;
  Counter requests;
  Codes* next = nullptr;  // set before it is published
};

struct RouteMetrics::Latencies {
  Histogram weir{metrics::own_latency_bounds}, upstream{metrics::latency_bounds}, total{metrics::latency_bounds};
};

// The texts are set before the series is published and never change.
struct RouteMetrics::Series {
  explicit Series(const Key& key)
      : route_id(key.route_id),
        service_id(key.service_id),
        route(key.route),
        service(key.service),
        host(key.host),
        consumer(key.consumer) {}
  Uuid route_id, service_id;
  std::string route, service, host, consumer;
  std::atomic<Codes*> codes{nullptr};
  std::atomic<Latencies*> latencies{nullptr};
  Counter bytes_in, bytes_out;
  std::atomic<bool> has_bytes{false};
  Series* next = nullptr;  // set before it is published

  Key key() const { return {route_id, service_id, route, service, host, consumer}; }
  std::string route_label() const { return route.empty() ? route_id.text() : route; }
  const std::string& service_label() const { return service.empty() ? host : service; }
  ~Series() {
    for (auto* code = codes.load(); code;) delete std::exchange(code, code->next);
    delete latencies.load();
  }
};

// One thread's series. Only that thread writes; newest first, so publishing is one store.
class RouteMetrics::Shard {
 public:
  ~Shard() {
    for (auto* one = newest_.load(); one;) delete std::exchange(one, one->next);
  }

  Series* find(const Key& key) const {
    const auto known = table_.find(key);
    return known == table_.end() ? nullptr : known->second;
  }
  Series* add(const Key& key) {
    auto* made = new Series(key);
    made->next = newest_.load(std::memory_order_relaxed);
    newest_.store(made, std::memory_order_release);
    table_.emplace(made->key(), made);
    return made;
  }
  const Series* newest() const { return newest_.load(std::memory_order_acquire); }

 private:
  std::unordered_map<Key, Series*, KeyHash> table_;  // its thread's only
  std::atomic<Series*> newest_{nullptr};
};

RouteMetrics::RouteMetrics() : serial_(next_serial.fetch_add(1)) {}
RouteMetrics::~RouteMetrics() = default;

RouteMetrics::Shard& RouteMetrics::shard() {
  thread_local std::uint64_t whose = 0;
  thread_local Shard* mine = nullptr;
  if (whose != serial_) {
    const std::lock_guard lock(mutex_);
    mine = shards_.emplace_back(std::make_unique<Shard>()).get();
    whose = serial_;
  }
  return *mine;
}

void RouteMetrics::count(const Observation& one) {
  if (!one.codes && !one.latencies && !one.bytes) return;
  auto& mine = shard();
  const auto series_of = [&](std::string_view consumer) {
    const Key key{one.route_id, one.service_id, one.route, one.service, one.service_host, consumer};
    auto* series = mine.find(key);
    if (!series && series_.load(std::memory_order_relaxed) < series_max) {
      series_.fetch_add(1, std::memory_order_relaxed);
      series = mine.add(key);
    }
    if (!series) errors_.fetch_add(1, std::memory_order_relaxed);
    return series;
  };
  if (one.codes || one.bytes)
    if (auto* series = series_of(one.consumer)) {
      if (one.codes) count_code(*series, one);
      if (one.bytes) {
        series->bytes_in.add(one.request_bytes);
        series->bytes_out.add(one.response_bytes);
        series->has_bytes.store(true, std::memory_order_relaxed);
      }
    }
  if (!one.latencies) return;
  if (auto* series = series_of("")) {  // latencies have no consumer
    auto* latencies = series->latencies.load(std::memory_order_relaxed);
    if (!latencies) series->latencies.store(latencies = new Latencies, std::memory_order_release);
    latencies->weir.observe_us(one.weir_us);
    latencies->total.observe_us(one.total_us);
    if (one.upstream_asked) latencies->upstream.observe_us(one.upstream_us);
  }
}

void RouteMetrics::count_code(Series& series, const Observation& one) {
  auto* first = series.codes.load(std::memory_order_relaxed);
  for (auto* code = first; code; code = code->next)
    if (code->status == one.status && code->from_upstream == one.from_upstream) return code->requests.add();
  if (codes_.fetch_add(1, std::memory_order_relaxed) >= codes_max) {
    codes_.fetch_sub(1, std::memory_order_relaxed);
    errors_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  auto* made = new Codes{one.status, one.from_upstream, {}, first};
  made->requests.add();
  series.codes.store(made, std::memory_order_release);
}

namespace {

// The sums over all threads, by labels: two services may have the same label.
struct Sums {
  std::span<const double> at;
  std::vector<std::uint64_t> buckets;
  std::uint64_t sum_us = 0;

  void add(const Histogram& more) {
    at = more.bounds;
    buckets.resize(at.size() + 1);
    for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += more.buckets[i].get();
    sum_us += more.sum_us.get();
  }
};

using ByRoute = std::pair<std::string, std::string>;  // service, route
using ByCode =
    std::tuple<std::string, std::string, std::string, std::string, std::string>;    // ..., code, source, consumer
using ByConsumer = std::tuple<std::string, std::string, std::string, std::string>;  // ..., direction, consumer

void add_histograms(std::vector<MetricFamily>& out, std::string name, std::string help,
                    const std::map<ByRoute, Sums>& all) {
  if (all.empty()) return;
  auto& family = out.emplace_back(MetricFamily{std::move(name), std::move(help), MetricType::Histogram, {}});
  for (const auto& [labels, sums] : all) {
    auto& metric = family.metric.emplace_back();
    metric.label = Labels{{"service", labels.first}, {"route", labels.second}, {"workspace", "default"}};
    auto& histogram = metric.histogram;
    for (std::size_t i = 0; i < sums.buckets.size(); ++i) {
      histogram.sample_count += sums.buckets[i];
      histogram.bucket.push_back(
          {histogram.sample_count, i < sums.at.size() ? sums.at[i] : std::numeric_limits<double>::infinity()});
    }
    histogram.sample_sum = static_cast<double>(sums.sum_us) / 1000.0;
  }
}

void add_value(MetricFamily& family, Labels labels, double value) {
  auto& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
}

}  // namespace

void RouteMetrics::collect(std::vector<MetricFamily>& out, std::span<const TargetState> targets) const {
  std::map<ByCode, std::uint64_t> requests;
  std::map<ByConsumer, std::uint64_t> bytes;
  std::map<ByRoute, Sums> weir, upstream, total;
  std::vector<const Series*> lists;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& shard : shards_) lists.push_back(shard->newest());
  }
  for (const auto* series : lists)
    for (; series; series = series->next) {
      const ByRoute route{series->service_label(), series->route_label()};
      for (const auto* code = series->codes.load(std::memory_order_acquire); code; code = code->next)
        requests[{route.first, route.second, std::to_string(code->status), code->from_upstream ? "service" : "kong",
                  series->consumer}] += code->requests.get();
      if (series->has_bytes.load(std::memory_order_relaxed)) {
        bytes[{route.first, route.second, "ingress", series->consumer}] += series->bytes_in.get();
        bytes[{route.first, route.second, "egress", series->consumer}] += series->bytes_out.get();
      }
      if (const auto* latencies = series->latencies.load(std::memory_order_acquire)) {
        weir[route].add(latencies->weir);
        upstream[route].add(latencies->upstream);
        total[route].add(latencies->total);
      }
    }
  if (!requests.empty()) {
    auto& family = out.emplace_back(MetricFamily{
        "kong_http_requests_total", "HTTP status codes per consumer/service/route in Kong", MetricType::Counter, {}});
    for (const auto& [labels, n] : requests)
      add_value(family,
                {{"service", std::get<0>(labels)},
                 {"route", std::get<1>(labels)},
                 {"code", std::get<2>(labels)},
                 {"source", std::get<3>(labels)},
                 {"workspace", "default"},
                 {"consumer", std::get<4>(labels)}},
                static_cast<double>(n));
  }
  add_histograms(out, "kong_kong_latency_ms",
                 "Latency added by Kong and enabled plugins for each service/route in Kong", weir);
  add_histograms(out, "kong_upstream_latency_ms", "Latency added by upstream response for each service/route in Kong",
                 upstream);
  add_histograms(out, "kong_request_latency_ms",
                 "Total latency incurred during requests for each service/route in Kong", total);
  if (!bytes.empty()) {
    auto& family = out.emplace_back(MetricFamily{
        "kong_bandwidth_bytes", "Total bandwidth (ingress/egress) throughput in bytes", MetricType::Counter, {}});
    for (const auto& [labels, n] : bytes)
      add_value(family,
                {{"service", std::get<0>(labels)},
                 {"route", std::get<1>(labels)},
                 {"direction", std::get<2>(labels)},
                 {"workspace", "default"},
                 {"consumer", std::get<3>(labels)}},
                static_cast<double>(n));
  }
  if (!targets.empty()) {
    auto& family = out.emplace_back(MetricFamily{
        "kong_upstream_target_health",
        "Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when "
        "state is populated.",
        MetricType::Gauge,
        {}});
    for (const auto& target : targets)
      for (const std::string_view state : {"healthchecks_off", "healthy", "unhealthy", "dns_error"})
        add_value(family,
                  {{"upstream", target.upstream},
                   {"target", target.target},
                   {"address", target.address},
                   {"state", std::string(state)},
                   {"subsystem", "http"}},
                  target.state == state ? 1 : 0);
  }
  auto& family = out.emplace_back(
      MetricFamily{"kong_nginx_metric_errors_total", "Number of nginx-lua-prometheus errors", MetricType::Counter, {}});
  add_value(family, {}, static_cast<double>(errors()));
}

}  // namespace weir::plugin
