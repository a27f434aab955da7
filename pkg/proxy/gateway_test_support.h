// For tests of what the Gateway API brings to the proxy: a gate with listeners that are opened at run time, and
// upstreams that answer by themselves.
#pragma once
#include <atomic>
#include <list>

#include "plugin/services.h"
#include "proxy/test_support.h"
#include "snapshot/gateway_test_support.h"

namespace weir::proxy::testing {

// An upstream on a thread of its own: answers every request with 200, and remembers what came.
class Answerer {
 public:
  explicit Answerer(std::string answer = ok) : answer_(std::move(answer)), thread_([this] { run(); }) {}
  ~Answerer() {
    stop_ = true;
    thread_.join();
  }
  std::uint16_t port() const { return origin_.port(); }
  // Heads and bodies, in the order in which they were complete.
  std::vector<std::string> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  // Waits until there are as many.
  std::vector<std::string> wait_for(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
    while (requests().size() < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_GE(requests().size(), count);
    return requests();
  }

 private:
  struct Peer {
    Socket socket;
    std::string bytes;
  };

  // The length of the first request in `bytes`, 0 while it is not whole.
  static std::size_t whole(const std::string& bytes) {
    const auto head = bytes.find("\r\n\r\n");
    if (head == bytes.npos) return 0;
    if (field(bytes.substr(0, head), "Transfer-Encoding") == "chunked") {
      const auto end = bytes.find("0\r\n\r\n", head);
      return end == bytes.npos ? 0 : end + 5;
    }
    const auto length = field(bytes.substr(0, head), "Content-Length");
    const auto size = head + 4 + (length.empty() ? 0 : std::stoul(length));
    return bytes.size() >= size ? size : 0;
  }

  void run() {
    while (!stop_) {
      std::vector<pollfd> all{{origin_.fd(), POLLIN, 0}};
      for (auto& peer : peers_) all.push_back({peer.socket.fd(), POLLIN, 0});
      if (::poll(all.data(), all.size(), 20) <= 0) continue;
      auto at = all.begin() + 1;
      for (auto peer = peers_.begin(); peer != peers_.end(); ++at) peer = serve(peer, at->revents);
      if (all[0].revents) peers_.push_back({origin_.accept(), {}});
    }
  }
  std::list<Peer>::iterator serve(std::list<Peer>::iterator peer, short events) {
    if (!events) return std::next(peer);
    char buffer[65536];
    const auto n = ::recv(peer->socket.fd(), buffer, sizeof buffer, 0);
    if (n <= 0) return peers_.erase(peer);
    peer->bytes.append(buffer, static_cast<std::size_t>(n));
    while (const auto size = whole(peer->bytes)) {
      {
        std::lock_guard lock(mutex_);
        requests_.push_back(peer->bytes.substr(0, size));
      }
      peer->bytes.erase(0, size);
      peer->socket.send(answer_);
    }
    return std::next(peer);
  }

  const std::string answer_;
  Origin origin_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::list<Peer> peers_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

using snapshot::testing::entry_number;
using snapshot::testing::put_entry;
using snapshot::testing::put_gateway_route;

inline std::string answer_of(std::string_view name) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", name.size(), name);
}

class GatewayGate : public Gate {
 public:
  explicit GatewayGate(Options options = {}) : Gate(std::move(options)) { services = &services_; }
  ~GatewayGate() { worker.reset(); }  // before what plugins use

  // Opens a listener for an entry, and says which port it got.
  std::uint16_t open(std::uint32_t entry = entry_number, bool tls = false, std::uint16_t public_port = 0,
                     std::uint16_t port = 0) {
    const auto fd = net::listen_on("127.0.0.1", port, 1024, true);
    EXPECT_TRUE(fd) << (fd ? "" : fd.error().message);
    const auto bound = net::local_port(*fd);
    worker->open({.ip = "127.0.0.1", .port = bound, .tls = tls, .entry = id(entry), .public_port = public_port}, *fd);
    return bound;
  }
  // A service of an upstream on this machine.
  static store::Change backend(std::uint32_t number, std::uint16_t port, std::string_view more = R"("retries":0)") {
    return put_service(number, fmt::format(R"({{"name":"s{}","host":"127.0.0.1","port":{},{}}})", number, port, more));
  }

  // The entry with one listener for any host, and one route.
  void serve(const store::Changes& services, model::GatewayRoute route) {
    route.id = id(1);
    route.attached = {{id(entry_number), id(snapshot::testing::listener_number), {}}};
    publish(services, {put_entry(entry_number, {""}),
                       {id(1), nullptr, std::make_shared<const model::GatewayRoute>(std::move(route))}});
  }

 private:
  plugin::Services services_{{}, nullptr};
};

inline model::GatewayRoute route_to(std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> services) {
  model::GatewayRoute route;
  for (const auto& [number, weight] : services)
    route.services.push_back({number == 0 ? Uuid{} : id(number), weight, nullptr});
  return route;
}
inline model::GatewayRoute with_filters(model::GatewayRoute route, model::Filters filters) {
  route.filters = std::make_shared<const model::Filters>(std::move(filters));
  return route;
}

}  // namespace weir::proxy::testing
