// One SQLite connection and its prepared statements: RAII, bound values only, errors as values.
//
// Knows SQL and files, not entities. Belongs to one thread. Statement texts come from this program; nothing a user
// sends is ever part of one.
#pragma once
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sqlite3.h>

#include "base/result.h"

namespace weir::store {

// What SQLite said. code is the extended result code; (code & 0xff) the primary one.
struct SqlError {
  int code = 0;
  std::string message;
  int primary() const { return code & 0xff; }
};
template <class T = void>
using Sql = std::expected<T, SqlError>;

// One use of a prepared statement. Reset and its values forgotten when it goes out of scope; parameters count from 1,
// columns from 0. A bound text must outlive the use.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* held) : held_(held) {}
  Statement(Statement&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~Statement();

  Statement& bind(int at, std::string_view text);
  Statement& bind(int at, std::int64_t number);
  Statement& bind(int at, double number);
  Statement& bind_null(int at);
  // A copy of the text is made.
  Statement& bind_copy(int at, std::string_view text);

  Sql<bool> step();  // true: a row is there
  Sql<> run();       // steps to the end

  int type(int column) const { return sqlite3_column_type(held_, column); }
  std::int64_t integer(int column) const { return sqlite3_column_int64(held_, column); }
  double real(int column) const { return sqlite3_column_double(held_, column); }
  std::string_view text(int column) const;  // valid until the next step

 private:
  sqlite3_stmt* held_ = nullptr;
};

class Database {
 public:
  Database() = default;
  Database(Database&& other) noexcept { *this = std::move(other); }
  Database& operator=(Database&& other) noexcept;
  ~Database();

  // Opens or makes the file (mode 0600) and sets the pragmas: WAL, every commit synced, foreign keys kept.
  static Result<Database> open(const std::string& path, bool foreign_keys = true);

  // The statement for this text, prepared once. A statement in use twice at a time is a broken invariant.
  Sql<Statement> prepare(const std::string& sql);
  // Several statements without values.
  Sql<> execute(const std::string& sql);
  SqlError last_error() const;
  std::int64_t changed_rows() const { return sqlite3_changes64(handle_); }  // by the last statement
  // True when the file is no longer where it was: what is written now would be gone after a restart.
  bool moved() const;
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  const std::string& path() const { return path_; }
  // The sentence for the person who must act: what happened to this file and the remedy.
  std::string explain(const SqlError&) const;

 private:
  void close();

  sqlite3* handle_ = nullptr;
  std::string path_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

// Rolls back unless committed.
class Transaction {
 public:
  // immediate: takes the write lock at once, so that a later statement cannot fail for it.
  static Sql<Transaction> begin(Database&, bool immediate = true);
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Sql<> commit();

 private:
  explicit Transaction(Database& db) : db_(&db) {}
  Database* db_;
};

}  // namespace weir::store
