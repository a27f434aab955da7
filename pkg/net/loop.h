// The loop of one thread: epoll, a coarse clock, timeouts and an inbox for other threads.
//
// Belongs to its thread; only post() may be called from elsewhere. A timeout costs a store: the handle stays where it
// is in a wheel of 256 ms slots and is looked at when its slot comes round, so it fires up to 256 ms late, never early.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/inbox.h"

namespace weir::net {

// Something that epoll reports about, with at most one timeout. Owned by whoever made it; handed to Loop::bury when it
// is over, because an event of the same turn may still point at it.
class Handle {
 public:
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  virtual ~Handle() = default;

  virtual void on_events(std::uint32_t events) = 0;  // EPOLL... bits
  virtual void on_timeout() {}

  int fd = -1;

 private:
  friend class Loop;
  static constexpr std::uint64_t never = ~std::uint64_t{0};
  std::uint64_t deadline_ = never;  // ms of the loop's clock
  std::uint64_t tick_ = never;      // of the slot it is linked in; never: not linked
  Handle *next_ = nullptr, *prev_ = nullptr;
  bool again_ = false;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Registers handle.fd for good. Sockets: once, edge triggered, for all that is ever of interest.
  bool add(Handle&, std::uint32_t events);
  void remove(Handle&);

  // Calls handle.on_timeout() in `ms`, instead of what was set before.
  void set_timeout(Handle& handle, std::uint64_t ms) {
    handle.deadline_ = now_ + ms;
    if (handle.deadline_ / slot_ms < handle.tick_) relink(handle);
  }
  void clear_timeout(Handle& handle) { handle.deadline_ = Handle::never; }

  // Calls handle.on_events(0) in the next turn: for one that stopped before its input ended, so that others get theirs.
  void again(Handle&);

  // Ends a handle: no timeout, no event reaches it any more; freed at the end of the turn. Its fd must be closed.
  void bury(std::unique_ptr<Handle>);

  // Turns until stop().
  void run();
  void stop() { stopped_ = true; }

  // Any thread: runs `work` on the loop's thread between two turns.
  void post(Inbox::Work work) { inbox_.post(std::move(work)); }

  std::uint64_t now_ms() const { return now_; }  // of this turn; monotonic, some ms coarse
  static std::uint64_t clock_us();               // exact, for latencies

 private:
  static constexpr std::uint64_t slot_ms = 256;
  static constexpr std::size_t slots = 256;

  struct Slot : Handle {
    void on_events(std::uint32_t) override {}
  };
  struct Waker : Handle {
    explicit Waker(Loop& l) : loop(l) {}
    void on_events(std::uint32_t) override;
    Loop& loop;
  };

  void tick();
  void relink(Handle&);
  void unlink(Handle&);
  void turn_wheel();
  void run_again();

  int epoll_ = -1;
  bool stopped_ = false;
  std::uint64_t now_ = 0, turned_ = 0;
  std::size_t linked_ = 0;
  std::array<Slot, slots> wheel_;
  std::vector<Handle*> again_, running_again_;
  std::vector<std::unique_ptr<Handle>> buried_;
  Waker waker_;
  Inbox inbox_;
};

}  // namespace weir::net
