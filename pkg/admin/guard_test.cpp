#include "admin/guard.h"

#include "admin/fake_node.h"

namespace weir::admin {
namespace {

struct GuardCase {
  std::string method, host, origin, fetch_site;
  unsigned status;
  std::string allow_origin;
};

Verdict judged(const GuardCase& c, const Options& options) {
  Request request;
  request.method = c.method;
  if (!c.host.empty()) request.headers.emplace_back("Host", c.host);
  if (!c.origin.empty()) request.headers.emplace_back("Origin", c.origin);
  if (!c.fetch_site.empty()) request.headers.emplace_back("Sec-Fetch-Site", c.fetch_site);
  return judge(request, options);
}

TEST(Guard, keeps_web_pages_of_other_sites_out) {
  Options options;
  options.allowed_hosts = {"admin.example", "gui.example:8002"};
  for (const auto& c : std::vector<GuardCase>{
           {"GET", "localhost:8001", "", "", 0, "*"},
           {"POST", "LOCALHOST:8001", "", "", 0, "*"},
           {"POST", "127.0.0.1:8001", "", "", 0, "*"},
           {"POST", "127.8.9.1", "", "", 0, "*"},
           {"POST", "[::1]:8001", "", "", 0, "*"},
           {"POST", "", "", "", 0, "*"},
           {"POST", "admin.example:9999", "", "", 0, "*"},
           {"GET", "evil.example:8001", "", "", 403, ""},
           {"GET", "127.0.0.1.evil.example", "", "", 403, ""},
           {"GET", "127.evil", "", "", 403, ""},
           {"GET", "localhost.evil.example", "", "", 403, ""},
           {"GET", "gw.test:80@evil.test", "", "", 400, ""},
           {"GET", "localhost:8o", "", "", 400, ""},
           {"POST", "localhost:8001", "http://localhost:8001", "same-origin", 0, "http://localhost:8001"},
           {"POST", "localhost:8001", "http://localhost:9999", "same-site", 403, ""},
           {"POST", "localhost:8001", "http://evil.example", "", 403, ""},
           {"POST", "localhost:8001", "null", "", 403, ""},
           {"POST", "localhost:8001", "", "cross-site", 403, ""},
           {"DELETE", "localhost:8001", "", "same-site", 403, ""},
           {"POST", "localhost:8001", "", "none", 0, "*"},
           {"GET", "localhost:8001", "http://evil.example", "cross-site", 0, ""},
           {"OPTIONS", "localhost:8001", "http://evil.example", "cross-site", 0, ""},
           {"POST", "localhost:8001", "http://gui.example:8002", "cross-site", 0, "http://gui.example:8002"},
           {"POST", "localhost:8001", "http://gui.example:8003", "cross-site", 403, ""},
           {"POST", "localhost:8001", "https://admin.example", "cross-site", 0, "https://admin.example"},
       }) {
    const auto verdict = judged(c, options);
    EXPECT_EQ(verdict.status, c.status) << c.method << ' ' << c.host << ' ' << c.origin << ' ' << c.fetch_site;
    EXPECT_EQ(verdict.allow_origin, c.allow_origin) << c.host << ' ' << c.origin;
  }
}

TEST(Guard, takes_any_host_when_it_is_not_on_loopback) {
  Options options;
  options.loopback_only = false;
  EXPECT_EQ(judged({"GET", "anything.example", "", "", 0, ""}, options).status, 0u);
  EXPECT_EQ(judged({"POST", "anything.example", "http://evil.example", "", 0, ""}, options).status, 403u);
}

using GuardedApi = ApiTest;

TEST_F(GuardedApi, refuses_before_it_does_anything) {
  auto headers = form_type;
  headers.emplace_back("Host", "localhost:8001");
  headers.emplace_back("Origin", "http://evil.example");
  const auto reply = ask(*api, "POST", "/services", "host=h", headers);
  EXPECT_EQ(reply.status, 403u);
  EXPECT_FALSE(reply.message().empty());
  EXPECT_EQ(reply.header("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(node.applied, 0);
  EXPECT_EQ(ask(*api, "GET", "/services", "", {{"Host", "evil.example:8001"}}).status, 403u);
}

}  // namespace
}  // namespace weir::admin
