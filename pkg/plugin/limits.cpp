#include "plugin/limits.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>

namespace weir::plugin {
namespace {

using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;

// A slot's state: the period + 1 in the three highest bits, then the window's index, then the count. A second needs
// many bits for its index and few to count, a year the other way round.
constexpr std::array<unsigned, period_count> count_bits{29, 35, 40, 45, 48, 51};
constexpr unsigned period_shift = 61;
constexpr std::uint64_t empty = 0, changing_hands = 7ULL << period_shift;

std::uint64_t pack(Period period, std::uint64_t window, std::uint64_t count) {
  const auto place = static_cast<std::size_t>(period);
  const auto bits = count_bits[place];
  const auto window_mask = (1ULL << (period_shift - bits)) - 1;
  return (place + 1) << period_shift | (window & window_mask) << bits |
         std::min<std::uint64_t>(count, (1ULL << bits) - 1);
}
bool is_of(std::uint64_t state, Period period) {
  return state >> period_shift == static_cast<std::uint64_t>(period) + 1;
}
std::uint64_t window_of(std::uint64_t state, Period period) {
  const auto bits = count_bits[static_cast<std::size_t>(period)];
  return (state & ((1ULL << period_shift) - 1)) >> bits;
}
std::uint64_t count_of(std::uint64_t state, Period period) {
  return state & ((1ULL << count_bits[static_cast<std::size_t>(period)]) - 1);
}
// Whether it counts in `window`. One window ahead counts as well: workers read their clocks a moment apart. Further
// ahead: the clock was set back.
bool counts_in(std::uint64_t state, Period period, std::uint64_t window) {
  if (!is_of(state, period)) return false;
  const auto at = window_of(state, period);
  return at == window || at == window + 1;
}
std::uint64_t with_more(std::uint64_t state, Period period, std::uint64_t window, std::uint64_t amount) {
  if (!counts_in(state, period, window)) return pack(period, window, amount);
  return pack(period, window_of(state, period), count_of(state, period) + amount);
}

// SipHash-1-3 (Aumasson, Bernstein), fed with words.
struct Sip {
  explicit Sip(const std::array<std::uint64_t, 2>& seed)
      : a(seed[0] ^ 0x736f6d6570736575),
        b(seed[1] ^ 0x646f72616e646f6d),
        c(seed[0] ^ 0x6c7967656e657261),
        d(seed[1] ^ 0x7465646279746573) {}
  void round() {
    a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
    c += d, d = std::rotl(d, 16) ^ c;
    a += d, d = std::rotl(d, 21) ^ a;
    c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
  }
  void add(std::uint64_t word) { d ^= word, round(), a ^= word; }
  void add(const void* bytes, std::size_t size) {
    const auto* at = static_cast<const char*>(bytes);
    for (; size >= 8; at += 8, size -= 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      add(word);
    }
    std::uint64_t last = static_cast<std::uint64_t>(size) << 56;
    std::memcpy(&last, at, size);
    add(last);
  }
  std::uint64_t finish() {
    c ^= 0xff, round(), round(), round();
    return a ^ b ^ c ^ d;
  }
  std::uint64_t a, b, c, d;
};

}  // namespace

std::string_view name(Period period) {
  constexpr std::array<std::string_view, period_count> names{"second", "minute", "hour", "day", "month", "year"};
  return names[static_cast<std::size_t>(period)];
}

PeriodWindow window_at(Period period, std::uint64_t now_ms) {
  using namespace std::chrono;
  constexpr std::array<std::uint32_t, 4> lengths{1, 60, 3600, 86400};
  const auto now_s = now_ms / 1000;
  if (period <= Period::day) {
    const auto length = lengths[static_cast<std::size_t>(period)];
    const auto index = now_s / length;
    return {index, index * length * 1000, length};
  }
  const year_month_day today{sys_days{days{now_s / 86400}}};
  const auto years = static_cast<std::uint64_t>(static_cast<int>(today.year()) - 1970);
  const auto is_year = period == Period::year;
  const auto first = today.year() / (is_year ? January : today.month()) / 1;
  const sys_days begin = first, end = is_year ? first + std::chrono::years{1} : first + months{1};
  return {is_year ? years : years * 12 + static_cast<unsigned>(today.month()) - 1,
          static_cast<std::uint64_t>(begin.time_since_epoch().count()) * 86'400'000,
          static_cast<std::uint32_t>((end - begin).count()) * 86'400};
}

Limits::Limits(std::size_t slots)
    : buckets_count_(std::bit_ceil(std::max<std::size_t>(1, slots / bucket_slots))),
      buckets_(std::make_unique<Bucket[]>(buckets_count_)),
      inserting_(std::make_unique<std::atomic_flag[]>(buckets_count_)) {
  const auto random = Uuid::random();
  std::memcpy(seed_.data(), random.bytes.data(), sizeof seed_);
}

std::uint64_t Limits::tag_of(const Uuid& scope, std::string_view identifier, Period period) const {
  Sip hash(seed_);
  hash.add(scope.bytes.data(), scope.bytes.size());
  hash.add(static_cast<std::uint64_t>(period));
  hash.add(identifier.data(), identifier.size());
  return std::max<std::uint64_t>(1, hash.finish());
}

// The state is read before the tag: a slot's new owner writes the tag first, so a state of his comes with his tag. The
// other way round (an old state with a new tag) no compare-and-swap succeeds.
Limits::Seen Limits::find(std::uint64_t tag) const {
  for (auto& slot : buckets_[bucket_of(tag)].slots) {
    const auto state = slot.state.load(memory_order_acquire);
    if (state == empty || state == changing_hands) continue;
    if (slot.tag.load(memory_order_acquire) == tag) return {&slot, state};
  }
  return {};
}

// Gives the tag a slot unless it has one by now. One inserter per bucket at a time, so that no tag gets two.
void Limits::insert(std::uint64_t tag, Period period, std::uint64_t window, std::uint64_t now_ms) {
  auto& inserting = inserting_[bucket_of(tag)];
  while (inserting.test_and_set(memory_order_acquire)) std::this_thread::yield();
  std::array<std::uint64_t, period_count> now;
  for (std::size_t i = 0; i < period_count; ++i) now[i] = window_at(static_cast<Period>(i), now_ms).index;
  // How much is lost when a slot is taken: nothing of an empty one or one whose window is over.
  const auto worth = [&](std::uint64_t state) -> std::uint64_t {
    if (state == empty) return 0;
    const auto of = static_cast<Period>((state >> period_shift) - 1);
    return counts_in(state, of, now[static_cast<std::size_t>(of)]) ? 1 + count_of(state, of) : 0;
  };
  while (!find(tag).slot) {
    Seen victim;
    auto least = std::numeric_limits<std::uint64_t>::max();
    for (auto& slot : buckets_[bucket_of(tag)].slots) {
      const auto state = slot.state.load(memory_order_acquire);
      const auto lost = worth(state);
      if (lost < least) victim = {&slot, state}, least = lost;
      if (lost == 0) break;
    }
    if (!victim.slot->state.compare_exchange_strong(victim.state, changing_hands, memory_order_acq_rel)) continue;
    if (least > 0) evicted_.fetch_add(1, memory_order_relaxed);
    victim.slot->tag.store(tag, memory_order_release);
    victim.slot->state.store(pack(period, window, 0), memory_order_release);
  }
  inserting.clear(memory_order_release);
}

bool Limits::take_one(std::uint64_t tag, Period period, std::uint64_t window, std::uint64_t max, std::uint64_t now_ms,
                      std::uint64_t& before) {
  for (;;) {
    auto [slot, state] = find(tag);
    if (!slot) {
      insert(tag, period, window, now_ms);
      continue;
    }
    before = counts_in(state, period, window) ? count_of(state, period) : 0;
    if (before >= max) {
      if (slot->state.load(memory_order_acquire) != state) continue;  // it may not have been this tag's
      return false;
    }
    if (slot->state.compare_exchange_weak(state, with_more(state, period, window, 1), memory_order_acq_rel))
      return true;
  }
}

std::uint64_t Limits::peek(std::uint64_t tag, Period period, std::uint64_t window) const {
  const auto [slot, state] = find(tag);
  return slot && counts_in(state, period, window) ? count_of(state, period) : 0;
}

void Limits::give_back(std::uint64_t tag, Period period, std::uint64_t window) {
  for (;;) {
    auto [slot, state] = find(tag);
    if (!slot || !counts_in(state, period, window) || count_of(state, period) == 0) return;
    const auto less = pack(period, window_of(state, period), count_of(state, period) - 1);
    if (slot->state.compare_exchange_weak(state, less, memory_order_acq_rel)) return;
  }
}

// By rising period: what is given back was taken while a longer window was exhausted, and then no request of this
// identifier may pass anyway. So nobody is refused because of a count that is taken back.
Limits::Taken Limits::take(const Uuid& scope, std::string_view identifier, std::span<const Limit> limits,
                           std::uint64_t now_ms) {
  Taken out;
  std::array<std::uint64_t, period_count> tags{}, windows{};
  const auto count = std::min(limits.size(), period_count);
  for (std::size_t i = 0; i < count; ++i) {
    tags[i] = tag_of(scope, identifier, limits[i].period);
    windows[i] = window_at(limits[i].period, now_ms).index;
  }
  std::size_t taken = 0;
  while (taken < count &&
         take_one(tags[taken], limits[taken].period, windows[taken], limits[taken].max, now_ms, out.before[taken]))
    ++taken;
  out.counted = taken == count;
  if (out.counted) return out;
  for (std::size_t i = 0; i < taken; ++i) give_back(tags[i], limits[i].period, windows[i]);
  for (std::size_t i = taken + 1; i < count; ++i) out.before[i] = peek(tags[i], limits[i].period, windows[i]);
  return out;
}

void Limits::raise(const Uuid& scope, std::string_view identifier, Period period, std::uint64_t count,
                   std::uint64_t now_ms) {
  const auto tag = tag_of(scope, identifier, period);
  const auto window = window_at(period, now_ms).index;
  for (;;) {
    auto [slot, state] = find(tag);
    if (!slot) {
      insert(tag, period, window, now_ms);
      continue;
    }
    const auto known = counts_in(state, period, window) ? count_of(state, period) : 0;
    const auto more = known < count ? count - known : 0;
    if (slot->state.compare_exchange_weak(state, with_more(state, period, window, more), memory_order_acq_rel)) return;
  }
}

std::uint64_t Limits::count(const Uuid& scope, std::string_view identifier, Period period, std::uint64_t now_ms) {
  return peek(tag_of(scope, identifier, period), period, window_at(period, now_ms).index);
}

}  // namespace weir::plugin
