#include <gtest/gtest.h>

#include "snapshot/snapshot.h"

namespace weir::snapshot {
namespace {

std::string path_for(PathHandling handling, bool strip, std::string_view service_path, std::string_view request,
                     std::size_t prefix_bytes) {
  Route route;
  route.path_handling = handling;
  route.strip_path = strip;
  Service service;
  service.path = service_path;
  std::string out = "is replaced";
  upstream_path(route, service, request, prefix_bytes, out);
  return out;
}

struct Row {
  std::string service, prefix, request, strip_v0, keep_v0, strip_v1, keep_v1;
};

// Rows as in Kong's spec/fixtures/router_path_handling_tests.lua: every way that slashes can meet.
TEST(UpstreamPath, joins_service_and_request_as_kong_does) {
  const std::vector<Row> rows = {
      // service   route      request       v0 strip         v0 keep              v1 strip         v1 keep
      {"/", "/", "/", "/", "/", "/", "/"},
      {"/", "/", "/foo/bar", "/foo/bar", "/foo/bar", "/foo/bar", "/foo/bar"},
      {"/", "/", "/foo/bar/", "/foo/bar/", "/foo/bar/", "/foo/bar/", "/foo/bar/"},
      {"/", "/fee", "/fee", "/", "/fee", "/", "/fee"},
      {"/", "/fee", "/fee/", "/", "/fee/", "/", "/fee/"},
      {"/", "/fee", "/feebor", "/bor", "/feebor", "/bor", "/feebor"},
      {"/", "/fee", "/fee/bor", "/bor", "/fee/bor", "/bor", "/fee/bor"},
      {"/", "/fee/", "/fee/", "/", "/fee/", "/", "/fee/"},
      {"/", "/fee/", "/fee/bor", "/bor", "/fee/bor", "/bor", "/fee/bor"},
      {"/fee", "/", "/", "/fee", "/fee", "/fee", "/fee"},
      {"/fee", "/", "/foo", "/fee/foo", "/fee/foo", "/feefoo", "/feefoo"},
      {"/fee", "/foo", "/foo", "/fee", "/fee/foo", "/fee", "/feefoo"},
      {"/fee", "/foo", "/foo/", "/fee/", "/fee/foo/", "/fee/", "/feefoo/"},
      {"/fee", "/foo", "/foobar", "/fee/bar", "/fee/foobar", "/feebar", "/feefoobar"},
      {"/fee", "/foo", "/foo/bar", "/fee/bar", "/fee/foo/bar", "/fee/bar", "/feefoo/bar"},
      {"/fee", "/foo/", "/foo/", "/fee/", "/fee/foo/", "/fee", "/feefoo/"},
      {"/fee", "/foo/", "/foo/bar", "/fee/bar", "/fee/foo/bar", "/feebar", "/feefoo/bar"},
      {"/fee/", "/", "/", "/fee/", "/fee/", "/fee/", "/fee/"},
      {"/fee/", "/", "/foo", "/fee/foo", "/fee/foo", "/fee/foo", "/fee/foo"},
      {"/fee/", "/foo", "/foo", "/fee", "/fee/foo", "/fee/", "/fee/foo"},
      {"/fee/", "/foo", "/foo/", "/fee/", "/fee/foo/", "/fee/", "/fee/foo/"},
      {"/fee/", "/foo", "/foobar", "/fee/bar", "/fee/foobar", "/fee/bar", "/fee/foobar"},
      {"/fee/", "/foo", "/foo/bar", "/fee/bar", "/fee/foo/bar", "/fee/bar", "/fee/foo/bar"},
      {"/fee/", "/foo/", "/foo/", "/fee/", "/fee/foo/", "/fee/", "/fee/foo/"},
      {"/fee/", "/foo/", "/foo/bar", "/fee/bar", "/fee/foo/bar", "/fee/bar", "/fee/foo/bar"},
      {"/service", "/route", "/routereq", "/service/req", "/service/routereq", "/servicereq", "/serviceroutereq"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.service + " " + row.prefix + " " + row.request);
    const auto size = row.prefix.size();
    EXPECT_EQ(path_for(PathHandling::v0, true, row.service, row.request, size), row.strip_v0);
    EXPECT_EQ(path_for(PathHandling::v0, false, row.service, row.request, size), row.keep_v0);
    EXPECT_EQ(path_for(PathHandling::v1, true, row.service, row.request, size), row.strip_v1);
    EXPECT_EQ(path_for(PathHandling::v1, false, row.service, row.request, size), row.keep_v1);
  }
}

TEST(UpstreamPath, a_match_without_a_path_strips_nothing_but_the_slash) {
  for (const bool strip : {true, false}) {
    EXPECT_EQ(path_for(PathHandling::v0, strip, "/", "/a/b", 0), "/a/b");
    EXPECT_EQ(path_for(PathHandling::v0, strip, "/s", "/a/b", 0), "/s/a/b");
    EXPECT_EQ(path_for(PathHandling::v0, strip, "/s", "/", 0), "/s");
    EXPECT_EQ(path_for(PathHandling::v0, strip, "/s/", "/a", 0), "/s/a");
    EXPECT_EQ(path_for(PathHandling::v1, strip, "/s", "/a", 0), "/sa");
    EXPECT_EQ(path_for(PathHandling::v1, strip, "/s/", "/a", 0), "/s/a");
  }
}

TEST(UpstreamPath, what_is_left_of_a_prefix_cannot_climb_out_of_the_services_path) {
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s", "/a..", 2), "/s");
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s", "/a.", 2), "/s");
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s/", "/a../x", 2), "/s/x");
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s", "/a./x", 2), "/s/x");
  EXPECT_EQ(path_for(PathHandling::v1, true, "/s/", "/a../x", 2), "/s/x");
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s", "/a..x", 2), "/s/..x");
  EXPECT_EQ(path_for(PathHandling::v0, false, "/s", "/a../x", 2), "/s/a../x");
}

TEST(UpstreamPath, escapes_what_normalising_decoded) {
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s", "/a/x y", 2), "/s/x%20y");
  EXPECT_EQ(path_for(PathHandling::v0, true, "/s p", "/a/%2F", 2), "/s%20p/%2F");
  EXPECT_EQ(path_for(PathHandling::v0, false, "/", "/\xc3\xa4", 1), "/%C3%A4");
}

TEST(UpstreamPath, a_service_without_a_path_is_the_root) {
  EXPECT_EQ(path_for(PathHandling::v0, true, "", "/a/b", 2), "/b");
  EXPECT_EQ(path_for(PathHandling::v0, true, "", "/a", 2), "/");
}

}  // namespace
}  // namespace weir::snapshot
