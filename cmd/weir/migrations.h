// `weir migrations`: makes Kong's tables in a PostgreSQL database, brings them up to date, and says how they are.
#pragma once
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

#include "store/postgres.h"

namespace weir::cmd {

struct MigrationArguments {
  bool yes = false, quiet = false, force = false;
  unsigned db_timeout = 60, lock_timeout = 60;  // s
};

// What `list` exits with, as Kong's command does.
enum MigrationCode : int { up_to_date = 0, needs_bootstrap = 3, has_pending = 4, has_new = 5 };

// command: bootstrap, up, finish, list, status or reset. confirm: asks the person at the terminal; the error says that
// there is none. The value is the exit code.
Result<int> migrations(std::string_view command, store::PostgresServer, const MigrationArguments&,
                       const std::function<Result<bool>(std::string_view question)>& confirm, std::ostream& out);
// Whether entities can be read and written; the error names the command to run.
Result<> check_migrated(const store::PostgresServer&);
// Asks on standard error and reads from standard input, which must be a terminal.
Result<bool> confirm_at_terminal(std::string_view question);

// What `list` and `status` print.
std::string list_text(const store::MigrationState&, int& code);
std::string status_text(const store::MigrationState&);

}  // namespace weir::cmd
