#include "cmd/weir/migrations.h"

#include <unistd.h>

#include <iostream>
#include <map>

#include <boost/json.hpp>

namespace weir::cmd {
namespace {

namespace json = boost::json;
using Names = std::vector<std::string>;

// "core: 000_base" -> core -> 000_base, in the order in which they come.
std::vector<std::pair<std::string, Names>> by_subsystem(const Names& names) {
  std::vector<std::pair<std::string, Names>> out;
  for (const auto& name : names) {
    const auto colon = name.find(": ");
    const auto subsystem = name.substr(0, colon);
    auto found = std::ranges::find(out, subsystem, &std::pair<std::string, Names>::first);
    if (found == out.end()) found = out.insert(out.end(), {subsystem, {}});
    found->second.push_back(colon == name.npos ? name : name.substr(colon + 2));
  }
  return out;
}

std::string printed(std::string_view title, const Names& names) {
  std::string out = fmt::format("{}:\n", title);
  for (const auto& [subsystem, of_it] : by_subsystem(names))
    out += fmt::format("{:>15}: {}\n", subsystem, fmt::join(of_it, ", "));
  return out;
}

json::array shown(const Names& names) {
  json::array out;
  for (const auto& [subsystem, of_it] : by_subsystem(names))
    out.push_back(json::object{{"subsystem", subsystem}, {"migrations", json::array(of_it.begin(), of_it.end())}});
  return out;
}

// What a person is told is one line, so that each line of the log is about one thing.
Error one_line(Error error) {
  std::ranges::replace(error.message, '\n', ' ');
  return error;
}

Result<store::MigrationState> reached(const store::PostgresServer& server) {
  auto state = store::migration_state(server);
  if (!state) return std::unexpected(one_line(state.error()));
  if (!state->reachable) return fail("the database at {}:{} cannot be reached", server.host, server.port);
  return state;
}

Result<int> reset(const store::PostgresServer& server, const MigrationArguments& arguments,
                  const std::function<Result<bool>(std::string_view)>& confirm, const store::Tell& tell) {
  if (!arguments.yes) {
    const auto sure = confirm("Are you sure? This operation is irreversible.");
    if (!sure) return std::unexpected(sure.error());
    if (!*sure) {
      tell("cancelled");
      return 0;
    }
  }
  if (auto done = store::migrations_reset(server, tell); !done) return std::unexpected(done.error());
  return 0;
}

}  // namespace

std::string list_text(const store::MigrationState& state, int& code) {
  code = needs_bootstrap;
  if (!state.bootstrapped)
    return "Database needs bootstrapping or is older than Kong 1.0.\n\n"
           "To start a new installation from scratch, run 'weir migrations bootstrap'.\n";
  code = up_to_date;
  std::string out;
  const auto part = [&](std::string_view title, const Names& names) {
    if (!names.empty()) out += (out.empty() ? "" : "\n") + printed(title, names);
  };
  part("Executed migrations", state.executed);
  part("Pending migrations", state.pending);
  part("New migrations available", state.missing);
  part("Migrations of a newer version", state.newer);
  if (!state.pending.empty()) {
    code = has_pending;
    out += "\nRun 'weir migrations finish' when ready\n";
  } else if (!state.missing.empty()) {
    code = has_new;
    out += "\nRun 'weir migrations up' to proceed\n";
  }
  return out;
}

std::string status_text(const store::MigrationState& state) {
  return json::serialize(json::object{{"needs_bootstrap", !state.bootstrapped},
                                      {"executed_migrations", shown(state.executed)},
                                      {"pending_migrations", shown(state.pending)},
                                      {"new_migrations", shown(state.missing)},
                                      {"unknown_migrations", shown(state.newer)}}) +
         "\n";
}

Result<> check_migrated(const store::PostgresServer& server) {
  const auto state = reached(server);
  if (!state) return std::unexpected(state.error());
  if (!state->bootstrapped) return fail("the database is not set up; run 'weir migrations bootstrap'");
  if (!state->missing.empty())
    return fail("the database lacks the migrations {}; run 'weir migrations up'", fmt::join(state->missing, ", "));
  if (!state->newer.empty())
    return fail("the database is newer than this version: it has the migrations {}", fmt::join(state->newer, ", "));
  return {};
}

Result<bool> confirm_at_terminal(std::string_view question) {
  if (isatty(STDIN_FILENO) == 0) return fail("not a terminal: confirm by the flag --yes");
  std::cerr << "> " << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<int> migrations(std::string_view command, store::PostgresServer server, const MigrationArguments& arguments,
                       const std::function<Result<bool>(std::string_view)>& confirm, std::ostream& out) {
  server.timeout = std::chrono::seconds(arguments.db_timeout);
  const std::chrono::seconds lock_timeout(arguments.lock_timeout);
  const store::Tell tell = [&](const std::string& line) {
    if (!arguments.quiet) out << line << std::endl;
  };
  if (command == "list" || command == "status") {
    const auto state = reached(server);
    if (!state) return std::unexpected(state.error());
    int code = 0;
    const auto list = list_text(*state, code);
    if (!arguments.quiet) out << (command == "list" ? list : status_text(*state)) << std::flush;
    return command == "list" ? code : 0;
  }
  if (command == "reset") return reset(server, arguments, confirm, tell);
  // Kong runs recorded migrations again. Ours are recorded by the transaction that ran them, so there is no need.
  if (arguments.force) tell("--force: migrations that are recorded have run completely; they are not run again");
  const auto run = command == "bootstrap" ? store::migrations_bootstrap
                   : command == "up"      ? store::migrations_up
                                          : store::migrations_finish;
  if (auto done = run(server, lock_timeout, tell); !done) return std::unexpected(one_line(done.error()));
  return 0;
}

}  // namespace weir::cmd
