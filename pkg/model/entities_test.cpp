// The rules of each entity, in Kong's words, and what this version refuses.
#include "model/entities.h"

#include <gtest/gtest.h>

#include <chrono>

#include <fmt/format.h>

#include "model/rules.h"

namespace weir::model {
namespace {

namespace json = boost::json;

constexpr double now = 1700000000;

Object object(std::string_view text) {
  return json::parse(text).as_object();
}

struct Refusal {
  std::string_view input, fields;
};

void refuses(const Schema& schema, std::initializer_list<Refusal> cases) {
  for (const auto& c : cases) {
    const auto made = schema.insert(object(c.input), now);
    ASSERT_FALSE(made) << c.input;
    EXPECT_EQ(made.error().fields, object(c.fields)) << c.input << "\n" << json::serialize(made.error().fields);
  }
}

void accepts(const Schema& schema, std::initializer_list<std::string_view> cases) {
  for (const auto input : cases) {
    const auto made = schema.insert(object(input), now);
    EXPECT_TRUE(made) << input << "\n" << (made ? "" : made.error().message);
    EXPECT_TRUE(made && schema.check(*made)) << input;
  }
}

TEST(Services, url_stands_for_four_fields) {
  struct {
    std::string_view url, protocol, host;
    int port;
    json::value path;
  } const cases[] = {
      {"http://example.com", "http", "example.com", 80, nullptr},
      {"https://example.com", "https", "example.com", 443, nullptr},
      {"http://example.com:8080/a/b", "http", "example.com", 8080, "/a/b"},
      {"http://hello/", "http", "hello", 80, "/"},
      {"//example.com:443", "https", "example.com", 443, nullptr},
      {"//example.com:80/x", "http", "example.com", 80, "/x"},
      {"HTTP://example.com", "http", "example.com", 80, nullptr},
      {"http://[::1]:81/x", "http", "::1", 81, "/x"},
      {"http://[::1]", "http", "::1", 80, nullptr},
  };
  for (const auto& c : cases) {
    const auto made = schema<Service>().insert(Object{{"url", c.url}}, now);
    ASSERT_TRUE(made) << c.url << made.error().message;
    const auto service = read<Service>(*made);
    EXPECT_EQ(service.protocol, c.protocol);
    EXPECT_EQ(service.host, c.host);
    EXPECT_EQ(service.port, c.port);
    EXPECT_EQ(made->at("path"), c.path);
    EXPECT_FALSE(made->contains("url"));
  }
}

TEST(Services, url_in_a_patch_clears_the_path) {
  auto made = schema<Service>().insert(object(R"x({"url":"http://a/x"})x"), now);
  auto changed = schema<Service>().update(*made, object(R"x({"url":"https://b"})x"), now);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->at("port"), 443);
  EXPECT_TRUE(changed->at("path").is_null());
}

TEST(Services, refuse_what_kong_refuses) {
  refuses(
      schema<Service>(),
      {
          {R"x({})x", R"x({"host":"required field missing"})x"},
          {R"x({"url":7})x", R"x({"url":"expected a string","host":"required field missing"})x"},
          {R"x({"url":"xxx"})x", R"x({"host":"required field missing","path":"should start with: /"})x"},
          {R"x({"url":"localhost:8000"})x",
           R"x({"host":"required field missing","path":"should start with: /",
           "protocol":"expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"})x"},
          {R"x({"url":"http://h:x"})x", R"x({"port":"expected an integer"})x"},
          {R"x({"url":"http://h:70000"})x", R"x({"port":"value should be between 0 and 65535"})x"},
          {R"x({"url":"http://h/?a=b"})x",
           R"x({"url":"query and fragment are not supported in 'url'","host":"required field missing"})x"},
          {R"x({"url":"http://u:p@h/"})x",
           R"x({"url":"user information is not supported in 'url'","host":"required field missing"})x"},
          {R"x({"host":"h:80"})x", R"x({"host":"must not have a port"})x"},
          {R"x({"host":"h","retries":-1,"connect_timeout":0,"read_timeout":2147483647})x",
           R"x({"retries":"value should be between 0 and 32767","connect_timeout":"value should be between 1 and 2147483646",
           "read_timeout":"value should be between 1 and 2147483646"})x"},
          {R"x({"host":"h","enabled":null})x", R"x({"enabled":"required field missing"})x"},
          {R"x({"host":"h","tls_verify":false})x",
           R"x({"@entity":["failed conditional validation given value of field 'protocol'"],"tls_verify":"value must be null"})x"},
          {R"x({"host":"h","protocol":"https","ca_certificates":["x"],"tls_verify_depth":65})x",
           R"x({"ca_certificates":["expected a valid UUID"],"tls_verify_depth":"value should be between 0 and 64"})x"},
      });
  const auto made = schema<Service>().insert(object(R"x({"host":"h","protocol":"grpc","path":"/x"})x"), now);
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().fields.contains("protocol"));
}

TEST(Services, refuse_what_this_version_cannot_honour) {
  refuses(
      schema<Service>(),
      {
          {R"x({"host":"h","protocol":"tcp"})x",
           R"x({"protocol":"value 'tcp' is not supported by this version of Weir; use http or https"})x"},
          {R"x({"host":"h","protocol":"https","tls_verify":true})x",
           R"x({"tls_verify":"value true is not supported by this version of Weir; leave tls_verify out or set it to false"})x"},
          {R"x({"host":"h","protocol":"https","tls_verify_depth":1})x",
           R"x({"tls_verify_depth":"value 1 is not supported by this version of Weir; leave tls_verify_depth out"})x"},
          {R"x({"host":"h","protocol":"https","ca_certificates":["a1234567-0000-4000-8000-00000000000f"]})x",
           R"x({"ca_certificates":"value [\"a1234567-0000-4000-8000-00000000000f\"] is not supported by this version of Weir; leave ca_certificates out"})x"},
          {R"x({"host":"h","protocol":"https","client_certificate":{"id":"a1234567-0000-4000-8000-00000000000f"}})x",
           R"x({"client_certificate":"value {\"id\":\"a1234567-0000-4000-8000-00000000000f\"} is not supported by this version of Weir; leave client_certificate out"})x"},
      });
  accepts(schema<Service>(), {R"x({"host":"h","protocol":"https","tls_verify":false,"ca_certificates":null})x",
                              R"x({"host":"[::1]","path":"/a"})x"});
}

TEST(Services, are_read_into_their_struct) {
  const auto made = schema<Service>().insert(
      object(R"x({"name":"n","host":"[::1]","port":8080,"path":"/p","retries":0,"tags":["a","b","a"],"enabled":false,
        "protocol":"https","tls_verify":false})x"),
      now);
  ASSERT_TRUE(made) << made.error().message;
  const auto service = read<Service>(*made);
  EXPECT_EQ(service.name, "n");
  EXPECT_EQ(service.host, "::1");
  EXPECT_EQ(service.port, 8080);
  EXPECT_EQ(service.path, "/p");
  EXPECT_EQ(service.retries, 0);
  EXPECT_EQ(service.tags, (Tags{"a", "b"}));
  EXPECT_FALSE(service.enabled);
  EXPECT_EQ(service.tls_verify, false);
  EXPECT_EQ(service.created_at, 1700000000);
  EXPECT_EQ(service.id.text(), std::string(made->at("id").as_string()));
}

TEST(Routes, need_something_to_match) {
  refuses(
      schema<Route>(),
      {
          {R"x({})x",
           R"x({"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]})x"},
          {R"x({"hosts":[]})x",
           R"x({"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]})x"},
          {R"x({"protocols":["http"]})x",
           R"x({"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'"]})x"},
          {R"x({"protocols":["http"],"snis":["a.com"]})x",
           R"x({"@entity":["'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
            "must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'"],
           "snis":"length must be 0"})x"},
          {R"x({"hosts":["*.a.*"]})x", R"x({"hosts":["invalid wildcard: must have at most one wildcard"]})x"},
      });
  accepts(schema<Route>(), {R"x({"hosts":["a.com"]})x", R"x({"paths":["/"]})x", R"x({"methods":["GET"]})x",
                            R"x({"headers":{"x":["1"]}})x", R"x({"snis":["a.com"]})x",
                            R"x({"protocols":["https"],"snis":["*.a.com"]})x"});
}

TEST(Routes, refuse_what_kong_refuses) {
  refuses(
      schema<Route>(),
      {
          {R"x({"paths":["/"],"protocols":["http","tcp"]})x",
           R"x({"protocols":[null,"value 'tcp' is not supported by this version of Weir; use http or https"]})x"},
          {R"x({"paths":["/"],"protocols":["ftp"]})x",
           R"x({"protocols":["expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"]})x"},
          {R"x({"paths":["/"],"sources":[{"ip":"10.0.0.0/8"}],"destinations":[{"port":1}]})x",
           R"x({"sources":"cannot set 'sources' when 'protocols' is 'http' or 'https'",
           "destinations":"cannot set 'destinations' when 'protocols' is 'http' or 'https'"})x"},
          {R"x({"paths":["/"],"sources":[{}]})x",
           R"x({"sources":[{"@entity":["at least one of these fields must be non-empty: 'ip', 'port'"]}]})x"},
          {R"x({"paths":["/"],"sources":[{"ip":"x","port":70000,"z":1}]})x",
           R"x({"sources":[{"ip":"invalid ip or cidr range: 'x'","port":"value should be between 0 and 65535","z":"unknown field"}]})x"},
          {R"x({"paths":["/"],"https_redirect_status_code":303})x",
           R"x({"https_redirect_status_code":"expected one of: 426, 301, 302, 307, 308"})x"},
          {R"x({"paths":["/","x","/a/../b"]})x",
           R"x({"paths":[null,"should start with: / (fixed path) or ~/ (regex path)","non-normalized path, consider use '/b' instead"]})x"},
          {R"x({"headers":{"Host":["a"]}})x",
           R"x({"headers":{"Host":"cannot contain 'host' header, which must be specified in the 'hosts' attribute"}})x"},
          {R"x({"headers":{"x y":["a"],"x":"a","z":[1]}})x",
           R"x({"headers":{"x y":"bad header name 'x y', allowed characters are A-Z, a-z, 0-9, '_', and '-'","x":"expected an array","z":["expected a string"]}})x"},
          {R"x({"headers":{"x":["~*("]}})x", R"x({"headers":{"x":"invalid regex: '(' (RE2: missing ): ()"}})x"},
          {R"x({"paths":["/"],"path_handling":"v2"})x", R"x({"path_handling":"expected one of: v0, v1"})x"},
          {R"x({"paths":["/"],"expression":"http.path == \"/\""})x", R"x({"expression":"unknown field"})x"},
          {R"x({"methods":["get"]})x", R"x({"methods":["invalid value: get"]})x"},
      });
  accepts(schema<Route>(), {R"x({"paths":["/"],"path_handling":"v1","request_buffering":false,"regex_priority":-5})x",
                            R"x({"headers":{"x":["~*^a+$"]},"service":{"id":"a1234567-0000-4000-8000-00000000000f"}})x",
                            R"x({"paths":["~/a/(?<v>\\d+)"],"https_redirect_status_code":308})x"});
}

TEST(Routes, of_stream_protocols_obey_kongs_rules_and_are_refused_for_now) {
  refuses(schema<Route>(),
          {
              {R"x({"protocols":["tcp"]})x",
               R"x({"protocols":["value 'tcp' is not supported by this version of Weir; use http or https"],
           "@entity":["must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' or 'udp'"]})x"},
              {R"x({"protocols":["tls_passthrough"],"paths":["/"]})x",
               R"x({"protocols":["value 'tls_passthrough' is not supported by this version of Weir; use http or https"],
           "paths":"cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'",
           "@entity":["must set snis when 'protocols' is 'tls_passthrough'"]})x"},
              {R"x({"protocols":["grpc"],"methods":["GET"],"strip_path":true})x",
               R"x({"protocols":["value 'grpc' is not supported by this version of Weir; use http or https"],
           "methods":"cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'",
           "strip_path":"cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'",
           "@entity":["must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'"]})x"},
              {R"x({"protocols":["grpcs"],"paths":["/"]})x",
               R"x({"protocols":["value 'grpcs' is not supported by this version of Weir; use http or https"]})x"},
          });
}

TEST(Routes, protocols_that_do_not_mix_are_named_in_their_sets) {
  Field field;
  mutually_exclusive({{"http", "https"}, {"tcp", "tls", "udp"}, {"tls_passthrough"}, {"grpc", "grpcs"}})(field);
  const auto wrong = [&](std::string_view list) { return field.checks.front()(json::parse(list)).value_or(""); };
  EXPECT_EQ(wrong(R"(["http","https"])"), "");
  EXPECT_EQ(wrong(R"(["http","tcp"])"), "these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')");
  EXPECT_EQ(wrong(R"(["grpc","http","https"])"),
            "these sets are mutually exclusive: ('grpc', 'grpcs'), ('http', 'https')");
}

TEST(Routes, are_read_into_their_struct) {
  const auto made = schema<Route>().insert(
      object(R"x({"name":"r","protocols":["https"],"hosts":["a.com","*.b.com"],"paths":["/x","~/y\\d"],
        "headers":{"x":["1","2"]},"methods":["GET"],"snis":["a.com"],"service":{"id":"a1234567-0000-4000-8000-00000000000f"},
        "strip_path":false,"regex_priority":3,"https_redirect_status_code":301,"path_handling":"v1","created_at":5})x"),
      now);
  ASSERT_TRUE(made) << made.error().message;
  const auto route = read<Route>(*made);
  EXPECT_EQ(route.protocols, std::vector<std::string>{"https"});
  EXPECT_EQ(route.hosts, (std::vector<std::string>{"a.com", "*.b.com"}));
  EXPECT_EQ(route.paths, (std::vector<std::string>{"/x", "~/y\\d"}));
  EXPECT_EQ(route.headers->at("x"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(route.methods, std::vector<std::string>{"GET"});
  EXPECT_EQ(route.service, Uuid::parse("a1234567-0000-4000-8000-00000000000f"));
  EXPECT_FALSE(route.strip_path);
  EXPECT_EQ(route.regex_priority, 3);
  EXPECT_EQ(route.https_redirect_status_code, 301);
  EXPECT_EQ(route.path_handling, "v1");
  EXPECT_EQ(route.created_at, 5);
  EXPECT_FALSE(route.sources);
}

TEST(Routes, are_read_whatever_the_order_of_keys) {
  const auto route =
      read<Route>(object(R"x({"paths":["/x"],"strip_path":false,"id":"a1234567-0000-4000-8000-00000000000f",
    "sources":[{"ip":"10.0.0.1"},{"port":80}]})x"));
  EXPECT_EQ(route.paths, std::vector<std::string>{"/x"});
  EXPECT_FALSE(route.strip_path);
  ASSERT_EQ(route.sources->size(), 2u);
  EXPECT_EQ(route.sources->at(0).ip, "10.0.0.1");
  EXPECT_EQ(route.sources->at(1).port, 80);
  EXPECT_EQ(route.protocols, (std::vector<std::string>{"http", "https"}));
}

TEST(Upstreams, refuse_what_kong_refuses) {
  refuses(
      schema<Upstream>(),
      {
          {R"x({})x", R"x({"name":"required field missing"})x"},
          {R"x({"name":"1.2.3.4"})x", R"x({"name":"Invalid name ('1.2.3.4'); no ip addresses allowed"})x"},
          {R"x({"name":"a:80"})x", R"x({"name":"Invalid name ('a:80'); no port allowed"})x"},
          {R"x({"name":"u","slots":9})x", R"x({"slots":"value should be between 10 and 65536"})x"},
          {R"x({"name":"u","algorithm":"random"})x",
           R"x({"algorithm":"expected one of: consistent-hashing, least-connections, round-robin, latency"})x"},
          {R"x({"name":"u","hash_on":"x"})x",
           R"x({"hash_on":"expected one of: none, consumer, ip, header, cookie, path, query_arg, uri_capture"})x"},
          {R"x({"name":"u","hash_on_header":"a b","hash_on_cookie":"a;b","hash_on_cookie_path":"x","hash_on_query_arg":""})x",
           R"x({"hash_on_header":"bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
           "hash_on_cookie":"bad cookie name 'a;b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
           "hash_on_cookie_path":"should start with: /","hash_on_query_arg":"length must be at least 1"})x"},
          {R"x({"name":"u","host_header":"a b"})x", R"x({"host_header":"invalid hostname: a b"})x"},
          {R"x({"name":"u","hash_on_header":"a","hash_fallback_header":"a"})x",
           R"x({"@entity":["values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'"]})x"},
          {R"x({"name":"u","healthchecks":{"active":{"timeout":-1,"x":1,"healthy":{"http_statuses":[99]}},"threshold":101}})x",
           R"x({"healthchecks":{"active":{"timeout":"value should be between 0 and 65535","x":"unknown field",
           "healthy":{"http_statuses":["value should be between 100 and 999"]}},
           "threshold":"value should be between 0 and 100"}})x"},
          {R"x({"name":"u","healthchecks":{"passive":{"type":"icmp"}}})x",
           R"x({"healthchecks":{"passive":{"type":"expected one of: tcp, http, https, grpc, grpcs"}}})x"},
          {R"x({"name":"u","healthchecks":[]})x", R"x({"healthchecks":"expected a record"})x"},
      });
}

// The hashing fields are refused for now, so their rules are asked one by one.
TEST(Upstreams, know_kongs_rules_of_hashing) {
  struct {
    std::string_view input, field, message;
  } const cases[] = {
      {R"x({"hash_on":"header"})x", "hash_on_header", "required field missing"},
      {R"x({"hash_on":"query_arg"})x", "hash_on_query_arg", "required field missing"},
      {R"x({"hash_on":"uri_capture"})x", "hash_on_uri_capture", "required field missing"},
      {R"x({"hash_on":"cookie"})x", "hash_on_cookie", "required field missing"},
      {R"x({"hash_on":"ip","hash_fallback":"header"})x", "hash_fallback_header", "required field missing"},
      {R"x({"hash_on":"ip","hash_fallback":"cookie"})x", "hash_on_cookie", "required field missing"},
      {R"x({"hash_on":"none","hash_fallback":"ip"})x", "hash_fallback", "expected one of: none"},
      {R"x({"hash_on":"cookie","hash_fallback":"ip"})x", "hash_fallback", "expected one of: none"},
      {R"x({"hash_on":"ip","hash_fallback":"ip"})x", "hash_fallback",
       "expected one of: none, consumer, header, cookie, path, query_arg, uri_capture"},
      {R"x({"hash_on":"path","hash_fallback":"path"})x", "hash_fallback",
       "expected one of: none, consumer, ip, header, cookie, query_arg, uri_capture"},
  };
  const CrossRule rules[] = {required_when("hash_on", "header", "hash_on_header"),
                             required_when("hash_on", "query_arg", "hash_on_query_arg"),
                             required_when("hash_on", "uri_capture", "hash_on_uri_capture"),
                             required_when("hash_on", "cookie", "hash_on_cookie"),
                             required_when("hash_fallback", "header", "hash_fallback_header"),
                             required_when("hash_fallback", "cookie", "hash_on_cookie"),
                             one_of_when("hash_on", "none", "hash_fallback", {"none"}),
                             one_of_when("hash_on", "cookie", "hash_fallback", {"none"}),
                             one_of_when("hash_on", "ip", "hash_fallback",
                                         {"none", "consumer", "header", "cookie", "path", "query_arg", "uri_capture"}),
                             one_of_when("hash_on", "path", "hash_fallback",
                                         {"none", "consumer", "ip", "header", "cookie", "query_arg", "uri_capture"})};
  for (const auto& c : cases) {
    Object faults;
    std::vector<std::string> messages;
    for (const auto& rule : rules) rule.check(object(c.input), faults, messages);
    EXPECT_EQ(text_of(value_of(faults, c.field)), c.message) << c.input << json::serialize(faults);
    EXPECT_FALSE(messages.empty());
    EXPECT_TRUE(messages.front().starts_with("failed conditional validation given value of field 'hash_"))
        << messages.front();
  }
}

TEST(Upstreams, refuse_what_this_version_cannot_honour) {
  refuses(
      schema<Upstream>(),
      {
          {R"x({"name":"u","algorithm":"least-connections"})x",
           R"x({"algorithm":"value 'least-connections' is not supported by this version of Weir; use round-robin"})x"},
          {R"x({"name":"u","hash_on":"ip"})x",
           R"x({"hash_on":"value 'ip' is not supported by this version of Weir; use none"})x"},
          {R"x({"name":"u","hash_on":"header"})x",
           R"x({"hash_on":"value 'header' is not supported by this version of Weir; use none"})x"},
          {R"x({"name":"u","client_certificate":{"id":"a1234567-0000-4000-8000-00000000000f"}})x",
           R"x({"client_certificate":"value {\"id\":\"a1234567-0000-4000-8000-00000000000f\"} is not supported by this version of Weir; leave client_certificate out"})x"},
          {R"x({"name":"u","healthchecks":{"threshold":1,"active":{"healthy":{"interval":5}},"passive":{"unhealthy":{"tcp_failures":3}}}})x",
           R"x({"healthchecks":{"threshold":"value 1 is not supported by this version of Weir; health checks follow later; use 0",
           "active":{"healthy":{"interval":"value 5 is not supported by this version of Weir; health checks follow later; use 0"}},
           "passive":{"unhealthy":{"tcp_failures":"value 3 is not supported by this version of Weir; health checks follow later; use 0"}}}})x"},
      });
  accepts(schema<Upstream>(),
          {R"x({"name":"u","hash_on_header":"X-A","hash_on_cookie":"sid","slots":10,"use_srv_name":true})x",
           R"x({"name":"u","host_header":"example.com:8080","algorithm":"round-robin","hash_on":"none"})x",
           R"x({"name":"u","healthchecks":null})x",
           R"x({"name":"u","healthchecks":{"threshold":0.0,"active":{"type":"https","timeout":2.5,"concurrency":3,
               "http_path":"/up","https_sni":"a.com","https_verify_certificate":false,"headers":{"X-A":["b"]},
               "healthy":{"http_statuses":[204],"interval":0},"unhealthy":{"http_statuses":[]}}}})x"});
}

TEST(Upstreams, are_read_into_their_struct) {
  const auto made =
      schema<Upstream>().insert(object(R"x({"name":"u","host_header":"h","use_srv_name":true,"slots":20})x"), now);
  const auto upstream = read<Upstream>(*made);
  EXPECT_EQ(upstream.name, "u");
  EXPECT_EQ(upstream.host_header, "h");
  EXPECT_TRUE(upstream.use_srv_name);
  EXPECT_EQ(upstream.slots, 20);
}

TEST(Targets, refuse_what_kong_refuses) {
  refuses(
      schema<Target>(),
      {
          {R"x({})x", R"x({"target":"required field missing","upstream":"required field missing"})x"},
          {R"x({"target":"some invalid host name","upstream":{"id":"a1234567-0000-4000-8000-00000000000f"},"weight":65536})x",
           R"x({"target":"Invalid target ('some invalid host name'); not a valid hostname or ip address",
           "weight":"value should be between 0 and 65535"})x"},
          {R"x({"target":"h","upstream":null})x", R"x({"upstream":"required field missing"})x"},
          {R"x({"target":"h","upstream":"u"})x", R"x({"upstream":"expected a record"})x"},
      });
}

TEST(Targets, are_unique_by_upstream_and_target) {
  EXPECT_EQ(schema<Target>().cache_key().size(), 2u);
  EXPECT_EQ(schema<Target>().endpoint_key(), "target");
  EXPECT_TRUE(schema<Target>().field("upstream")->cascade);
}

TEST(Targets, are_read_into_their_struct) {
  const auto made = schema<Target>().insert(
      object(R"x({"target":"::1","weight":7,"upstream":{"id":"A1234567-0000-4000-8000-00000000000f"}})x"),
      1700000000.5);
  ASSERT_TRUE(made) << made.error().message;
  const auto target = read<Target>(*made);
  EXPECT_EQ(target.target, "[0000:0000:0000:0000:0000:0000:0000:0001]:8000");
  EXPECT_EQ(target.weight, 7);
  EXPECT_EQ(target.upstream, Uuid::parse("a1234567-0000-4000-8000-00000000000f"));
  EXPECT_DOUBLE_EQ(target.created_at, 1700000000.5);
}

// A start reads every row: 120,000 of them are to take well under a second. The bound leaves room for sanitizers.
TEST(Entities, rows_are_checked_and_read_within_microseconds) {
  const auto id = R"({"id":"a1234567-0000-4000-8000-00000000000f"})";
  const Object rows[] = {
      *schema<Service>().insert(object(R"({"name":"service-1","url":"http://backend-1.example.com:8080/base"})"), now),
      *schema<Route>().insert(object(fmt::format(R"({{"name":"route-1","hosts":["host-1.example.com"],
        "paths":["/path/1"],"service":{}}})",
                                                 id)),
                              now),
      *schema<Target>().insert(object(fmt::format(R"({{"target":"10.0.0.1:3000","upstream":{}}})", id)), now),
  };
  const auto time = [](std::string_view what, auto&& work) {
    constexpr int rounds = 2000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; i++) work();
    const std::chrono::duration<double, std::micro> each = (std::chrono::steady_clock::now() - start) / rounds;
    ::testing::Test::RecordProperty(std::string(what), fmt::format("{:.2f} us", each.count()));
    EXPECT_LT(each.count(), 500) << what;
  };
  std::size_t sum = 0;
  time("check_service", [&] { sum += schema<Service>().check(rows[0]).has_value(); });
  time("check_route", [&] { sum += schema<Route>().check(rows[1]).has_value(); });
  time("check_target", [&] { sum += schema<Target>().check(rows[2]).has_value(); });
  EXPECT_EQ(sum, 6000u);
  time("read_service", [&] { sum += read<Service>(rows[0]).host.size(); });
  time("read_route", [&] { sum += read<Route>(rows[1]).hosts->size(); });
  time("read_target", [&] { sum += read<Target>(rows[2]).target.size(); });
}

}  // namespace
}  // namespace weir::model
