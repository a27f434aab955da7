#include "plugin/route_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <thread>

#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

std::string text_of(const RouteMetrics& metrics, std::span<const TargetState> targets = {}) {
  std::vector<::prometheus::MetricFamily> families;
  metrics.collect(families, targets);
  return ::prometheus::TextSerializer().Serialize(families);
}

Observation seen(std::string_view route, int status = 200) {
  static const Uuid route_id = Uuid::random(), service_id = Uuid::random();
  Observation out;
  out.route_id = route_id;
  out.service_id = service_id;
  out.route = route;
  out.service = "s";
  out.codes = out.latencies = out.bytes = true;
  out.status = status;
  out.from_upstream = out.upstream_asked = true;
  out.total_us = 90'000, out.weir_us = 1500, out.upstream_us = 60'000;
  out.request_bytes = 10, out.response_bytes = 100;
  return out;
}

void expect_line(const std::string& text, const std::string& line) {
  EXPECT_NE(text.find(line + "\n"), std::string::npos) << line << "\n" << text;
}

TEST(RouteMetrics, have_kongs_names_and_labels) {
  RouteMetrics metrics;
  metrics.count(seen("r"));
  metrics.count(seen("r", 429));
  auto refused = seen("r", 429);
  refused.from_upstream = refused.upstream_asked = false;
  refused.consumer = "alice";
  metrics.count(refused);
  const auto text = text_of(metrics);
  const std::string labels = R"(service="s",route="r")";
  expect_line(text, "kong_http_requests_total{" + labels +
                        R"(,code="200",source="service",workspace="default",consumer=""} 1)");
  expect_line(text, "kong_http_requests_total{" + labels +
                        R"(,code="429",source="service",workspace="default",consumer=""} 1)");
  expect_line(text, "kong_http_requests_total{" + labels +
                        R"(,code="429",source="kong",workspace="default",consumer="alice"} 1)");
  expect_line(text, "kong_bandwidth_bytes{" + labels + R"(,direction="ingress",workspace="default",consumer=""} 20)");
  expect_line(text,
              "kong_bandwidth_bytes{" + labels + R"(,direction="egress",workspace="default",consumer="alice"} 100)");
  expect_line(text, "kong_kong_latency_ms_bucket{" + labels + R"(,workspace="default",le="1"} 0)");
  expect_line(text, "kong_kong_latency_ms_bucket{" + labels + R"(,workspace="default",le="2"} 3)");
  expect_line(text, "kong_kong_latency_ms_sum{" + labels + R"(,workspace="default"} 4.5)");
  expect_line(text, "kong_request_latency_ms_count{" + labels + R"(,workspace="default"} 3)");
  expect_line(text, "kong_upstream_latency_ms_bucket{" + labels + R"(,workspace="default",le="80"} 2)");
  expect_line(text, "kong_upstream_latency_ms_bucket{" + labels + R"(,workspace="default",le="+Inf"} 2)");
  expect_line(text, "kong_nginx_metric_errors_total 0");
}

TEST(RouteMetrics, are_exact_sums_over_many_threads_while_they_are_read) {
  RouteMetrics metrics;
  constexpr int threads = 4, requests = 5000;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) text_of(metrics);
  });
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&] {
      for (int i = 0; i < requests; ++i) metrics.count(seen("r" + std::to_string(i % 10), 200 + i % 5));
    });
  for (auto& worker : workers) worker.join();
  done = true;
  reader.join();
  const auto text = text_of(metrics);
  for (int r = 0; r < 10; ++r) {
    expect_line(text, fmt::format(R"(kong_request_latency_ms_count{{service="s",route="r{}",workspace="default"}} {})",
                                  r, threads * requests / 10));
    expect_line(
        text,
        fmt::format(
            R"(kong_http_requests_total{{service="s",route="r{}",code="{}",source="service",workspace="default",consumer=""}} {})",
            r, 200 + r % 5, threads * requests / 10));
  }
}

TEST(RouteMetrics, are_bounded_and_count_what_is_over) {
  RouteMetrics metrics;
  for (std::size_t i = 0; i < RouteMetrics::series_max + 10; ++i) {
    auto one = seen("r");
    one.latencies = one.codes = false;
    const auto name = std::to_string(i);
    one.consumer = name;
    metrics.count(one);
  }
  EXPECT_EQ(metrics.errors(), 10u);
  EXPECT_NE(text_of(metrics).find("kong_nginx_metric_errors_total 10\n"), std::string::npos);
}

TEST(RouteMetrics, name_what_has_no_name_and_add_up_what_has_the_same_label) {
  RouteMetrics metrics;
  auto one = seen(""), other = seen("");
  one.service = other.service = "";
  one.service_host = other.service_host = "upstream.test";
  other.service_id = Uuid::random();
  one.latencies = one.bytes = other.latencies = other.bytes = false;
  metrics.count(one);
  metrics.count(other);
  expect_line(
      text_of(metrics),
      fmt::format(
          R"(kong_http_requests_total{{service="upstream.test",route="{}",code="200",source="service",workspace="default",consumer=""}} 2)",
          one.route_id.text()));
}

TEST(RouteMetrics, show_the_state_of_targets) {
  RouteMetrics metrics;
  const TargetState target{"up", "h:80", "192.0.2.1:80", "healthchecks_off"};
  const auto text = text_of(metrics, {&target, 1});
  const std::string labels = R"(kong_upstream_target_health{upstream="up",target="h:80",address="192.0.2.1:80",state=)";
  expect_line(text, labels + R"("healthchecks_off",subsystem="http"} 1)");
  expect_line(text, labels + R"("healthy",subsystem="http"} 0)");
}

TEST(Prometheus, counts_what_its_configuration_asks_for) {
  struct Case {
    std::string config;
    std::vector<std::string> there, absent;
  };
  const std::vector<Case> cases{
      {"{}", {}, {"kong_http_requests_total", "kong_request_latency_ms", "kong_bandwidth_bytes"}},
      {R"({"status_code_metrics":true})", {R"(code="201")", R"(consumer="")"}, {"kong_bandwidth_bytes", "alice"}},
      {R"({"status_code_metrics":true,"per_consumer":true})", {R"(consumer="alice")"}, {}},
      {R"({"latency_metrics":true,"per_consumer":true})", {"kong_kong_latency_ms"}, {"alice", "kong_http_requests"}},
      {R"({"bandwidth_metrics":true})", {R"(direction="egress",workspace="default",consumer=""} 7)"}, {"latency"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config);
    Services services({}, nullptr);
    const auto complete = prometheus().config().complete_config(boost::json::parse(c.config).as_object());
    ASSERT_TRUE(complete);
    const auto plugin = prometheus().make(*complete, {}, services);
    ASSERT_TRUE(plugin);
    FakeExchange x;
    x.consumer_row = std::make_shared<const model::Object>(model::Object{{"id", "c"}, {"username", "alice"}});
    x.ending_.status = 201;
    x.ending_.response_bytes = 7;
    (*plugin)->log(x);  // no route: not counted
    EXPECT_EQ(text_of(services.route_metrics).find("code="), std::string::npos);
    x.route_ = RouteView{Uuid::random(), "r"};
    (*plugin)->log(x);
    const auto text = text_of(services.route_metrics);
    for (const auto& part : c.there) EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    for (const auto& part : c.absent) EXPECT_EQ(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(Prometheus, asks_for_the_state_of_targets_while_an_instance_wants_it) {
  Services services({}, nullptr);
  const auto complete = prometheus().config().complete_config({{"upstream_health_metrics", true}});
  ASSERT_TRUE(complete);
  EXPECT_FALSE(services.route_metrics.target_health_wanted());
  {
    const auto plugin = prometheus().make(*complete, {}, services);
    EXPECT_TRUE(services.route_metrics.target_health_wanted());
  }
  EXPECT_FALSE(services.route_metrics.target_health_wanted());
  EXPECT_NE(faults_of(prometheus(), R"({"ai_metrics":true})"), "");
  EXPECT_NE(faults_of(prometheus(), R"({"wasm_metrics":true})"), "");
}

}  // namespace
}  // namespace weir::plugin
