#include "store/sqlite_db.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace weir::store {
namespace {

// Another process (an export, a backup) may hold the write lock for a moment.
constexpr int busy_ms = 5000;
// What the WAL file is cut back to after a burst of writes.
constexpr int wal_bytes_max = 64 * 1024 * 1024;

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// SQLite would make the file with the process's umask; it holds secrets, so only its owner reads it. The -wal and -shm
// files take over its mode. The folder is synced, else the new name could be gone after a power loss.
Result<void> make_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) {
    ::close(file);
    const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
      ::fsync(folder);
      ::close(folder);
    }
    return {};
  }
  switch (errno) {
    case EEXIST:
      break;
    case ENOENT:
      return fail("cannot make the database {}: the folder {} does not exist; make it first", path, folder_of(path));
    case EACCES:
    case EROFS:
      return fail(
          "cannot make the database {}: the folder {} is not writable for this user; change its owner or mode, or "
          "name another place",
          path, folder_of(path));
    case ENOSPC:
      return fail("cannot make the database {}: the disk is full; free some space", path);
    default:
      return fail("cannot make the database {}: {}", path, std::strerror(errno));
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return fail("cannot open the database {}: it is not a regular file; name another path", path);
  return {};
}

}  // namespace

Statement::~Statement() {
  if (held_ == nullptr) return;
  sqlite3_reset(held_);
  sqlite3_clear_bindings(held_);
}

Statement& Statement::bind(int at, std::string_view text) {
  const char* bytes = text.data() == nullptr ? "" : text.data();
  WEIR_ASSERT(sqlite3_bind_text64(held_, at, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind_copy(int at, std::string_view text) {
  const char* bytes = text.data() == nullptr ? "" : text.data();
  WEIR_ASSERT(sqlite3_bind_text64(held_, at, bytes, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind(int at, std::int64_t number) {
  WEIR_ASSERT(sqlite3_bind_int64(held_, at, number) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind(int at, double number) {
  WEIR_ASSERT(sqlite3_bind_double(held_, at, number) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind_null(int at) {
  WEIR_ASSERT(sqlite3_bind_null(held_, at) == SQLITE_OK);
  return *this;
}

Sql<bool> Statement::step() {
  const int code = sqlite3_step(held_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(held_);
  return std::unexpected(SqlError{sqlite3_extended_errcode(db), sqlite3_errmsg(db)});
}

Sql<> Statement::run() {
  for (;;) {
    auto row = step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
  }
}

std::string_view Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(held_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(held_, column))};
}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  std::swap(statements_, other.statements_);
  return *this;
}

Database::~Database() {
  close();
}

void Database::close() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
  if (handle_ != nullptr) sqlite3_close(handle_);
  handle_ = nullptr;
}

Result<Database> Database::open(const std::string& path, bool foreign_keys) {
  const bool in_memory = path == ":memory:";
  if (!in_memory)
    if (auto made = make_file(path); !made) return std::unexpected(std::move(made.error()));

  Database db;
  db.path_ = path;
  // The name is a path, never a URI: no SQLITE_OPEN_URI.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
  const int opened = sqlite3_open_v2(path.c_str(), &db.handle_, flags, nullptr);
  if (opened != SQLITE_OK) {
    if (db.handle_ == nullptr) return fail("cannot open the database {}: out of memory", path);
    return fail("{}", db.explain(db.last_error()));
  }
  sqlite3_busy_timeout(db.handle_, busy_ms);
  if (!in_memory && sqlite3_db_readonly(db.handle_, "main") == 1)
    return fail("{}", db.explain({SQLITE_READONLY, "attempt to write a readonly database"}));
  // A hostile schema in a copied file must not run anything of ours.
  sqlite3_db_config(db.handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  const std::string pragmas = fmt::format(
      "PRAGMA foreign_keys={};"
      "PRAGMA journal_mode=WAL;"
      "PRAGMA synchronous=FULL;"  // WAL syncs at each commit only with FULL
      "PRAGMA journal_size_limit={};"
      "PRAGMA temp_store=MEMORY;",
      foreign_keys ? "ON" : "OFF", wal_bytes_max);
  if (auto set = db.execute(pragmas); !set) return fail("{}", db.explain(set.error()));
  return db;
}

Sql<Statement> Database::prepare(const std::string& sql) {
  if (const auto held = statements_.find(sql); held != statements_.end()) {
    WEIR_ASSERT(!sqlite3_stmt_busy(held->second));
    return Statement(held->second);
  }
  sqlite3_stmt* made = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (code != SQLITE_OK) return std::unexpected(last_error());
  statements_.emplace(sql, made);
  return Statement(made);
}

Sql<> Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return std::unexpected(last_error());
  return {};
}

bool Database::moved() const {
  int moved = 0;
  return sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

SqlError Database::last_error() const {
  return {sqlite3_extended_errcode(handle_), sqlite3_errmsg(handle_)};
}

std::string Database::explain(const SqlError& error) const {
  switch (error.primary()) {
    case SQLITE_FULL:
      return fmt::format("the disk is full: nothing was written to the database {}; free some space and try again",
                         path_);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fmt::format(
          "the database {} is damaged ({}); restore it from a backup, or move it away and import an export", path_,
          error.message);
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return fmt::format("the database {} is read-only for this user; make the file and its folder writable", path_);
    case SQLITE_CANTOPEN:
      return fmt::format(
          "cannot open the database {} ({}); its file and folder must be readable and writable for this user", path_,
          error.message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fmt::format("the database {} is locked by another process; end that process or try again", path_);
    case SQLITE_IOERR:
      return fmt::format("reading or writing the database {} failed ({}, code {}); check the disk", path_,
                         error.message, error.code);
    default:
      return fmt::format("the database {} failed: {} (code {})", path_, error.message, error.code);
  }
}

Sql<Transaction> Transaction::begin(Database& db, bool immediate) {
  auto begin = db.prepare(immediate ? "BEGIN IMMEDIATE" : "BEGIN");
  if (!begin) return std::unexpected(std::move(begin.error()));
  if (auto done = begin->run(); !done) return std::unexpected(std::move(done.error()));
  return Transaction(db);
}

Sql<> Transaction::commit() {
  auto commit = db_->prepare("COMMIT");
  if (!commit) return std::unexpected(std::move(commit.error()));
  // A failed commit leaves the transaction open, or has rolled it back already; the destructor finds out which.
  if (auto done = commit->run(); !done) return done;
  db_ = nullptr;
  return {};
}

Transaction::~Transaction() {
  if (db_ == nullptr || !db_->in_transaction()) return;
  if (auto rollback = db_->prepare("ROLLBACK")) (void)rollback->run();
}

}  // namespace weir::store
