// What rate-limiting with a sync_rate counted on this node and has not told the shared counters yet.
//
// Workers count in Limits, which decides; here is only the bookkeeping of what to push, every sync_rate seconds, on a
// thread of its own. What the others counted comes back with each push and raises the counts in Limits.
#pragma once
#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "plugin/counters.h"
#include "plugin/limits.h"

namespace weir::plugin {

class Differences {
 public:
  struct Scope {
    Uuid id;                     // in Limits
    std::string service, route;  // for the shared counters
    std::vector<Period> periods;
  };
  Differences(Scope, std::shared_ptr<Counters>, Limits&, std::chrono::milliseconds interval);
  ~Differences();  // hands over what is left

  // One request was counted. Any worker; a lock for a look-up and an addition. Too many identifiers within one
  // interval: those that are over count on this node only.
  void counted(std::string_view identifier, std::uint64_t now_ms);

 private:
  static constexpr std::size_t identifiers_max = 100'000;
  struct Pending {
    PeriodWindow window;
    std::uint64_t count = 0;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Table = std::unordered_map<std::string, std::array<Pending, period_count>, Hash, std::equal_to<>>;
  struct Book {  // outlives this object while answers are on their way
    std::mutex mutex;
    Table table;
    std::vector<std::pair<std::string, std::pair<Period, Pending>>> over;  // of windows that ended before the push
  };

  void run();
  void push();
  void push(const std::string& identifier, Period, const Pending&);

  const Scope scope_;
  const std::shared_ptr<Counters> counters_;
  Limits& limits_;
  const std::chrono::milliseconds interval_;
  const std::shared_ptr<Book> book_ = std::make_shared<Book>();
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weir::plugin
