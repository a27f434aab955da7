#include "plugin/gateway_filters.h"

#include <gtest/gtest.h>

#include "plugin/fake_exchange.h"

namespace weir::plugin {
namespace {

using Kind = model::PathModifier::Kind;
using Path = model::GatewayRoute::Path;

Uuid service_id(std::uint8_t number) {
  Uuid out;
  out.bytes[15] = number;
  return out;
}

std::unique_ptr<const Plugin> filters(model::Filters of_rule, std::string_view path = "/", Path kind = Path::prefix) {
  model::GatewayRoute route;
  route.path = path;
  route.path_kind = kind;
  route.filters = std::make_shared<const model::Filters>(std::move(of_rule));
  return make_gateway_filters(route);
}

TEST(GatewayFilters, are_none_where_the_route_has_none) {
  model::GatewayRoute route;
  route.services.push_back({service_id(1), 1, nullptr});
  EXPECT_EQ(make_gateway_filters(route), nullptr);
}

TEST(GatewayFilters, cannot_be_configured_and_run_before_what_guards_the_route) {
  EXPECT_EQ(find_kind("gateway-filters"), nullptr);
  EXPECT_EQ(gateway_filters().name, "gateway-filters");
  for (const auto* kind : kinds()) {
    if (kind->name == "correlation-id") continue;
    EXPECT_GT(gateway_filters().priority, kind->priority) << kind->name;
  }
}

// --- redirects ---

struct To {  // of a redirect
  std::string scheme = {}, hostname = {};
  int port = 0;
  model::PathModifier path = {};
  int status = 302;
};
model::Filters redirect(const To& to) {
  model::Redirect out;
  out.scheme = to.scheme;
  out.hostname = to.hostname;
  if (to.port != 0) out.port = static_cast<std::uint16_t>(to.port);
  out.path = to.path;
  out.status = to.status;
  model::Filters all;
  all.redirect = out;
  return all;
}
model::Filters rewrite(const std::string& hostname, model::PathModifier path) {
  model::Filters all;
  all.rewrite = model::Rewrite{hostname, std::move(path)};
  return all;
}

struct RedirectCase {
  To to;
  std::string scheme;
  std::uint16_t port;
  std::string location;
};

TEST(GatewayFilters, make_the_place_to_redirect_to) {
  const RedirectCase cases[] = {
      {{}, "http", 80, "http://example.com/a/b"},
      {{}, "http", 8080, "http://example.com:8080/a/b"},
      {{}, "https", 443, "https://example.com/a/b"},
      {{}, "https", 8443, "https://example.com:8443/a/b"},
      {{.scheme = "https"}, "http", 8080, "https://example.com/a/b"},
      {{.scheme = "http"}, "https", 8443, "http://example.com/a/b"},
      {{.scheme = "http"}, "http", 8080, "http://example.com/a/b"},
      {{.hostname = "other.org"}, "http", 80, "http://other.org/a/b"},
      {{.hostname = "other.org"}, "http", 8080, "http://other.org:8080/a/b"},
      {{.port = 8083}, "http", 80, "http://example.com:8083/a/b"},
      {{.port = 80}, "http", 8080, "http://example.com/a/b"},
      {{.port = 443}, "https", 8443, "https://example.com/a/b"},
      {{.port = 443}, "http", 80, "http://example.com:443/a/b"},
      {{.scheme = "https", .port = 80}, "http", 80, "https://example.com:80/a/b"},
      {{.scheme = "https", .hostname = "other.org", .port = 443}, "http", 80, "https://other.org/a/b"},
      {{.path = {Kind::full, "/full"}}, "http", 80, "http://example.com/full"},
      {{.path = {Kind::prefix, "/new"}}, "http", 80, "http://example.com/new/b"},
  };
  for (const auto& c : cases) {
    FakeExchange x;
    x.scheme_ = c.scheme;
    x.port_ = c.port;
    x.path_ = "/a/b";
    EXPECT_EQ(x.run_access(*filters(redirect(c.to), "/a")), Step::done);
    EXPECT_EQ(x.answered, 302);
    EXPECT_EQ(x.response("Location"), c.location);
    EXPECT_EQ(x.answer, "");
  }
}

TEST(GatewayFilters, keep_the_query_and_give_the_status_that_is_asked_for) {
  const auto all = redirect({.scheme = "https", .status = 308});
  FakeExchange x;
  x.path_ = "/a%20b/../c";
  x.query_ = "q=1&r=%3F";
  EXPECT_EQ(x.run_access(*filters(all)), Step::done);
  EXPECT_EQ(x.answered, 308);
  EXPECT_EQ(x.response("Location"), "https://example.com/a%20b/../c?q=1&r=%3F") << "the path as it came";

  FakeExchange v6;
  v6.host_ = "2001:db8::1";
  EXPECT_EQ(v6.run_access(*filters(all)), Step::done);
  EXPECT_EQ(v6.response("Location"), "https://[2001:db8::1]/");

  FakeExchange nameless;
  nameless.host_ = "";
  nameless.path_ = "*";
  EXPECT_EQ(nameless.run_access(*filters(all)), Step::done);
  EXPECT_EQ(nameless.response("Location"), "/");
}

// --- rewrites ---

TEST(GatewayFilters, replace_prefixes_by_segments) {
  struct Case {
    std::string path, prefix, value, expected;
  };
  const Case cases[] = {
      // The table of the specification.
      {"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
      {"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
      {"/foo/bar", "/foo/", "/xyz", "/xyz/bar"},
      {"/foo/bar", "/foo/", "/xyz/", "/xyz/bar"},
      {"/foo", "/foo", "/xyz", "/xyz"},
      {"/foo/", "/foo", "/xyz", "/xyz/"},
      {"/foo/bar", "/foo", "", "/bar"},
      {"/foo/", "/foo", "", "/"},
      {"/foo", "/foo", "", "/"},
      {"/foo/", "/foo", "/", "/"},
      {"/foo", "/foo", "/", "/"},
      {"/bar", "/", "/xyz", "/xyz/bar"},
      // What the router compares is what is replaced.
      {"/x/../foo//bar", "/foo", "/xyz", "/xyz/bar"},
      {"/%66oo/a%2Fb", "/foo", "/xyz", "/xyz/a%2Fb"},
      {"/foo/a%20b", "/foo", "/x y", "/x%20y/a%20b"},
      {"/foobar", "/foo", "/xyz", "/foobar"},
  };
  for (const auto& c : cases) {
    FakeExchange x;
    x.path_ = c.path;
    EXPECT_EQ(x.run_access(*filters(rewrite("", {Kind::prefix, c.value}), c.prefix)), Step::next);
    EXPECT_EQ(x.upstream_path_, c.expected) << c.path << " " << c.prefix << " " << c.value;
    EXPECT_EQ(x.upstream_host, "");
  }
}

TEST(GatewayFilters, replace_whole_paths_and_hosts) {
  const auto all = rewrite("one.example.org", {Kind::full, "/one"});
  FakeExchange x;
  x.path_ = "/full/one/two";
  EXPECT_EQ(x.run_access(*filters(all, "/full")), Step::next);
  EXPECT_EQ(x.upstream_path_, "/one");
  EXPECT_EQ(x.upstream_host, "one.example.org");

  const auto host = rewrite("one.example.org", {});
  FakeExchange y;
  EXPECT_EQ(y.run_access(*filters(host)), Step::next);
  EXPECT_FALSE(y.upstream_path_set);
}

TEST(GatewayFilters, replace_no_prefix_of_a_regular_expression) {
  const auto all = rewrite("", {Kind::prefix, "/x"});
  FakeExchange x;
  x.path_ = "/aaa";
  EXPECT_EQ(x.run_access(*filters(all, "/a+", Path::regex)), Step::next);
  EXPECT_FALSE(x.upstream_path_set);
}

// --- header edits ---

model::Filters edits(const std::string& mark) {
  model::Filters all;
  all.request = {.set = {{"X-Set", mark}}, .add = {{"X-Add", mark}}, .remove = {"X-Gone-" + mark}};
  all.response = {.set = {{"X-Answer", mark}}, .add = {{"X-More", mark}}, .remove = {"X-Old-" + mark}};
  return all;
}

TEST(GatewayFilters, edit_heads_both_ways) {
  const auto plugin = filters(edits("rule"));
  FakeExchange x;
  x.with("x-set", "old").with("X-Add", "first").with("x-gone-rule", "1");
  x.response_headers_ = {{"X-Answer", "old"}, {"x-old-rule", "1"}, {"X-More", "first"}};
  EXPECT_EQ(x.run_access(*plugin), Step::next);
  x.run_header_filter(*plugin);
  EXPECT_EQ(x.sent("X-Set"), "rule");
  EXPECT_EQ(x.sent("X-Add"), "first | rule");
  EXPECT_EQ(x.sent("X-Gone-rule"), "-");
  EXPECT_EQ(x.response("X-Answer"), "rule");
  EXPECT_EQ(x.response("X-More"), "first | rule");
  EXPECT_EQ(x.response("X-Old-rule"), "-");
}

TEST(GatewayFilters, of_a_backend_are_applied_when_it_was_picked) {
  model::GatewayRoute route;
  route.services = {{service_id(1), 1, std::make_shared<const model::Filters>(edits("one"))},
                    {service_id(2), 1, std::make_shared<const model::Filters>(edits("two"))},
                    {service_id(3), 1, nullptr}};
  const auto plugin = make_gateway_filters(route);
  const std::pair<std::uint8_t, std::string> cases[] = {{1, "one"}, {2, "two"}, {3, "-"}, {0, "-"}};
  for (const auto& [number, mark] : cases) {
    FakeExchange x;
    if (number != 0) x.service_.emplace().id = service_id(number);
    EXPECT_EQ(x.run_access(*plugin), Step::next);
    x.run_header_filter(*plugin);
    EXPECT_EQ(x.sent("X-Set"), mark);
    EXPECT_EQ(x.response("X-Answer"), mark);
  }
}

TEST(GatewayFilters, ask_for_mirrors_but_not_of_what_they_answer_themselves) {
  auto all = edits("rule");
  all.mirrors = {{service_id(8), 1, 1}, {service_id(9), 1, 2}};
  FakeExchange x;
  EXPECT_EQ(x.run_access(*filters(all)), Step::next);
  EXPECT_EQ(x.mirrors, (std::vector<Uuid>{service_id(8), service_id(9)}));
  all.redirect = model::Redirect{};
  FakeExchange y;
  EXPECT_EQ(y.run_access(*filters(all)), Step::done);
  EXPECT_TRUE(y.mirrors.empty());
}

// --- CORS ---

using Names = std::vector<std::string>;

model::Cors sharing(Names origins, Names methods = {}, Names headers = {}, Names exposed = {},
                    bool credentials = false) {
  model::Cors out;
  out.origins = std::move(origins);
  out.methods = std::move(methods);
  out.headers = std::move(headers);
  out.exposed = std::move(exposed);
  out.credentials = credentials;
  return out;
}
model::Filters cors(model::Cors config) {
  model::Filters all;
  all.cors = std::move(config);
  return all;
}

TEST(GatewayFilters, compare_origins) {
  struct Case {
    std::string allowed, origin;
    bool matches;
  };
  const Case cases[] = {
      {"https://www.foo.com", "https://www.foo.com", true},
      {"https://www.foo.com", "https://WWW.foo.com", true},
      {"https://www.foo.com", "https://www.foo.com:443", true},
      {"https://www.foo.com:443", "https://www.foo.com", true},
      {"https://www.foo.com", "https://www.foo.com:8443", false},
      {"https://www.foo.com", "http://www.foo.com", false},
      {"https://www.foo.com", "https://www.foo.com.evil.org", false},
      {"https://*.bar.com", "https://www.bar.com", true},
      {"https://*.bar.com", "https://xpto.www.bar.com", true},
      {"https://*.bar.com", "https://bar.com", false},
      {"https://*.bar.com", "https://.bar.com", false},
      {"https://*.bar.com", "https://foobar.com", false},
      {"https://*.bar.com", "http://www.bar.com", false},
      {"https://*.bar.com:8443", "https://www.bar.com:8443", true},
      {"https://*.bar.com:8443", "https://www.bar.com", false},
      {"https://*", "https://anything.org", true},
      {"https://*", "http://anything.org", false},
      {"*", "http://anything.org:12345", true},
      {"*", "null", true},
      {"https://*", "null", false},
      {"http://[2001:db8::1]", "http://[2001:db8::1]:80", true},
  };
  for (const auto& c : cases) {
    const auto plugin = filters(cors(sharing({c.allowed})));
    FakeExchange x;
    x.with("Origin", c.origin);
    EXPECT_EQ(x.run_access(*plugin), Step::next);
    x.run_header_filter(*plugin);
    EXPECT_EQ(x.response("Access-Control-Allow-Origin"), !c.matches         ? "-"
                                                         : c.allowed == "*" ? "*"
                                                                            : c.origin)
        << c.allowed << " " << c.origin;
  }
}

struct Preflight {
  model::Cors cors;
  std::string origin = "https://a.org", headers = "x-1, x-2";
  std::string allow_origin, allow_methods, allow_headers, exposed, max_age, credentials;
};

TEST(GatewayFilters, answer_preflights) {
  auto listed =
      sharing({"https://a.org"}, {"GET", "OPTIONS"}, {"x-header-1", "x-header-2"}, {"x-header-3", "x-header-4"}, true);
  listed.max_age = 3600;
  const auto stars = sharing({"*"}, {"*"}, {"*"}, {"*"});
  auto trusted_stars = stars;
  trusted_stars.credentials = true;
  const Preflight cases[] = {
      {listed, "https://a.org", "x-1", "https://a.org", "GET, OPTIONS", "x-header-1, x-header-2",
       "x-header-3, x-header-4", "3600", "true"},
      {listed, "https://b.org", "x-1", "-", "-", "-", "-", "-", "-"},
      {stars, "https://a.org", "x-1, x-2", "*", "*", "*", "*", "5", "-"},
      {trusted_stars, "https://a.org", "x-1, x-2", "https://a.org", "PUT", "x-1, x-2", "-", "5", "true"},
      {trusted_stars, "https://a.org", "", "https://a.org", "PUT", "-", "-", "5", "true"},
      {sharing({"https://a.org"}), "https://a.org", "x-1", "https://a.org", "-", "-", "-", "5", "-"},
  };
  for (const auto& c : cases) {
    const auto plugin = filters(cors(c.cors));
    FakeExchange x;
    x.method_ = "OPTIONS";
    x.with("Origin", c.origin).with("Access-Control-Request-Method", "PUT");
    if (!c.headers.empty()) x.with("Access-Control-Request-Headers", c.headers);
    EXPECT_EQ(x.run_access(*plugin), Step::done);
    EXPECT_EQ(x.answered, 204);
    x.run_header_filter(*plugin);
    EXPECT_EQ(x.response("Access-Control-Allow-Origin"), c.allow_origin);
    EXPECT_EQ(x.response("Access-Control-Allow-Methods"), c.allow_methods);
    EXPECT_EQ(x.response("Access-Control-Allow-Headers"), c.allow_headers);
    EXPECT_EQ(x.response("Access-Control-Expose-Headers"), c.exposed);
    EXPECT_EQ(x.response("Access-Control-Max-Age"), c.max_age);
    EXPECT_EQ(x.response("Access-Control-Allow-Credentials"), c.credentials);
  }
}

TEST(GatewayFilters, leave_requests_to_the_upstream_that_are_no_preflights) {
  const auto plugin = filters(cors(sharing({"https://a.org"})));
  FakeExchange options;
  options.method_ = "OPTIONS";
  options.with("Origin", "https://a.org");
  EXPECT_EQ(options.run_access(*plugin), Step::next);
  FakeExchange no_origin;
  no_origin.method_ = "OPTIONS";
  no_origin.with("Access-Control-Request-Method", "PUT");
  EXPECT_EQ(no_origin.run_access(*plugin), Step::next);
  no_origin.run_header_filter(*plugin);
  EXPECT_EQ(no_origin.response("Access-Control-Allow-Origin"), "-");
  EXPECT_EQ(no_origin.response("Vary"), "Origin");
}

TEST(GatewayFilters, have_the_last_word_about_sharing) {
  const auto plugin = filters(cors(sharing({"https://a.org"})));
  for (const std::string origin : {"https://a.org", "https://evil.org"}) {
    FakeExchange x;
    x.with("Origin", origin);
    x.response_headers_ = {{"Access-Control-Allow-Origin", "*"}, {"Access-Control-Allow-Credentials", "true"}};
    EXPECT_EQ(x.run_access(*plugin), Step::next);
    x.run_header_filter(*plugin);
    EXPECT_EQ(x.response("Access-Control-Allow-Origin"), origin == "https://a.org" ? origin : "-");
    EXPECT_EQ(x.response("Access-Control-Allow-Credentials"), "-");
  }
}

}  // namespace
}  // namespace weir::plugin
