// A connection to a Redis server for one script that is called many times: hiredis with pipelining.
//
// Blocking, so it belongs to a thread of its own; interrupt() alone may be called from another one. No TLS: hiredis of
// Debian 12 (0.14) has none.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct redisContext;
struct redisReply;

namespace weir::net {

struct RedisSettings {
  std::string host;
  std::uint16_t port = 6379;
  std::uint32_t timeout_ms = 2000;  // to connect, name resolution included; for all answers to a batch
  std::string username, password;
  std::uint32_t database = 0;
};

class RedisClient {
 public:
  RedisClient(RedisSettings, std::string_view script);
  ~RedisClient();

  struct Call {
    std::vector<std::string> keys, arguments;
  };
  using Answer = Result<std::vector<std::uint64_t>>;  // the script returns a list of numbers
  // Calls the script once for each, in one round trip. An error of the whole: the server could not be asked, or did not
  // answer everything in time; the connection is closed then, and made anew with the next run. Errors name no secret.
  Result<std::vector<Answer>> run(std::span<const Call>);

  // Makes a run() in progress, and all later ones, fail at once.
  void interrupt();

 private:
  using Clock = std::chrono::steady_clock;
  using Words = std::vector<std::string_view>;
  struct Close {
    void operator()(redisContext*) const;
  };
  struct Free {
    void operator()(redisReply*) const;
  };
  using Reply = std::unique_ptr<redisReply, Free>;
  struct Lookup;  // of a host name, on a thread of its own: it has no time limit

  Result<> open(Clock::time_point deadline);        // connects, logs in, and tells the server the script
  Result<int> connect(Clock::time_point deadline);  // a socket
  Result<> wait(int fd, short events, Clock::time_point deadline);
  Result<> append(const Words&);
  Result<Reply> next_reply(Clock::time_point deadline);
  Result<Reply> ask(const Words&, Clock::time_point deadline, std::string_view what);
  Result<std::vector<Answer>> exchange(std::span<const Call>, Clock::time_point deadline, std::size_t& answered);
  std::unexpected<Error> failed(std::string_view why) const;

  const RedisSettings settings_;
  const std::string script_;
  std::string sha_;  // the script's name on the server
  std::unique_ptr<redisContext, Close> context_;
  std::shared_ptr<Lookup> lookup_;
  int interrupted_ = -1;  // eventfd
};

}  // namespace weir::net
