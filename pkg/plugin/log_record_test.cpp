#include "plugin/log_record.h"

#include <gtest/gtest.h>

#include "plugin/fake_exchange.h"

namespace weir::plugin {
namespace {

boost::json::object record(const FakeExchange& x) {
  std::string line = "what was there before";
  print_log_record(line, x);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  boost::json::error_code wrong;
  auto value = boost::json::parse(line, wrong);
  EXPECT_FALSE(wrong) << wrong.message() << " " << line;
  return wrong ? boost::json::object() : value.as_object();
}

FakeExchange whole() {
  FakeExchange x;
  x.path_ = "/a%20b";
  x.query_ = "x=1&x=2&flag&y=a+b%26c";
  x.port_ = 8000;
  x.with("Host", "example.com").with("Authorization", "Basic c2VjcmV0").with("proxy-authorization", "also-secret");
  x.with("X-Many", "1").with("x-many", "2");
  x.response_headers_ = {{"Content-Type", "text/plain"}, {"Set-Cookie", "a"}, {"Set-Cookie", "b"}};
  x.upstream_path_ = "/up";
  x.route_ = RouteView{*Uuid::parse("10000000-0000-4000-8000-000000000000"), "the-route"};
  x.service_ = ServiceView{
      *Uuid::parse("20000000-0000-4000-8000-000000000000"), "the-service", "http", "upstream", "/p", 80, 5, 1, 2, 3};
  x.consumer_row = std::make_shared<const model::Object>(
      boost::json::parse(R"({"id":"c","username":"alice","tags":null})").as_object());
  x.credential_row = std::make_shared<const model::Object>(
      boost::json::parse(R"({"id":"k","consumer":{"id":"c"},"key":"top-secret"})").as_object());
  static const Try tries[]{{"192.0.2.9", 80, 1'700'000'000'001, 1500, 502},
                           {"192.0.2.10", 81, 1'700'000'000'003, 700, 0}};
  x.ending_ = {.status = 201,
               .upstream_status = 200,
               .from_upstream = true,
               .started_ms = 1'700'000'000'000,
               .total_us = 9000,
               .weir_us = 2100,
               .upstream_us = 5900,
               .upstream_asked = true,
               .request_bytes = 123,
               .response_bytes = 456,
               .tries = tries};
  return x;
}

TEST(LogRecord, is_kongs_log_object) {
  const auto log = record(whole());
  const auto expected = boost::json::parse(R"({
    "request": {"id": "0123456789abcdef0123456789abcdef", "uri": "/a%20b?x=1&x=2&flag&y=a+b%26c",
      "url": "http://example.com:8000/a%20b?x=1&x=2&flag&y=a+b%26c",
      "querystring": {"x": ["1", "2"], "flag": true, "y": "a b&c"}, "method": "GET",
      "headers": {"host": "example.com", "authorization": "REDACTED", "proxy-authorization": "REDACTED",
        "x-many": ["1", "2"]}, "size": 123},
    "upstream_uri": "/up?x=1&x=2&flag&y=a+b%26c", "upstream_status": "200",
    "response": {"status": 201, "headers": {"content-type": "text/plain", "set-cookie": ["a", "b"]}, "size": 456},
    "latencies": {"kong": 2, "proxy": 5, "request": 9, "receive": 1},
    "tries": [{"balancer_start": 1700000000001, "balancer_start_ns": 1700000000001000000, "balancer_latency": 1,
        "balancer_latency_ns": 1500000, "ip": "192.0.2.9", "port": 80, "state": "failed", "code": 502},
      {"balancer_start": 1700000000003, "balancer_start_ns": 1700000000003000000, "balancer_latency": 0,
        "balancer_latency_ns": 700000, "ip": "192.0.2.10", "port": 81}],
    "route": {"id": "10000000-0000-4000-8000-000000000000", "name": "the-route"},
    "service": {"id": "20000000-0000-4000-8000-000000000000", "name": "the-service", "protocol": "http",
      "host": "upstream", "port": 80, "path": "/p", "retries": 5, "connect_timeout": 1, "write_timeout": 2,
      "read_timeout": 3},
    "consumer": {"id": "c", "username": "alice", "tags": null},
    "authenticated_entity": {"id": "k", "consumer_id": "c"},
    "client_ip": "192.0.2.1", "started_at": 1700000000000, "source": "upstream", "workspace_name": "default"})");
  EXPECT_EQ(boost::json::value(log), expected) << boost::json::serialize(log);
}

TEST(LogRecord, tells_no_credential) {
  std::string line;
  print_log_record(line, whole());
  for (const auto secret : {"c2VjcmV0", "also-secret", "top-secret"})
    EXPECT_EQ(line.find(secret), std::string::npos) << secret;
}

TEST(LogRecord, of_a_request_that_reached_no_upstream_has_no_part_of_it) {
  FakeExchange x;
  x.ending_.status = 404;
  const auto log = record(x);
  for (const auto name : {"upstream_uri", "upstream_status", "route", "service", "consumer", "authenticated_entity"})
    EXPECT_FALSE(log.contains(name)) << name;
  EXPECT_EQ(log.at("latencies").at("proxy").to_number<int>(), -1);
  EXPECT_EQ(log.at("source").as_string(), "kong");
  EXPECT_TRUE(log.at("tries").as_array().empty());
}

TEST(LogRecord, is_valid_json_whatever_the_bytes_are) {
  const std::pair<std::string, std::string> cases[] = {
      {"quote\"back\\slash\ttab\x01\x7f", "quote\"back\\slash\ttab\x01\x7f"},
      {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
      {"a\xff\xfe z", "a\xef\xbf\xbd\xef\xbf\xbd z"},
      {"cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                  // overlong
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  // surrogate
      {"\xf5\x80\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
  };
  for (const auto& [sent, logged] : cases) {
    FakeExchange x;
    x.with("x", sent);
    EXPECT_EQ(record(x).at("request").at("headers").at("x").as_string(), logged);
  }
}

}  // namespace
}  // namespace weir::plugin
