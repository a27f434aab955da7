// For tests of this folder: a real worker between a raw client and raw upstreams, all driven by the test's own thread.
//
// Sockets of the test block, with a limit of some seconds, so a test reads as the conversation that it is.
#pragma once
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/text.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "plugin/gateway_filters.h"
#include "proxy/worker.h"
#include "snapshot/tables.h"
#include "snapshot/test_support.h"

namespace weir::proxy::testing {

using namespace std::string_literals;
using namespace snapshot::testing;

inline constexpr int patience_s = 10;

// A blocking connection of the test.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {
    timeval limit{patience_s, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    net::set_nodelay(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), kept_(std::move(other.kept_)) {}
  Socket& operator=(Socket&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    kept_ = std::move(other.kept_);
    return *this;
  }
  ~Socket() { close(); }

  // receive_bytes: of its buffer, for a slow reader.
  static Socket connect(std::uint16_t port, int receive_bytes = 0) {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    auto address = *net::Address::from_ip("127.0.0.1", port);
    EXPECT_EQ(::connect(fd, address.get(), address.size()), 0) << strerror(errno);
    return Socket(fd);
  }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  // Up to and with `end`; what came when the stream ended before it.
  std::string until(std::string_view end) {
    for (;;) {
      if (auto at = kept_.find(end); at != std::string::npos) return cut(at + end.size());
      if (!more()) return cut(kept_.size());
    }
  }
  std::string exactly(std::size_t bytes) {
    while (kept_.size() < bytes && more()) {
    }
    return cut(std::min(bytes, kept_.size()));
  }
  std::string all() {
    while (more()) {
    }
    return cut(kept_.size());
  }
  std::string head() { return until("\r\n\r\n"); }
  // True when the other side closed, by end or reset, with nothing more to read.
  bool ended() { return kept_.empty() && !more(); }
  bool has_input(int ms = 0) {
    pollfd p{fd_, POLLIN, 0};
    return !kept_.empty() || ::poll(&p, 1, ms) > 0;
  }
  void finish() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void reset() {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  int fd() const { return fd_; }
  // Bytes that the other side takes before it stops reading, up to `most`.
  std::size_t flood(std::size_t most) {
    const std::string block(64 * 1024, 'x');
    std::size_t sent = 0;
    for (pollfd p{fd_, POLLOUT, 0}; sent < most && ::poll(&p, 1, 300) > 0;) {
      ssize_t n = ::send(fd_, block.data(), std::min(block.size(), most - sent), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    return sent;
  }

 private:
  bool more() {
    char buffer[65536];
    ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    EXPECT_FALSE(n < 0 && errno == EAGAIN) << "nothing came for " << patience_s << " s";
    if (n > 0) kept_.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }
  std::string cut(std::size_t bytes) {
    auto out = kept_.substr(0, bytes);
    kept_.erase(0, bytes);
    return out;
  }
  int fd_ = -1;
  std::string kept_;
};

class Origin {
 public:
  Origin() : fd_(*net::listen_on("127.0.0.1", 0, 128, false)) {}
  ~Origin() { close(); }
  std::uint16_t port() const { return port_; }
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  int fd() const { return fd_; }
  bool asked(int ms = 0) {
    pollfd p{fd_, POLLIN, 0};
    return ::poll(&p, 1, ms) > 0;
  }
  Socket accept() {
    EXPECT_TRUE(asked(patience_s * 1000)) << "nobody connected";
    return Socket(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  std::uint16_t port_ = net::local_port(fd_);
};

class FakeResolver : public net::Resolver {
 public:
  net::ResolvedPtr watch(const std::string& name) override {
    std::lock_guard lock(mutex);
    ++watches[name];
    auto found = answers.find(name);
    return found == answers.end() ? nullptr : found->second;
  }
  void unwatch(const std::string& name) override {
    std::lock_guard lock(mutex);
    --watches[name];
  }
  net::ResolvedPtr find(const std::string&) const override { return nullptr; }
  Counts counts() const override { return {}; }

  static net::ResolvedPtr addresses(const std::string& name,
                                    const std::vector<std::pair<std::string, std::uint16_t>>& all) {
    auto answer = std::make_shared<net::Resolved>();
    for (const auto& [ip, port] : all) answer->records.push_back({*net::Address::from_ip(ip, port), 0, name});
    if (all.empty()) answer->state = net::Resolved::State::not_found;
    return answer;
  }

  std::mutex mutex;
  std::map<std::string, net::ResolvedPtr> answers;
  std::map<std::string, int> watches;
};

// Rows for lookups, answered from another thread; or held back until the test lets them go.
class FakeLookup : public store::Lookup {
 public:
  ~FakeLookup() override {
    for (auto& thread : threads_) thread.join();
  }
  void find(const store::LookupKey& key, std::function<void(store::Found, double)> done) override {
    std::lock_guard lock(mutex);
    ++asked;
    const std::string text = key.text();
    store::Found found;
    found.failed = failing;
    if (const auto row = rows.find(text); row != rows.end() && !failing) found.rows = {row->second};
    auto answer = [done = std::move(done), found = std::move(found)] { done(found, 0); };
    if (held) {
      waiting.push_back(std::move(answer));
    } else {
      threads_.emplace_back(std::move(answer));
    }
  }
  // Answers what was held back. True when there was any.
  bool release() {
    std::vector<std::function<void()>> all;
    {
      std::lock_guard lock(mutex);
      all.swap(waiting);
    }
    for (auto& answer : all) answer();
    return !all.empty();
  }
  std::size_t held_back() {
    std::lock_guard lock(mutex);
    return waiting.size();
  }

  std::mutex mutex;
  std::map<std::string, store::Row> rows;  // by LookupKey::text()
  std::size_t asked = 0;
  bool held = false, failing = false;

 private:
  std::vector<std::function<void()>> waiting;
  std::vector<std::thread> threads_;
};

struct Reply {
  int status = 0;
  std::string head, body;
  std::string field(std::string_view name) const {
    for (auto line : text::split(head, '\n')) {
      auto colon = line.find(':');
      if (colon != line.npos && text::equal_ignoring_case(line.substr(0, colon), name))
        return std::string(text::trim(line.substr(colon + 1)));
    }
    return "";
  }
};

// The value of a field in a head that an upstream got.
inline std::string field(const std::string& head, std::string_view name) {
  return Reply{0, head, ""}.field(name);
}

// A worker that serves `host` a.test from one upstream with the given targets; more can be published.
class Gate {
 public:
  explicit Gate(Options options = {}, std::vector<Listen> listens = {{.ip = "127.0.0.1", .port = 0}},
                ssl_ctx_st* tls = nullptr) {
    auto started = Worker::start(0, options, listens, tls, resolver, lookup);
    EXPECT_TRUE(started) << (started ? "" : started.error().message);
    worker = std::move(*started);
  }

  void publish(const store::Changes& changes, const std::vector<model::GatewayChange>& gateway = {}) {
    snapshot_ = snapshot::compile_with(snapshot_, changes, "test", services, makers, gateway);
    for (const auto& fault : snapshot_->faults()) ADD_FAILURE() << fault.message;
    std::promise<void> adopted;
    worker->publish(snapshot_, [&] { adopted.set_value(); });
    adopted.get_future().wait();
  }
  // Route for a.test to service 1 to upstream "pool" with these targets.
  void serve(const std::vector<std::string>& targets, std::string_view service = R"("retries":5)",
             std::string_view route = R"("strip_path":true)", std::string_view upstream = R"("slots":10000)") {
    store::Changes changes{put_upstream(1, fmt::format(R"({{"name":"pool",{}}})", upstream))};
    for (std::uint32_t i = 0; i < targets.size(); ++i) changes.push_back(put_target(10 + i, 1, targets[i]));
    changes.push_back(put_service(1, fmt::format(R"({{"name":"web","host":"pool",{}}})", service)));
    changes.push_back(
        put_route(1, fmt::format(R"({{"name":"all","hosts":["a.test"],"service":{},{}}})", reference(1), route)));
    publish(changes);
  }

  Socket client(int receive_bytes = 0) { return Socket::connect(worker->port(0), receive_bytes); }

  FakeResolver resolver;
  FakeLookup lookup;
  std::unique_ptr<Worker> worker;
  plugin::Services* services = nullptr;  // null: plugins are left out
  snapshot::PluginMakers makers{plugin::find_kind, &plugin::gateway_filters(), plugin::make_gateway_filters};

 private:
  snapshot::SnapshotPtr snapshot_;
};

// A worker counts right after it has sent: the answer may be here first.
inline ::testing::AssertionResult becomes(const metrics::Counter& counter, std::uint64_t value) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
  while (counter.get() != value && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  if (counter.get() == value) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "is " << counter.get() << ", not " << value;
}

inline const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
inline const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

// Reads one whole response with Content-Length, chunked or without a body (head_only).
inline Reply read_reply(Socket& client, bool head_only = false) {
  Reply reply;
  reply.head = client.head();
  if (reply.head.size() > 12) reply.status = std::atoi(reply.head.c_str() + 9);
  if (head_only || reply.status < 200 || reply.status == 204 || reply.status == 304) return reply;
  if (reply.field("Transfer-Encoding") == "chunked") {
    for (;;) {
      auto size = std::strtoull(client.until("\r\n").c_str(), nullptr, 16);
      if (size == 0) break;
      reply.body += client.exactly(size);
      if (client.exactly(2) != "\r\n") break;
    }
    reply.body += client.until("\r\n") == "\r\n" ? "" : "<trailers>";
  } else if (auto length = reply.field("Content-Length"); !length.empty()) {
    reply.body = client.exactly(std::strtoull(length.c_str(), nullptr, 10));
  } else {
    reply.body = client.all();
  }
  return reply;
}

}  // namespace weir::proxy::testing
