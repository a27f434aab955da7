#include "gateway/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/options.h"

namespace weir::gateway {
namespace {

using testing::HasSubstr;

class SettingsFile : public testing::Test {
 protected:
  SettingsFile() {
    std::string pattern = testing::TempDir() + "weir-settings-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~SettingsFile() override { std::filesystem::remove_all(folder_); }
  std::string write(std::string_view content) {
    const auto path = folder_ + "/weir.conf";
    std::ofstream(path) << content;
    return path;
  }
  std::string folder_;
};

TEST_F(SettingsFile, takes_the_file_then_the_environment_then_assignments) {
  const auto file = write("log_level = warn # quiet\n\n# a comment\nprefix=/from-file\nnode_id=\n");
  auto read = Settings::read(
      {file, {{"WEIR_PREFIX", "/from-env"}, {"WEIR_LOG_LEVEL", "error"}, {"PATH", "x"}}, {"prefix=/from-set"}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->text("prefix"), "/from-set");
  EXPECT_EQ(read->text("log_level"), "error");
  EXPECT_EQ(read->text("database"), "sqlite");
}

TEST_F(SettingsFile, names_every_fault_with_its_place) {
  const auto file = write("log_levle = warn\nnonsense\nrole = data_plane\n");
  auto read = Settings::read({file, {}, {"no-equals"}});
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("line 1: unknown setting 'log_levle'; did you mean 'log_level'?"));
  EXPECT_THAT(read.error().message, HasSubstr("line 2: 'nonsense' is not of the form key = value"));
  EXPECT_THAT(read.error().message, HasSubstr("line 3: role = data_plane cannot be honoured by this version"));
  EXPECT_THAT(read.error().message, HasSubstr("--set no-equals: not of the form key=value"));
}

TEST_F(SettingsFile, never_prints_a_secret) {
  auto read = Settings::read({"", {}, {"pg_password=hunter2", "pg_ro_password=hunter2"}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->text("pg_password"), "hunter2");
  EXPECT_THAT(boost::json::serialize(read->shown()), testing::Not(HasSubstr("hunter2")));
}

TEST(Settings, leaves_foreign_variables_of_the_environment_alone) {
  // Kubernetes makes such variables for a Service called weir.
  auto read = Settings::read({"", {{"WEIR_PORT", "tcp://10.0.0.1:80"}, {"WEIR_SERVICE_HOST", "10.0.0.1"}}, {}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->unknown_variables().size(), 2U);
}

TEST(Settings, says_that_a_file_is_missing) {
  auto read = Settings::read({"/nonexistent/weir.conf", {}, {}});
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("/nonexistent/weir.conf"));
}

TEST(Options, defaults_are_valid) {
  auto settings = Settings::read({"", {}, {}});
  ASSERT_TRUE(settings);
  auto read = options(*settings);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->proxy_listen.size(), 2U);
  EXPECT_TRUE(read->proxy_listen[1].tls);
  EXPECT_EQ(read->admin_listen[0].ip, "127.0.0.1");
  EXPECT_TRUE(read->admin.loopback_only);
  EXPECT_GE(read->workers, 1U);
}

TEST(Options, name_each_faulty_value) {
  struct Row {
    const char* assignment;
    const char* message;
  };
  for (const auto& row : {
           Row{"log_level=loud", "must be one of debug, info"},
           Row{"database=mysql", "must be sqlite, postgres or off"},
           Row{"proxy_listen=8000", "must be of form"},
           Row{"proxy_listen=localhost:8000", "must be of form"},
           Row{"proxy_listen=0.0.0.0:8443 ssl http2", "http2 cannot be honoured"},
           Row{"proxy_listen=0.0.0.0:80 fast", "unknown flag 'fast'"},
           Row{"proxy_listen=0.0.0.0:80 backlog=0", "backlog must be"},
           Row{"admin_ssl_cert=/a.pem", "admin_ssl_cert and admin_ssl_cert_key go together"},
           Row{"kubernetes=maybe", "must be auto, on or off"},
           Row{"gateway_addresses=10.0.0.1", "must be a CIDR"},
           Row{"gateway_ports=30-20", "must be a range of ports"},
           Row{"kubeconfig=/nowhere/config", "/nowhere/config"},
           Row{"nginx_worker_processes=0", "between 1 and 1024"},
           Row{"nginx_http_client_header_timeout=soon", "must be a time"},
           Row{"client_max_body_size=10x", "must be a size"},
           Row{"trusted_ips=10.0.0.0/33", "neither an address nor a CIDR"},
           Row{"headers=everything", "unknown entry 'everything'"},
           Row{"allow_debug_header=maybe", "must be on or off"},
           Row{"dns_order=MX", "unknown record type 'MX'"},
           Row{"dns_resolver=ns.example", "not of the form ip[:port]"},
           Row{"dns_stale_ttl=x", "number of seconds"},
           Row{"ssl_cert=/a.pem", "go together"},
           Row{"declarative_config=/x.yml", "with database=off only"},
           Row{"node_id=me", "must be a UUID"},
           Row{"error_default_type=text/csv", "must be text/plain"},
           Row{"headers_upstream=all", "X-Kong-Request-Id or off"},
       }) {
    auto settings = Settings::read({"", {}, {row.assignment}});
    ASSERT_TRUE(settings) << row.assignment;
    auto read = options(*settings);
    ASSERT_FALSE(read) << row.assignment;
    EXPECT_THAT(read.error().message, HasSubstr(row.message)) << row.assignment;
  }
}

TEST(Options, read_units_as_nginx_does) {
  EXPECT_EQ(parse_duration("500ms")->count(), 500);
  EXPECT_EQ(parse_duration("2")->count(), 2000);
  EXPECT_EQ(parse_duration("1h")->count(), 3'600'000);
  EXPECT_EQ(*parse_size("8k"), 8192U);
  EXPECT_EQ(*parse_size("10M"), 10U << 20);
  EXPECT_EQ(parse_listen("off")->size(), 0U);
  EXPECT_EQ(parse_listen("[::1]:0 ssl, 0.0.0.0:1 reuseport backlog=7")->at(1).backlog, 7);
}

}  // namespace
}  // namespace weir::gateway
