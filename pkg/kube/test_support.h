// For tests: an API server that does as it is told, over plain HTTP/1.1, and a client with its thread.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <list>
#include <thread>

#include <gtest/gtest.h>

#include "base/text.h"
#include "kube/informer.h"

namespace weir::kube {

// Until it holds, for ten seconds at most.
template <class Condition>
bool eventually(Condition holds, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    auto pattern = (std::filesystem::temp_directory_path() / "weir-kube-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  std::string write(const std::string& name, std::string_view content) const {
    const auto file = path + "/" + name;
    std::ofstream(file + ".new") << content;
    std::filesystem::rename(file + ".new", file);  // readers see the old or the new one
    return file;
  }
  std::string path;
};

class ScriptedServer {
 public:
  struct Request {
    std::string method, target, body;
    std::map<std::string, std::string> headers;  // names in lower case
    std::chrono::steady_clock::time_point at;
    bool is_watch() const { return target.find("watch=true") != target.npos; }
  };
  // What is sent for one request. Without answer() or stream() the connection is cut.
  class Reply {
   public:
    Reply(ScriptedServer& server, int fd) : server_(server), fd_(fd) {}
    void answer(int status, std::string_view body, const std::string& headers = {}) {
      raw(fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}", status,
                      body.size(), headers, body));
      answered = true;
    }
    // The stream stays open until the server's lines(), end() or cut() say otherwise.
    void stream() {
      raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
      server_.hold(fd_);
      answered = true;
    }
    void silence() { server_.hold(fd_, false); }  // nothing at all
    void raw(std::string_view bytes) { send_all(fd_, bytes); }
    bool answered = false;

   private:
    ScriptedServer& server_;
    int fd_;
  };
  using Script = std::function<void(const Request&, Reply&)>;

  explicit ScriptedServer(Script script, std::uint16_t wanted = 0) : script_(std::move(script)) { listen(wanted); }
  ~ScriptedServer() { stop(); }
  ScriptedServer(const ScriptedServer&) = delete;

  void stop() {
    if (listener_ < 0) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    released_.notify_all();
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (auto& thread : connections_) thread.join();
    ::close(listener_);
    listener_ = -1;
  }

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port); }
  std::uint16_t port = 0;

  std::vector<Request> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::size_t count(std::string_view part) const {
    std::size_t out = 0;
    for (const auto& request : requests())
      if (request.target.find(part) != std::string::npos) out++;
    return out;
  }
  std::size_t streams() const {
    std::lock_guard lock(mutex_);
    return held_.size();
  }
  // To all streams that are open.
  void bytes(std::string_view bytes) {
    std::lock_guard lock(mutex_);
    for (const auto& [fd, chunked] : held_)
      if (chunked) send_all(fd, fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
  }
  void line(std::string_view line) { bytes(std::string(line) + "\n"); }
  void end() {
    release([](int fd) { send_all(fd, "0\r\n\r\n"); });
  }
  void cut() {
    release([](int fd) { ::shutdown(fd, SHUT_RDWR); });
  }

 private:
  static void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void hold(int fd, bool chunked = true) {
    std::lock_guard lock(mutex_);
    held_[fd] = chunked;
  }
  template <class Before>
  void release(Before before) {
    {
      std::lock_guard lock(mutex_);
      for (const auto& [fd, chunked] : held_) before(fd);
      held_.clear();
    }
    released_.notify_all();
  }
  void listen(std::uint16_t wanted) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(wanted);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
    EXPECT_EQ(::listen(listener_, 64), 0);
    acceptor_ = std::thread([this] {
      for (;;) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        const int no_delay = 1;  // as the real one
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
        std::lock_guard lock(mutex_);
        open_.push_back(fd);
        if (stopping_) ::shutdown(fd, SHUT_RDWR);
        connections_.emplace_back([this, fd] { serve(fd); });
      }
    });
  }
  void serve(int fd) {
    std::string buffer;
    while (auto request = read(fd, buffer)) {
      {
        std::lock_guard lock(mutex_);
        requests_.push_back(*request);
      }
      Reply reply(*this, fd);
      script_(*request, reply);
      std::unique_lock lock(mutex_);
      const bool held = held_.contains(fd);
      released_.wait(lock, [&] { return stopping_ || !held_.contains(fd); });
      held_.erase(fd);
      if (stopping_ || (!held && !reply.answered)) break;
    }
    std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }
  static std::optional<Request> read(int fd, std::string& buffer) {
    const auto more = [&] {
      char bytes[4096];
      const auto count = ::recv(fd, bytes, sizeof bytes, 0);
      if (count > 0) buffer.append(bytes, static_cast<std::size_t>(count));
      return count > 0;
    };
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == buffer.npos)
      if (!more()) return std::nullopt;
    Request out;
    out.at = std::chrono::steady_clock::now();
    const auto head = std::string(buffer, 0, end);
    buffer.erase(0, end + 4);
    out.method = head.substr(0, head.find(' '));
    out.target = head.substr(out.method.size() + 1);
    out.target.resize(out.target.find(' '));
    for (const auto line : text::split(std::string_view(head).substr(head.find('\n') + 1), '\n')) {
      const auto colon = line.find(':');
      out.headers[text::lower(line.substr(0, colon))] = text::trim(line.substr(colon + 1));
    }
    const auto length = out.headers.contains("content-length") ? std::stoul(out.headers["content-length"]) : 0;
    while (buffer.size() < length)
      if (!more()) return std::nullopt;
    out.body = buffer.substr(0, length);
    buffer.erase(0, length);
    return out;
  }

  Script script_;
  int listener_ = -1;
  std::thread acceptor_;
  std::list<std::thread> connections_;
  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool stopping_ = false;
  std::vector<int> open_;
  std::map<int, bool> held_;  // streams that are open; true: chunked
  std::vector<Request> requests_;
};

// A client and how a test gets onto its thread.
class ClientForTests {
 public:
  explicit ClientForTests(Access access, Client::Options options = Client::Options{}) {
    auto started = Client::start(std::move(access), std::move(options));
    EXPECT_TRUE(started) << (started ? "" : started.error().message);
    client = std::move(*started);
  }
  explicit ClientForTests(const std::string& url) : ClientForTests(access_to(url)) {}
  static Access access_to(const std::string& url) {
    Access access;
    access.server = url;
    return access;
  }

  // Runs there and waits for it.
  template <class Function>
  auto on_thread(Function function) -> decltype(function()) {
    std::promise<decltype(function())> promise;
    auto result = promise.get_future();
    client->post([&] {
      if constexpr (std::is_void_v<decltype(function())>) {
        function();
        promise.set_value();
      } else {
        promise.set_value(function());
      }
    });
    return result.get();
  }
  Result<Answer> request(const std::string& method, const std::string& path, const std::string& body = {},
                         const std::string& type = "application/json") {
    auto promise = std::make_shared<std::promise<Result<Answer>>>();
    auto result = promise->get_future();
    client->post([&] {
      client->request(method, path, body, type, [promise](Result<Answer> answer) { promise->set_value(answer); });
    });
    return result.get();
  }

  std::unique_ptr<Client> client;
};

// Informers whose handler writes down what it is told.
class InformersForTests final : public Informers::Handler {
 public:
  explicit InformersForTests(ClientForTests& client) : client_(client) {
    client_.on_thread([&] { informers = Informers::make(*client_.client, *this); });
  }
  ~InformersForTests() override {
    client_.on_thread([&] { informers.reset(); });
  }
  void changed(const Kind& kind, const Name& name) override {
    std::lock_guard lock(mutex_);
    changes_.push_back(fmt::format("{}:{}", kind.plural, name.text()));
  }
  void idle() override {
    std::lock_guard lock(mutex_);
    idles_++;
    if (!changes_.empty() && changes_.back() != "idle") changes_.push_back("idle");
  }

  void watch(const Kind& kind, Informers::Options options = {}) {
    client_.on_thread([&] { informers->watch(kind, options); });
  }
  bool synced() {
    return client_.on_thread([&] { return informers->synced(); });
  }
  std::string text(const Kind& kind, const Name& name) {
    return client_.on_thread([&] {
      const auto* found = informers->text(kind, name);
      return found ? *found : std::string();
    });
  }
  std::vector<std::string> names(const Kind& kind, const std::string& space = {}) {
    return client_.on_thread([&] {
      std::vector<std::string> out;
      informers->each(kind, space, [&](const Name& name) { out.push_back(name.text()); });
      return out;
    });
  }
  std::uint64_t revision(const Kind& kind) {
    return client_.on_thread([&] { return informers->revision(kind); });
  }
  WatchCounts counts(const std::string& name) { return informers->counts()[name]; }
  std::vector<std::string> changes() const {
    std::lock_guard lock(mutex_);
    return changes_;
  }
  // What was told of since the last call, without the idles.
  std::vector<std::string> take_changes() {
    std::lock_guard lock(mutex_);
    auto out = std::exchange(changes_, {});
    std::erase(out, "idle");
    return out;
  }
  int idles() const {
    std::lock_guard lock(mutex_);
    return idles_;
  }

  std::unique_ptr<Informers> informers;

 private:
  ClientForTests& client_;
  mutable std::mutex mutex_;
  std::vector<std::string> changes_;
  int idles_ = 0;
};

}  // namespace weir::kube
