#include "plugin/differences.h"

#include <utility>

namespace weir::plugin {

Differences::Differences(Scope scope, std::shared_ptr<Counters> counters, Limits& limits,
                         std::chrono::milliseconds interval)
    : scope_(std::move(scope)), counters_(std::move(counters)), limits_(limits), interval_(interval), thread_([this] {
        run();
      }) {}

Differences::~Differences() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  thread_.join();
}

void Differences::counted(std::string_view identifier, std::uint64_t now_ms) {
  const std::lock_guard lock(book_->mutex);
  auto entry = book_->table.find(identifier);
  if (entry == book_->table.end()) {
    if (book_->table.size() >= identifiers_max) return;
    entry = book_->table.try_emplace(std::string(identifier)).first;
  }
  for (const auto period : scope_.periods) {
    auto& pending = entry->second[static_cast<std::size_t>(period)];
    const auto window = window_at(period, now_ms);
    if (pending.window.index != window.index) {
      if (pending.count > 0 && book_->over.size() < identifiers_max)
        book_->over.emplace_back(entry->first, std::pair(period, pending));
      pending = {window, 0};
    }
    ++pending.count;
  }
}

void Differences::run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, interval_, [this] { return stopping_; })) {
    lock.unlock();
    push();
    lock.lock();
  }
  push();
}

void Differences::push() {
  decltype(book_->over) over;
  Table table;
  {
    const std::lock_guard lock(book_->mutex);
    over.swap(book_->over);
    table.swap(book_->table);
  }
  for (const auto& [identifier, ended] : over) push(identifier, ended.first, ended.second);
  for (const auto& [identifier, periods] : table)
    for (const auto period : scope_.periods)
      if (const auto& pending = periods[static_cast<std::size_t>(period)]; pending.count > 0)
        push(identifier, period, pending);
}

void Differences::push(const std::string& identifier, Period period, const Pending& pending) {
  Window window{identifier,  std::string(name(period)), pending.window.start_ms, pending.window.seconds, scope_.service,
                scope_.route};
  counters_->add({std::move(window)}, pending.count,
                 [book = book_, &limits = limits_, id = scope_.id, identifier, period,
                  pending](const std::shared_ptr<const Counted>& counted) {
                   std::uint64_t since = 0;
                   {
                     const std::lock_guard lock(book->mutex);
                     const auto entry = book->table.find(identifier);
                     if (entry != book->table.end()) {
                       auto& next = entry->second[static_cast<std::size_t>(period)];
                       if (next.window.index == pending.window.index) since = next.count;
                     }
                     if (!counted->ok) {  // kept for the next time
                       if (book->over.size() < identifiers_max)
                         book->over.emplace_back(identifier, std::pair(period, pending));
                       return;
                     }
                   }
                   limits.raise(id, identifier, period, counted->before.front() + pending.count + since,
                                pending.window.start_ms);
                 });
}

}  // namespace weir::plugin
