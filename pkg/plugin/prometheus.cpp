// Counts requests by service, route and consumer for GET /metrics. Kong plugin "prometheus".
#include "model/schema_builder.h"
#include "plugin/plugin.h"
#include "plugin/services.h"

namespace weir::plugin {
namespace {

struct Config {
  bool per_consumer = false, status_code_metrics = false, ai_metrics = false, latency_metrics = false;
  bool bandwidth_metrics = false, upstream_health_metrics = false, wasm_metrics = false;
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("prometheus")
          .field("per_consumer", &Config::per_consumer, "Whether requests and bytes are told apart by consumer.")
          .field("status_code_metrics", &Config::status_code_metrics, "Requests by status code.")
          .field("ai_metrics", &Config::ai_metrics, "Uses of language models.",
                 supports_only({false}, "there are no such plugins; leave it false"))
          .field("latency_metrics", &Config::latency_metrics, "Latencies.")
          .field("bandwidth_metrics", &Config::bandwidth_metrics, "Bytes in and out.")
          .field("upstream_health_metrics", &Config::upstream_health_metrics, "The state of upstreams' targets.")
          .field("wasm_metrics", &Config::wasm_metrics, "What WebAssembly filters count.",
                 supports_only({false}, "there are no such filters; leave it false"))
          .build();
  return built;
}

class Prometheus : public Plugin {
 public:
  Prometheus(const Config& config, RouteMetrics& metrics) : config_(config), metrics_(metrics) {
    if (config_.upstream_health_metrics) metrics_.want_target_health(1);
  }
  ~Prometheus() override {
    if (config_.upstream_health_metrics) metrics_.want_target_health(-1);
  }
  Prometheus(const Prometheus&) = delete;
  Prometheus& operator=(const Prometheus&) = delete;

  // Kong counts nothing of requests without a route.
  void log(Exchange& x) const override {
    const auto* route = x.route();
    if (!route) return;
    const auto& ending = x.ending();
    Observation one;
    one.route_id = route->id;
    one.route = route->name;
    if (const auto* service = x.service()) {
      one.service_id = service->id;
      one.service = service->name;
      one.service_host = service->host;
    }
    if (config_.per_consumer && x.consumer())
      if (const auto* name = x.consumer()->if_contains("username"); name && name->is_string())
        one.consumer = name->get_string();
    one.codes = config_.status_code_metrics;
    one.latencies = config_.latency_metrics;
    one.bytes = config_.bandwidth_metrics;
    one.status = ending.status;
    one.from_upstream = ending.from_upstream;
    one.upstream_asked = ending.upstream_asked;
    one.total_us = ending.total_us;
    one.weir_us = ending.weir_us;
    one.upstream_us = ending.upstream_us;
    one.request_bytes = ending.request_bytes;
    one.response_bytes = ending.response_bytes;
    metrics_.count(one);
  }

 private:
  const Config config_;
  RouteMetrics& metrics_;
};

Result<std::unique_ptr<const Plugin>> make(const model::Object& object, const Scope&, Services& services) {
  return std::make_unique<const Prometheus>(declared().read(object), services.route_metrics);
}

}  // namespace

const Kind& prometheus() {
  static const Kind kind{"prometheus", 13, phase_log, false, [] -> const model::Schema& { return declared().schema; },
                         make};
  return kind;
}

}  // namespace weir::plugin
