#include "store/cache.h"

#include <list>
#include <unordered_map>
#include <utility>

#include <boost/json.hpp>

namespace weir::store {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

// How long a failed answer stands before the question is asked again: short, but a storm of requests while the database
// is away must not become a storm of questions.
constexpr std::uint64_t failed_ms = 200;
// A row that changes again and again while it is being asked for: after so many questions the answer counts as failed.
constexpr int asked_max = 16;

// Roughly what a value takes in memory.
std::size_t bytes_of(const json::value& value) {
  std::size_t out = sizeof(json::value);
  if (const auto* text = value.if_string()) return out + text->size();
  if (const auto* list = value.if_array())
    for (const auto& element : *list) out += bytes_of(element);
  if (const auto* object = value.if_object())
    for (const auto& pair : *object) out += 24 + pair.key().size() + bytes_of(pair.value());
  return out;
}
std::size_t bytes_of(const Found& found) {
  std::size_t out = sizeof(Found);
  for (const auto& row : found.rows) {
    out += 64;  // the shared row itself
    for (const auto& pair : *row) out += 24 + pair.key().size() + bytes_of(pair.value());
  }
  return out;
}

std::uint64_t ms_since(Clock::time_point then) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - then).count());
}

// Only the owner writes; others read now and then.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

}  // namespace

struct Cache::Impl : std::enable_shared_from_this<Cache::Impl> {
  struct Question {
    std::vector<Ready> waiting;
    std::uint64_t asked_ms = 0;  // by the owner's clock
    Clock::time_point asked_at;  // the same moment
    int asked = 0;               // times
    bool outrun = false;         // by an invalidation: the answer may be from before it
  };
  struct Entry;
  // The most recently used first.
  struct Recent {
    std::list<Entry*> entries;
    std::size_t bytes = 0, bytes_max = 0;
  };
  // What is known, what is being asked, or both: an outdated answer that is being asked for again.
  struct Entry {
    const std::string* text = nullptr;  // its key in the map
    const model::Schema* schema = nullptr;
    std::string field;
    std::shared_ptr<const Found> found;
    std::uint64_t until_ms = 0;  // 0: for ever
    bool mortal = false;         // a row of it runs out by itself: never resurrected
    bool cleared = false;        // outdated before its time
    std::size_t bytes = 0;
    std::size_t told = 0;  // waiters that were told and will come for it
    Recent* recent = nullptr;
    std::list<Entry*>::iterator place;
    std::unique_ptr<Question> question;
  };
  // Keys of one text: an id and a user name may be spelled alike.
  using Map = std::unordered_multimap<std::string, Entry, Hash, std::equal_to<>>;

  Impl(const Options& o, Lookup& l, std::function<void(std::move_only_function<void()>)> p, Counts& c)
      : options(o), lookup(l), post(std::move(p)), counts(c) {
    positive.bytes_max = options.bytes_max;
    negative.bytes_max = options.bytes_max / 4;
  }

  std::shared_ptr<const Found> find(const LookupKey&, std::uint64_t now_ms, Ready);
  void ask(Map::value_type&);
  void answered(Map::value_type&, Found, double expires_at);
  bool resurrect(Entry&, std::uint64_t now_ms);
  void keep(Map::value_type&, Found, double expires_at, std::uint64_t now_ms);
  void forget(Entry&);
  void forget(Map::iterator);
  void make_room(Recent&, const Entry* newest);
  void measure();

  Options options;
  Lookup& lookup;
  std::function<void(std::move_only_function<void()>)> post;
  Counts& counts;
  Map map;
  Recent positive, negative;
  std::size_t questions = 0;
  std::string text;  // of the key that is looked for: no allocation where it is known
  std::shared_ptr<const Found> refused = std::make_shared<const Found>(Found{true, {}});
};

std::shared_ptr<const Found> Cache::Impl::find(const LookupKey& key, std::uint64_t now_ms, Ready ready) {
  // As LookupKey::text().
  const auto schema_name = key.schema->name();
  text.assign(schema_name).append(1, ':').append(key.value).append(":::::");
  auto [at, end] = map.equal_range(std::string_view(text));
  while (at != end && (at->second.schema != key.schema || at->second.field != key.field)) ++at;

  if (at != end && at->second.found) {
    auto& entry = at->second;
    if (entry.told > 0) {
      entry.told--;  // was counted when it began to wait, and gets what it was told of
      return entry.found;
    }
    if (!entry.cleared && (entry.until_ms == 0 || now_ms < entry.until_ms)) {
      if (entry.recent != nullptr) {
        entry.recent->entries.splice(entry.recent->entries.begin(), entry.recent->entries, entry.place);
        add(entry.recent == &positive ? counts.hits : counts.negative_hits, 1);
      }
      return entry.found;
    }
  }

  if (at == end) {
    if (questions >= options.waiting_max) {
      add(counts.failed, 1);
      return refused;
    }
    at = map.emplace(text, Entry{});
    at->second.text = &at->first;
    at->second.schema = key.schema;
    at->second.field = key.field;
  }
  auto& entry = at->second;
  if (!entry.question) {
    if (questions >= options.waiting_max) {
      add(counts.failed, 1);
      return refused;
    }
    entry.question = std::make_unique<Question>();
    questions++;
  }
  add(counts.misses, 1);
  entry.question->waiting.push_back(std::move(ready));
  if (entry.question->asked == 0) {
    entry.question->asked_ms = now_ms;
    entry.question->asked_at = Clock::now();
    ask(*at);
  }
  measure();
  return nullptr;
}

void Cache::Impl::ask(Map::value_type& pair) {
  auto& question = *pair.second.question;
  question.asked++;
  question.outrun = false;
  const auto& name = pair.second.schema->name();
  const std::string_view all = pair.first;
  const auto value = all.substr(name.size() + 1, all.size() - name.size() - 6);
  // The entry stays where it is as long as its question is under way, so its address will do.
  lookup.find({pair.second.schema, pair.second.field, value},
              [post = post, self = weak_from_this(), &pair](Found found, double expires_at) {
                post([self, &pair, found = std::move(found), expires_at]() mutable {
                  if (auto impl = self.lock()) impl->answered(pair, std::move(found), expires_at);
                });
              });
}

void Cache::Impl::answered(Map::value_type& pair, Found found, double expires_at) {
  auto& entry = pair.second;
  auto& question = *entry.question;
  if (question.outrun) {
    if (question.asked < asked_max) return ask(pair);
    found = Found{true, {}};
  }
  const auto now_ms = question.asked_ms + ms_since(question.asked_at);
  if (found.failed) {
    add(counts.failed, 1);
    if (!resurrect(entry, now_ms)) keep(pair, std::move(found), 0, now_ms);
  } else {
    keep(pair, std::move(found), expires_at, now_ms);
  }
  const auto done = std::move(entry.question);
  questions--;
  entry.told += done->waiting.size();
  measure();
  for (auto& ready : done->waiting) ready();
}

// The database cannot be asked: what is known serves for a while longer, as Kong's resurrect_ttl.
bool Cache::Impl::resurrect(Entry& entry, std::uint64_t now_ms) {
  if (!entry.found || entry.found->failed || entry.mortal || options.resurrect_ttl.count() == 0) return false;
  entry.until_ms = now_ms + static_cast<std::uint64_t>(options.resurrect_ttl.count());
  entry.cleared = false;
  add(counts.resurrected, 1);
  return true;
}

void Cache::Impl::keep(Map::value_type& pair, Found found, double expires_at, std::uint64_t now_ms) {
  auto& entry = pair.second;
  forget(entry);
  const bool none = found.rows.empty();
  auto lives_ms = found.failed ? failed_ms : static_cast<std::uint64_t>((none ? options.neg_ttl : options.ttl).count());
  if (!found.failed && expires_at > 0) {
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const auto left_ms = static_cast<std::uint64_t>(std::max(1.0, (expires_at - now) * 1000));
    lives_ms = lives_ms == 0 ? left_ms : std::min(lives_ms, left_ms);
    entry.mortal = true;
  }
  entry.until_ms = lives_ms == 0 ? 0 : now_ms + lives_ms;
  entry.bytes = sizeof(Map::value_type) + 4 * sizeof(void*) + pair.first.size() + entry.field.size() + bytes_of(found);
  // A failed answer is among the negative ones, so that it is bounded as they are.
  entry.recent = none ? &negative : &positive;
  entry.found = std::make_shared<const Found>(std::move(found));
  entry.recent->entries.push_front(&entry);
  entry.place = entry.recent->entries.begin();
  entry.recent->bytes += entry.bytes;
  make_room(*entry.recent, &entry);
}

// What is known of it, not the question about it.
void Cache::Impl::forget(Entry& entry) {
  if (entry.recent != nullptr) {
    entry.recent->bytes -= entry.bytes;
    entry.recent->entries.erase(entry.place);
  }
  entry.recent = nullptr;
  entry.found.reset();
  entry.mortal = entry.cleared = false;
  entry.told = 0;
}

void Cache::Impl::forget(Map::iterator at) {
  forget(at->second);
  if (at->second.question)
    at->second.question->outrun = true;
  else
    map.erase(at);
}

// The newest stays even when it is too large by itself: those who wait for it must find it.
void Cache::Impl::make_room(Recent& recent, const Entry* newest) {
  while (recent.bytes > recent.bytes_max && recent.entries.back() != newest) {
    auto* oldest = recent.entries.back();
    add(counts.evicted, 1);
    if (oldest->question) {
      forget(*oldest);
      continue;
    }
    auto at = map.find(*oldest->text);
    while (&at->second != oldest) ++at;
    forget(*oldest);
    map.erase(at);
  }
}

void Cache::Impl::measure() {
  counts.entries.store(positive.entries.size() + negative.entries.size(), std::memory_order_relaxed);
  counts.bytes.store(positive.bytes + negative.bytes, std::memory_order_relaxed);
}

Cache::Cache(const Options& options, Lookup& lookup, std::function<void(std::move_only_function<void()>)> post,
             Counts& counts)
    : impl_(std::make_shared<Impl>(options, lookup, std::move(post), counts)) {}
Cache::~Cache() = default;

std::shared_ptr<const Found> Cache::find(const LookupKey& key, std::uint64_t now_ms, Ready ready) {
  return impl_->find(key, now_ms, std::move(ready));
}

void Cache::invalidate(std::string_view key) {
  auto [at, end] = impl_->map.equal_range(key);
  while (at != end) impl_->forget(at++);
  impl_->measure();
}

void Cache::clear() {
  for (auto at = impl_->map.begin(); at != impl_->map.end();) {
    auto& entry = at->second;
    if (entry.question) entry.question->outrun = true;
    entry.cleared = true;
    entry.told = 0;
    const bool useful = entry.question || (entry.found && !entry.found->failed && !entry.mortal);
    const auto next = std::next(at);
    if (!useful) impl_->forget(at);
    at = next;
  }
  impl_->measure();
}

std::shared_ptr<const Found> Cache::peek(std::string_view key) const {
  auto [at, end] = impl_->map.equal_range(key);
  for (; at != end; ++at)
    if (at->second.found && !at->second.found->failed && !at->second.cleared) return at->second.found;
  return nullptr;
}

std::size_t Cache::entries() const {
  return impl_->positive.entries.size() + impl_->negative.entries.size();
}
std::size_t Cache::bytes() const {
  return impl_->positive.bytes + impl_->negative.bytes;
}

}  // namespace weir::store
