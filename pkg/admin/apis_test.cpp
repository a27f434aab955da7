#include "admin/fake_node.h"

namespace weir::admin {
namespace {

using Apis = ApiTest;

TEST_F(Apis, are_a_service_and_a_route) {
  const auto made =
      post("/apis/", R"({"name":"hello","hosts":"hello.com, www.hello.com","upstream_url":"http://hello:81/p",
                                       "strip_uri":false,"uris":["/a/","/b\\d+"],"methods":"get","retries":2})");
  ASSERT_EQ(made.status, 201u) << made.body;
  const auto api = made.json().as_object();
  EXPECT_EQ(text_of(api.at("hosts")), R"(["hello.com","www.hello.com"])");
  EXPECT_EQ(text_of(api.at("uris")), R"(["/a","/b\\d+"])");
  EXPECT_EQ(text_of(api.at("methods")), R"(["GET"])");
  EXPECT_EQ(api.at("upstream_url"), "http://hello:81/p");
  EXPECT_EQ(api.at("strip_uri"), false);
  EXPECT_EQ(api.at("https_only"), false);
  EXPECT_EQ(api.at("http_if_terminated"), true);
  EXPECT_EQ(api.at("preserve_host"), false);
  EXPECT_EQ(api.at("upstream_read_timeout"), 60000);
  EXPECT_GT(api.at("created_at").as_int64(), 1'600'000'000'000);
  const auto route = get("/routes/hello").json(), service = get("/services/hello").json();
  EXPECT_EQ(route.at("id"), api.at("id"));
  EXPECT_EQ(text_of(route.at("paths")), R"(["/a","~/b\\d+"])");
  EXPECT_EQ(route.at("service").at("id"), service.at("id"));
  EXPECT_EQ(service.at("retries"), 2);
  EXPECT_EQ(service.at("port"), 81);
  EXPECT_EQ(get("/apis/hello").json(), made.json());
  EXPECT_EQ(node.applied, 1) << "one change";
}

TEST_F(Apis, leave_out_what_is_not_set) {
  const auto made = form("/apis", "name=a&hosts=a.com,b.com&upstream_url=https://h&https_only=true&retries=7");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_FALSE(made.json().as_object().contains("uris"));
  EXPECT_FALSE(made.json().as_object().contains("methods"));
  EXPECT_EQ(made.json().at("retries"), 7);
  EXPECT_EQ(made.json().at("https_only"), true);
  EXPECT_EQ(text_of(get("/routes/a").json().at("protocols")), R"(["https"])");
  EXPECT_EQ(get("/services/a").json().at("port"), 443);
}

TEST_F(Apis, are_refused_in_the_words_of_0_10) {
  struct Case {
    std::string body, answer;
  };
  const std::string rest = R"("name":"x","hosts":"x.com","upstream_url":"http://h")";
  for (const auto& c : std::vector<Case>{
           {R"({"hosts":"x.com","upstream_url":"http://h"})", R"({"name":"name is required"})"},
           {R"({"name":"x","hosts":"x.com"})", R"({"upstream_url":"upstream_url is required"})"},
           {R"({"name":"x","upstream_url":"http://h"})",
            R"({"message":"at least one of 'hosts', 'uris' or 'methods' must be specified"})"},
           {R"({"name":"x","hosts":"x.com","upstream_url":"nonsense"})",
            R"({"upstream_url":"upstream_url is not a url"})"},
           {R"({"name":"x","hosts":"x.com","upstream_url":"ftp://h"})",
            R"({"upstream_url":"Supported protocols are HTTP and HTTPS"})"},
           {"{" + rest + R"(,"foo":1})", R"({"foo":"foo is an unknown field"})"},
           {"{" + rest + R"(,"retries":40000})", R"({"retries":"must be an integer between 0 and 32767"})"},
           {"{" + rest + R"(,"strip_uri":"maybe"})", R"({"strip_uri":"strip_uri is not a boolean"})"},
           {"{" + rest + R"(,"uris":"a"})", R"({"uris":"uri with value 'a' is invalid: must be prefixed with slash"})"},
           {"{" + rest + R"(,"upstream_read_timeout":0})",
            R"({"upstream_read_timeout":"must be an integer between 1 and 2147483647"})"},
       }) {
    const auto reply = post("/apis", c.body);
    EXPECT_EQ(reply.status, 400u) << c.body;
    EXPECT_EQ(reply.body, c.answer);
  }
  EXPECT_EQ(post("/apis", "{" + rest + R"(,"http_if_terminated":false})").status, 400u);
  EXPECT_EQ(
      post("/apis", R"({"name":"x","hosts":"a*b.com","upstream_url":"http://h"})").json().as_object().begin()->key(),
      "hosts");
  EXPECT_EQ(node.applied, 0);
}

TEST_F(Apis, have_unique_names) {
  const std::string body = R"({"name":"x","hosts":"x.com","upstream_url":"http://h"})";
  EXPECT_EQ(post("/apis", body).status, 201u);
  const auto twice = post("/apis", body);
  EXPECT_EQ(twice.status, 409u);
  EXPECT_EQ(twice.body, R"({"name":"already exists with value 'x'"})");
  EXPECT_EQ(get("/services").json().at("data").as_array().size(), 1u) << "nothing half done";
}

TEST_F(Apis, change_their_service_and_their_route) {
  post("/apis", R"({"name":"x","hosts":"x.com","upstream_url":"http://h"})");
  post("/apis", R"({"name":"taken","hosts":"t.com","upstream_url":"http://h"})");
  const auto changed = send("PATCH", "/apis/x", R"({"upstream_url":"http://other:90","uris":"/u","name":"y"})");
  ASSERT_EQ(changed.status, 200u) << changed.body;
  EXPECT_EQ(get("/services/y").json().at("host"), "other");
  EXPECT_EQ(text_of(get("/routes/y").json().at("paths")), R"(["/u"])");
  EXPECT_EQ(text_of(get("/routes/y").json().at("hosts")), R"(["x.com"])");
  EXPECT_EQ(get("/apis/x").status, 404u);
  EXPECT_EQ(send("PATCH", "/apis/y", R"({"name":"taken"})").status, 409u);
  EXPECT_EQ(send("PATCH", "/apis/y", "{}").body, R"({"message":"empty body"})");
  EXPECT_EQ(send("PATCH", "/apis/y", R"({"uris":null,"hosts":""})").status, 400u);
  EXPECT_EQ(send("PATCH", "/apis/none", R"({"uris":"/"})").status, 404u);
}

TEST_F(Apis, are_put_with_or_without_an_id) {
  const auto made = send("PUT", "/apis", R"({"name":"x","hosts":"x.com","upstream_url":"http://h","retries":9})");
  ASSERT_EQ(made.status, 201u);
  const std::string id(made.json().at("id").as_string());
  const auto replaced =
      send("PUT", "/apis/", fmt::format(R"({{"id":"{}","name":"x","uris":"/u","upstream_url":"http://h"}})", id));
  ASSERT_EQ(replaced.status, 200u) << replaced.body;
  EXPECT_FALSE(replaced.json().as_object().contains("hosts"));
  EXPECT_EQ(replaced.json().at("retries"), 5);
  EXPECT_EQ(replaced.json().at("id").as_string(), id);
}

TEST_F(Apis, go_with_their_service_unless_it_is_used_elsewhere) {
  post("/apis", R"({"name":"x","hosts":"x.com","upstream_url":"http://h"})");
  EXPECT_EQ(ask(*api, "DELETE", "/apis/x").status, 204u);
  EXPECT_EQ(get("/services/x").status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/apis/x").status, 404u);
  post("/apis", R"({"name":"x","hosts":"x.com","upstream_url":"http://h"})");
  post("/services/x/routes", R"({"name":"second","paths":["/s"]})");
  EXPECT_EQ(ask(*api, "DELETE", "/apis/x").status, 204u);
  EXPECT_EQ(get("/services/x").status, 200u);
  EXPECT_EQ(ask(*api, "DELETE", "/apis/second").status, 204u);
  EXPECT_EQ(get("/services/x").status, 200u) << "made on its own, stays on its own";
}

TEST_F(Apis, list_all_routes_that_an_api_could_be) {
  for (int i = 0; i < 3; ++i)
    post("/apis", fmt::format(R"({{"name":"a{0}","hosts":"a{0}.com","upstream_url":"http://h{0}"}})", i));
  post("/services", R"({"name":"s","host":"h"})");
  post("/services/s/routes", R"({"name":"today","paths":["/t"]})");
  post("/services/s/routes", R"({"name":"with-headers","paths":["/t"],"headers":{"x":["1"]}})");
  post("/routes", R"({"name":"alone","paths":["/t"]})");
  const auto all = get("/apis").json();
  EXPECT_EQ(all.at("total"), 4);
  EXPECT_EQ(all.at("data").as_array().size(), 4u);
  EXPECT_FALSE(all.as_object().contains("next"));
  auto page = ask(*api, "GET", "/apis?size=3", "", {{"Host", "localhost:8001"}}).json();
  EXPECT_EQ(page.at("total"), 4);
  EXPECT_EQ(page.at("data").as_array().size(), 3u);
  std::string next(page.at("next").as_string());
  ASSERT_TRUE(next.starts_with("http://localhost:8001/apis?offset=")) << next;
  page = get(next.substr(std::string_view("http://localhost:8001").size())).json();
  EXPECT_EQ(page.at("data").as_array().size(), 1u);
  EXPECT_FALSE(page.as_object().contains("next"));
  EXPECT_EQ(get("/apis?upstream_url=http://h1").json().at("total"), 1);
  EXPECT_EQ(get("/apis?hosts=a2.com").json().at("data").at(0).at("name"), "a2");
  const auto unknown = get("/apis?x=1");
  EXPECT_EQ(unknown.status, 400u);
  EXPECT_EQ(unknown.body, R"({"x":"unknown field"})");
  EXPECT_EQ(get("/apis/with-headers").status, 404u);
}

TEST_F(Apis, cannot_be_written_without_a_database) {
  Options options;
  options.database_off = true;
  const auto off = Api::make(*store, node, options, inline_threads());
  const auto reply = ask(*off, "POST", "/apis", R"({"name":"x","hosts":"x.com","upstream_url":"http://h"})", json_type);
  EXPECT_EQ(reply.status, 405u);
  EXPECT_EQ(reply.json().at("code"), 12);
}

}  // namespace
}  // namespace weir::admin
