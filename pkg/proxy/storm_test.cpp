// Many clients, upstreams that hang up without a word, and a configuration that changes all the time: nothing is lost.
#include <atomic>

#include "proxy/test_support.h"

namespace weir::proxy::testing {
namespace {

// Answers every request, and closes each connection after some of them without having said so.
class Fickle {
 public:
  explicit Fickle(int requests_per_connection) : most_(requests_per_connection) {
    thread_ = std::thread([this] { run(); });
  }
  ~Fickle() {
    stop_ = true;
    thread_.join();
  }
  std::string target() const { return origin_.target(); }

 private:
  struct Peer {
    Socket socket;
    int served = 0;
  };
  void run() {
    std::vector<Peer> peers;
    while (!stop_) {
      while (origin_.asked()) peers.push_back({origin_.accept()});
      std::erase_if(peers, [&](Peer& peer) {
        if (!peer.socket.has_input()) return false;
        if (peer.socket.head().empty()) return true;
        peer.socket.send(ok);
        return ++peer.served == most_;
      });
      std::this_thread::yield();
    }
  }
  const int most_;
  Origin origin_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(Storm, loses_no_request) {
  constexpr int clients = 4, requests = 300;
  Gate gate;
  Fickle first(3), second(7);
  gate.serve({first.target(), second.target()});
  std::atomic<int> right{0}, running{clients};
  std::vector<std::thread> threads;
  for (int c = 0; c < clients; ++c)
    threads.emplace_back([&] {
      auto client = gate.client();
      for (int i = 0; i < requests; ++i) {
        client.send(get);
        auto reply = read_reply(client);
        if (reply.status == 200 && reply.body == "hi") ++right;
      }
      --running;
    });
  for (std::uint32_t i = 0; running > 0; ++i)
    gate.publish({put_target(10, 1, first.target(), static_cast<int>(i % 3)),
                  put_route(100 + i % 50, fmt::format(R"({{"hosts":["x{}.test"]}})", i))});
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, clients * requests);
  EXPECT_TRUE(becomes(gate.worker->counters().answered_by_upstream[200], clients * requests));
}

}  // namespace
}  // namespace weir::proxy::testing
