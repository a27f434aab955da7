#include "net/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/result.h"

namespace weir::net {

Loop::Loop()
    : waker_(*this), inbox_([this] {
        std::uint64_t one = 1;
        [[maybe_unused]] auto written = ::write(waker_.fd, &one, sizeof one);  // can only fail when it is already awake
      }) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  waker_.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  WEIR_ASSERT(epoll_ >= 0 && waker_.fd >= 0);
  add(waker_, EPOLLIN);
  tick();
  turned_ = now_ / slot_ms;
}

Loop::~Loop() {
  buried_.clear();
  ::close(waker_.fd);
  ::close(epoll_);
}

void Loop::Waker::on_events(std::uint32_t) {
  std::uint64_t count;
  [[maybe_unused]] auto read = ::read(fd, &count, sizeof count);
  loop.inbox_.run();
}

bool Loop::add(Handle& handle, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handle;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, handle.fd, &event) == 0;
}

void Loop::remove(Handle& handle) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, handle.fd, nullptr);
}

void Loop::tick() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  now_ = static_cast<std::uint64_t>(t.tv_sec) * 1000 + static_cast<std::uint64_t>(t.tv_nsec) / 1'000'000;
}

std::uint64_t Loop::clock_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_nsec) / 1000;
}

void Loop::unlink(Handle& handle) {
  if (handle.tick_ == Handle::never) return;
  handle.prev_->next_ = handle.next_;
  if (handle.next_) handle.next_->prev_ = handle.prev_;
  handle.next_ = handle.prev_ = nullptr;
  handle.tick_ = Handle::never;
  --linked_;
}

void Loop::relink(Handle& handle) {
  unlink(handle);
  handle.tick_ = handle.deadline_ / slot_ms;
  Slot& slot = wheel_[handle.tick_ % slots];
  handle.next_ = slot.next_;
  handle.prev_ = &slot;
  if (slot.next_) slot.next_->prev_ = &handle;
  slot.next_ = &handle;
  ++linked_;
}

// A deadline that moved later left its handle in an early slot: it is linked anew here. One beyond the wheel's reach
// is met once a lap.
void Loop::turn_wheel() {
  // After a long stop of the machine one lap is enough: every slot is looked at once.
  turned_ = std::max(turned_, now_ / slot_ms > slots ? now_ / slot_ms - slots : 0);
  for (; turned_ < now_ / slot_ms; ++turned_) {
    std::vector<Handle*> due;
    for (Handle* h = wheel_[turned_ % slots].next_; h;) {
      Handle* next = h->next_;
      if (h->deadline_ == Handle::never) {
        unlink(*h);
      } else if (h->deadline_ > now_) {
        relink(*h);
      } else {
        due.push_back(h);
      }
      h = next;
    }
    // A handle that fires may end another one that is due: that one's deadline is then cleared, its memory still there.
    for (Handle* h : due) {
      if (h->deadline_ > now_) continue;
      unlink(*h);
      h->deadline_ = Handle::never;
      h->on_timeout();
    }
  }
}

void Loop::again(Handle& handle) {
  if (!std::exchange(handle.again_, true)) again_.push_back(&handle);
}

// Those that ask once more while they run are called in the turn after.
void Loop::run_again() {
  running_again_.swap(again_);
  for (std::size_t i = 0; i < running_again_.size(); ++i) {
    Handle* handle = running_again_[i];
    if (!handle) continue;
    handle->again_ = false;
    handle->on_events(0);
  }
  running_again_.clear();
}

void Loop::bury(std::unique_ptr<Handle> handle) {
  unlink(*handle);
  handle->deadline_ = Handle::never;
  handle->fd = -1;
  std::erase(again_, handle.get());
  std::ranges::replace(running_again_, handle.get(), static_cast<Handle*>(nullptr));
  buried_.push_back(std::move(handle));
}

void Loop::run() {
  std::array<epoll_event, 256> events;
  while (!stopped_) {
    const int patience = !again_.empty() ? 0 : linked_ ? static_cast<int>(slot_ms) : -1;
    int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience);
    tick();
    for (int i = 0; i < n; ++i) {
      auto* handle = static_cast<Handle*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (handle->fd >= 0) handle->on_events(events[static_cast<std::size_t>(i)].events);
    }
    if (!again_.empty()) run_again();
    turn_wheel();
    buried_.clear();
  }
}

}  // namespace weir::net
