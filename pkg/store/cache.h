// The cache of looked-up rows of one worker: positive and negative entries, bounded memory, one question for many
// waiters. Belongs to its worker; no lock.
//
// An entry holds until db_cache_ttl (db_cache_neg_ttl for "there is none") or until it is invalidated; when the
// database cannot be asked an outdated one is served for db_resurrect_ttl more. An answer that was asked for before an
// invalidation is not kept: it is asked again.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/lookup.h"

namespace weir::store {

class Cache {
 public:
  struct Options {
    std::size_t bytes_max = 64 * 1024 * 1024;  // of positive entries; negative ones have a quarter of it beside
    std::chrono::milliseconds ttl{0};          // 0: for ever
    std::chrono::milliseconds neg_ttl{0};
    std::chrono::milliseconds resurrect_ttl{30'000};
    std::size_t waiting_max = 10'000;  // questions at a time; beyond them find() gives a failed answer
  };
  // Counted by the owner's thread, read by any. An answer that was waited for counts as a miss only, however many
  // waited for it.
  struct Counts {
    std::atomic<std::uint64_t> hits{0}, negative_hits{0};  // answered at once
    std::atomic<std::uint64_t> misses{0};                  // had to wait
    std::atomic<std::uint64_t> resurrected{0};             // outdated answers kept because there was no newer one
    std::atomic<std::uint64_t> evicted{0}, failed{0};      // for want of room; answers that failed
    std::atomic<std::uint64_t> entries{0}, bytes{0};       // now
  };

  // post: runs work on the owner's thread (called from the lookup's).
  Cache(const Options&, Lookup&, std::function<void(std::move_only_function<void()>)> post, Counts&);
  ~Cache();

  using Ready = std::function<void()>;
  // now_ms: any clock of the owner that does not go back. What is known, or null after asking: `ready` is called once
  // on the owner's thread, before which find() must not be asked again; then find() is not null.
  // The answer is shared, so that it may outlive the entry.
  std::shared_ptr<const Found> find(const LookupKey&, std::uint64_t now_ms, Ready ready);

  void invalidate(std::string_view key);  // LookupKey::text()
  // All of it: nothing of it is served any more, unless it is asked for again and the database cannot tell; then it
  // counts as outdated.
  void clear();
  // For GET /cache/{key}: nothing when it is not cached; negative ones give an empty list.
  std::shared_ptr<const Found> peek(std::string_view key) const;

  std::size_t entries() const;
  std::size_t bytes() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // answers under way hold it weakly
};

}  // namespace weir::store
