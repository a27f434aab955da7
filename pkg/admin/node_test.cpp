#include "admin/fake_node.h"

namespace weir::admin {
namespace {

using NodeEndpoints = ApiTest;

TEST_F(NodeEndpoints, say_what_the_node_is) {
  const auto reply = get("/");
  ASSERT_EQ(reply.status, 200u);
  const auto body = reply.json();
  EXPECT_EQ(body.at("tagline"), "Welcome to Weir");
  EXPECT_EQ(body.at("version"), "3.9.1");
  EXPECT_EQ(body.at("configuration").at("database"), "sqlite");
  EXPECT_EQ(text_of(body.at("plugins")), R"({"available_on_server":{},"enabled_in_cluster":[]})");
  EXPECT_EQ(body.at("node_id").as_string(), node.node_id());
  EXPECT_EQ(reply.header("Server"), "weir/0.1.0");
  EXPECT_EQ(reply.header("Access-Control-Allow-Origin"), "*");
  EXPECT_FALSE(reply.header("X-Kong-Admin-Latency").empty());
}

TEST_F(NodeEndpoints, show_status_and_faults) {
  node.faults = {{"routes", "some-id", "no such column"}};
  post("/upstreams", R"({"name":"u"})");
  const auto body = get("/status").json();
  EXPECT_EQ(body.at("database").at("reachable"), true);
  EXPECT_EQ(body.at("server").at("total_requests"), 42);
  EXPECT_EQ(body.at("weir").at("upstreams"), 1);
  EXPECT_EQ(text_of(body.at("weir").at("faults")),
            R"([{"entity":"routes","id":"some-id","name":null,"message":"no such column"}])");
  EXPECT_TRUE(body.at("memory").at("resident").as_string().ends_with(" MiB"));
  EXPECT_TRUE(get("/status?unit=b").json().at("memory").at("resident").is_number());
  EXPECT_TRUE(get("/status?unit=K&scale=0").json().at("memory").at("resident").as_string().ends_with(" KiB"));
  EXPECT_EQ(get("/status?unit=V").message(), "invalid unit 'V' (expected 'k/K', 'm/M', or 'g/G')");
  EXPECT_EQ(get("/status?scale=99").status, 400u);
  Options off;
  off.database_off = true;
  EXPECT_EQ(ask(*Api::make(*store, node, off, inline_threads()), "GET", "/status")
                .json()
                .at("configuration_hash")
                .as_string(),
            std::string(32, '0'));
}

TEST_F(NodeEndpoints, tell_readiness_on_the_status_listener_only) {
  const auto status = make_status(*store, node, {}, inline_threads());
  EXPECT_EQ(get("/status/ready").status, 404u);
  EXPECT_EQ(ask(*status, "GET", "/status/ready").body, R"({"message":"ready"})");
  node.not_ready = "router builds not yet complete";
  EXPECT_EQ(ask(*status, "GET", "/status/ready").status, 503u);
  EXPECT_EQ(ask(*status, "GET", "/status/ready").message(), "router builds not yet complete");
  EXPECT_EQ(ask(*status, "POST", "/status/ready", "status=up", form_type).status, 400u);
  EXPECT_FALSE(node.draining);
  EXPECT_EQ(ask(*status, "POST", "/status/ready", "status=draining", form_type).status, 204u);
  EXPECT_EQ(ask(*status, "GET", "/status/ready").message(), "draining");
  EXPECT_EQ(ask(*status, "GET", "/services").status, 404u);
  EXPECT_EQ(ask(*status, "POST", "/upstreams", R"({"name":"u"})", json_type).status, 404u);
}

TEST_F(NodeEndpoints, serve_metrics_on_both_listeners) {
  const auto status = make_status(*store, node, {}, inline_threads());
  for (auto* served : {api.get(), status.get()}) {
    const auto reply = ask(*served, "GET", "/metrics");
    EXPECT_EQ(reply.body, "weir_up 1\n");
    EXPECT_EQ(reply.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  }
}

TEST_F(NodeEndpoints, show_addresses_of_an_upstreams_targets) {
  post("/upstreams", R"({"name":"u"})");
  post("/upstreams/u/targets", R"({"target":"10.0.0.1:80","created_at":1000.001,"weight":5})");
  post("/upstreams/u/targets", R"({"target":"gone.example:80","created_at":1000.002})");
  post("/upstreams/u/targets", R"({"target":"10.0.0.2:80","created_at":1000.003,"weight":0})");
  const auto reply = get("/upstreams/u/health");
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.json().at("node_id").as_string(), node.node_id());
  EXPECT_TRUE(reply.json().at("next").is_null());
  const auto rows = reply.json().at("data").as_array();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].at("health"), "HEALTHCHECKS_OFF");
  EXPECT_EQ(rows[1].at("health"), "DNS_ERROR");
  EXPECT_EQ(rows[1].at("data").at("weight").at("available"), 0);
  EXPECT_EQ(rows[2].at("health"), "HEALTHCHECKS_OFF");
  EXPECT_EQ(rows[2].at("target"), "10.0.0.1:80");
  const auto data = rows[2].at("data");
  EXPECT_EQ(data.at("host"), "10.0.0.1");
  EXPECT_EQ(data.at("port"), 80);
  EXPECT_EQ(data.at("dns"), "A");
  EXPECT_EQ(data.at("nodeWeight"), 5);
  EXPECT_EQ(text_of(data.at("weight")), R"({"total":5,"unavailable":0,"available":5})");
  EXPECT_EQ(data.at("addresses").at(0).at("ip"), "10.0.0.1");
  const auto whole = get("/upstreams/u/health?balancer_health=1").json().at("data");
  EXPECT_EQ(whole.at("balancer_health"), "HEALTHY");
  EXPECT_EQ(whole.at("details").at("hosts").as_array().size(), 3u);
  EXPECT_EQ(get("/upstreams/none/health").status, 404u);
  EXPECT_EQ(ask(*make_status(*store, node, {}, inline_threads()), "GET", "/upstreams/u/health").status, 200u);
}

TEST_F(NodeEndpoints, describe_entities) {
  const auto schema = get("/schemas/services");
  ASSERT_EQ(schema.status, 200u);
  EXPECT_TRUE(schema.json().at("fields").is_array());
  EXPECT_EQ(get("/schemas/none").message(), "No entity named 'none'");
  EXPECT_EQ(get("/schemas/none").status, 404u);
  EXPECT_EQ(get("/schemas/plugins/cors").message(), "No plugin named 'cors'");
  EXPECT_EQ(get("/schemas/vaults/env").message(), "No vault named 'env'");
  const auto good = post("/schemas/services/validate", R"({"host":"h"})");
  EXPECT_EQ(good.status, 200u);
  EXPECT_EQ(good.message(), "schema validation successful");
  const auto bad = post("/schemas/services/validate", R"({"host":"h","retries":-1})");
  EXPECT_EQ(bad.status, 400u);
  EXPECT_EQ(bad.json().at("code"), 2);
  EXPECT_EQ(get("/services").json().at("data").as_array().size(), 0u);
  EXPECT_EQ(text_of(get("/plugins/enabled").json()), R"({"enabled_plugins":[]})");
}

TEST_F(NodeEndpoints, list_tags) {
  post("/services", R"({"name":"s","host":"h","tags":["a","b"]})");
  post("/upstreams", R"({"name":"u","tags":["a"]})");
  EXPECT_EQ(get("/tags").json().at("data").as_array().size(), 3u);
  const auto tagged = get("/tags/a").json();
  EXPECT_EQ(tagged.at("data").as_array().size(), 2u);
  EXPECT_EQ(tagged.at("data").at(0).at("tag"), "a");
  EXPECT_EQ(get("/tags/none").json().at("data").as_array().size(), 0u);
  const auto page = get("/tags?size=2").json();
  EXPECT_EQ(page.at("data").as_array().size(), 2u);
  EXPECT_EQ(get(std::string(page.at("next").as_string())).json().at("data").as_array().size(), 1u);
}

TEST_F(NodeEndpoints, list_all_paths_in_order) {
  std::vector<std::string> paths;
  for (const auto& path : rows_of(get("/endpoints"))) paths.emplace_back(path.as_string());
  EXPECT_EQ(paths.front(), "/");
  for (const auto* path : {"/apis/{apis}", "/services/{services}/routes/{routes}", "/routes/{routes}/service",
                           "/upstreams/{upstreams}/targets/all", "/openapi.json", "/status"})
    EXPECT_NE(std::ranges::find(paths, path), paths.end()) << path;
  EXPECT_EQ(std::ranges::find(paths, "/targets"), paths.end());
}

// Every reference of the document must lead somewhere, and every path and method must be one that is served.
TEST_F(NodeEndpoints, publish_an_openapi_document_that_holds) {
  const auto reply = get("/openapi.json");
  ASSERT_EQ(reply.status, 200u);
  const auto document = reply.json();
  EXPECT_EQ(document.at("openapi"), "3.1.0");
  EXPECT_EQ(document.at("info").at("title"), "Weir Admin API");
  const auto& components = document.at("components").at("schemas").as_object();
  const auto text = reply.body;
  const std::string mark = R"("$ref":"#/components/schemas/)";
  int references = 0;
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const auto start = at + mark.size();
    const auto name = text.substr(start, text.find('"', start) - start);
    EXPECT_TRUE(components.contains(name)) << name;
    ++references;
  }
  EXPECT_GT(references, 50);
  for (const auto& [path, item] : document.at("paths").as_object()) {
    const auto allow = ask(*api, "OPTIONS", std::string(path)).header("Allow");
    std::size_t parameters = 0;
    for (const auto& [method, operation] : item.as_object()) {
      if (method == "parameters") {
        parameters = operation.as_array().size();
        continue;
      }
      std::string upper(method);
      std::ranges::transform(upper, upper.begin(), [](char c) { return static_cast<char>(c - 32); });
      EXPECT_NE(allow.find(upper), std::string::npos) << std::string(path) << " " << upper;
      EXPECT_TRUE(operation.at("responses").is_object());
    }
    EXPECT_EQ(parameters, static_cast<std::size_t>(std::ranges::count(path, '{')));
  }
  EXPECT_TRUE(components.at("services").at("properties").as_object().contains("retries"));
}

}  // namespace
}  // namespace weir::admin
