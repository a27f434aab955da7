// A thread with a connection of its own that answers in one round trip what many have asked since the last one.
//
// While the server is away everything is refused at once; the thread alone asks whether it is back. So of a server that
// is frozen only those hear late who asked before that was known, and no later than the timeout.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "store/postgres_connection.h"

namespace weir::store {

template <class Task>
class PostgresBatches {
 public:
  // Both on the thread, refuse on the asking one too. answer: an error when the server is away; then what it did not
  // answer (and left in the batch) is refused.
  using Answer = std::function<Pg<>(PostgresConnection&, std::vector<Task>& batch)>;
  using Refuse = std::function<void(Task&, const std::string& why)>;

  PostgresBatches(std::string_view purpose, PostgresServer server, std::size_t waiting_max, Answer answer,
                  Refuse refuse)
      : purpose_(purpose),
        waiting_max_(waiting_max),
        answer_(std::move(answer)),
        refuse_(std::move(refuse)),
        connection_(std::move(server)),
        thread_([this] { run(); }) {}
  // Refuses what still waits.
  ~PostgresBatches() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void ask(Task task) {  // any thread
    std::string why;
    {
      const std::lock_guard lock(mutex_);
      if (!away_.empty()) {
        why = away_;
      } else if (waiting_.size() >= waiting_max_) {
        why = "too many questions wait for the database";
      } else {
        waiting_.push_back(std::move(task));
        if (waiting_.size() == 1) wake_.notify_one();
        return;
      }
    }
    refuse_(task, why);
  }

 private:
  static constexpr auto retry_after = std::chrono::milliseconds(250);  // a connection is tried once a second at most

  void refuse_all(std::vector<Task>& tasks, const std::string& why) {
    for (auto& task : tasks) refuse_(task, why);
    tasks.clear();
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!ending_) {
      if (!away_.empty()) {
        wake_.wait_for(lock, retry_after, [&] { return ending_; });
        if (!ending_) look(lock);
        continue;
      }
      wake_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
      if (!ending_) answer(lock);
    }
    auto left = std::exchange(waiting_, {});
    lock.unlock();
    refuse_all(left, "the node is ending");
  }

  void answer(std::unique_lock<std::mutex>& lock) {
    auto batch = std::exchange(waiting_, {});
    lock.unlock();
    auto done = answer_(connection_, batch);
    lock.lock();
    if (done) return;
    away_ = done.error().message.empty() ? "the database is away" : done.error().message;
    for (auto& task : std::exchange(waiting_, {})) batch.push_back(std::move(task));  // they would wait as long again
    lock.unlock();
    log::warn("the database is away", {{"for", purpose_}, {"error", done.error().message}});
    refuse_all(batch, done.error().message);
    lock.lock();
  }

  void look(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    auto there = connection_.query("SELECT 1");
    lock.lock();
    if (there) away_.clear();
  }

  const std::string purpose_;
  const std::size_t waiting_max_;
  const Answer answer_;
  const Refuse refuse_;
  PostgresConnection connection_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Task> waiting_;
  std::string away_;  // why it is; empty: it is there
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace weir::store
