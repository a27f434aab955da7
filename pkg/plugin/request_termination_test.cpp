#include <unistd.h>

#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

const std::string json_type = "application/json; charset=utf-8";

TEST(RequestTermination, answers_instead_of_the_upstream) {
  struct Case {
    std::string config;
    int status;
    std::string type, body;
  };
  const Case cases[] = {
      {"{}", 503, json_type, R"({"message":"Service unavailable"})"},
      {R"({"status_code":401})", 401, json_type, R"({"message":"Unauthorized"})"},
      {R"({"status_code":404})", 404, json_type, R"({"message":"Not found"})"},
      {R"({"status_code":405})", 405, json_type, R"({"message":"Method not allowed"})"},
      {R"({"status_code":500})", 500, json_type, R"({"message":"An unexpected error occurred"})"},
      {R"({"status_code":502})", 502, json_type, R"({"message":"Bad Gateway"})"},
      {R"({"status_code":204})", 204, "", ""},
      {R"({"status_code":406,"message":"a \"b\""})", 406, json_type, R"({"message":"a \"b\""})"},
      {R"({"status_code":200,"body":"<h1>x</h1>","content_type":"text/html"})", 200, "text/html", "<h1>x</h1>"},
      {R"({"body":"{\"code\": 1}"})", 503, json_type, R"({"code": 1})"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config);
    FakeExchange x;
    EXPECT_EQ(x.run_access(*make_plugin(request_termination(), c.config)), Step::done);
    EXPECT_EQ(x.answered, c.status);
    EXPECT_EQ(x.answer_type, c.type);
    EXPECT_EQ(x.answer, c.body);
    EXPECT_FALSE(x.by_error);
  }
}

TEST(RequestTermination, waits_for_its_trigger) {
  const auto plugin = make_plugin(request_termination(), R"({"trigger":"X-Stop"})");
  FakeExchange none, header, query, flag;
  none.query_ = "a=X-Stop";
  header.with("x-stop", "");
  query.query_ = "a&X-Stop=1";
  flag.query_ = "X-Stop";
  EXPECT_EQ(none.run_access(*plugin), Step::next);
  EXPECT_EQ(header.run_access(*plugin), Step::done);
  EXPECT_EQ(query.run_access(*plugin), Step::done);
  EXPECT_EQ(flag.run_access(*plugin), Step::done);
}

TEST(RequestTermination, echoes_the_request_and_what_it_matched) {
  const auto plugin = make_plugin(request_termination(), R"({"echo":true,"status_code":400,"message":"look"})");
  for (const bool slow : {false, true}) {
    FakeExchange x;
    x.slow = slow;
    x.method_ = "POST";
    x.path_ = "/p";
    x.query_ = "a=1&a=%32&b";
    x.with("X-One", "1").with("x-two", "2").with("X-Two", "3");
    x.with_body("application/json", R"({"k":[1]})");
    x.route_ = RouteView{*Uuid::parse(alice_id), "r"};
    x.service_ = ServiceView{
        .id = *Uuid::parse(guest_id), .name = "", .protocol = "http", .host = "h", .path = "/s", .port = 81};
    EXPECT_EQ(x.run_access(*plugin), Step::done);
    EXPECT_EQ(x.answered, 400);
    EXPECT_EQ(x.answer_type, json_type);
    const auto said = boost::json::parse(x.answer);
    EXPECT_EQ(said.at("message"), "look");
    EXPECT_EQ(said.at("kong").at("worker_pid"), ::getpid());
    const auto& request = said.at("request");
    EXPECT_EQ(request.at("method"), "POST");
    EXPECT_EQ(request.at("path"), "/p");
    EXPECT_EQ(request.at("scheme"), "http");
    EXPECT_EQ(request.at("host"), "example.com");
    EXPECT_EQ(request.at("port"), 80);
    EXPECT_EQ(request.at("query"), boost::json::parse(R"({"a":["1","2"],"b":true})"));
    EXPECT_EQ(request.at("headers"),
              boost::json::parse(R"({"x-one":"1","x-two":["2","3"],"content-type":"application/json"})"));
    EXPECT_EQ(request.at("body"), boost::json::parse(R"({"k":[1]})"));
    EXPECT_EQ(request.at("raw_body"), R"({"k":[1]})");
    EXPECT_EQ(said.at("matched_route"), boost::json::parse(fmt::format(R"({{"id":"{}","name":"r"}})", alice_id)));
    EXPECT_EQ(said.at("matched_service").at("host"), "h");
    EXPECT_TRUE(said.at("matched_service").at("name").is_null());
  }
}

TEST(RequestTermination, echoes_nothing_that_json_cannot_carry) {
  const auto plugin = make_plugin(request_termination(), R"({"echo":true})");
  FakeExchange x;
  x.query_ = "a=%ff&%fe=1&ok=1";
  x.with("X-Bytes", "\xff");
  x.with_body("application/octet-stream", "\xff\x00\x01");
  EXPECT_EQ(x.run_access(*plugin), Step::done);
  const auto said = boost::json::parse(x.answer);
  EXPECT_EQ(said.at("request").at("query"), boost::json::parse(R"({"ok":"1"})"));
  EXPECT_FALSE(said.at("request").as_object().contains("raw_body"));
  EXPECT_FALSE(said.at("request").at("headers").as_object().contains("x-bytes"));
}

TEST(RequestTermination, says_what_is_wrong_with_a_configuration) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"message":"a","body":"b"})", "message cannot be used with content_type or body"},
      {R"({"message":"a","content_type":"b"})", "message cannot be used with content_type or body"},
      {R"({"content_type":"b"})", "content_type requires a body"},
      {R"({"echo":true,"body":"b"})", "echo cannot be used with content_type and body"},
      {R"({"status_code":99})", "value should be between 100 and 599"},
      {R"({"status_code":"x"})", "expected an integer"},
      {R"({"trigger":"a b"})", "trigger"},
      {R"({"content_type":"a\r\nb","body":"x"})", "content_type"},
  };
  for (const auto& [config, wrong] : cases)
    EXPECT_NE(faults_of(request_termination(), config).find(wrong), std::string::npos)
        << config << " " << faults_of(request_termination(), config);
}

}  // namespace
}  // namespace weir::plugin
