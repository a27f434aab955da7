// A real etcd and kube-apiserver on free loopback ports, for tests; both end with the object. They are looked for in
// $WEIR_KUBE_BIN, then in ~/.cache/k8s-lab.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdio>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "kube/test_support.h"

namespace weir::kube {

class RealApiServer {
 public:
  // Why there is none; empty: there is.
  static std::string missing() {
    for (const auto* program : {"etcd", "kube-apiserver"})
      if (::access((folder_of_programs() + "/" + program).c_str(), X_OK) != 0)
        return fmt::format("there is no {} in {}; build it, or set WEIR_KUBE_BIN", program, folder_of_programs());
    return {};
  }

  RealApiServer() : port(free_port()) {
    const auto client = free_port(), peer = free_port();
    etcd_url_ = fmt::format("http://127.0.0.1:{}", client);
    const auto peer_url = fmt::format("http://127.0.0.1:{}", peer);
    folder.write("tokens.csv", "admin-token,admin,1,system:masters\nnobody-token,nobody,2\n");
    write_keys();
    etcd_ =
        run("etcd", {"--name", "t", "--data-dir", folder.path + "/etcd", "--unsafe-no-fsync", "--log-level", "error",
                     "--listen-client-urls", etcd_url_, "--advertise-client-urls", etcd_url_, "--listen-peer-urls",
                     peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster", "t=" + peer_url});
    start();
  }
  ~RealApiServer() {
    kill();
    end(etcd_);
  }

  void start() {
    server_ = run("kube-apiserver", {"--etcd-servers",
                                     etcd_url_,
                                     "--bind-address",
                                     "127.0.0.1",
                                     "--secure-port",
                                     std::to_string(port),
                                     "--cert-dir",
                                     folder.path + "/pki",
                                     "--token-auth-file",
                                     folder.path + "/tokens.csv",
                                     "--authorization-mode",
                                     "RBAC",
                                     "--service-account-issuer",
                                     "https://kubernetes.default.svc",
                                     "--service-account-key-file",
                                     folder.path + "/accounts.pub",
                                     "--service-account-signing-key-file",
                                     folder.path + "/accounts.key",
                                     "--service-cluster-ip-range",
                                     "10.0.0.0/24",
                                     "--disable-admission-plugins",
                                     "ServiceAccount",
                                     "--profiling=false"});
  }
  void kill() { end(server_); }
  bool runs() const { return ::waitpid(server_, nullptr, WNOHANG) == 0; }

  Access access(const std::string& token = "admin-token") const {
    Access out;
    out.server = fmt::format("https://127.0.0.1:{}", port);
    out.insecure = true;
    out.token = token;
    return out;
  }
  // The certificate that it has signed itself, with the chain.
  std::string certificate() const { return folder.path + "/pki/apiserver.crt"; }
  std::string log() const {
    std::ostringstream out;
    out << std::ifstream(folder.path + "/kube-apiserver.log").rdbuf();
    return out.str().substr(out.str().size() - std::min<std::size_t>(out.str().size(), 2000));
  }

  const TemporaryFolder folder;
  const std::uint16_t port;

 private:
  static std::string folder_of_programs() {
    if (const char* given = std::getenv("WEIR_KUBE_BIN")) return given;
    const char* home = std::getenv("HOME");
    return fmt::format("{}/.cache/k8s-lab", home ? home : "");
  }
  static std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
  }
  // For service accounts' tokens, without which it does not start.
  void write_keys() const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    std::FILE* file = std::fopen((folder.path + "/accounts.key").c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen((folder.path + "/accounts.pub").c_str(), "w");
    PEM_write_PUBKEY(file, key);
    std::fclose(file);
    EVP_PKEY_free(key);
  }
  pid_t run(const std::string& program, std::vector<std::string> arguments) const {
    const auto path = folder_of_programs() + "/" + program;
    const auto log = folder.path + "/" + program + ".log";
    arguments.insert(arguments.begin(), path);
    std::vector<char*> words;
    for (auto& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(path.c_str(), words.data());
    ::_exit(127);
  }
  static void end(pid_t& pid) {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = -1;
  }

  std::string etcd_url_;
  pid_t etcd_ = -1, server_ = -1;
};

}  // namespace weir::kube
