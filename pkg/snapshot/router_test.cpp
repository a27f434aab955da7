#include "snapshot/router.h"

#include <gtest/gtest.h>

#include "snapshot/test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

struct Case {
  std::string why;
  std::vector<std::string> routes;  // numbered from 1, older first
  Asked asked;
  std::uint32_t wanted;  // 0: none
};

void check(const std::vector<Case>& cases) {
  for (const auto& each : cases) {
    SCOPED_TRACE(each.why);
    store::Changes forward;
    for (std::uint32_t i = 0; i < each.routes.size(); i++) forward.push_back(put_route(i + 1, each.routes[i]));
    const store::Changes backward(forward.rbegin(), forward.rend());
    const auto first = compile_all(forward);
    EXPECT_TRUE(first->faults().empty());
    EXPECT_EQ(taker(first, each.asked), each.wanted);
    EXPECT_EQ(taker(compile_all(backward), each.asked), each.wanted);
    SnapshotPtr grown;
    for (const auto& change : backward) grown = compile_all({change}, grown);
    EXPECT_EQ(taker(grown, each.asked), each.wanted);
  }
}

TEST(Router, chooses_by_host) {
  check({
      {"exact", {R"({"hosts":["a.com"]})"}, {"GET a.com/x"}, 1},
      {"another host", {R"({"hosts":["a.com"]})"}, {"GET b.com/"}, 0},
      {"no host in the request", {R"({"hosts":["a.com"]})"}, {"GET /"}, 0},
      {"a suffix is not the host", {R"({"hosts":["a.com"]})"}, {"GET x.a.com/"}, 0},
      {"the rule in upper case", {R"({"hosts":["A.Com"]})"}, {"GET a.com/"}, 1},
      {"any of several", {R"({"hosts":["a.com","b.com"]})"}, {"GET b.com/"}, 1},
      {"left wildcard", {R"({"hosts":["*.a.com"]})"}, {"GET x.a.com/"}, 1},
      {"left wildcard over several labels", {R"({"hosts":["*.a.com"]})"}, {"GET x.y.a.com/"}, 1},
      {"left wildcard needs a label", {R"({"hosts":["*.a.com"]})"}, {"GET a.com/"}, 0},
      {"left wildcard needs a character", {R"({"hosts":["*.a.com"]})"}, {"GET .a.com/"}, 0},
      {"left wildcard keeps the dot", {R"({"hosts":["*.a.com"]})"}, {"GET xa.com/"}, 0},
      {"right wildcard", {R"({"hosts":["a.*"]})"}, {"GET a.com/"}, 1},
      {"right wildcard over several labels", {R"({"hosts":["a.*"]})"}, {"GET a.co.uk/"}, 1},
      {"right wildcard needs a character", {R"({"hosts":["a.*"]})"}, {"GET a./"}, 0},
      {"right wildcard keeps the dot", {R"({"hosts":["a.*"]})"}, {"GET ab.com/"}, 0},
      {"plain before wildcard, though younger",
       {R"({"hosts":["*.com"]})", R"({"hosts":["a.com"]})"},
       {"GET a.com/"},
       2},
      {"one wildcard makes the route a wildcard one",
       {R"({"hosts":["*.org","a.com"]})", R"({"hosts":["a.com"]})"},
       {"GET a.com/"},
       2},
      {"among wildcards the older", {R"({"hosts":["*.com"]})", R"({"hosts":["*.a.com"]})"}, {"GET x.a.com/"}, 1},
      {"a left and a right wildcard: the older", {R"({"hosts":["a.*"]})", R"({"hosts":["*.com"]})"}, {"GET a.com/"}, 1},
      {"host before none", {R"({"paths":["/"]})", R"({"hosts":["a.com"]})"}, {"GET a.com/"}, 2},
      {"an address", {R"({"hosts":["10.0.0.1"]})"}, {"GET 10.0.0.1/"}, 1},
  });
}

TEST(Router, looks_at_the_port_that_a_host_rule_names) {
  check({
      {"no port is any port", {R"({"hosts":["a.com"]})"}, {"GET a.com:8000/"}, 1},
      {"the port", {R"({"hosts":["a.com:8000"]})"}, {"GET a.com:8000/"}, 1},
      {"another port", {R"({"hosts":["a.com:8000"]})"}, {"GET a.com:8001/"}, 0},
      {"the default port", {R"({"hosts":["a.com:80"]})"}, {"GET a.com/"}, 1},
      {"the default port of https", {R"({"hosts":["a.com:443"]})"}, {"https GET a.com/"}, 1},
      {"two ports of one host", {R"({"hosts":["a.com:1","a.com:2"]})"}, {"GET a.com:2/"}, 1},
      {"wildcard with the port", {R"({"hosts":["*.com:8000"]})"}, {"GET a.com:8000/"}, 1},
      {"wildcard with another port", {R"({"hosts":["*.com:8000"]})"}, {"GET a.com/"}, 0},
      {"wildcard with port before plain",
       {R"({"hosts":["a.com"]})", R"({"hosts":["*.com:8000"]})"},
       {"GET a.com:8000/"},
       2},
      {"wildcard with port before wildcard",
       {R"({"hosts":["*.com"]})", R"({"hosts":["*.com:80"]})"},
       {"GET a.com/"},
       2},
  });
}

TEST(Router, chooses_by_path) {
  check({
      {"prefix", {R"({"paths":["/a"]})"}, {"GET h/a/b"}, 1},
      {"a prefix does not end at a segment", {R"({"paths":["/foo"]})"}, {"GET h/foobar"}, 1},
      {"paths have case", {R"({"paths":["/foo"]})"}, {"GET h/Foo"}, 0},
      {"shorter than the prefix", {R"({"paths":["/foo"]})"}, {"GET h/fo"}, 0},
      {"longer prefix first", {R"({"paths":["/a"]})", R"({"paths":["/a/b"]})"}, {"GET h/a/b/c"}, 2},
      {"the shorter one when the longer does not fit",
       {R"({"paths":["/a"]})", R"({"paths":["/a/b"]})"},
       {"GET h/a/c"},
       1},
      {"the best of a route's paths", {R"({"paths":["/a","/a/b/c"]})", R"({"paths":["/a/b"]})"}, {"GET h/a/b/c"}, 1},
      {"each path counts by itself", {R"({"paths":["/a","/a/b/c"]})", R"({"paths":["/a/b"]})"}, {"GET h/a/b"}, 2},
      {"equal prefixes: the older", {R"({"paths":["/a"]})", R"({"paths":["/a"]})"}, {"GET h/a"}, 1},
      {"regex", {R"({"paths":["~/a/\\d+$"]})"}, {"GET h/a/12"}, 1},
      {"regex does not match", {R"({"paths":["~/a/\\d+$"]})"}, {"GET h/a/x"}, 0},
      {"regex is anchored at the start", {R"({"paths":["~/b"]})"}, {"GET h/a/b"}, 0},
      {"regex is open at the end", {R"({"paths":["~/a/\\d"]})"}, {"GET h/a/1/x"}, 1},
      {"named group", {R"x({"paths":["~/a/(?<n>\\d+)"]})x"}, {"GET h/a/1"}, 1},
      {"regex before a longer prefix", {R"({"paths":["/a/1/2/3"]})", R"({"paths":["~/a"]})"}, {"GET h/a/1/2/3"}, 2},
      {"regex_priority",
       {R"({"paths":["~/a/.*"],"regex_priority":1})", R"({"paths":["~/a"],"regex_priority":2})"},
       {"GET h/a/b"},
       2},
      {"negative regex_priority",
       {R"({"paths":["~/a/.*"],"regex_priority":-1})", R"({"paths":["~/a"]})"},
       {"GET h/a/b"},
       2},
      {"longer regex", {R"({"paths":["~/a"]})", R"({"paths":["~/a/."]})"}, {"GET h/a/b"}, 2},
      {"regex_priority says nothing about prefixes",
       {R"({"paths":["/a"]})", R"({"paths":["/a"],"regex_priority":9})"},
       {"GET h/a"},
       1},
      {"host and path before host", {R"({"hosts":["h"]})", R"({"hosts":["h"],"paths":["/a"]})"}, {"GET h/a"}, 2},
      {"the next when the best does not match",
       {R"({"hosts":["h"]})", R"({"hosts":["h"],"paths":["/a"]})"},
       {"GET h/b"},
       1},
  });
}

TEST(Router, chooses_by_method_header_and_server_name) {
  check({
      {"method", {R"({"methods":["GET","PUT"]})"}, {"PUT h/"}, 1},
      {"another method", {R"({"methods":["GET"]})"}, {"PUT h/"}, 0},
      {"methods have case", {R"({"methods":["GET"]})"}, {"get h/"}, 0},
      {"header", {R"({"headers":{"X-A":["1","2"]}})"}, {"GET h/", {{"x-a", "2"}}}, 1},
      {"another value", {R"({"headers":{"X-A":["1"]}})"}, {"GET h/", {{"x-a", "2"}}}, 0},
      {"any of the request's values", {R"({"headers":{"X-A":["1"]}})"}, {"GET h/", {{"x-a", "2"}, {"x-a", "1"}}}, 1},
      {"values without case", {R"({"headers":{"X-A":["aB"]}})"}, {"GET h/", {{"x-a", "Ab"}}}, 1},
      {"all headers must be there", {R"({"headers":{"X-A":["1"],"X-B":["1"]}})"}, {"GET h/", {{"x-a", "1"}}}, 0},
      {"header regex", {R"({"headers":{"X-A":["~*^a\\d$"]}})"}, {"GET h/", {{"x-a", "A1"}}}, 1},
      {"header regex somewhere", {R"({"headers":{"X-A":["~*a\\d"]}})"}, {"GET h/", {{"x-a", "xxA1"}}}, 1},
      {"header regex does not match", {R"({"headers":{"X-A":["~*^a\\d$"]}})"}, {"GET h/", {{"x-a", "b1"}}}, 0},
      {"more headers first",
       {R"({"headers":{"X-A":["1"]}})", R"({"headers":{"X-A":["1"],"X-B":["1"]}})"},
       {"GET h/", {{"x-a", "1"}, {"x-b", "1"}}},
       2},
      {"more headers before a longer path",
       {R"({"headers":{"X-A":["1"]},"paths":["/a/b"]})", R"({"headers":{"X-A":["1"],"X-B":["1"]},"paths":["/a"]})"},
       {"GET h/a/b", {{"x-a", "1"}, {"x-b", "1"}}},
       2},
      {"regex path before more headers",
       {R"({"headers":{"X-A":["1"],"X-B":["1"]},"paths":["/a"]})", R"({"headers":{"X-A":["1"]},"paths":["~/a"]})"},
       {"GET h/a/b", {{"x-a", "1"}, {"x-b", "1"}}},
       2},
      {"server name", {R"({"snis":["a.com"],"protocols":["https"]})"}, {"https GET h/", {}, "a.com"}, 1},
      {"another server name", {R"({"snis":["a.com"],"protocols":["https"]})"}, {"https GET h/", {}, "b.com"}, 0},
      {"no server name", {R"({"snis":["a.com"],"protocols":["https"]})"}, {"https GET h/"}, 0},
      {"plain requests have none: not looked at", {R"({"snis":["a.com"],"protocols":["https"]})"}, {"GET h/"}, 1},
      {"wildcard server name", {R"({"snis":["*.a.com"],"protocols":["https"]})"}, {"https GET h/", {}, "x.a.com"}, 1},
      {"wildcard server name needs a label",
       {R"({"snis":["*.a.com"],"protocols":["https"]})"},
       {"https GET h/", {}, "a.com"},
       0},
      {"right wildcard server name", {R"({"snis":["a.*"],"protocols":["https"]})"}, {"https GET h/", {}, "a.org"}, 1},
  });
}

// Kinds of fields in the order of their weight: of two routes with as many kinds, the one with the first kind wins.
TEST(Router, ranks_more_kinds_of_fields_first_and_then_by_kind) {
  const std::vector<std::string> fields = {R"("hosts":["h"])", R"("headers":{"X-A":["1"]})", R"("paths":["/a"])",
                                           R"("methods":["GET"])", R"("snis":["s"])"};
  const Asked asked("https GET h/a/b", {{"x-a", "1"}}, "s");
  const auto route = [&](unsigned kinds) {
    std::string json = R"({"protocols":["https"])";
    for (unsigned kind = 0; kind < 5; kind++)
      if (kinds & (16u >> kind)) json += "," + fields[kind];
    return json + "}";
  };
  for (unsigned a = 1; a < 32; a++) {
    for (unsigned b = 1; b < a; b++) {
      const bool a_first = std::pair(std::popcount(a), a) > std::pair(std::popcount(b), b);
      const auto snapshot = compile_all({put_route(1, route(a)), put_route(2, route(b))});
      EXPECT_EQ(taker(snapshot, asked), a_first ? 1u : 2u) << a << " " << b;
    }
  }
}

TEST(Router, the_older_route_wins_and_then_the_smaller_id) {
  const auto by_age = compile_all({put_route(1, R"({"hosts":["h"]})", 50), put_route(2, R"({"hosts":["h"]})", 40)});
  EXPECT_EQ(taker(by_age, {"GET h/"}), 2u);
  const auto by_id = compile_all({put_route(2, R"({"hosts":["h"]})", 50), put_route(1, R"({"hosts":["h"]})", 50)});
  EXPECT_EQ(taker(by_id, {"GET h/"}), 1u);
}

TEST(Router, protocol_is_no_criterion) {
  const auto snapshot = compile_all({put_route(1, R"({"hosts":["h"],"protocols":["https"]})")});
  const auto match = snapshot->match(Asked("GET h/").request());
  ASSERT_TRUE(match.route);
  EXPECT_TRUE(match.route->https);
  EXPECT_FALSE(match.route->http);
}

TEST(Router, says_how_much_of_the_path_matched) {
  const auto snapshot =
      compile_all({put_route(1, R"({"paths":["/foo"]})"), put_route(2, R"x({"paths":["~/r/(a|ab)"]})x"),
                   put_route(3, R"({"hosts":["only.host"]})")});
  const auto length = [&](std::string_view text) { return snapshot->match(Asked(text).request()).prefix_bytes; };
  EXPECT_EQ(length("GET h/foobar"), 4u);
  EXPECT_EQ(length("GET h/r/ab"), 4u);  // the first alternative, as PCRE takes it
  EXPECT_EQ(length("GET only.host/anything"), 0u);
  EXPECT_EQ(length("GET h/none"), 0u);
}

TEST(Router, a_failing_condition_falls_through_to_the_next_path_and_host) {
  const auto snapshot = compile_all({
      put_route(1, R"({"hosts":["a.h"],"paths":["/x/y"],"methods":["POST"]})"),
      put_route(2, R"({"hosts":["a.h"],"paths":["/x"],"methods":["PUT"]})"),
      put_route(3, R"({"hosts":["*.h"],"paths":["/x/y"],"methods":["DELETE"]})"),
      put_route(4, R"({"paths":["/x"]})"),
  });
  EXPECT_EQ(taker(snapshot, {"POST a.h/x/y"}), 1u);
  EXPECT_EQ(taker(snapshot, {"PUT a.h/x/y"}), 2u);
  EXPECT_EQ(taker(snapshot, {"DELETE a.h/x/y"}), 3u);
  EXPECT_EQ(taker(snapshot, {"GET a.h/x/y"}), 4u);
  EXPECT_EQ(taker(snapshot, {"GET a.h/"}), 0u);
}

}  // namespace
}  // namespace weir::snapshot
