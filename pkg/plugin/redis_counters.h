// Counters in Redis, as Kong keeps them: key ratelimit:<route>:<service>:<identifier>:<window's start in ms>:<period>.
//
// One thread and one connection per server; what is asked while a round trip is under way goes into the next one, so
// the delay of many requests is that of one. A call is one script, so its windows are counted together or not at all.
// A server that did not answer is left alone for a moment, in which every call fails at once.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "plugin/counters.h"

namespace weir::plugin {

struct RedisServer {
  std::string host;
  std::uint16_t port = 6379;
  std::uint32_t timeout_ms = 2000;  // to connect, and for each round trip
  std::string username, password;
  std::uint32_t database = 0;
  auto operator<=>(const RedisServer&) const = default;
};

class RedisCounters {
 public:
  RedisCounters();
  ~RedisCounters();  // within a server's timeout

  // The counters of a server: the same for all who name it alike. Control thread; may end threads of servers that
  // nobody holds any more.
  std::shared_ptr<Counters> at(const RedisServer&);

 private:
  class Server;
  std::mutex mutex_;
  std::map<RedisServer, std::shared_ptr<Server>> servers_;
};

}  // namespace weir::plugin
