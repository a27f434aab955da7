// The command line: one sub-command each for what a person or a service manager asks of Weir.
//
// Exit codes: 0 done; 1 it failed while starting or running; 2 stopped by force, or the command line is wrong;
// 3, 4, 5 what `migrations list` found; 78 the settings or the declarative file are faulty (EX_CONFIG).
#include <CLI/CLI.hpp>

#include <iostream>

#include "base/log.h"
#include "cmd/weir/completion.h"
#include "cmd/weir/crds.h"
#include "cmd/weir/inject.h"
#include "cmd/weir/migrations.h"
#include "gateway/gateway.h"
#include "gateway/process.h"
#include "gateway/version.h"

extern char** environ;

namespace {

namespace gateway = weir::gateway;
constexpr int failed = 1, usage = 2, faulty_configuration = 78;

struct Arguments {
  std::string conf, prefix, file;
  std::vector<std::string> assignments;
  bool greet = false, json = false;
};

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry; entry++) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != text.npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

// One line of the log for each fault, then the exit code.
int give_up(const std::string& faults, int code) {
  std::size_t from = 0;
  while (from <= faults.size()) {
    const auto end = std::min(faults.find('\n', from), faults.size());
    weir::log::event(weir::log::Level::emerg, faults.substr(from, end - from));
    from = end + 1;
  }
  return code;
}

struct Loaded {
  gateway::Settings settings;
  gateway::Options options;
};

weir::Result<Loaded> load(const Arguments& arguments) {
  auto assignments = arguments.assignments;
  if (!arguments.prefix.empty()) assignments.push_back("prefix=" + arguments.prefix);
  auto settings = gateway::Settings::read({arguments.conf, environment(), assignments});
  if (!settings) return std::unexpected(settings.error());
  auto options = gateway::options(*settings);
  if (!options) return std::unexpected(options.error());
  return Loaded{std::move(*settings), std::move(*options)};
}

int run(const Arguments& arguments) {
  auto loaded = load(arguments);
  if (!loaded) return give_up(loaded.error().message, faulty_configuration);
  auto running = gateway::Gateway::start(loaded->settings, loaded->options);
  if (!running) return give_up(running.error().message, failed);
  if (arguments.greet) std::cout << (*running)->greeting() << std::flush;
  return (*running)->run();
}

int check(const Arguments& arguments) {
  auto loaded = load(arguments);
  if (!loaded) return give_up(loaded.error().message, faulty_configuration);
  const auto file = arguments.file.empty() ? loaded->options.declarative_config : arguments.file;
  if (!file.empty())
    if (auto read = gateway::read_declarative(file); !read) return give_up(read.error().message, faulty_configuration);
  std::cout << "configuration is valid\n";
  return 0;
}

int print_version(const Arguments& arguments) {
  if (arguments.json)
    std::cout << fmt::format("{{\"version\":\"{}\",\"kong_version\":\"{}\"}}\n", gateway::version,
                             gateway::kong_version);
  else
    std::cout << fmt::format("weir {} (Admin API of Kong {})\n", gateway::version, gateway::kong_version);
  return 0;
}

// The store for a command that reads or writes entities beside a node.
weir::Result<gateway::OpenStore> open_entities(const gateway::Options& options) {
  if (options.postgres)
    if (auto ready = weir::cmd::check_migrated(options.postgres->server); !ready) return std::unexpected(ready.error());
  return gateway::open_store(options);
}

int export_config(const Arguments& arguments) {
  auto loaded = load(arguments);
  if (!loaded) return give_up(loaded.error().message, faulty_configuration);
  auto store = open_entities(loaded->options);
  if (!store) return give_up(store.error().message, failed);
  if (loaded->options.database_off && !loaded->options.declarative_config.empty()) {
    auto read = gateway::read_declarative(loaded->options.declarative_config);
    if (!read) return give_up(read.error().message, faulty_configuration);
    if (auto held = (*store)->replace_all(read->entities); !held) return give_up(held.error().message, failed);
  }
  auto text = weir::store::print_declarative(**store);
  if (!text) return give_up(text.error().message, failed);
  if (arguments.file.empty() || arguments.file == "-") {
    std::cout << *text;
    return 0;
  }
  auto written = gateway::write_private_file(arguments.file, *text);
  return written ? 0 : give_up(written.error().message, failed);
}

// Upserts what the file declares and deletes nothing, as Kong's db_import does.
int import_into(const gateway::Options& options, const std::string& file) {
  auto read = gateway::read_declarative(file);
  if (!read) return give_up(read.error().message, faulty_configuration);
  auto store = open_entities(options);
  if (!store) return give_up(store.error().message, failed);
  auto changes = (*store)->upsert_all(read->entities);
  if (!changes) return give_up(file + ": " + changes.error().message, failed);
  std::cout << fmt::format("{} entities imported, {} changed\n", read->entities.size(), changes->size());
  return 0;
}

int import_config(const Arguments& arguments) {
  auto loaded = load(arguments);
  if (!loaded) return give_up(loaded.error().message, faulty_configuration);
  const auto& options = loaded->options;
  if (options.database_off)
    return give_up("config import needs a database; set database=sqlite or database=postgres", usage);
  // Nodes on PostgreSQL hear of the changes; a file belongs to one process.
  if (options.postgres) return import_into(options, arguments.file);
  if (auto made = gateway::make_folder(options.prefix); !made) return give_up(made.error().message, failed);
  auto lock = gateway::Lock::take(options.prefix + "/weir.lock");
  if (!lock) return give_up(lock.error().message + "; a running node takes changes through its Admin API", failed);
  return import_into(options, arguments.file);
}

int migrate(std::string_view command, const Arguments& arguments, const weir::cmd::MigrationArguments& how) {
  auto loaded = load(arguments);
  if (!loaded) return give_up(loaded.error().message, faulty_configuration);
  if (!loaded->options.postgres)
    return give_up(fmt::format("migrations {} needs database=postgres; with {} there is nothing to migrate by hand",
                               command, loaded->options.database_off ? "database=off" : "database=sqlite"),
                   usage);
  const auto code =
      weir::cmd::migrations(command, loaded->options.postgres->server, how, weir::cmd::confirm_at_terminal, std::cout);
  return code ? *code : give_up(code.error().message, failed);
}

void add_settings(CLI::App& command, Arguments& arguments) {
  command.add_option("-c,--conf", arguments.conf, "settings file (default: /etc/weir/weir.conf, /etc/weir.conf)");
  command.add_option("-p,--prefix", arguments.prefix, "folder that holds the node's state");
  command.add_option("--set", arguments.assignments, "a setting, key=value; may be given again")
      ->allow_extra_args(false);
}

void add_migrations(CLI::App& parent, Arguments& arguments, weir::cmd::MigrationArguments& how, int& code) {
  static constexpr std::pair<const char*, const char*> commands[] = {
      {"bootstrap", "make the tables, or bring those of an older Kong up to date"},
      {"up", "run migrations that the database has not had"},
      {"finish", "finish migrations that an upgrade has left pending"},
      {"list", "list migrations; exits with 3: needs bootstrap, 4: some are pending, 5: there are new ones"},
      {"status", "the same as JSON"},
      {"reset", "delete all that Weir and Kong keep in the database"}};
  for (const auto& [name, help] : commands) {
    auto* command = parent.add_subcommand(name, help);
    add_settings(*command, arguments);
    command->add_flag("-y,--yes", how.yes, "do not ask");
    command->add_flag("-q,--quiet", how.quiet, "print nothing but errors");
    command->add_flag("-f,--force", how.force,
                      "taken as Kong's commands do; migrations that have run are not repeated");
    command->add_option("--db-timeout", how.db_timeout, "seconds that a statement may take")
        ->capture_default_str()
        ->check(CLI::Range(1, 86'400));
    command->add_option("--lock-timeout", how.lock_timeout, "seconds to wait for another node that migrates")
        ->capture_default_str()
        ->check(CLI::Range(0, 86'400));
    command->callback([&, name = name] { code = migrate(name, arguments, how); });
  }
}

void add_inject(CLI::App& app, std::string& file, weir::reconcile::Sidecar& sidecar, int& code) {
  sidecar.image = fmt::format("weir:{}", gateway::version);
  auto* command = app.add_subcommand("inject", "print a manifest with Weir as a sidecar of its workloads");
  command->add_option("-f,--filename", file, "manifest (YAML or JSON); - for standard input")->required();
  command->add_option("--image", sidecar.image, "Weir's image")->capture_default_str();
  command->add_option("--inbound-port", sidecar.inbound_port, "where requests for the application arrive")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  command->add_option("--status-port", sidecar.status_port, "probes and metrics of the sidecar")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  command->callback([&] {
    if (auto printed = weir::cmd::inject(file, sidecar, std::cin, std::cout); !printed)
      code = give_up(printed.error().message, failed);
  });
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Weir: ingress gateway, sidecar proxy and Kubernetes operator", "weir"};
  app.require_subcommand(1);
  int code = 0;

  auto* run_command = app.add_subcommand("run", "serve traffic in the foreground");
  add_settings(*run_command, arguments);
  const auto also = [&](const char* flag, const char* setting, const char* help) {
    run_command->add_option_function<std::string>(
        flag, [&, setting](const std::string& value) { arguments.assignments.push_back(setting + ("=" + value)); },
        help);
  };
  also("--kubeconfig", "kubeconfig", "file that says how to reach Kubernetes");
  also("--gateway-addresses", "gateway_addresses", "address pool of Gateways (CIDR)");
  run_command->add_flag("--greet", arguments.greet, "print where it listens and what to try");
  run_command->callback([&] { code = run(arguments); });

  auto* check_command = app.add_subcommand("check", "check settings and a declarative file, and change nothing");
  add_settings(*check_command, arguments);
  check_command->add_option("file", arguments.file, "declarative file (default: the setting declarative_config)");
  check_command->callback([&] { code = check(arguments); });

  auto* version_command = app.add_subcommand("version", "print the version");
  version_command->add_flag("--json", arguments.json, "as JSON");
  version_command->callback([&] { code = print_version(arguments); });

  auto* config_command = app.add_subcommand("config", "move entities between the database and a declarative file");
  config_command->require_subcommand(1);
  auto* export_command = config_command->add_subcommand("export", "write all entities to a file or standard output");
  add_settings(*export_command, arguments);
  export_command->add_option("file", arguments.file, "file to write (default: standard output)");
  export_command->callback([&] { code = export_config(arguments); });
  auto* import_command =
      config_command->add_subcommand("import", "add a file's entities to the database, replacing those of the same id");
  add_settings(*import_command, arguments);
  import_command->add_option("file", arguments.file, "declarative file")->required();
  import_command->callback([&] { code = import_config(arguments); });

  weir::cmd::MigrationArguments how;
  auto* migrations_command = app.add_subcommand("migrations", "manage the tables of a PostgreSQL database");
  migrations_command->require_subcommand(1);
  add_migrations(*migrations_command, arguments, how, code);

  std::string directory;
  auto* crds_command = app.add_subcommand("crds", "print the CustomResourceDefinitions of Weir's kinds as YAML");
  crds_command->add_option("--directory", directory, "write one file for each kind there instead");
  crds_command->callback([&] {
    if (auto printed = weir::cmd::crds(directory, std::cout); !printed) code = give_up(printed.error().message, failed);
  });

  std::string manifest;
  weir::reconcile::Sidecar sidecar;
  add_inject(app, manifest, sidecar, code);

  std::string shell;
  auto* completion_command = app.add_subcommand("completion", "print a completion script: bash, zsh or fish");
  completion_command->add_option("shell", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion_command->callback([&] { std::cout << weir::cmd::completion(app, shell); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage;
  }
  return code;
}
