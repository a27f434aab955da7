#include "kube/exec_plugin.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgets to say that it is C
}
#include <sys/wait.h>
#include <unistd.h>
#include <boost/json.hpp>

extern char** environ;

namespace weir::kube {
namespace {

namespace json = boost::json;
constexpr std::size_t output_max = 1024 * 1024;

std::vector<std::string> variables(const Access::Exec& exec) {
  auto more = exec.env;
  more["KUBERNETES_EXEC_INFO"] = json::serialize(
      json::object{{"apiVersion", exec.api_version}, {"kind", "ExecCredential"}, {"spec", {{"interactive", false}}}});
  std::vector<std::string> out;
  for (char** at = environ; *at; at++) {
    const std::string_view variable = *at;
    if (!more.contains(std::string(variable.substr(0, variable.find('='))))) out.emplace_back(variable);
  }
  for (const auto& [name, value] : more) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// In a process group of its own, with default signals. The error is that of posix_spawn, 0 for none.
int spawn(const Access::Exec& exec, int output, pid_t& pid) {
  std::vector<std::string> words{exec.command};
  words.insert(words.end(), exec.args.begin(), exec.args.end());
  auto settings = variables(exec);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  const int error =
      posix_spawnp(&pid, exec.command.c_str(), &files, &attributes, pointers(words).data(), pointers(settings).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

std::string text(const json::object& object, std::string_view name) {
  const auto* found = object.if_contains(name);
  return found && found->is_string() ? std::string(found->get_string()) : std::string();
}

}  // namespace

Result<ExecCredential> parse_exec_credential(std::string_view output) {
  json::error_code error;
  const auto parsed = json::parse(output, error);
  const auto* object = error ? nullptr : parsed.if_object();
  if (!object || text(*object, "kind") != "ExecCredential") return fail("its output is not an ExecCredential");
  const auto* found = object->if_contains("status");
  const auto* status = found ? found->if_object() : nullptr;
  if (!status) return fail("its ExecCredential has no status");
  ExecCredential out{
      text(*status, "token"), text(*status, "clientCertificateData"), text(*status, "clientKeyData"), {}};
  if (out.cert.empty() != out.key.empty()) return fail("its ExecCredential has a certificate or a key, but not both");
  if (out.token.empty() && out.cert.empty()) return fail("its ExecCredential has neither token nor certificate");
  if (const auto until = text(*status, "expirationTimestamp"); !until.empty()) {
    out.expires = parse_time(until);
    if (!out.expires) return fail("its ExecCredential has a malformed expirationTimestamp");
  }
  return out;
}

Result<std::unique_ptr<ExecRun>> ExecRun::start(const Access::Exec& exec, std::chrono::milliseconds limit) {
  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail("cannot make a pipe: {}", std::strerror(errno));
  pid_t pid = -1;
  const int error = spawn(exec, pipes[1], pid);
  ::close(pipes[1]);
  if (error != 0) {
    ::close(pipes[0]);
    return fail("credential plugin {}: cannot be run: {}", exec.command, std::strerror(error));
  }
  ::fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  std::unique_ptr<ExecRun> out(new ExecRun);
  out->command_ = exec.command;
  out->output_ = pipes[0];
  out->pid_ = pid;
  out->process_ = pidfd_open(pid, 0);
  out->limit_ = limit;
  out->deadline_ = Clock::now() + limit;
  if (out->process_ < 0) return fail("credential plugin {}: cannot be watched: {}", exec.command, std::strerror(errno));
  ::fcntl(out->process_, F_SETFD, FD_CLOEXEC);
  return out;
}

ExecRun::~ExecRun() {
  kill();
  if (output_ >= 0) ::close(output_);
  if (process_ >= 0) ::close(process_);
}

void ExecRun::kill() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);  // at once: it was killed
  pid_ = -1;
}

// False: more than a credential can be.
bool ExecRun::drain() {
  char buffer[4096];
  ssize_t count = 0;
  while (output_ >= 0 && (count = ::read(output_, buffer, sizeof buffer)) > 0) {
    text_.append(buffer, static_cast<std::size_t>(count));
    if (text_.size() > output_max) return false;
  }
  if (count == 0 && output_ >= 0) {  // its end: poll would tell of it again and again
    ::close(output_);
    output_ = -1;
  }
  return true;
}

std::optional<Result<ExecCredential>> ExecRun::step() {
  if (!drain()) {
    kill();
    return fail("credential plugin {}: it printed more than {} bytes", command_, output_max);
  }
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() < deadline_) return std::nullopt;
    kill();
    return fail("credential plugin {}: it took longer than {} ms", command_, limit_.count());
  }
  pid_ = -1;
  drain();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail("credential plugin {}: it ended with {} {}; run it by hand to see why", command_,
                WIFEXITED(status) ? "status" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  auto credential = parse_exec_credential(text_);
  if (!credential) return fail("credential plugin {}: {}", command_, credential.error().message);
  return credential;
}

}  // namespace weir::kube
