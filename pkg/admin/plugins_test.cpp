// Plugins, consumers and credentials through the Admin API. The kinds of plugins are the test's own.
#include "admin/fake_node.h"
#include "model/plugin_schemas.h"
#include "model/schema_builder.h"

namespace weir::admin {
namespace {

struct Limit {
  std::optional<std::int64_t> minute;
  std::string policy = "local";
  bool hide = false;
  std::optional<std::vector<std::string>> paths;
};
struct Nothing {};

const model::Schema& limit_schema() {
  static const auto declared = model::SchemaBuilder<Limit>("limit")
                                   .field("minute", &Limit::minute, "How many a minute.")
                                   .field("policy", &Limit::policy, "Where they are counted.")
                                   .field("hide", &Limit::hide, "Whether clients are told.")
                                   .field("paths", &Limit::paths, "Which.")
                                   .build();
  return declared.schema;
}
const model::Schema& gate_schema() {
  static const auto declared = model::SchemaBuilder<Nothing>("gate").build();
  return declared.schema;
}

class Plugins : public ApiTest {
 protected:
  static void SetUpTestSuite() {
    model::install_plugin_schemas({{"limit", &limit_schema(), true, 910}, {"gate", &gate_schema(), false, 1250}});
  }
  static void TearDownTestSuite() { model::install_plugin_schemas({}); }

  std::string id(const Reply& reply) { return std::string(reply.json().at("id").as_string()); }
  Reply patch_form(std::string_view target, std::string body) {
    return ask(*api, "PATCH", target, std::move(body), form_type);
  }
};

TEST_F(Plugins, are_made_from_forms_whose_values_the_plugin_types) {
  ASSERT_EQ(form("/services", "name=example-service&url=http://example.com").status, 201u);
  ASSERT_EQ(form("/services/example-service/routes", "name=r&paths[]=/example").status, 201u);
  const auto made = form("/services/example-service/plugins", "name=limit&config.minute=5&config.hide=true");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.json().at("config").at("minute"), 5);
  EXPECT_EQ(made.json().at("config").at("hide"), true);
  EXPECT_EQ(made.json().at("config").at("policy"), "local");
  EXPECT_TRUE(made.json().at("route").is_null());
  EXPECT_EQ(made.json().at("enabled"), true);
  const auto changed = patch_form("/plugins/" + id(made), "config.minute=7&config.paths=/a");
  ASSERT_EQ(changed.status, 200u) << changed.body;
  EXPECT_EQ(changed.json().at("config").at("minute"), 7);
  EXPECT_EQ(changed.json().at("config").at("hide"), true) << "PATCH merges the configuration";
  EXPECT_EQ(text_of(changed.json().at("config").at("paths")), R"(["/a"])");
  EXPECT_EQ(rows_of(get("/services/example-service/plugins")).size(), 1u);
  EXPECT_EQ(rows_of(get("/plugins")).size(), 1u);
  const auto below = "/services/example-service/plugins/" + id(made);
  EXPECT_EQ(get(below).status, 200u);
  EXPECT_EQ(get("/routes/r/plugins/" + id(made)).status, 404u) << "not of this parent";
  EXPECT_EQ(get("/plugins/" + id(made) + "/service").json().at("name"), "example-service");
  EXPECT_EQ(ask(*api, "DELETE", below).status, 204u);
  EXPECT_EQ(ask(*api, "DELETE", below).status, 404u);
}

TEST_F(Plugins, are_refused_in_kongs_words) {
  const auto unknown = post("/plugins", R"({"name":"none"})");
  EXPECT_EQ(unknown.status, 400u);
  EXPECT_EQ(unknown.json().at("fields").at("name"),
            "plugin 'none' not enabled; add it to the 'plugins' configuration property");
  const auto wrong = form("/plugins", "name=limit&config.minute=many");
  EXPECT_EQ(wrong.status, 400u);
  EXPECT_EQ(wrong.json().at("fields").at("config").at("minute"), "expected an integer") << wrong.body;
  EXPECT_EQ(post("/plugins", R"({"name":"limit","config":{"none":1}})").json().at("fields").at("config").at("none"),
            "unknown field");
  ASSERT_EQ(post("/plugins", R"({"name":"limit"})").status, 201u);
  const auto twice = post("/plugins", R"({"name":"limit"})");
  EXPECT_EQ(twice.status, 409u);
  EXPECT_EQ(twice.json().at("code"), 5);
  EXPECT_EQ(twice.message(), "UNIQUE violation detected on '{consumer=null,name=\"limit\",route=null,service=null}'");
  EXPECT_TRUE(twice.json().at("fields").at("route").is_null());
  EXPECT_EQ(rows_of(get("/plugins")).size(), 1u);
}

TEST_F(Plugins, must_share_a_protocol_with_what_they_are_attached_to) {
  post("/services", R"({"name":"s","host":"h"})");
  EXPECT_EQ(post("/services/s/plugins", R"({"name":"gate","protocols":["http"]})").status, 201u) << "no routes yet";
  post("/services/s/routes", R"({"name":"r","protocols":["https"],"paths":["/"]})");
  const auto on_route = post("/routes/r/plugins", R"({"name":"limit","protocols":["http"]})");
  EXPECT_EQ(on_route.status, 400u);
  EXPECT_EQ(on_route.json().at("fields").at("protocols"), "must match the associated route's protocols");
  const auto on_service = post("/services/s/plugins", R"({"name":"limit","protocols":["http"]})");
  EXPECT_EQ(on_service.json().at("fields").at("protocols"),
            "must match the protocols of at least one route pointing to this Plugin's service");
  EXPECT_EQ(post("/routes/r/plugins", R"({"name":"limit","protocols":["http","https"]})").status, 201u);
}

TEST_F(Plugins, are_found_and_put_by_their_instance_name) {
  const auto made = send("PUT", "/plugins/mine", R"({"name":"limit","config":{"minute":1}})");
  ASSERT_EQ(made.status, 200u) << made.body;
  EXPECT_EQ(made.json().at("instance_name"), "mine");
  EXPECT_EQ(id(get("/plugins/mine")), id(made));
  EXPECT_EQ(id(send("PUT", "/plugins/mine", R"({"name":"limit"})")), id(made));
}

TEST_F(Plugins, describe_themselves) {
  EXPECT_EQ(text_of(get("/plugins/enabled").json()), R"({"enabled_plugins":["limit","gate"]})");
  const auto schema = get("/schemas/plugins/limit");
  EXPECT_EQ(schema.status, 200u);
  EXPECT_NE(schema.body.find("minute"), std::string::npos);
  EXPECT_NE(schema.body.find("protocols"), std::string::npos);
  const auto config = get("/plugins/schema/limit");
  EXPECT_NE(config.body.find("minute"), std::string::npos);
  EXPECT_EQ(config.body.find("protocols"), std::string::npos);
  EXPECT_EQ(get("/plugins/schema/none").message(), "No plugin named 'none'");
  EXPECT_EQ(get("/schemas/plugins/none").status, 404u);
  const auto server = get("/").json().at("plugins").at("available_on_server").at("limit");
  EXPECT_EQ(server.at("priority"), 910);
  EXPECT_EQ(server.at("version"), "3.9.1");
  EXPECT_EQ(post("/schemas/plugins/validate", R"({"name":"limit","config":{"minute":1}})").status, 200u);
  EXPECT_EQ(form("/schemas/plugins/validate", "name=limit&config.minute=1").status, 200u);
  EXPECT_EQ(form("/schemas/plugins/validate", "name=limit&config.minute=x").status, 400u);
  const auto document = get("/openapi.json").json().at("components").at("schemas");
  EXPECT_TRUE(document.at("limit_config").at("properties").as_object().contains("minute"));
  EXPECT_EQ(document.at("plugins").at("properties").at("config").at("anyOf").as_array().size(), 2u);
}

TEST_F(Plugins, of_consumers_keep_to_their_scope) {
  ASSERT_EQ(form("/consumers", "username=bob").status, 201u);
  EXPECT_EQ(post("/consumers/bob/plugins", R"({"name":"limit"})").status, 201u);
  EXPECT_EQ(post("/consumers/bob/plugins", R"({"name":"gate"})").status, 400u);
  EXPECT_EQ(ask(*api, "DELETE", "/consumers/bob").status, 204u);
  EXPECT_TRUE(rows_of(get("/plugins")).empty()) << "they go with their consumer";
}

using Consumers = ApiTest;

TEST_F(Consumers, are_found_by_id_name_and_custom_id) {
  const auto made = form("/consumers", "username=bob&custom_id=4711");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(get("/consumers/bob").json(), made.json());
  const auto listed = get("/consumers?custom_id=4711");
  EXPECT_EQ(listed.status, 200u);
  ASSERT_EQ(rows_of(listed).size(), 1u);
  EXPECT_EQ(rows_of(listed)[0], made.json());
  EXPECT_EQ(get("/consumers?custom_id=none").body, R"({"data":[],"next":null})");
  EXPECT_EQ(get("/consumers?custom_id=").status, 400u);
  EXPECT_EQ(get("/consumers?custom_id=").message(), "custom_id must be an unempty string");
  EXPECT_EQ(post("/consumers", "{}").json().at("fields").at("@entity").at(0),
            "at least one of these fields must be non-empty: 'custom_id', 'username'");
  EXPECT_EQ(form("/consumers", "username=bob").status, 409u);
}

TEST_F(Consumers, have_keys_with_paths_of_their_own) {
  form("/consumers", "username=bob");
  const auto made = form("/consumers/bob/key-auth", "key=secret&tags[]=t");
  ASSERT_EQ(made.status, 201u) << made.body;
  const auto id = std::string(made.json().at("id").as_string());
  EXPECT_EQ(get("/consumers/bob/key-auth/secret").json().at("id").as_string(), id);
  EXPECT_EQ(get("/key-auths/secret").json().at("id").as_string(), id);
  EXPECT_EQ(get("/key-auths/" + id + "/consumer").json().at("username"), "bob");
  EXPECT_EQ(rows_of(get("/key-auths?tags=t")).size(), 1u);
  EXPECT_EQ(get("/keyauth_credentials").status, 404u);
  EXPECT_EQ(post("/consumers/bob/key-auth", "{}").json().at("key").as_string().size(), 32u) << "made up";
  EXPECT_EQ(send("PUT", "/consumers/bob/key-auth/" + id, R"({"key":"other"})").status, 200u);
  EXPECT_EQ(get("/key-auths/secret").status, 404u);
  const auto timed = form("/consumers/bob/key-auth", "key=short&ttl=60");
  ASSERT_EQ(timed.status, 201u) << timed.body;
  EXPECT_EQ(timed.json().at("ttl"), 60);
  const auto left = get("/key-auths/short").json().at("ttl");
  EXPECT_LE(left.as_int64(), 60);
  EXPECT_GE(left.as_int64(), 30);
  const auto page = get("/consumers/bob/key-auth?size=1");
  EXPECT_TRUE(std::string(page.json().at("next").as_string()).starts_with("/consumers/bob/key-auth?offset="))
      << page.body;
  EXPECT_EQ(form("/consumers/none/key-auth", "key=x").status, 404u);
}

TEST_F(Consumers, have_passwords_that_are_stored_hashed) {
  form("/consumers", "username=bob");
  const auto made = form("/consumers/bob/basic-auth", "username=b&password=pw");
  ASSERT_EQ(made.status, 201u) << made.body;
  const auto password = made.json().at("password").as_string();
  EXPECT_EQ(password.size(), 40u) << "SHA-1 in hex";
  EXPECT_EQ(password.find("pw"), password.npos);
  EXPECT_EQ(send("PATCH", "/consumers/bob/basic-auth/b", R"({"tags":["t"]})").json().at("password"), password)
      << "not hashed again";
  const auto changed = send("PATCH", "/consumers/bob/basic-auth/b", R"({"password":"new"})");
  EXPECT_NE(changed.json().at("password"), password);
  EXPECT_EQ(send("PATCH", "/basic-auths/b", R"({"password":"pw"})").json().at("password"), password);
  EXPECT_EQ(send("PUT", "/consumers/bob/basic-auth/b", R"({"password":"pw"})").json().at("password"), password);
}

TEST_F(Consumers, are_in_groups_that_put_makes) {
  form("/consumers", "username=bob");
  form("/consumers", "username=eve");
  const auto made = send("PUT", "/consumers/bob/acls/admins", "{}");
  ASSERT_EQ(made.status, 200u) << made.body;
  EXPECT_EQ(made.json().at("group"), "admins");
  EXPECT_EQ(form("/consumers/eve/acls", "group=admins").status, 201u) << "others may be in it too";
  EXPECT_EQ(get("/consumers/bob/acls/admins").json().at("id"), made.json().at("id"));
  EXPECT_EQ(send("PUT", "/consumers/bob/acls/admins", "{}").json().at("id"), made.json().at("id"));
  EXPECT_EQ(get("/consumers/bob/acls/users").status, 404u);
  EXPECT_EQ(send("PATCH", "/consumers/bob/acls/users", "{}").status, 404u);
  EXPECT_EQ(form("/consumers/bob/acls", "group=admins").status, 409u);
  EXPECT_EQ(rows_of(get("/acls")).size(), 2u);
  EXPECT_EQ(get("/acls/admins").json().at("code"), 1) << "a group alone says nothing";
  EXPECT_EQ(get("/acls/admins").message(), R"(invalid primary key: '{id="admins"}')");
  EXPECT_EQ(ask(*api, "DELETE", "/consumers/bob/acls/admins").status, 204u);
  EXPECT_EQ(ask(*api, "DELETE", "/consumers/bob/acls/admins").status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/consumers/eve").status, 204u);
  EXPECT_TRUE(rows_of(get("/acls")).empty());
}

TEST_F(Consumers, and_their_credentials_are_among_the_endpoints) {
  const auto endpoints = get("/endpoints").body;
  for (const auto* path :
       {"/consumers/{consumers}/key-auth/{keyauth_credentials}", "/key-auths/{keyauth_credentials}/consumer",
        "/basic-auths/{basicauth_credentials}", "/consumers/{consumers}/basic-auth", "/acls/{acls}",
        "/consumers/{consumers}/acls/{acls}", "/services/{services}/plugins/{plugins}",
        "/consumers/{consumers}/plugins", "/plugins/{plugins}/route", "/cache/{key}", "/schemas/plugins/{name}"})
    EXPECT_NE(endpoints.find(fmt::format("\"{}\"", path)), std::string::npos) << path;
  EXPECT_EQ(get("/schemas/keyauth_credentials").status, 200u);
  for (const auto* path : {"/consumer_groups", "/workspaces", "/hmac-auths"}) EXPECT_EQ(get(path).status, 404u) << path;
}

}  // namespace
}  // namespace weir::admin
