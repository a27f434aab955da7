#include "admin/fake_node.h"
#include "base/uuid.h"

namespace weir::admin {
namespace {

using Entities = ApiTest;

constexpr std::string_view some_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

std::string field(const Reply& reply, std::string_view name) {
  const auto value = reply.json();
  const auto* found = value.as_object().if_contains(name);
  if (!found) return "absent";
  return found->is_string() ? std::string(found->get_string()) : text_of(*found);
}

TEST_F(Entities, answer_the_load_balancer_tutorial) {
  EXPECT_EQ(post("/upstreams/", R"({"name":"hello"})").status, 201u);
  EXPECT_EQ(post("/upstreams/hello/targets", R"({"target": "127.0.0.1:3000", "weight": 100 })").status, 201u);
  EXPECT_EQ(post("/upstreams/hello/targets/", R"({"target": "127.0.0.1:4000", "weight": 100 })").status, 201u);
  const auto api =
      post("/apis/", R"({"name":"hello","hosts":"hello.com","upstream_url":"http://hello","strip_uri":false})");
  EXPECT_EQ(api.status, 201u) << api.body;
  EXPECT_EQ(node.applied, 4);
  ASSERT_TRUE(node.snapshot());
  EXPECT_EQ(node.snapshot()->routes(), 1u);
}

TEST_F(Entities, show_every_declared_field_with_its_default) {
  const auto made = post("/services", R"({"name":"s","url":"https://example.com:8443/base"})");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(field(made, "protocol"), "https");
  EXPECT_EQ(field(made, "port"), "8443");
  EXPECT_EQ(field(made, "path"), "/base");
  EXPECT_EQ(field(made, "retries"), "5");
  EXPECT_EQ(field(made, "connect_timeout"), "60000");
  EXPECT_EQ(field(made, "tags"), "null");
  EXPECT_EQ(field(made, "client_certificate"), "null");
  EXPECT_EQ(field(made, "enabled"), "true");
  EXPECT_EQ(get("/services/s").json(), made.json());
  EXPECT_EQ(get("/services/" + field(made, "id")).json(), made.json());
  EXPECT_EQ(made.header("Content-Type"), "application/json; charset=utf-8");
}

TEST_F(Entities, list_in_pages_that_link_to_the_next) {
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(post("/services", fmt::format(R"({{"name":"s{}","host":"h"}})", i)).status, 201u);
  std::string target = "/services?size=2";
  std::vector<std::string> names;
  int pages = 0;
  while (true) {
    const auto page = get(target);
    ASSERT_EQ(page.status, 200u) << page.body;
    ++pages;
    for (const auto& row : rows_of(page)) names.emplace_back(row.at("name").as_string());
    if (page.json().at("next").is_null()) {
      EXPECT_FALSE(page.json().as_object().contains("offset"));
      break;
    }
    target = std::string(page.json().at("next").as_string());
    EXPECT_TRUE(target.starts_with("/services?offset=")) << target;
    EXPECT_TRUE(target.ends_with("&size=2")) << target;
    ASSERT_LT(pages, 10);
  }
  EXPECT_EQ(pages, 3);
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"s0", "s1", "s2", "s3", "s4"}));
  EXPECT_EQ(get("/routes").body, R"({"data":[],"next":null})");
}

TEST_F(Entities, refuse_bad_page_arguments_in_kongs_words) {
  struct Case {
    std::string target, code, message;
  };
  for (const auto& c : std::vector<Case>{
           {"/services?size=x", "9", "size must be a number"},
           {"/services?size=0", "9", "size must be an integer between 1 and 1000"},
           {"/services?size=-1", "9", "size must be an integer between 1 and 1000"},
           {"/services?size=1001", "9", "size must be an integer between 1 and 1000"},
           {"/services?size=1.5", "9", "size must be an integer between 1 and 1000"},
           {"/services?size=1e9", "9", "size must be an integer between 1 and 1000"},
           {"/services?size=nan", "9", "size must be an integer between 1 and 1000"},
           {"/services?offset=%27%20OR%201%3D1--", "7", "'' OR 1=1--' is not a valid offset: bad base64 encoding"},
           {"/services?tags=", "11", "invalid option (tags: cannot be null)"},
           {"/services?tags=a,b/c", "11", "invalid option (tags: invalid filter syntax)"},
           {"/services?tags=a%00", "11", "invalid option (tags: invalid filter syntax)"},
           {"/services?tags=a,b,c,d,e,f", "11", "invalid option (tags: cannot query more than 5 tags)"},
       }) {
    const auto reply = get(c.target);
    EXPECT_EQ(reply.status, 400u) << c.target;
    EXPECT_EQ(field(reply, "code"), c.code) << c.target << reply.body;
    EXPECT_EQ(reply.message(), c.message) << c.target;
  }
  EXPECT_EQ(text_of(get("/services?tags=a,b/c").json().at("options")), R"({"tags":"invalid filter syntax"})");
}

TEST_F(Entities, filter_lists_by_tags) {
  post("/services", R"({"name":"one","host":"h","tags":["a","b"]})");
  post("/services", R"({"name":"two","host":"h","tags":["b"]})");
  const auto names = [&](std::string_view target) {
    std::string out;
    const auto reply = get(target);
    std::vector<std::string> all;
    for (const auto& row : rows_of(reply)) all.emplace_back(row.at("name").as_string());
    std::ranges::sort(all);
    return fmt::format("{}", fmt::join(all, " "));
  };
  EXPECT_EQ(names("/services?tags=a,b"), "one");
  EXPECT_EQ(names("/services?tags=a/b"), "one two");
  EXPECT_EQ(names("/services?tags=b"), "one two");
  EXPECT_EQ(names("/services?tags=zz"), "");
  const auto page = get("/services?tags=b&size=1");
  EXPECT_TRUE(std::string(page.json().at("next").as_string()).ends_with("&tags=b&size=1")) << page.body;
}

TEST_F(Entities, replace_by_put_and_keep_the_id_of_a_name) {
  const auto made = send("PUT", "/services/s", R"({"host":"a","retries":7})");
  ASSERT_EQ(made.status, 200u) << made.body;
  EXPECT_EQ(field(made, "name"), "s");
  const auto again = send("PUT", "/services/s", R"({"host":"b"})");
  EXPECT_EQ(field(again, "id"), field(made, "id"));
  EXPECT_EQ(field(again, "host"), "b");
  EXPECT_EQ(field(again, "retries"), "5") << "a full replacement takes defaults";
  const auto by_id = send("PUT", fmt::format("/services/{}", some_id), R"({"host":"c"})");
  EXPECT_EQ(by_id.status, 200u);
  EXPECT_EQ(field(by_id, "id"), some_id);
  EXPECT_EQ(field(by_id, "name"), "null");
}

TEST_F(Entities, leave_names_that_another_source_declares_to_it) {
  node.elsewhere = "hello";
  const auto refused = send("POST", "/upstreams", R"({"name":"hello"})");
  EXPECT_EQ(refused.status, 409u);
  EXPECT_EQ(field(refused, "code"), "5");
  EXPECT_EQ(refused.message(),
            "this name is declared by WeirUpstream default/hello; change it there, or take another name");
  EXPECT_EQ(send("POST", "/upstreams", R"({"name":"other"})").status, 201u);
  EXPECT_EQ(send("PATCH", "/upstreams/other", R"({"name":"hello"})").status, 409u);
}

TEST_F(Entities, merge_by_patch) {
  post("/services", R"({"name":"s","host":"a","retries":7,"tags":["x"]})");
  const auto changed = send("PATCH", "/services/s", R"({"host":"b","tags":null})");
  EXPECT_EQ(changed.status, 200u) << changed.body;
  EXPECT_EQ(field(changed, "host"), "b");
  EXPECT_EQ(field(changed, "retries"), "7");
  EXPECT_EQ(field(changed, "tags"), "null");
  const auto missing = send("PATCH", "/services/none", R"({"host":"b"})");
  EXPECT_EQ(missing.status, 404u);
  EXPECT_EQ(field(missing, "code"), "6");
  EXPECT_EQ(missing.message(), R"(could not find the entity with '{name="none"}')");
  EXPECT_EQ(send("PATCH", fmt::format("/services/{}", some_id), "{}").message(),
            fmt::format("could not find the entity with primary key '{{id=\"{}\"}}'", some_id));
}

TEST_F(Entities, delete_idempotently_at_the_top_only) {
  post("/services", R"({"name":"s","host":"a"})");
  post("/upstreams", R"({"name":"u"})");
  EXPECT_EQ(ask(*api, "DELETE", "/services/s").status, 204u);
  EXPECT_EQ(ask(*api, "DELETE", "/services/s").status, 204u);
  EXPECT_EQ(get("/services/s").status, 404u);
  EXPECT_EQ(get("/services/s").body, R"({"message":"Not found"})");
  EXPECT_EQ(ask(*api, "DELETE", "/upstreams/u/targets/h:80").status, 404u);
  EXPECT_TRUE(ask(*api, "DELETE", "/services/s").body.empty());
}

TEST_F(Entities, nest_routes_below_their_service) {
  post("/services", R"({"name":"s","host":"a"})");
  post("/services", R"({"name":"other","host":"a"})");
  const auto made = post("/services/s/routes", R"({"name":"r","paths":["/x"]})");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.json().at("service").at("id"), get("/services/s").json().at("id"));
  EXPECT_EQ(get("/services/s/routes").json().at("data").as_array().size(), 1u);
  EXPECT_EQ(get("/services/other/routes").json().at("data").as_array().size(), 0u);
  EXPECT_EQ(get("/services/s/routes/r").status, 200u);
  EXPECT_EQ(get("/services/other/routes/r").status, 404u);
  EXPECT_EQ(send("PATCH", "/services/other/routes/r", "{}").status, 404u);
  EXPECT_EQ(send("PATCH", "/services/s/routes/r", R"({"paths":["/y"]})").status, 200u);
  EXPECT_EQ(send("PUT", "/services/s/routes/r2", R"({"paths":["/z"]})").status, 200u);
  EXPECT_EQ(get("/services/none/routes").status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/services/s/routes/r2").status, 204u);
  const auto refused = ask(*api, "DELETE", "/services/s");
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(field(refused, "code"), "4");
  EXPECT_EQ(refused.message(), "an existing 'routes' entity references this 'services' entity");
}

TEST_F(Entities, link_nested_pages_as_they_were_asked_for) {
  post("/services", R"({"name":"s","host":"a"})");
  for (int i = 0; i < 3; ++i) post("/services/s/routes", fmt::format(R"({{"paths":["/{}"]}})", i));
  const auto page = get("/services/s/routes/?size=2");
  const std::string next(page.json().at("next").as_string());
  EXPECT_TRUE(next.starts_with("/services/s/routes?offset=")) << next;
  EXPECT_EQ(next.find("size"), std::string::npos);
  EXPECT_EQ(get(next).json().at("data").as_array().size(), 1u);
}

TEST_F(Entities, reach_the_service_of_a_route) {
  post("/services", R"({"name":"s","host":"a"})");
  post("/services/s/routes", R"({"name":"r","paths":["/x"]})");
  post("/routes", R"({"name":"free","paths":["/y"]})");
  EXPECT_EQ(field(get("/routes/r/service"), "name"), "s");
  EXPECT_EQ(get("/routes/free/service").status, 404u);
  EXPECT_EQ(field(send("PATCH", "/routes/r/service", R"({"host":"b"})"), "host"), "b");
  const auto refused = ask(*api, "DELETE", "/routes/r/service");
  EXPECT_EQ(refused.status, 405u);
  EXPECT_EQ(refused.body, R"({"message":"Method not allowed"})");
  const auto bound = send("PUT", "/routes/free/service", R"({"name":"new","host":"n"})");
  EXPECT_EQ(bound.status, 200u) << bound.body;
  EXPECT_EQ(get("/routes/free").json().at("service").at("id"), bound.json().at("id"));
  EXPECT_EQ(field(send("PUT", "/routes/free/service", R"({"name":"new","host":"m"})"), "id"), field(bound, "id"));
}

TEST_F(Entities, take_foreign_keys_by_name) {
  post("/services", R"({"name":"s","host":"a"})");
  EXPECT_EQ(post("/routes", R"({"paths":["/x"],"service":{"name":"s"}})").json().at("service").at("id"),
            get("/services/s").json().at("id"));
  EXPECT_EQ(form("/routes", "paths[]=/y&service.name=s").status, 201u);
  const auto unresolved = post("/routes", R"({"paths":["/x"],"service":{"name":"non-existing"}})");
  EXPECT_EQ(unresolved.status, 400u);
  EXPECT_EQ(field(unresolved, "code"), "13");
  EXPECT_EQ(unresolved.message(),
            "foreign key unresolved (service.name: the foreign key cannot be resolved with "
            "'{name=\"non-existing\"}' for an existing 'services' entity)");
  const auto missing = post("/routes", fmt::format(R"({{"paths":["/x"],"service":{{"id":"{}"}}}})", some_id));
  EXPECT_EQ(missing.status, 400u);
  EXPECT_EQ(field(missing, "code"), "4");
}

TEST_F(Entities, keep_names_unique) {
  post("/services", R"({"name":"s","host":"a"})");
  const auto twice = post("/services", R"({"name":"s","host":"b"})");
  EXPECT_EQ(twice.status, 409u);
  EXPECT_EQ(text_of(twice.json().at("fields")), R"({"name":"s"})");
  EXPECT_EQ(twice.message(), R"(UNIQUE violation detected on '{name="s"}')");
  EXPECT_EQ(node.applied, 1);
}

TEST_F(Entities, hold_targets_of_an_upstream) {
  post("/upstreams", R"({"name":"u"})");
  const auto made = post("/upstreams/u/targets", R"({"target":"example.com"})");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(field(made, "target"), "example.com:8000");
  EXPECT_EQ(field(made, "weight"), "100");
  EXPECT_EQ(post("/upstreams/u/targets", R"({"target":"example.com:8000"})").status, 409u);
  EXPECT_EQ(form("/upstreams/u/targets", "target=127.0.0.1:80&weight=0").status, 201u);
  EXPECT_EQ(form("/upstreams/u/targets", "target=[::1]:80").status, 201u);
  const auto list = get("/upstreams/u/targets");
  ASSERT_EQ(list.json().at("data").as_array().size(), 3u);
  EXPECT_NE(list.body.find("[0000:0000:0000:0000:0000:0000:0000:0001]:80"), std::string::npos);
  EXPECT_EQ(get("/upstreams/u/targets/all").json().at("data").as_array().size(), 3u);
  EXPECT_EQ(get("/upstreams/u/targets/[::1]:80").status, 200u);
  EXPECT_EQ(get("/upstreams/u/targets/%5B::1%5D%3A80").status, 200u);
  EXPECT_EQ(get("/upstreams/u/targets/example.com").status, 200u);
  const auto changed = send("PUT", "/upstreams/u/targets/example.com:8000", R"({"weight":7})");
  EXPECT_EQ(changed.status, 200u) << changed.body;
  EXPECT_EQ(field(changed, "weight"), "7");
  EXPECT_EQ(field(changed, "id"), field(made, "id"));
  EXPECT_EQ(send("PUT", "/upstreams/u/targets/none:80", R"({"weight":7})").status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/upstreams/u/targets/example.com:8000").status, 204u);
  EXPECT_EQ(get("/upstreams/u/targets/" + field(made, "id")).status, 404u);
  EXPECT_EQ(get("/targets").status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/upstreams/u").status, 204u);
}

TEST_F(Entities, list_targets_newest_first) {
  post("/upstreams", R"({"name":"u"})");
  for (const auto& [target, made] : {std::pair{"b", 1000.002}, {"c", 1000.003}, {"a", 1000.001}}) {
    const auto reply =
        post("/upstreams/u/targets", fmt::format(R"({{"target":"{}","created_at":{:.3f}}})", target, made));
    ASSERT_EQ(reply.status, 201u) << reply.body;
  }
  std::string order;
  for (const auto& row : rows_of(get("/upstreams/u/targets"))) order += row.at("target").as_string().front();
  EXPECT_EQ(order, "cba");
  const auto page = get("/upstreams/u/targets?size=2");
  EXPECT_EQ(rows_of(page).size(), 2u);
  EXPECT_EQ(rows_of(get(std::string(page.json().at("next").as_string()))).at(0).at("target"), "a:8000");
}

TEST_F(Entities, refuse_keys_that_could_not_be_a_name) {
  const auto reply = get("/upstreams/1.2.3.4");
  EXPECT_EQ(reply.status, 400u);
  EXPECT_EQ(field(reply, "code"), "10");
  EXPECT_EQ(field(reply, "name"), "invalid unique name");
  EXPECT_EQ(reply.message(), "Invalid name ('1.2.3.4'); no ip addresses allowed");
}

TEST_F(Entities, say_all_faults_at_once) {
  const auto reply = post("/services", R"({"created_at":0,"id":"not-a-uuid","ws_id":"x","foo":1,"retries":"x"})");
  EXPECT_EQ(reply.status, 400u);
  EXPECT_EQ(field(reply, "code"), "2");
  const auto fields = reply.json().at("fields").as_object();
  EXPECT_EQ(fields.at("foo"), "unknown field");
  EXPECT_EQ(fields.at("ws_id"), "unknown field");
  EXPECT_EQ(fields.at("host"), "required field missing");
  EXPECT_EQ(fields.at("retries"), "expected an integer");
  EXPECT_TRUE(fields.contains("id"));
  EXPECT_EQ(node.applied, 0);
}

TEST_F(Entities, type_forms_by_the_schema) {
  EXPECT_EQ(form("/services", "name=f&host=h&retries=3&enabled=true&tags=one&path=").status, 201u);
  const auto made = get("/services/f");
  EXPECT_EQ(field(made, "retries"), "3");
  EXPECT_EQ(field(made, "tags"), R"(["one"])");
  EXPECT_EQ(field(made, "path"), "null");
  const auto route =
      form("/services/f/routes", "hosts[1]=a.com&hosts[2]=b.com&methods[]=GET&methods[]=POST&headers.x-a[]=1");
  EXPECT_EQ(route.status, 201u) << route.body;
  EXPECT_EQ(field(route, "hosts"), R"(["a.com","b.com"])");
  EXPECT_EQ(field(route, "headers"), R"({"x-a":["1"]})");
  EXPECT_EQ(post("/services", R"({"host":"h","retries":"3"})").status, 400u) << "JSON is never inferred";
}

TEST_F(Entities, refuse_bodies_that_cannot_be_read) {
  struct Case {
    Headers headers;
    std::string body;
    unsigned status;
    std::string answer;
  };
  const std::string json_fault = R"({"message":"Cannot parse JSON body"})";
  std::string deep(100'000, '['), objects;
  for (int i = 0; i < 50'000; ++i) objects += R"({"a":)";
  for (const auto& c : std::vector<Case>{
           {json_type, "", 400, json_fault},
           {json_type, "{", 400, json_fault},
           {json_type, "[]", 400, json_fault},
           {json_type, "{} {}", 400, json_fault},
           {json_type, deep, 400, json_fault},
           {json_type, objects, 400, json_fault},
           {json_type, R"({"retries":1e999999})", 400, json_fault},
           {json_type, "{\"name\":\"\xff\"}", 400, json_fault},
           {json_type, R"({"name":"\ud800"})", 400, json_fault},
           {{{"Content-Type", "text/plain"}}, "x", 415, ""},
           {{}, "x", 415, ""},
           {{{"Content-Type", "application/json"}, {"content-type", "application/json"}},
            "{}",
            400,
            R"({"message":"Multiple Content-Type headers not allowed"})"},
       }) {
    const auto reply = ask(*api, "POST", "/services", c.body, c.headers);
    EXPECT_EQ(reply.status, c.status) << c.body.substr(0, 40);
    EXPECT_EQ(reply.body, c.answer) << c.body.substr(0, 40);
  }
  EXPECT_EQ(field(ask(*api, "POST", "/services"), "code"), "2") << "no body and no type: just an empty input";
  std::string many;
  for (int i = 0; i < 1001; ++i) many += fmt::format("a{}=1&", i);
  EXPECT_EQ(form("/services", many).message(), "Too many arguments");
  EXPECT_EQ(get("/services?" + many).message(), "Too many arguments");
}

// Whatever bytes come in, an answer is valid JSON (json() checks that).
TEST_F(Entities, repeat_no_broken_text) {
  for (const auto* target :
       {"/services/%ff", "/services?offset=%ff", "/services?tags=%ff", "/services?size=%ff", "/schemas/%ff",
        "/status?unit=%ff", "/status?scale=%ff", "/apis?%ff=1", "/apis?offset=%ff", "/upstreams/%c0%80", "/tags/%ff"})
    EXPECT_EQ(get(target).json().is_object() && get(target).status >= 200, true) << target;
  for (const auto* body : {"%ff=1", "name=%ff&host=h", "host=%ff", "tags=%ff", "service.name=%ff&paths[]=/x"})
    for (const auto* target : {"/services", "/routes", "/apis", "/schemas/services/validate"}) {
      const auto reply = form(target, body);
      EXPECT_EQ(reply.status, 400u) << target << ' ' << body;
      EXPECT_TRUE(reply.json().is_object());
    }
  EXPECT_EQ(form("/apis", "name=x&hosts=%ff&upstream_url=http://h&uris=/%ff").json().is_object(), true);
  EXPECT_EQ(form("/apis", "name=x&uris=%ff&upstream_url=http://h").json().is_object(), true);
  EXPECT_EQ(get("/services/%00").status, 400u);
}

TEST_F(Entities, answer_head_options_and_wrong_methods) {
  EXPECT_EQ(ask(*api, "HEAD", "/services").status, 200u);
  const std::vector<std::pair<std::string, std::string>> allowed{
      {"/", "GET, HEAD, OPTIONS"},
      {"/services", "GET, HEAD, OPTIONS, POST"},
      {"/services/", "GET, HEAD, OPTIONS, POST"},
      {"/services/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"},
      {"/upstreams/u/targets/t", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"},
      {"/upstreams/u/targets/all", "GET, HEAD, OPTIONS"},
  };
  for (const auto& [path, methods] : allowed) {
    const auto reply = ask(*api, "OPTIONS", path);
    EXPECT_EQ(reply.status, 204u) << path;
    EXPECT_EQ(reply.header("Allow"), methods) << path;
    EXPECT_EQ(reply.header("Access-Control-Allow-Methods"), methods) << path;
    EXPECT_EQ(reply.header("Access-Control-Allow-Headers"), "Content-Type");
  }
  EXPECT_EQ(ask(*api, "OPTIONS", "/none").status, 404u);
  EXPECT_EQ(ask(*api, "DELETE", "/services").status, 405u);
  EXPECT_EQ(ask(*api, "BREW", "/services").body, R"({"message":"Method not allowed"})");
  for (const auto* path : {"/none", "/services/a/b", "/vaults", "/workspaces", "//services", "/services//"})
    EXPECT_EQ(get(path).status, 404u) << path;
  EXPECT_EQ(get("/services/%zz").status, 400u);
  EXPECT_EQ(get("/services/%27%3BDROP").status, 400u) << "no such name can be";
}

TEST_F(Entities, answer_a_write_once_it_is_in_force) {
  node.hold = true;
  Reply reply;
  Request request;
  request.method = "POST";
  request.path = "/upstreams";
  request.headers = json_type;
  request.body = R"({"name":"u"})";
  api->handle(request, [&](Response r) { reply.status = r.status; });
  EXPECT_EQ(reply.status, 0u);
  ASSERT_EQ(node.held.size(), 1u);
  node.held.front()();
  EXPECT_EQ(reply.status, 201u);
}

TEST_F(Entities, answer_a_write_after_its_bound_when_no_worker_takes_it) {
  node.hold = true;
  Reply reply;
  std::move_only_function<void()> deadline;
  Request request;
  request.method = "POST";
  request.path = "/upstreams";
  request.headers = json_type;
  request.body = R"({"name":"u"})";
  request.after = [&](std::chrono::milliseconds delay, std::move_only_function<void()> work) -> std::shared_ptr<void> {
    EXPECT_EQ(delay.count(), 2000);
    deadline = std::move(work);
    return std::make_shared<int>(0);
  };
  int answers = 0;
  api->handle(std::move(request), [&](Response r) {
    reply.status = r.status;
    ++answers;
  });
  ASSERT_TRUE(deadline);
  deadline();
  EXPECT_EQ(reply.status, 201u);
  node.held.front()();
  EXPECT_EQ(answers, 1);
}

TEST_F(Entities, refuse_writes_without_a_database) {
  post("/services", R"({"name":"s","host":"h"})");
  Options options;
  options.database_off = true;
  const auto off = Api::make(*store, node, options, inline_threads());
  struct Case {
    std::string method, path, message;
  };
  for (const auto& c : std::vector<Case>{
           {"POST", "/routes", "cannot create 'routes' entities when not using a database"},
           {"PUT", "/routes/x", "cannot create or update 'routes' entities when not using a database"},
           {"PUT", "/upstreams/u/targets/t", "cannot create or update 'targets' entities when not using a database"},
           {"PATCH", "/services/s", "cannot update 'services' entities when not using a database"},
           {"DELETE", "/services/s", "cannot delete 'services' entities when not using a database"},
           {"POST", "/services/s/routes", "cannot create 'routes' entities when not using a database"},
       }) {
    const auto reply = ask(*off, c.method, c.path, R"({"paths":["/"]})", json_type);
    EXPECT_EQ(reply.status, 405u) << c.path;
    EXPECT_EQ(field(reply, "code"), "12");
    EXPECT_EQ(reply.message(), c.message);
  }
  EXPECT_EQ(ask(*off, "GET", "/services/s").status, 200u);
}

}  // namespace
}  // namespace weir::admin
