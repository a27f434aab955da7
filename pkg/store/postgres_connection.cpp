#include "store/postgres_connection.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>

namespace weir::store {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Between two attempts to connect: callers in a queue are not each held for the whole timeout.
constexpr auto retry_after = 1s;
constexpr auto idle_transaction_max = "60s";  // a frozen node does not hold its locks for ever
constexpr const char* system_certificates = "/etc/ssl/certs/ca-certificates.crt";

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  for (;;) {
    const auto comma = list.find(',');
    auto item = list.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    out.emplace_back(item);
    if (comma == std::string_view::npos) return out;
    list.remove_prefix(comma + 1);
  }
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\t') {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += c;
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// 08: connection; 28: login; 57P0x: shutdown, restart, starting up; 57014: longer than statement_timeout; 53300, 53400:
// too many connections; 25006: not a primary (any more); 3D000: no such database.
bool away_state(std::string_view state) {
  return state.starts_with("08") || state.starts_with("28") || state.starts_with("57P0") || state == "57014" ||
         state == "53300" || state == "53400" || state == "25006" || state == "3D000" || state == "25P03";
}
bool ends_connection(std::string_view state) {
  return state.starts_with("08") || state.starts_with("57P0") || state == "25006" || state == "25P03";
}

// True: readable or writable as asked; false: the deadline has passed.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<long long>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

// The highest timeline of each set of servers, seen by any connection of this process. A server of a lower one was left
// behind by a switch: what is written there would be lost.
class Timelines {
 public:
  // Nothing when it is good, else the highest.
  std::optional<std::uint32_t> note(const std::string& servers, std::uint32_t timeline) {
    const std::lock_guard lock(mutex_);
    auto& highest = highest_[servers];
    if (timeline < highest) return highest;
    highest = timeline;
    return {};
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::uint32_t> highest_;
};
Timelines& timelines() {
  static Timelines all;
  return all;
}

std::string ssl_mode(const PostgresServer& server) {
  if (!server.ssl) return "disable";
  if (server.ssl_verify) return "verify-full";
  return server.ssl_required ? "require" : "prefer";
}

// Kong's "tlsv1_2" as OpenSSL's "TLSv1.2"; "any" and unknown ones: the library's default.
std::string ssl_protocol(std::string_view name) {
  if (name == "tlsv1") return "TLSv1";
  if (name == "tlsv1_1") return "TLSv1.1";
  if (name == "tlsv1_2") return "TLSv1.2";
  if (name == "tlsv1_3") return "TLSv1.3";
  return {};
}

}  // namespace

std::string quoted_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string quoted_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::int64_t PostgresResult::changed() const {
  const std::string_view text = PQcmdTuples(held_.get());
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

// One address to try: of a list of hosts each may have several.
struct PostgresConnection::Place {
  std::string host, address, port;
};

// A name that is being resolved on a thread of its own, because getaddrinfo() cannot be given up.
struct PostgresConnection::Resolving {
  std::string host;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  std::string error;
  std::vector<std::string> addresses;

  static std::shared_ptr<Resolving> start(const std::string& host) {
    auto out = std::make_shared<Resolving>();
    out->host = host;
    std::thread([out] { out->run(); }).detach();
    return out;
  }
  void run() {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
    const std::lock_guard lock(mutex);
    if (code != 0) error = ::gai_strerror(code);
    for (auto* one = found; one != nullptr; one = one->ai_next) {
      char text[NI_MAXHOST];
      if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
        addresses.emplace_back(text);
    }
    if (found != nullptr) ::freeaddrinfo(found);
    done = true;
    ended.notify_all();
  }
};

PostgresConnection::PostgresConnection(PostgresServer server, Role role) : server_(std::move(server)), role_(role) {}
PostgresConnection::~PostgresConnection() = default;

void PostgresConnection::close() {
  connection_.reset();
}

bool PostgresConnection::in_transaction() const {
  if (!connection_) return false;
  const auto status = PQtransactionStatus(connection_.get());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

std::string PostgresConnection::where() const {
  return fmt::format("the database '{}' on {}:{}", server_.database, server_.host, server_.port);
}

PostgresError PostgresConnection::gone(PGconn* connection, std::string_view what) const {
  PostgresError out;
  out.away = true;
  const auto said = connection != nullptr ? one_line(PQerrorMessage(connection)) : std::string();
  out.message = fmt::format("{} {}{}{}", where(), what, said.empty() ? "" : ": ", said);
  return out;
}

Pg<std::vector<PostgresConnection::Place>> PostgresConnection::places(Clock::time_point deadline) {
  const auto hosts = split(server_.host), ports = split(server_.port);
  std::vector<std::string> names;
  for (const auto& host : hosts) {
    in6_addr ignored{};
    const bool needs_no_name = host.starts_with('/') || ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
                               ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
    const bool asked = std::ranges::any_of(resolving_, [&](const auto& one) { return one->host == host; });
    if (!needs_no_name && !asked) resolving_.push_back(Resolving::start(host));
  }
  std::vector<Place> out;
  std::string failed;
  for (std::size_t i = 0; i < hosts.size(); i++) {
    const auto& port = ports[std::min(i, ports.size() - 1)];
    const auto asked = std::ranges::find_if(resolving_, [&](const auto& one) { return one->host == hosts[i]; });
    if (asked == resolving_.end()) {
      out.push_back({hosts[i], "", port});
      continue;
    }
    auto& one = **asked;
    std::unique_lock lock(one.mutex);
    // With several hosts, one whose name cannot be found out must not use up the time of the others.
    const auto until = hosts.size() == 1 ? deadline : Clock::now() + (deadline - Clock::now()) / 2;
    if (!one.ended.wait_until(lock, until, [&] { return one.done; })) {
      failed = fmt::format("the name {} could not be resolved in time", hosts[i]);
      continue;  // asked again later: the same thread may have the answer by then
    }
    if (!one.error.empty()) failed = fmt::format("the name {} cannot be resolved: {}", hosts[i], one.error);
    for (const auto& address : one.addresses) out.push_back({hosts[i], address, port});
  }
  // Answers are used once: addresses behind a name may change.
  std::erase_if(resolving_, [](const auto& one) {
    const std::lock_guard lock(one->mutex);
    return one->done;
  });
  if (out.empty()) return std::unexpected(gone(nullptr, "cannot be reached: " + failed));
  return out;
}

Pg<PostgresConnection::Handle> PostgresConnection::open(const Place& place, Clock::time_point deadline) {
  std::vector<std::pair<const char*, std::string>> settings{
      {"host", place.host},
      {"port", place.port},
      {"dbname", server_.database},
      {"user", server_.user},
      {"application_name", "weir"},
      {"sslmode", ssl_mode(server_)},
      {"gssencmode", "disable"},
      {"client_encoding", "UTF8"},
      {"target_session_attrs", role_ == Role::primary ? "read-write" : "any"},
      {"keepalives_idle", "30"},
      {"tcp_user_timeout", std::to_string(std::max<long long>(server_.timeout.count(), 1000))},
  };
  if (!place.address.empty()) settings.emplace_back("hostaddr", place.address);
  if (!server_.password.empty()) settings.emplace_back("password", server_.password);
  if (server_.ssl && server_.ssl_verify)
    settings.emplace_back("sslrootcert",
                          server_.trusted_certificate.empty() ? system_certificates : server_.trusted_certificate);
  if (const auto least = ssl_protocol(server_.ssl_version); !least.empty())
    settings.emplace_back("ssl_min_protocol_version", least);
  std::vector<const char*> names, values;
  for (const auto& [name, value] : settings) {
    names.push_back(name);
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);

  Handle made(PQconnectStartParams(names.data(), values.data(), 0));
  if (!made) return std::unexpected(gone(nullptr, "cannot be reached: out of memory"));
  auto step = PQstatus(made.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING) {
    if (!wait_for(PQsocket(made.get()), step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
      return std::unexpected(gone(nullptr, fmt::format("does not answer within {} ms", server_.timeout.count())));
    step = PQconnectPoll(made.get());
  }
  if (step == PGRES_POLLING_FAILED) return std::unexpected(gone(made.get(), "cannot be used"));
  PQsetnonblocking(made.get(), 1);
  PQsetNoticeReceiver(made.get(), [](void*, const PGresult*) {}, nullptr);
  if (auto ready = prepare(made.get(), deadline); !ready) return std::unexpected(std::move(ready.error()));
  return made;
}

Pg<> PostgresConnection::prepare(PGconn* connection, Clock::time_point deadline) {
  auto sql = fmt::format(
      "SET TIME ZONE 'UTC'; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = '{}'; "
      "SET standard_conforming_strings = on",
      server_.timeout.count(), idle_transaction_max);
  if (!server_.schema.empty()) sql += "; SET search_path TO " + quoted_identifier(server_.schema);
  if (auto set = run(connection, sql, nullptr, deadline); !set) {
    set.error().away = true;
    return std::unexpected(std::move(set.error()));
  }
  return role_ == Role::primary ? check_timeline(connection, deadline) : Pg<>{};
}

Pg<> PostgresConnection::check_timeline(PGconn* connection, Clock::time_point deadline) {
  auto answer = run(connection, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)", nullptr, deadline);
  if (!answer) {
    if (answer.error().away) return std::unexpected(std::move(answer.error()));
    return {};  // not a PostgreSQL that tells it, or not to this user
  }
  const auto text = answer->text(0, 0);
  std::uint32_t timeline = 0;
  std::from_chars(text.data(), text.data() + text.size(), timeline, 16);
  const auto servers = fmt::format("{}|{}|{}", server_.host, server_.port, server_.database);
  if (const auto highest = timelines().note(servers, timeline))
    return std::unexpected(gone(
        nullptr, fmt::format("is refused: {}:{} is on timeline {}, but timeline {} was seen: it was a primary before a "
                             "switch; take it out of the list or make it a standby",
                             PQhost(connection), PQport(connection), timeline, *highest)));
  return {};
}

Pg<> PostgresConnection::connect() {
  if (connection_) return {};
  if (Clock::now() < not_before_) return std::unexpected(last_failure_);
  const auto deadline = Clock::now() + server_.timeout;
  const auto failed = [&](PostgresError error) -> Pg<> {
    error.away = true;
    last_failure_ = error;
    not_before_ = Clock::now() + retry_after;
    return std::unexpected(std::move(error));
  };
  auto all = places(deadline);
  if (!all) return failed(std::move(all.error()));
  PostgresError last;
  for (std::size_t i = 0; i < all->size(); i++) {
    const auto at = (first_ + i) % all->size();
    // Each place has its share, so that a frozen one does not keep the next from being tried.
    const auto share = (deadline - Clock::now()) / static_cast<long>(all->size() - i);
    auto made = open((*all)[at], Clock::now() + share);
    if (made) {
      connection_ = std::move(*made);
      first_ = at;
      generation_++;
      not_before_ = {};
      return {};
    }
    last = std::move(made.error());
  }
  first_ = all->size() > 1 ? (first_ + 1) % all->size() : 0;
  return failed(std::move(last));
}

Pg<PostgresResult> PostgresConnection::run(PGconn* connection, const std::string& sql,
                                           const std::vector<PostgresValue>* values, Clock::time_point deadline) {
  int sent = 0;
  if (values == nullptr) {
    sent = PQsendQuery(connection, sql.c_str());
  } else {
    std::vector<const char*> texts;
    texts.reserve(values->size());
    for (const auto& value : *values) texts.push_back(value ? value->c_str() : nullptr);
    sent = PQsendQueryParams(connection, sql.c_str(), static_cast<int>(texts.size()), nullptr, texts.data(), nullptr,
                             nullptr, 0);
  }
  if (sent == 0) return std::unexpected(gone(connection, "was lost"));
  for (;;) {
    const int left = PQflush(connection);
    if (left < 0) return std::unexpected(gone(connection, "was lost"));
    if (left == 0) break;
    if (!wait_for(PQsocket(connection), POLLIN | POLLOUT, deadline))
      return std::unexpected(gone(nullptr, fmt::format("does not answer within {} ms", server_.timeout.count())));
    if (PQconsumeInput(connection) == 0) return std::unexpected(gone(connection, "was lost"));
  }
  return finish(connection, deadline);
}

// Reads to the end of the answer; of several statements the last result, or the first error.
Pg<PostgresResult> PostgresConnection::finish(PGconn* connection, Clock::time_point deadline) {
  PostgresResult last;
  std::optional<PostgresError> error;
  for (;;) {
    while (PQisBusy(connection) != 0) {
      if (!wait_for(PQsocket(connection), POLLIN, deadline))
        return std::unexpected(gone(nullptr, fmt::format("does not answer within {} ms", server_.timeout.count())));
      if (PQconsumeInput(connection) == 0) return std::unexpected(gone(connection, "was lost"));
    }
    PGresult* raw = PQgetResult(connection);
    if (raw == nullptr) break;
    PostgresResult result(raw);
    const auto status = PQresultStatus(raw);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
      last = std::move(result);
      continue;
    }
    if (error) continue;
    const auto field = [&](int code) -> std::string {
      const char* text = PQresultErrorField(raw, code);
      return text != nullptr ? text : "";
    };
    error.emplace();
    error->state = field(PG_DIAG_SQLSTATE);
    error->constraint = field(PG_DIAG_CONSTRAINT_NAME);
    error->table = field(PG_DIAG_TABLE_NAME);
    error->detail = field(PG_DIAG_MESSAGE_DETAIL);
    error->away = error->state.empty() || away_state(error->state);
    auto said = field(PG_DIAG_MESSAGE_PRIMARY);
    if (said.empty()) said = one_line(PQresultErrorMessage(raw));
    error->message = error->away ? fmt::format("{} cannot be used now: {}", where(), said) : said;
  }
  if (PQstatus(connection) == CONNECTION_BAD && !error) return std::unexpected(gone(connection, "was lost"));
  if (error) return std::unexpected(std::move(*error));
  return last;
}

// A server that restarted has said goodbye on connections that were idle: found before a statement is risked on one.
bool PostgresConnection::lost_while_idle() {
  if (!connection_ || PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) return false;
  // Its last words come first, the end of the stream behind them.
  for (int reads = 0; reads < 8; reads++) {
    pollfd one{PQsocket(connection_.get()), POLLIN, 0};
    if (::poll(&one, 1, 0) <= 0) return false;
    if (PQconsumeInput(connection_.get()) == 0 || PQstatus(connection_.get()) == CONNECTION_BAD) return true;
    (void)PQisBusy(connection_.get());
  }
  return false;
}

Pg<PostgresResult> PostgresConnection::ask(const std::string& sql, const std::vector<PostgresValue>* values) {
  if (lost_while_idle()) close();
  if (auto there = connect(); !there) return std::unexpected(std::move(there.error()));
  const auto deadline = Clock::now() + server_.timeout;
  auto answer = run(connection_.get(), sql, values, deadline);
  if (answer) return answer;
  auto& error = answer.error();
  if (error.state.empty() || ends_connection(error.state) || PQstatus(connection_.get()) == CONNECTION_BAD) {
    error.away = true;
    close();
    // One that did not answer is left alone for a while; one that went away may be back already.
    if (Clock::now() >= deadline) {
      not_before_ = Clock::now() + retry_after;
      last_failure_ = error;
    }
  }
  return answer;
}

Pg<PostgresResult> PostgresConnection::query(const std::string& sql, const std::vector<PostgresValue>& values) {
  return ask(sql, &values);
}

Pg<> PostgresConnection::script(const std::string& sql) {
  auto done = ask(sql, nullptr);
  if (!done) return std::unexpected(std::move(done.error()));
  return {};
}

Pg<std::vector<PostgresNotice>> PostgresConnection::notices() {
  if (!connection_) return std::unexpected(gone(nullptr, "is not connected"));
  std::vector<PostgresNotice> out;
  if (PQconsumeInput(connection_.get()) == 0 || PQstatus(connection_.get()) == CONNECTION_BAD) {
    auto error = gone(connection_.get(), "was lost");
    close();
    return std::unexpected(std::move(error));
  }
  while (PGnotify* notice = PQnotifies(connection_.get())) {
    out.push_back({notice->relname, notice->extra, notice->be_pid});
    PQfreemem(notice);
  }
  return out;
}

}  // namespace weir::store
