#include "metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <regex.h>

#include <map>
#include <optional>
#include <sstream>
#include <vector>

namespace weir::metrics {
namespace {

using testing::Contains;
using testing::Not;

// A POSIX extended regular expression that must fit a whole line; the result is its groups.
class Pattern {
 public:
  explicit Pattern(const char* text) { regcomp(&regex_, text, REG_EXTENDED); }
  std::optional<std::vector<std::string>> match(const std::string& line) const {
    regmatch_t places[6];
    if (regexec(&regex_, line.c_str(), 6, places, 0) != 0) return std::nullopt;
    std::vector<std::string> groups;
    for (const auto& place : places)
      groups.push_back(place.rm_so < 0 ? "" : line.substr(place.rm_so, place.rm_eo - place.rm_so));
    return groups;
  }

 private:
  regex_t regex_;
};

// The exposition read back by its grammar: https://prometheus.io/docs/instrumenting/exposition_formats
struct Scrape {
  std::map<std::string, std::string> types;     // by family
  std::map<std::string, double> values;         // by series, as it is written
  std::map<std::string, std::string> families;  // of each series
  std::vector<std::string> faults;

  explicit Scrape(const std::string& text) {
    std::istringstream lines(text);
    std::string line, family;
    std::map<std::string, bool> has_help;
    if (!text.ends_with('\n')) faults.push_back("the last line has no end");
    while (std::getline(lines, line)) read(line, family, has_help);
  }

 private:
  void read(const std::string& line, std::string& family, std::map<std::string, bool>& has_help) {
    static const Pattern help("^# HELP ([a-z_]+) ([^ ].*\\.)$"), type("^# TYPE ([a-z_]+) (counter|gauge|histogram)$"),
        sample(R"(^([a-z_]+)(\{([a-z_]+="([^"\]|\\[\"n])*",?)*\})? ([^ ]+)$)");
    if (auto found = help.match(line)) {
      const auto& name = (*found)[1];
      if (has_help[name]) faults.push_back("second HELP: " + line);
      has_help[name] = true;
    } else if (auto found = type.match(line)) {
      const auto &name = (*found)[1], &word = (*found)[2];
      if (!has_help[name]) faults.push_back("TYPE without HELP: " + line);
      if (!types.emplace(name, word).second) faults.push_back("second TYPE: " + line);
      family = name;
    } else if (auto found = sample.match(line)) {
      const auto &name = (*found)[1], &labels = (*found)[2], &value = (*found)[5];
      bool mine =
          name == family || (types[family] == "histogram" &&
                             (name == family + "_bucket" || name == family + "_sum" || name == family + "_count"));
      if (!mine) faults.push_back("sample outside its family: " + line);
      if (types[family] == "counter" && !name.ends_with("_total") && name != "kong_bandwidth_bytes")
        faults.push_back("counter without _total: " + line);
      if (!values.emplace(name + labels, std::stod(value)).second) faults.push_back("second sample: " + line);
      families[name + labels] = family;
    } else {
      faults.push_back("no exposition format: " + line);
    }
  }
};

Node node() {
  Node node;
  node.node_id = "3f2c";
  node.version = "0.1.0";
  node.snapshot_revision = 9;
  node.adopted_revision = 8;
  node.routes = 100'000;
  node.resident_bytes = 31'457'281;
  node.dns_stale_answers = 2;
  node.last_change_seconds = 0.0125;
  return node;
}

TEST(Exposition, keeps_to_the_text_format_and_describes_every_family) {
  Counters one, two;
  one.answered_by_upstream[200].add(3);
  two.answered_by_weir[404].add();
  const Counters* workers[] = {&one, &two};
  Scrape scrape(exposition(workers, node()));
  EXPECT_THAT(scrape.faults, testing::IsEmpty());
  EXPECT_GT(scrape.types.size(), 30u);
  for (const auto& [family, type] : scrape.types)
    EXPECT_THAT(scrape.families, Contains(testing::Pair(testing::_, family))) << family << " has no sample";
}

TEST(Exposition, sums_the_workers) {
  Counters one, two;
  one.answered_by_upstream[200].add(3);
  two.answered_by_upstream[200].add(4);
  two.answered_by_weir[404].add(5);
  one.requests_total.add(7);
  two.requests_total.add(5);
  one.bytes_from_clients.add(10);
  two.bytes_to_clients.add(1ull << 40);
  one.connections_accepted.add(6);
  two.connections_accepted.add(2);
  two.connections_refused.add(1);
  one.connections_active.add(5);
  two.connections_idle.add(2);
  one.upstream_connections_idle.add(3);
  one.tls_handshakes.add(4);
  two.tls_handshakes_failed.add(1);
  const Counters* workers[] = {&one, &two};
  auto values = Scrape(exposition(workers, node())).values;
  const std::map<std::string, double> expected{
      {R"(kong_http_requests_total{code="200",source="service"})", 7},
      {R"(kong_http_requests_total{code="404",source="kong"})", 5},
      {R"(kong_nginx_requests_total{node_id="3f2c",subsystem="http"})", 12},
      {R"(kong_nginx_connections_total{node_id="3f2c",subsystem="http",state="accepted"})", 8},
      {R"(kong_nginx_connections_total{node_id="3f2c",subsystem="http",state="handled"})", 7},
      {R"(kong_nginx_connections_total{node_id="3f2c",subsystem="http",state="active"})", 5},
      {R"(kong_nginx_connections_total{node_id="3f2c",subsystem="http",state="writing"})", 3},
      {R"(kong_nginx_connections_total{node_id="3f2c",subsystem="http",state="waiting"})", 2},
      {R"(kong_bandwidth_bytes{direction="ingress"})", 10},
      {R"(kong_bandwidth_bytes{direction="egress"})", 1099511627776.0},
      {R"(kong_node_info{node_id="3f2c",version="0.1.0"})", 1},
      {"kong_datastore_reachable", 1},
      {R"(weir_upstream_connections{state="idle"})", 3},
      {R"(weir_tls_handshakes_total{result="ok"})", 4},
      {R"(weir_tls_handshakes_total{result="failed"})", 1},
      {"weir_connections_refused_total", 1},
      {"weir_snapshot_revision", 9},
      {"weir_snapshot_adopted_revision", 8},
      {"weir_routes", 100'000},
      {"weir_change_seconds", 0.0125},
      {"weir_dns_stale_answers_total", 2},
      {"process_resident_memory_bytes", 31'457'281},
  };
  for (const auto& pair : expected) EXPECT_THAT(values, Contains(pair));
}

TEST(Exposition, shows_only_status_codes_that_occurred) {
  Counters counters;
  counters.answered_by_upstream[599].add();
  const Counters* workers[] = {&counters};
  auto text = exposition(workers, node());
  EXPECT_EQ(text.find("code=\"200\""), text.npos);
  EXPECT_NE(text.find("code=\"599\""), text.npos);
  EXPECT_LT(Scrape(text).values.size(), 120u);
}

TEST(Exposition, makes_histograms_cumulative_and_consistent) {
  Counters one, two;
  one.request_ms.observe_us(1'000);        // le 25
  one.request_ms.observe_us(60'000);       // le 80
  two.request_ms.observe_us(60'000);       // le 80
  two.request_ms.observe_us(100'000'000);  // +Inf
  const Counters* workers[] = {&one, &two};
  auto values = Scrape(exposition(workers, node())).values;
  auto bucket = [&](const std::string& le) { return values.at("kong_request_latency_ms_bucket{le=\"" + le + "\"}"); };
  EXPECT_EQ(bucket("25"), 1);
  EXPECT_EQ(bucket("50"), 1);
  EXPECT_EQ(bucket("80"), 3);
  EXPECT_EQ(bucket("60000"), 3);
  EXPECT_EQ(bucket("+Inf"), 4);
  EXPECT_EQ(values.at("kong_request_latency_ms_count"), 4);
  EXPECT_DOUBLE_EQ(values.at("kong_request_latency_ms_sum"), 100'121.0);
  EXPECT_EQ(values.at("kong_kong_latency_ms_bucket{le=\"750\"}"), 0);
  EXPECT_THAT(values, Not(Contains(testing::Key("kong_upstream_latency_ms_bucket{le=\"1\"}"))));
}

TEST(Exposition, escapes_what_stands_in_labels) {
  auto odd = node();
  odd.node_id = "a\"b\\c\nd";
  odd.store_reachable = false;
  Scrape scrape(exposition({}, odd));
  EXPECT_THAT(scrape.faults, testing::IsEmpty());
  EXPECT_THAT(scrape.values, Contains(testing::Pair(R"(kong_node_info{node_id="a\"b\\c\nd",version="0.1.0"})", 1)));
  EXPECT_EQ(scrape.values.at("kong_datastore_reachable"), 0);
}

}  // namespace
}  // namespace weir::metrics
