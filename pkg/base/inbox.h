// Work that other threads hand to one owner.
//
// Any thread posts; only the owner runs what was posted, in order, between two turns of its loop. The lock is held for
// a push or a swap only, and a post wakes the owner at most once until it has run.
#pragma once
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace weir {

class Inbox {
 public:
  using Work = std::move_only_function<void()>;

  // wake: called by the posting thread when the inbox was empty; must be safe to call from any thread.
  explicit Inbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void post(Work work) {
    bool was_empty;
    {
      std::lock_guard lock(mutex_);
      was_empty = waiting_.empty();
      waiting_.push_back(std::move(work));
    }
    if (was_empty) wake_();
  }

  // Owner only: runs everything that was posted before the call.
  void run() {
    std::vector<Work> batch;
    {
      std::lock_guard lock(mutex_);
      batch.swap(waiting_);
    }
    for (auto& work : batch) work();
  }

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Work> waiting_;
};

}  // namespace weir
