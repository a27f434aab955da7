#include "store/postgres_connection.h"

#include <fmt/format.h>

#include "store/postgres_test_support.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::chrono::milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
}

// Whether it succeeds within ten seconds: a server that comes back, a reconnect that is due.
template <class Try>
bool soon(Try attempt) {
  for (const auto end = Clock::now() + 10s; Clock::now() < end; std::this_thread::sleep_for(10ms))
    if (attempt()) return true;
  return false;
}

TEST(PostgresConnection, gives_rows_with_nulls_and_binds_values) {
  PostgresConnection connection(PostgresCluster::shared().server("postgres"));
  const auto answer = connection.query("SELECT $1::text, $2::text, 7", {std::string("it's"), std::nullopt});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  ASSERT_EQ(answer->rows(), 1);
  EXPECT_EQ(answer->columns(), 3);
  EXPECT_EQ(answer->text(0, 0), "it's");
  EXPECT_TRUE(answer->null(0, 1));
  EXPECT_EQ(answer->text(0, 2), "7");
  EXPECT_EQ(connection.query("SELECT current_setting('timezone')")->text(0, 0), "UTC");
  EXPECT_EQ(connection.query("SELECT current_setting('application_name')")->text(0, 0), "weir");
}

TEST(PostgresConnection, tells_a_statement_at_fault_from_a_server_away) {
  auto& cluster = PostgresCluster::shared();
  PostgresConnection connection(cluster.server("postgres"));
  const auto wrong = connection.query("SELECT nothing");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_FALSE(wrong.error().away);
  EXPECT_EQ(wrong.error().state, "42703");
  EXPECT_TRUE(connection.query("SELECT 1").has_value());

  PostgresConnection elsewhere(cluster.server("no_such_database"));
  const auto missing = elsewhere.query("SELECT 1");
  ASSERT_FALSE(missing.has_value());
  EXPECT_TRUE(missing.error().away);
  EXPECT_NE(missing.error().message.find("no_such_database"), std::string::npos);
}

TEST(PostgresConnection, uses_the_schema_that_is_set) {
  auto& cluster = PostgresCluster::shared();
  auto server = cluster.server(cluster.create_database());
  cluster.sql(server.database, "CREATE SCHEMA \"odd \"\"name\"; CREATE TABLE \"odd \"\"name\".here (a int)");
  server.schema = "odd \"name";
  PostgresConnection connection(server);
  EXPECT_TRUE(connection.query("SELECT a FROM here").has_value());
}

TEST(PostgresConnection, never_prints_the_password) {
  auto& cluster = PostgresCluster::shared();
  cluster.sql("postgres", "DROP ROLE IF EXISTS with_password; CREATE ROLE with_password LOGIN PASSWORD 'right-one'");
  auto server = cluster.server("postgres");
  server.user = "with_password";
  server.password = "wr'ong %secret%";
  PostgresConnection connection(server);
  const auto refused = connection.query("SELECT 1");
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().away);
  EXPECT_NE(refused.error().message.find("with_password"), std::string::npos) << refused.error().message;
  EXPECT_EQ(refused.error().message.find("secret"), std::string::npos) << refused.error().message;
  server.password = "right-one";
  PostgresConnection good(server);
  EXPECT_TRUE(good.query("SELECT 1").has_value());
}

// A certificate for 127.0.0.1 that signs itself, readable for PostgreSQL.
struct Certificate {
  TemporaryFolder folder;
  std::string certificate = folder / "server.crt", key = folder / "server.key";
  Certificate() {
    const auto made = fmt::format(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 "
        "-keyout {} -out {} 2>/dev/null",
        key, certificate);
    EXPECT_EQ(std::system(made.c_str()), 0);
    std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
    if (const auto* user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr; user != nullptr) {
      EXPECT_EQ(::chown(key.c_str(), user->pw_uid, user->pw_gid), 0);
    }
  }
};

TEST(PostgresConnection, encrypts_and_verifies_as_the_settings_say) {
  const Certificate one, other;
  PostgresCluster cluster({.settings = {"ssl=on", "ssl_cert_file=" + one.certificate, "ssl_key_file=" + one.key}});
  const auto encrypted = [&](bool ssl, bool required, bool verify, const std::string& trusted) -> std::string {
    auto server = cluster.server("postgres");
    server.ssl = ssl;
    server.ssl_required = required;
    server.ssl_verify = verify;
    server.ssl_version = "tlsv1_2";
    server.trusted_certificate = trusted;
    PostgresConnection connection(server);
    auto answer = connection.query("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    if (!answer) return answer.error().away ? "refused" : "failed";
    return std::string(answer->text(0, 0));
  };
  EXPECT_EQ(encrypted(false, false, false, ""), "f");
  EXPECT_EQ(encrypted(true, false, false, ""), "t");
  EXPECT_EQ(encrypted(true, true, false, ""), "t");
  EXPECT_EQ(encrypted(true, true, true, one.certificate), "t");
  EXPECT_EQ(encrypted(true, true, true, other.certificate), "refused");
  EXPECT_EQ(encrypted(true, true, true, ""), "refused");  // the system's do not know it

  // A server without TLS: fine unless it is required.
  auto plain = PostgresCluster::shared().server("postgres");
  plain.ssl = true;
  EXPECT_TRUE(PostgresConnection(plain).query("SELECT 1").has_value());
  plain.ssl_required = true;
  EXPECT_FALSE(PostgresConnection(plain).query("SELECT 1").has_value());
}

TEST(PostgresConnection, says_that_a_name_cannot_be_resolved) {
  auto server = PostgresCluster::shared().server("postgres");
  server.host = "no-such-host.invalid";
  server.timeout = 2s;
  const auto start = Clock::now();
  const auto answer = PostgresConnection(server).query("SELECT 1");
  ASSERT_FALSE(answer.has_value());
  EXPECT_TRUE(answer.error().away);
  EXPECT_NE(answer.error().message.find("no-such-host.invalid"), std::string::npos) << answer.error().message;
  EXPECT_LT(since(start), 4s);
  // In a list the others are used.
  server.host = "no-such-host.invalid,localhost";
  EXPECT_TRUE(PostgresConnection(server).query("SELECT 1").has_value());
}

TEST(PostgresConnection, fails_at_once_for_a_while_after_a_failure_and_comes_back) {
  PostgresCluster cluster;
  PostgresConnection connection(cluster.server("postgres"));
  ASSERT_TRUE(connection.query("SELECT 1").has_value());
  cluster.kill();
  const auto lost = connection.query("SELECT 1");
  ASSERT_FALSE(lost.has_value());
  EXPECT_TRUE(lost.error().away);
  const auto start = Clock::now();
  for (int i = 0; i < 100; i++) EXPECT_FALSE(connection.query("SELECT 1").has_value());
  EXPECT_LT(since(start), 500ms);
  cluster.start();
  EXPECT_TRUE(soon([&] { return connection.query("SELECT 1").has_value(); }));
  // An idle connection that the server ended is replaced without an error.
  cluster.restart();
  EXPECT_TRUE(connection.query("SELECT 1").has_value());
  EXPECT_EQ(connection.generation(), 3u);
}

TEST(PostgresConnection, waits_no_longer_than_the_timeout_for_a_frozen_server) {
  PostgresCluster cluster;
  auto server = cluster.server("postgres");
  server.timeout = 300ms;
  PostgresConnection open(server), fresh(server);
  ASSERT_TRUE(open.query("SELECT 1").has_value());
  cluster.freeze();
  for (auto* connection : {&open, &fresh}) {
    const auto start = Clock::now();
    const auto answer = connection->query("SELECT 1");
    ASSERT_FALSE(answer.has_value());
    EXPECT_TRUE(answer.error().away);
    EXPECT_GE(since(start), 290ms);
    EXPECT_LT(since(start), 2s);
  }
  cluster.thaw();
  EXPECT_TRUE(soon([&] { return open.query("SELECT 1").has_value(); }));
  const auto slow = open.query("SELECT pg_sleep(5)");
  ASSERT_FALSE(slow.has_value());
  EXPECT_TRUE(slow.error().away);
}

TEST(PostgresConnection, writes_only_to_a_primary_and_follows_a_switch) {
  PostgresCluster first;
  PostgresCluster second(PostgresCluster::Options{.standby_of = &first});
  auto standby_only = second.server("postgres");
  PostgresConnection refused(standby_only);
  const auto answer = refused.query("SELECT 1");
  ASSERT_FALSE(answer.has_value());
  EXPECT_TRUE(answer.error().away);
  PostgresConnection reader(standby_only, PostgresConnection::Role::any);
  EXPECT_EQ(reader.query("SELECT pg_is_in_recovery()")->text(0, 0), "t");
  const auto write = reader.query("CREATE TABLE never (a int)");
  ASSERT_FALSE(write.has_value());
  EXPECT_TRUE(write.error().away);

  auto both = first.server("postgres");
  both.host = "127.0.0.1,127.0.0.1";
  both.port = fmt::format("{},{}", second.port(), first.port());
  both.timeout = 1s;
  PostgresConnection connection(both);
  ASSERT_TRUE(connection.query("CREATE TABLE here (a int)").has_value());
  first.freeze();  // it does not even refuse
  second.promote();
  EXPECT_TRUE(soon([&] { return connection.query("CREATE TABLE there (a int)").has_value(); }));
  // The old one comes back and still takes writes: it must not get any.
  second.stop();
  first.thaw();
  connection.close();
  Pg<PostgresResult> old;
  EXPECT_TRUE(soon([&] {
    old = connection.query("CREATE TABLE lost (a int)");
    return !old && old.error().message.find("timeline") != std::string::npos;
  }));
  EXPECT_EQ(first.sql("postgres", "SELECT to_regclass('lost')")[0][0], "<null>");
}

}  // namespace
}  // namespace weir::store
