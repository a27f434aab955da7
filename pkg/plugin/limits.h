// Counts of time windows on this node: rate-limiting with the policy "local". Exact while all workers count at once.
//
// One table of fixed size for all instances, made of atomics: never an allocation, and no lock on the way of a request
// whose identifier is known. A slot that is not counting any more (its window is over) is given to whoever needs one;
// two newcomers to one bucket of sixteen slots wait for each other while a slot changes hands.
// When all sixteen count, the one with the smallest count is lost, and evicted() says so.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/uuid.h"

namespace weir::plugin {

// Kong's periods, by rising length.
enum class Period : std::uint8_t { second, minute, hour, day, month, year };
inline constexpr std::size_t period_count = 6;
std::string_view name(Period);

// The window of a period that holds a moment: they begin with the UTC second, minute, ..., year.
struct PeriodWindow {
  std::uint64_t index = 0;     // of the window, since 1970
  std::uint64_t start_ms = 0;  // Unix
  std::uint32_t seconds = 0;   // its real length: a month may have 28 days
};
PeriodWindow window_at(Period, std::uint64_t now_ms);

struct Limit {
  Period period{};
  std::uint64_t max = 0;  // that many pass in a window
};

class Limits {
 public:
  explicit Limits(std::size_t slots);  // of 16 bytes each; rounded up to a power of two

  struct Taken {
    bool counted = false;                              // false: a window is exhausted, nothing was counted
    std::array<std::uint64_t, period_count> before{};  // of each limit, by position: the count without this request
  };
  // Counts one more in all windows together, or, when one is exhausted, in none. limits: by rising period.
  Taken take(const Uuid& scope, std::string_view identifier, std::span<const Limit> limits, std::uint64_t now_ms);
  // What is known from elsewhere: the count is at least `count`.
  void raise(const Uuid& scope, std::string_view identifier, Period, std::uint64_t count, std::uint64_t now_ms);
  std::uint64_t count(const Uuid& scope, std::string_view identifier, Period, std::uint64_t now_ms);

  std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t bucket_slots = 16;
  struct Slot {
    std::atomic<std::uint64_t> state{0};  // period, window and count in one: changed by one compare-and-swap
    std::atomic<std::uint64_t> tag{0};    // whose it is
  };
  struct alignas(64) Bucket {
    std::array<Slot, bucket_slots> slots;
  };
  struct Seen {
    Slot* slot = nullptr;
    std::uint64_t state = 0;
  };

  std::uint64_t tag_of(const Uuid& scope, std::string_view identifier, Period) const;
  std::size_t bucket_of(std::uint64_t tag) const { return (tag >> 32) & (buckets_count_ - 1); }
  Seen find(std::uint64_t tag) const;
  void insert(std::uint64_t tag, Period, std::uint64_t window, std::uint64_t now_ms);
  bool take_one(std::uint64_t tag, Period, std::uint64_t window, std::uint64_t max, std::uint64_t now_ms,
                std::uint64_t& before);
  std::uint64_t peek(std::uint64_t tag, Period, std::uint64_t window) const;
  void give_back(std::uint64_t tag, Period, std::uint64_t window);

  std::size_t buckets_count_;
  std::unique_ptr<Bucket[]> buckets_;
  std::unique_ptr<std::atomic_flag[]> inserting_;  // of each bucket
  std::array<std::uint64_t, 2> seed_;              // so that nobody outside can choose identifiers that collide
  std::atomic<std::uint64_t> evicted_{0};
};

}  // namespace weir::plugin
