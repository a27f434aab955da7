#include "plugin/redis_counters.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <string_view>
#include <thread>
#include <utility>

#include "base/log.h"
#include "net/redis_client.h"
#include "plugin/background.h"

namespace weir::plugin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t waiting_max = 10'000, batch_max = 512;
constexpr auto pause_after_failure = std::chrono::milliseconds(500);

// KEYS: the windows. ARGV: the amount, then each window's length in seconds and its limit. Kong's own script counts one
// window; this one adds to none when one is exhausted.
constexpr std::string_view script = R"(local before, free = {}, true
for i, key in ipairs(KEYS) do
  before[i] = tonumber(redis.call('get', key) or 0)
  local limit = tonumber(ARGV[2 * i + 1])
  if limit > 0 and before[i] >= limit then free = false end
end
if free then
  for i, key in ipairs(KEYS) do
    redis.call('incrby', key, ARGV[1])
    if before[i] == 0 then redis.call('expire', key, ARGV[2 * i]) end
  end
end
return before)";

std::string key_of(const Window& window) {
  return fmt::format("ratelimit:{}:{}:{}:{}:{}", window.route_id, window.service_id, window.identifier, window.start_ms,
                     window.period);
}

}  // namespace

class RedisCounters::Server : public Counters {
 public:
  explicit Server(const RedisServer& server)
      : name_(fmt::format("{}:{}", server.host, server.port)),
        client_({server.host, server.port, server.timeout_ms, server.username, server.password, server.database},
                script),
        thread_([this] { run(); }) {}

  ~Server() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    asked_.notify_one();
    client_.interrupt();
    thread_.join();
  }

  void add(std::vector<Window> windows, std::uint64_t amount,
           std::function<void(std::shared_ptr<const Counted>)> done) override {
    std::string why;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_)
        why = "the node is stopping";
      else if (Clock::now() < paused_until_)
        why = last_error_;
      else if (waiting_.size() >= waiting_max)
        why = fmt::format("Redis {}: too many requests wait for it", name_);
      else
        waiting_.push_back({std::move(windows), amount, std::move(done)});
    }
    if (why.empty()) return asked_.notify_one();
    fail(done, why);
  }

 private:
  struct Asked {
    std::vector<Window> windows;
    std::uint64_t amount = 0;
    std::function<void(std::shared_ptr<const Counted>)> done;
  };

  static void fail(const std::function<void(std::shared_ptr<const Counted>)>& done, std::string why) {
    auto counted = std::make_shared<Counted>();
    counted->error = std::move(why);
    done(std::move(counted));
  }

  void run() {
    block_broken_pipe_signal();
    for (;;) {
      std::vector<Asked> batch;
      {
        std::unique_lock lock(mutex_);
        asked_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        while (!waiting_.empty() && batch.size() < batch_max) {
          batch.push_back(std::move(waiting_.front()));
          waiting_.pop_front();
        }
        if (stopping_ && batch.empty()) return;
      }
      serve(batch);
    }
  }

  void serve(std::vector<Asked>& batch) {
    std::vector<net::RedisClient::Call> calls(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto& call = calls[i];
      for (const auto& window : batch[i].windows) call.keys.push_back(key_of(window));
      call.arguments.push_back(fmt::to_string(batch[i].amount));
      for (const auto& window : batch[i].windows) {
        call.arguments.push_back(fmt::to_string(window.seconds));
        call.arguments.push_back(fmt::to_string(window.limit));
      }
    }
    const auto answers = client_.run(calls);
    if (!answers) return give_up(batch, answers.error().message);
    if (std::exchange(failing_, false)) log::notice("Redis counts again", {{"server", name_}});
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto counted = std::make_shared<Counted>();
      if ((*answers)[i]) {
        counted->ok = true;
        counted->before = std::move(*(*answers)[i]);
        if (counted->before.size() != batch[i].windows.size()) counted->ok = false, counted->error = "a wrong answer";
      } else {
        counted->error = (*answers)[i].error().message;
      }
      batch[i].done(std::move(counted));
    }
  }

  // Those who wait behind fail as well: they have waited as long as the server may take.
  void give_up(std::vector<Asked>& batch, const std::string& why) {
    if (!std::exchange(failing_, true)) log::error("Redis does not count", {{"server", name_}, {"error", why}});
    std::deque<Asked> behind;
    {
      const std::lock_guard lock(mutex_);
      paused_until_ = Clock::now() + pause_after_failure;
      last_error_ = why;
      behind.swap(waiting_);
    }
    for (const auto& asked : batch) fail(asked.done, why);
    for (const auto& asked : behind) fail(asked.done, why);
  }

  const std::string name_;
  net::RedisClient client_;  // this thread's, but for interrupt()
  bool failing_ = false;     // of this thread
  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Asked> waiting_;
  Clock::time_point paused_until_{};
  std::string last_error_;
  bool stopping_ = false;
  std::thread thread_;
};

RedisCounters::RedisCounters() = default;
RedisCounters::~RedisCounters() = default;

std::shared_ptr<Counters> RedisCounters::at(const RedisServer& server) {
  const std::lock_guard lock(mutex_);
  auto& known = servers_[server];
  if (!known) known = std::make_shared<Server>(server);
  const std::shared_ptr<Counters> out = known;
  std::erase_if(servers_, [](const auto& entry) { return entry.second.use_count() == 1; });
  return out;
}

}  // namespace weir::plugin
