// One connection to PostgreSQL: driven without blocking, so that nothing waits longer than PostgresServer::timeout, not
// even for a server that is frozen or a network that swallows packets. Values are bound, never part of a statement.
//
// Knows libpq and SQL states, not entities. Belongs to one thread. No password is ever part of an error.
#pragma once
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "base/result.h"
#include "store/postgres.h"

namespace weir::store {

// away: the server cannot be used now (gone, frozen, restarting, full, refuses the login, read-only); another try may
// succeed. Otherwise the statement is at fault and the connection is good.
struct PostgresError {
  bool away = false;
  std::string state;  // SQLSTATE, empty when the server did not answer
  std::string message;
  std::string constraint, table, detail;  // as the server names them; detail may hold values: never for a log
  bool unique() const { return state == "23505"; }
  bool foreign_key() const { return state == "23503"; }
  bool retriable() const { return state == "40001" || state == "40P01"; }
};
template <class T = void>
using Pg = std::expected<T, PostgresError>;

// What a statement gave. Texts live as long as it.
class PostgresResult {
 public:
  PostgresResult() = default;
  explicit PostgresResult(PGresult* held) : held_(held) {}
  int rows() const { return PQntuples(held_.get()); }
  int columns() const { return PQnfields(held_.get()); }
  bool null(int row, int column) const { return PQgetisnull(held_.get(), row, column) != 0; }
  std::string_view text(int row, int column) const {
    return {PQgetvalue(held_.get(), row, column), static_cast<std::size_t>(PQgetlength(held_.get(), row, column))};
  }
  std::int64_t changed() const;  // rows inserted, updated or deleted

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> held_;
};

struct PostgresNotice {
  std::string channel, payload;
  int from_pid = 0;
};

// A parameter in text form; nothing: NULL.
using PostgresValue = std::optional<std::string>;

class PostgresConnection {
 public:
  // primary: only a server that takes writes, and none of an older timeline than one that was seen before (a primary
  // that came back after a switch). any: also a standby.
  enum class Role : std::uint8_t { primary, any };

  explicit PostgresConnection(PostgresServer server, Role role = Role::primary);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // Connects unless connected; after a failure again only when a second has gone by, until then the same error at once.
  // query() and script() do it by themselves when nothing is open.
  Pg<> connect();
  // One statement ($1, $2, ...). Inside a transaction a lost connection is an error, never a silent new one.
  Pg<PostgresResult> query(const std::string& sql, const std::vector<PostgresValue>& values = {});
  // Several statements without values, separated by ";": one transaction unless they say otherwise.
  Pg<> script(const std::string& sql);

  bool connected() const { return connection_ != nullptr; }
  bool in_transaction() const;
  int fd() const { return connection_ ? PQsocket(connection_.get()) : -1; }
  // What NOTIFY brought; reads what is there, never waits. An error when the connection is gone.
  Pg<std::vector<PostgresNotice>> notices();
  std::uint64_t generation() const { return generation_; }  // counts connections that were made
  // For migrations, which take longer than what the timeout is made for.
  void allow(std::chrono::milliseconds timeout) { server_.timeout = timeout; }
  void close();

  const PostgresServer& server() const { return server_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Place;
  struct Resolving;
  using Handle = std::unique_ptr<PGconn, Finish>;

  Pg<std::vector<Place>> places(Clock::time_point deadline);
  Pg<Handle> open(const Place&, Clock::time_point deadline);
  Pg<> prepare(PGconn*, Clock::time_point deadline);
  Pg<PostgresResult> run(PGconn*, const std::string& sql, const std::vector<PostgresValue>*,
                         Clock::time_point deadline);
  Pg<PostgresResult> finish(PGconn*, Clock::time_point deadline);
  Pg<PostgresResult> ask(const std::string& sql, const std::vector<PostgresValue>*);
  Pg<> check_timeline(PGconn*, Clock::time_point deadline);
  bool lost_while_idle();
  PostgresError gone(PGconn*, std::string_view what) const;
  std::string where() const;

  PostgresServer server_;
  Role role_;
  Handle connection_;
  std::size_t first_ = 0;  // the place to try first
  std::uint64_t generation_ = 0;
  Clock::time_point not_before_{};
  PostgresError last_failure_;
  std::vector<std::shared_ptr<Resolving>> resolving_;
};

std::string quoted_identifier(std::string_view);  // "name", for SQL
std::string quoted_literal(std::string_view);     // 'text', for SQL

}  // namespace weir::store
