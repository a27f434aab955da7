#include "snapshot/gateway_router.h"

#include <gtest/gtest.h>

#include "snapshot/gateway_test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;
using Headers = std::multimap<std::string, std::string>;

struct Case {
  std::string_view request;
  std::uint32_t taker;  // number of the route, 0: none
  Headers headers = {};
};

// The routes are numbered 1, 2, ... The same must come out in whatever order they arrive.
void expect_takers(const std::vector<RouteSpec>& specs, const std::vector<Case>& cases) {
  std::vector<model::GatewayChange> changes{put_entry(entry_number, {""})};
  for (const auto& spec : specs) changes.push_back(put_gateway_route(static_cast<std::uint32_t>(changes.size()), spec));
  for (const bool backwards : {false, true}) {
    if (backwards) std::ranges::reverse(changes);
    const auto snapshot = compile_gateway(changes);
    for (const auto& each : cases)
      EXPECT_EQ(taker(snapshot, by_entry(Asked(each.request, each.headers))), each.taker) << each.request;
  }
}

TEST(GatewayRouter, prefixes_are_whole_segments) {
  expect_takers({{.path = "prefix /foo"}, {.path = "prefix /bar/"}, {.path = "prefix /foo/bar"}},
                {{"GET h/foo", 1},
                 {"GET h/foo/", 1},
                 {"GET h/foo/x", 1},
                 {"GET h/foobar", 0},
                 {"GET h/bar", 2},
                 {"GET h/bar/x", 2},
                 {"GET h/barx", 0},
                 {"GET h/foo/bar", 3},
                 {"GET h/foo/bar/", 3},
                 {"GET h/foo/bard", 1},
                 {"GET h/", 0}});
}

TEST(GatewayRouter, exact_goes_before_regex_and_that_before_the_longest_prefix) {
  expect_takers({{.path = "prefix /"},
                 {.path = "prefix /foo/bar"},
                 {.path = "regex /foo/b.*"},
                 {.path = "regex /foo/ba.*"},
                 {.path = "exact /foo/bar"}},
                {{"GET h/foo/bar", 5},
                 {"GET h/foo/bar/", 4},  // exact is exact; the longer expression
                 {"GET h/foo/bx", 3},
                 {"GET h/x/foo/bar", 1},  // an expression is for the whole path
                 {"GET h/foo", 1}});
}

TEST(GatewayRouter, a_longer_prefix_goes_before_more_conditions) {
  expect_takers({{.path = "prefix /a", .method = "GET", .headers = {{"x", "1"}}}, {.path = "prefix /a/b"}},
                {{"GET h/a/b", 2, {{"x", "1"}}}, {"GET h/a", 1, {{"x", "1"}}}, {"GET h/a", 0}});
}

TEST(GatewayRouter, a_path_whose_routes_do_not_match_gives_way_to_the_next) {
  expect_takers({{.path = "prefix /"}, {.path = "exact /a", .method = "PUT"}, {.path = "prefix /a", .method = "POST"}},
                {{"PUT h/a", 2}, {"POST h/a", 3}, {"GET h/a", 1}});
}

TEST(GatewayRouter, of_one_path_a_method_goes_first_then_headers_then_queries_then_age_then_order) {
  const Headers x = {{"x", "1"}}, xy = {{"x", "1"}, {"y", "1"}};
  expect_takers({{.created_at = 9, .order = "b"},
                 {.created_at = 9, .order = "a"},
                 {.created_at = 8, .order = "z"},
                 {.queries = {{"q", "1"}}, .created_at = 10},
                 {.queries = {{"q", "1"}, {"r", "1"}}, .created_at = 10},
                 {.headers = {{"x", "1"}}, .created_at = 10},
                 {.headers = {{"x", "1"}, {"y", "1"}}, .created_at = 10},
                 {.method = "PUT", .created_at = 10}},
                {{"GET h/", 3},
                 {"GET h/?q=1", 4},
                 {"GET h/?r=1&q=1", 5},
                 {"GET h/?r=1&q=1", 6, x},
                 {"GET h/?r=1&q=1", 7, xy},
                 {"PUT h/?r=1&q=1", 8, xy}});
  expect_takers({{.created_at = 9, .order = "b"}, {.created_at = 9, .order = "a"}}, {{"GET h/", 2}});
}

TEST(GatewayRouter, the_most_specific_host_decides_before_the_path) {
  expect_takers({{.path = "exact /a"},
                 {.path = "prefix /", .hosts = {"*.example.com"}},
                 {.path = "prefix /", .hosts = {"*.b.example.com"}},
                 {.path = "prefix /x", .hosts = {"a.b.example.com"}}},
                {{"GET other/a", 1},
                 {"GET example.com/a", 1},
                 {"GET c.example.com/a", 2},
                 {"GET d.c.example.com/a", 2},
                 {"GET c.b.example.com/a", 3},
                 {"GET a.b.example.com/x", 4},
                 {"GET a.b.example.com/a", 3},  // no route of the exact name matches
                 {"GET b.example.com/a", 2}});
}

TEST(GatewayRouter, headers_are_compared_exactly_and_by_whole_expressions) {
  expect_takers({{.headers = {{"x", "One"}}}, {.headers = {{"y", "[0-9]+", true}}}},
                {{"GET h/", 1, {{"x", "One"}}},
                 {"GET h/", 0, {{"x", "one"}}},
                 {"GET h/", 1, {{"x", "two"}, {"x", "One"}}},
                 {"GET h/", 2, {{"y", "12"}}},
                 {"GET h/", 0, {{"y", "12a"}}},
                 {"GET h/", 0}});
}

TEST(GatewayRouter, queries_are_decoded_and_the_first_of_a_name_counts) {
  expect_takers({{.queries = {{"q", "a b"}}}, {.queries = {{"r", "[0-9 ]+", true}}}, {.queries = {{"e", ""}}}},
                {{"GET h/?q=a%20b", 1},
                 {"GET h/?q=a+b", 1},
                 {"GET h/?%71=a+b", 1},
                 {"GET h/?q=x&q=a+b", 0},
                 {"GET h/?q=a+b&q=x", 1},
                 {"GET h/?q=a+bc", 0},
                 {"GET h/?qq=a+b", 0},
                 {"GET h/?r=1%202", 2},
                 {"GET h/?r=1%2x", 0},
                 {"GET h/?e", 3},
                 {"GET h/?e=", 3},
                 {"GET h/?e=1", 0},
                 {"GET h/", 0}});
}

TEST(GatewayRouter, tells_what_of_the_path_matched) {
  const auto snapshot = compile_gateway({put_entry(entry_number, {""}), put_gateway_route(1, {.path = "prefix /foo/"}),
                                         put_gateway_route(2, {.path = "exact /bar"}), put_gateway_route(3, {})});
  const auto prefix_of = [&](std::string_view request) {
    return snapshot->match(by_entry(Asked(request)).request()).prefix_bytes;
  };
  EXPECT_EQ(prefix_of("GET h/foo/x"), 4u);
  EXPECT_EQ(prefix_of("GET h/bar"), 4u);
  EXPECT_EQ(prefix_of("GET h/x"), 0u);
}

TEST(GatewayListeners, the_most_specific_one_takes_the_request_and_no_other) {
  const auto snapshot = compile_gateway(
      {put_entry(entry_number, {"", "*.example.com", "*.a.example.com", "x.a.example.com"}),
       put_gateway_route(1, {.listener = 2000}), put_gateway_route(2, {.listener = 2001}),
       put_gateway_route(3, {.path = "prefix /only", .listener = 2002}), put_gateway_route(4, {.listener = 2003})});
  const auto taken = [&](std::string_view request) { return taker(snapshot, by_entry(Asked(request))); };
  EXPECT_EQ(taken("GET other/"), 1u);
  EXPECT_EQ(taken("GET example.com/"), 1u);
  EXPECT_EQ(taken("GET b.example.com/"), 2u);
  EXPECT_EQ(taken("GET b.a.example.com/only"), 3u);
  EXPECT_EQ(taken("GET b.a.example.com/"), 0u);  // not its neighbours' routes
  EXPECT_EQ(taken("GET x.a.example.com/"), 4u);
}

TEST(GatewayListeners, entries_and_the_proxys_own_listeners_do_not_see_each_others_routes) {
  const auto kong = compile_all({put_route(9, R"({"paths":["/"]})")});
  const auto snapshot = compile_gateway(
      {put_entry(1000, {""}), put_entry(1001, {""}), put_gateway_route(1, {}), put_gateway_route(2, {.entry = 1001})},
      kong);
  EXPECT_EQ(taker(snapshot, Asked("GET h/")), 9u);
  EXPECT_EQ(taker(snapshot, by_entry(Asked("GET h/"), 1000)), 1u);
  EXPECT_EQ(taker(snapshot, by_entry(Asked("GET h/"), 1001)), 2u);
  EXPECT_EQ(taker(snapshot, by_entry(Asked("GET h/"), 1002)), 0u);
}

TEST(GatewayListeners, a_name_of_the_handshake_that_belongs_to_another_listener_is_misdirected) {
  const auto snapshot =
      compile_gateway({put_entry(entry_number, {"", "second.org", "*.wild.org", "fourth.wild.org"}, true),
                       put_gateway_route(1, {}), put_gateway_route(2, {.listener = 2001}),
                       put_gateway_route(3, {.listener = 2002}), put_gateway_route(4, {.listener = 2003})});
  struct {
    std::string_view sni, host;
    std::uint32_t taker;
    bool misdirected = false;
  } cases[] = {{"first.org", "first.org", 1},
               {"first.org", "second.org", 0, true},
               {"second.org", "second.org", 2},
               {"SECOND.org", "second.org", 2},
               {"second.org", "none.org", 0, true},
               {"third.wild.org", "fifth.wild.org", 3},
               {"third.wild.org", "fourth.wild.org", 0, true},
               {"fourth.wild.org", "fifth.wild.org", 0, true},
               {"", "second.org", 0, true},
               {"", "first.org", 1}};
  for (const auto& each : cases) {
    const auto asked = by_entry(Asked(fmt::format("https GET {}/", each.host), {}, each.sni));
    EXPECT_EQ(taker(snapshot, asked), each.taker) << each.sni << " " << each.host;
    EXPECT_EQ(snapshot->match(asked.request()).misdirected, each.misdirected) << each.sni << " " << each.host;
  }
}

}  // namespace
}  // namespace weir::snapshot
