// For tests: a control thread and a store's thread, each with a queue of its own.
#pragma once
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "admin/api.h"

namespace weir::admin {

// Runs what is posted, in order; ends when all of it has run.
class QueueThread {
 public:
  using Work = Threads::Work;
  QueueThread() : thread_([this] { run(); }) {}
  ~QueueThread() { end(); }

  void post(Work work) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(work));
    }
    changed_.notify_one();
  }
  // The value of f(), run on the thread.
  template <class F>
  auto ask(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    post([task = std::move(task)]() mutable { task(); });
    return result.get();
  }
  void end() {
    if (!thread_.joinable()) return;
    post(nullptr);
    thread_.join();
  }
  std::thread::id id() const { return thread_.get_id(); }

 private:
  void run() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !waiting_.empty(); });
      auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      if (!work) return;
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace weir::admin
