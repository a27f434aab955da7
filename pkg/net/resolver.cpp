#include "net/resolver.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/inbox.h"
#include "base/log.h"
#include "net/resolver_channel.h"
#include "net/resolver_lookup.h"

namespace weir::net {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using State = Resolved::State;

constexpr milliseconds refresh_min{10};          // whatever the settings say: a name never keeps the thread busy
constexpr milliseconds dns_ttl_min{1000};        // TTL 0 means "do not keep"; once a second is what we do
constexpr milliseconds dns_ttl_max{86'400'000};  // a day, so that a mistake in a zone is not kept for years
constexpr milliseconds hosts_ttl{5000};          // how soon a change of the hosts file is noticed
constexpr milliseconds backoff_max{30'000};      // Kong retries failed names every 30 s
constexpr milliseconds stale_retry_max{5'000};  // while a name's last good answer is in use: what has changed is missed
constexpr int events_max = 32;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Whether a user of the answer would do anything else with it.
bool differs(const ResolvedPtr& old, const Resolved& now) {
  auto same_record = [](const Resolved::Record& a, const Resolved::Record& b) {
    return a.address == b.address && a.weight == b.weight && a.name == b.name;
  };
  return !old || old->state != now.state || old->type != now.type ||
         !std::ranges::equal(old->records, now.records, same_record);
}

class CaresResolver final : public Resolver {
 public:
  CaresResolver(Options options, Changed changed)
      : options_(std::move(options)),
        changed_(std::move(changed)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        inbox_([this] { eventfd_write(wake_.get(), 1); }) {}

  ~CaresResolver() override {
    if (!thread_.joinable()) return;
    inbox_.post([this] { stopping_ = true; });
    thread_.join();
  }

  Result<> start() {
    auto order = TypeOrder::parse(options_.order);
    if (!order) return std::unexpected(order.error());
    order_ = std::move(*order);
    epoll_event event{.events = EPOLLIN, .data = {.fd = wake_.get()}};
    if (epoll_.get() < 0 || wake_.get() < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
      return fail("the resolver cannot start: {}", std::strerror(errno));
    auto channel = Channel::open({options_.servers, options_.timeout, options_.attempts}, epoll_.get());
    if (!channel) return std::unexpected(channel.error());
    channel_ = std::move(*channel);
    read_hosts();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  ResolvedPtr watch(const std::string& name) override {
    std::unique_lock lock(mutex_);
    auto& entry = watched_[name];
    if (++entry.watches > 1) return entry.answer;
    bool final_answer = false;
    entry.answer = without_query(name, final_answer);
    auto answer = entry.answer;
    lock.unlock();
    if (!final_answer) inbox_.post([this, name] { look_at(name); });
    return answer;
  }

  void unwatch(const std::string& name) override {
    std::unique_lock lock(mutex_);
    auto entry = watched_.find(name);
    if (entry == watched_.end() || --entry->second.watches > 0) return;
    watched_.erase(entry);
    lock.unlock();
    inbox_.post([this, name] { look_at(name); });
  }

  ResolvedPtr find(const std::string& name) const override {
    std::lock_guard lock(mutex_);
    auto entry = watched_.find(name);
    return entry == watched_.end() ? nullptr : entry->second.answer;
  }

  Counts counts() const override {
    return {queries_.load(std::memory_order_relaxed), failures_.load(std::memory_order_relaxed),
            stale_answers_.load(std::memory_order_relaxed)};
  }

 private:
  struct Watched {
    std::size_t watches = 0;
    ResolvedPtr answer;
  };
  // What the resolver's thread knows of a name that it keeps fresh.
  struct Job {
    Clock::time_point due;
    std::optional<Lookup> lookup;  // while it is being resolved; then it has no entry in due_
    std::uint64_t lookup_id = 0;   // replies to an earlier lookup are dropped
    std::optional<RecordType> last;
    int failures = 0;                              // in a row
    std::optional<Clock::time_point> fresh_until;  // of the last good answer, while that is served
  };
  using Jobs = std::unordered_map<std::string, Job>;

  // Holds mutex_. final_answer: it will never change, so nothing is to be kept fresh.
  ResolvedPtr without_query(const std::string& name, bool& final_answer) const {
    auto resolved = std::make_shared<Resolved>();
    if (auto ip = Address::from_ip(name, 0)) {
      final_answer = true;
      resolved->type = ip->get()->sa_family == AF_INET ? "A" : "AAAA";
      resolved->records.push_back({*ip, 0, name});
      return resolved;
    }
    if (!is_dns_name(name)) {
      final_answer = true;
      resolved->state = State::failed;
      resolved->message = fmt::format("\"{}\" is not a valid host name", name);
      return resolved;
    }
    // The same code as for every later refresh, so that the answers cannot differ.
    if (auto outcome = Lookup(name, order_, std::nullopt, hosts_, nullptr).outcome()) {
      *resolved = std::move(outcome->resolved);
      return resolved;
    }
    return nullptr;
  }

  void run() {
    std::array<epoll_event, events_max> events;
    while (true) {
      inbox_.run();
      if (stopping_) break;
      begin_due();
      take_replies();
      int count = epoll_wait(epoll_.get(), events.data(), events_max, static_cast<int>(wait().count()));
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd != wake_.get()) {
          channel_->process(event.data.fd, event.events);
        } else {
          eventfd_t ignored;
          eventfd_read(wake_.get(), &ignored);
        }
      }
      channel_->process_timeouts();
    }
    channel_.reset();
  }

  milliseconds wait() const {
    milliseconds longest{60'000};
    if (!due_.empty()) {
      auto left = std::chrono::ceil<milliseconds>(due_.begin()->first - Clock::now());
      longest = std::clamp(left, milliseconds{0}, longest);
    }
    return channel_->wait_at_most(longest);
  }

  // Begins or ends keeping a name fresh, whichever fits now: calls of several threads may arrive in any order.
  void look_at(const std::string& name) {
    bool is_watched, has_answer;
    {
      std::lock_guard lock(mutex_);
      auto entry = watched_.find(name);
      is_watched = entry != watched_.end();
      has_answer = is_watched && entry->second.answer;
    }
    auto job = jobs_.find(name);
    if (is_watched && job == jobs_.end()) {
      schedule(*jobs_.emplace(name, Job{}).first, milliseconds{0});
    } else if (is_watched) {
      // Dropped and watched again before we looked: the fresh entry has no answer yet.
      if (!has_answer && !job->second.lookup) {
        due_.erase({job->second.due, name});
        schedule(*job, milliseconds{0});
      }
    } else if (job != jobs_.end()) {
      due_.erase({job->second.due, name});
      jobs_.erase(job);
    }
  }

  void schedule(Jobs::value_type& job, milliseconds delay) {
    job.second.due = Clock::now() + delay;
    due_.insert({job.second.due, job.first});
  }

  void begin_due() {
    while (!due_.empty() && due_.begin()->first <= Clock::now()) {
      auto name = due_.begin()->second;
      due_.erase(due_.begin());
      auto& job = *jobs_.find(name);
      read_hosts();
      job.second.lookup_id = ++last_lookup_id_;
      job.second.lookup.emplace(name, order_, job.second.last, hosts_, find(name));
      advance(job);
    }
  }

  void take_replies() {
    for (auto answered = channel_->take_answered(); !answered.empty(); answered = channel_->take_answered()) {
      for (auto& one : answered) {
        auto job = jobs_.find(one.owner);
        if (job == jobs_.end() || !job->second.lookup || job->second.lookup_id != one.lookup) continue;
        job->second.lookup->answer(one.question, std::move(one.reply));
        advance(*job);
      }
    }
  }

  void advance(Jobs::value_type& job) {
    if (auto outcome = job.second.lookup->outcome()) {
      job.second.lookup.reset();
      finish(job, std::move(*outcome));
      return;
    }
    for (auto& question : job.second.lookup->questions())
      channel_->ask(job.first, job.second.lookup_id, std::move(question));
    queries_.store(channel_->sent(), std::memory_order_relaxed);
  }

  void finish(Jobs::value_type& job, Lookup::Outcome outcome) {
    auto& [name, state] = job;
    switch (outcome.resolved.state) {
      case State::ok: {
        auto ttl = fresh_for(outcome);
        state.failures = 0;
        state.last = outcome.type;
        state.fresh_until = Clock::now() + ttl;
        publish(name, std::move(outcome.resolved));
        return schedule(job, ttl);
      }
      case State::not_found:
        state.failures = 0;
        state.fresh_until.reset();
        publish(name, std::move(outcome.resolved));
        return schedule(job, std::max<milliseconds>(options_.not_found_ttl, refresh_min));
      case State::failed:
        return fail_refresh(job, std::move(outcome.resolved));
    }
  }

  milliseconds fresh_for(const Lookup::Outcome& outcome) const {
    if (outcome.in_part) return std::max<milliseconds>(options_.error_ttl, refresh_min);
    if (options_.valid_ttl > milliseconds{0}) return std::max(options_.valid_ttl, refresh_min);
    if (outcome.from_hosts) return hosts_ttl;
    return std::clamp(milliseconds(std::uint64_t{outcome.ttl_seconds} * 1000), dns_ttl_min, dns_ttl_max);
  }

  void fail_refresh(Jobs::value_type& job, Resolved failure) {
    auto& [name, state] = job;
    failures_.fetch_add(1, std::memory_order_relaxed);
    auto first_wait = std::max<milliseconds>(options_.error_ttl, refresh_min);
    auto wait = first_wait;
    for (int i = 0; i < state.failures && wait < backoff_max; ++i) wait = std::min(wait * 2, backoff_max);
    ++state.failures;
    auto now = Clock::now();
    auto old = find(name);
    if (old && old->state == State::ok && state.fresh_until && now < *state.fresh_until + options_.stale_ttl) {
      stale_answers_.fetch_add(1, std::memory_order_relaxed);
      auto left = std::chrono::ceil<milliseconds>(*state.fresh_until + options_.stale_ttl - now);
      auto stale = *old;
      stale.stale = true;
      stale.message = std::move(failure.message);
      if (!old->stale)
        log::warn("DNS does not answer; the last good answer stays in use",
                  {{"name", name}, {"reason", stale.message}});
      publish(name, std::move(stale));
      return schedule(job, std::min({wait, left, std::max(first_wait, stale_retry_max)}));
    }
    state.fresh_until.reset();
    if (!old || old->state != State::failed)
      log::warn("a host name cannot be resolved", {{"name", name}, {"reason", failure.message}});
    publish(name, std::move(failure));
    schedule(job, wait);
  }

  void publish(const std::string& name, Resolved resolved) {
    ResolvedPtr now;
    {
      std::lock_guard lock(mutex_);
      auto entry = watched_.find(name);
      if (entry == watched_.end()) return;
      auto& answer = entry->second.answer;
      bool news = differs(answer, resolved);
      if (!news && answer->stale == resolved.stale && answer->message == resolved.message) return;
      answer = std::make_shared<const Resolved>(std::move(resolved));
      if (news) now = answer;
    }
    if (now && changed_) changed_(name, now);
  }

  // Takes the hosts file when it is another one than before.
  void read_hosts() {
    auto mark = mark_of(options_.hosts_file);
    if (hosts_ && mark == hosts_mark_) return;
    auto hosts = std::make_shared<const Hosts>(Hosts::read(options_.hosts_file));
    std::lock_guard lock(mutex_);
    hosts_mark_ = mark;
    hosts_ = std::move(hosts);
  }

  const Options options_;
  const Changed changed_;
  TypeOrder order_;
  Descriptor epoll_, wake_;
  Inbox inbox_;

  mutable std::mutex mutex_;  // of watched_, and of hosts_ being replaced
  std::unordered_map<std::string, Watched> watched_;
  std::shared_ptr<const Hosts> hosts_;
  std::atomic<std::uint64_t> queries_{0}, failures_{0}, stale_answers_{0};

  // The resolver's thread only.
  std::unique_ptr<Channel> channel_;
  std::optional<FileMark> hosts_mark_;
  Jobs jobs_;
  std::set<std::pair<Clock::time_point, std::string>> due_;
  std::uint64_t last_lookup_id_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::start(Options options, Changed changed) {
  auto resolver = std::make_unique<CaresResolver>(std::move(options), std::move(changed));
  if (auto started = resolver->start(); !started) return std::unexpected(started.error());
  return resolver;
}

}  // namespace weir::net
