// For tests: a real PostgreSQL of their own, in a temporary folder and on a free port, that ends with the test program.
//
// As root it runs as the user postgres, since PostgreSQL refuses root. The postmaster is a direct child, so its signals
// (kill, freeze, thaw) are exact.
#pragma once
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <libpq-fe.h>

#include "base/result.h"
#include "store/postgres.h"

namespace weir::store {

class PostgresCluster {
 public:
  struct Options {
    std::vector<std::string> settings = {};       // "log_statement=all"
    const PostgresCluster* standby_of = nullptr;  // made by pg_basebackup, follows it
  };
  using Rows = std::vector<std::vector<std::string>>;  // NULL: "<null>"

  // One for the whole test program, made when it is first asked for.
  static PostgresCluster& shared() {
    static PostgresCluster one;
    return one;
  }

  PostgresCluster() : PostgresCluster(Options{}) {}
  explicit PostgresCluster(Options options) : options_(std::move(options)) {
    folder_ = temporary_folder();
    const auto data = folder_ + "/data";
    if (options_.standby_of != nullptr) {
      run({program("pg_basebackup"), "-h", "127.0.0.1", "-p", std::to_string(options_.standby_of->port_), "-U",
           "postgres", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync"});
    } else {
      // initdb takes a second; a copy of what it made a moment.
      run({"/bin/cp", "-a", pristine(), data});
    }
    port_ = free_port();
    start();
  }
  ~PostgresCluster() {
    thaw();
    stop(SIGQUIT);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  int port() const { return port_; }
  bool running() const { return pid_ > 0; }
  std::string log() const {
    std::ostringstream out;
    out << std::ifstream(folder_ + "/log").rdbuf();
    return out.str();
  }

  void start() {
    WEIR_ASSERT(pid_ <= 0);
    std::vector<std::string> arguments{program("postgres"), "-D", folder_ + "/data", "-p", std::to_string(port_)};
    for (const auto& setting :
         {std::string("listen_addresses=127.0.0.1"), "unix_socket_directories=" + folder_, std::string("fsync=off"),
          std::string("max_connections=100"), std::string("shared_buffers=32MB"), std::string("wal_level=replica"),
          std::string("autovacuum=off"), std::string("log_timezone=UTC")})
      arguments.insert(arguments.end(), {"-c", setting});
    for (const auto& setting : options_.settings) arguments.insert(arguments.end(), {"-c", setting});
    pid_ = spawn(arguments);
    wait_until_ready();
  }
  // SIGTERM: waits for clients; SIGINT: ends them (as `pg_ctl stop`); SIGQUIT: at once, as a crash.
  void stop(int signal = SIGINT) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void restart() {
    stop();
    start();
  }
  void kill() {  // -9, all of its processes
    if (pid_ <= 0) return;
    const auto all = processes();
    for (const auto pid : all) ::kill(pid, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    for (const auto pid : all) until_gone(pid);
    std::error_code ignored;
    std::filesystem::remove(folder_ + "/data/postmaster.pid", ignored);
  }
  void freeze() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGSTOP);  // first, so that it makes no more children
    for (const auto pid : processes()) ::kill(pid, SIGSTOP);
  }
  void thaw() {
    if (pid_ <= 0) return;
    for (const auto pid : processes()) ::kill(pid, SIGCONT);
  }
  void promote() { sql("postgres", "SELECT pg_promote(true, 30)"); }

  PostgresServer server(const std::string& database) const {
    PostgresServer out;
    out.host = "127.0.0.1";
    out.port = std::to_string(port_);
    out.database = database;
    out.user = "postgres";
    return out;
  }
  // A new, empty database, or a copy of `from`, to which nobody may be connected. Its name.
  std::string create_database(const std::string& from = "") {
    const auto name = "t" + std::to_string(++made_);
    sql("postgres", "CREATE DATABASE " + name + (from.empty() ? "" : " TEMPLATE " + from));
    return name;
  }
  // Runs statements over a connection of its own; the rows of the last. A failure fails the test.
  Rows sql(const std::string& database, const std::string& text) const {
    const auto where = "host=127.0.0.1 connect_timeout=10 user=postgres port=" + std::to_string(port_) +
                       " dbname=" + database + " options='-c timezone=UTC -c client_min_messages=warning'";
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(where.c_str()), PQfinish);
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), text.c_str()), PQclear);
    const auto status = PQresultStatus(result.get());
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) << text << "\n"
                                                                         << PQerrorMessage(connection.get());
    Rows out;
    for (int row = 0; row < PQntuples(result.get()); row++) {
      auto& cells = out.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); column++)
        cells.emplace_back(PQgetisnull(result.get(), row, column) != 0 ? "<null>"
                                                                       : PQgetvalue(result.get(), row, column));
    }
    return out;
  }

 private:
  struct Pristine {
    std::string folder;
    ~Pristine() {
      std::error_code ignored;
      std::filesystem::remove_all(folder, ignored);
    }
  };
  // A new cluster's folder, made once.
  std::string pristine() const {
    static Pristine made;
    const auto data = made.folder + "/data";
    if (!made.folder.empty()) return data;
    made.folder = temporary_folder();
    run({program("initdb"), "-D", made.folder + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
         "--no-sync"});
    std::ofstream(made.folder + "/data/pg_hba.conf", std::ios::trunc)
        << "local all all trust\n"
           "host all with_password 127.0.0.1/32 scram-sha-256\n"
           "host all all 127.0.0.1/32 trust\n"
           "host replication all 127.0.0.1/32 trust\n";
    return made.folder + "/data";
  }
  static std::string temporary_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-postgres-XXXXXX").string();
    WEIR_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    if (const auto* user = postgres_user(); user != nullptr)
      WEIR_ASSERT(::chown(pattern.c_str(), user->pw_uid, user->pw_gid) == 0);
    return pattern;
  }
  static std::string program(const std::string& name) {
    const char* folder = std::getenv("WEIR_POSTGRES_BIN");
    return (folder != nullptr ? std::string(folder) : "/usr/lib/postgresql/15/bin") + "/" + name;
  }
  static const passwd* postgres_user() { return ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr; }

  pid_t spawn(const std::vector<std::string>& arguments) const {
    std::vector<char*> raw;
    for (const auto& one : arguments) raw.push_back(const_cast<char*>(one.c_str()));
    raw.push_back(nullptr);
    const auto* user = postgres_user();
    const auto log = folder_ + "/log";
    const auto parent = ::getpid();
    const auto pid = ::fork();
    WEIR_ASSERT(pid >= 0);
    if (pid != 0) return pid;
    if (user != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
      ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // after setuid, which forgets it
    if (::getppid() != parent) ::_exit(125);
    ::setpgid(0, 0);  // Ctrl-C is for the test
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    for (int fd = 3; fd < 1024; fd++) ::close(fd);
    if (::chdir(folder_.c_str()) != 0) ::_exit(124);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  void run(const std::vector<std::string>& arguments) const {
    int status = 0;
    ::waitpid(spawn(arguments), &status, 0);
    if (status != 0) ADD_FAILURE() << arguments[0] << " failed:\n" << log();
    WEIR_ASSERT(status == 0);
  }
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    WEIR_ASSERT(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ntohs(address.sin_port);
  }
  void wait_until_ready() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto where = "host=127.0.0.1 connect_timeout=5 user=postgres dbname=postgres port=" + std::to_string(port_);
    while (PQping(where.c_str()) != PQPING_OK) {
      int status = 0;
      const bool ended = ::waitpid(pid_, &status, WNOHANG) == pid_;
      if (ended) ADD_FAILURE() << "PostgreSQL ended:\n" << log();
      WEIR_ASSERT(!ended && std::chrono::steady_clock::now() < deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  std::vector<pid_t> processes() const {
    std::vector<pid_t> out{pid_};
    const auto self = std::to_string(pid_);
    std::ifstream children("/proc/" + self + "/task/" + self + "/children");
    for (pid_t child = 0; children >> child;) out.push_back(child);
    return out;
  }
  static void until_gone(pid_t pid) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (::kill(pid, 0) == 0 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  Options options_;
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
  int made_ = 0;
};

}  // namespace weir::store
