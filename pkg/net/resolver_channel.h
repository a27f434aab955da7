// Queries to DNS servers through c-ares, on the caller's own epoll loop.
//
// One thread only. Says what came back, never what it means for a name. The number of queries in flight is bounded;
// what is above the bound waits its turn.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/resolver_reply.h"

struct ares_channeldata;

namespace weir::net {

class Channel {
 public:
  struct Options {
    std::vector<std::string> servers;  // "ip[:port]"; empty: /etc/resolv.conf
    std::chrono::milliseconds timeout{2000};
    int attempts = 5;  // each asks every server once, until one answers
  };
  struct Answered {
    std::string owner;  // who asked
    std::uint64_t lookup = 0;
    Question question;
    Reply reply;
  };

  // epoll: the descriptor with which the sockets are watched; their events carry the socket as data.fd.
  static Result<std::unique_ptr<Channel>> open(Options, int epoll);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void ask(std::string owner, std::uint64_t lookup, Question);
  // After epoll has told of a socket (its events), or of nothing.
  void process(int socket, std::uint32_t events);
  void process_timeouts();
  // When process_timeouts is due at the latest.
  std::chrono::milliseconds wait_at_most(std::chrono::milliseconds longest) const;
  // What came back since the last call.
  std::vector<Answered> take_answered();
  std::uint64_t sent() const { return sent_; }

 private:
  struct Query {
    Channel* channel;
    Answered about;
    int attempts = 0;
  };

  explicit Channel(Options, int epoll);
  Result<> set_servers();
  void send(std::unique_ptr<Query>);
  void send_waiting();
  void answered(std::unique_ptr<Query>, int status, std::span<const std::uint8_t> packet);

  Options options_;
  int epoll_;
  ares_channeldata* ares_ = nullptr;
  bool closing_ = false;
  std::uint64_t sent_ = 0;
  std::size_t in_flight_ = 0;
  std::deque<std::unique_ptr<Query>> waiting_;
  std::vector<Answered> answered_;
};

}  // namespace weir::net
