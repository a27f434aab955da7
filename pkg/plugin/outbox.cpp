#include "plugin/outbox.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"
#include "net/http_post.h"
#include "plugin/background.h"

namespace weir::plugin {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto last_words = std::chrono::seconds(3);  // for what is queued when the node stops
constexpr auto complaint_every = std::chrono::seconds(10);
constexpr std::size_t batches_max = 32;  // of one queue at a time, without one_at_a_time

struct Batch {
  std::vector<std::string> entries;
  Clock::time_point given_up_at, next_try;
  milliseconds delay{0};
  bool sending = false;
};

}  // namespace

// One thread for all queues: it decides what is sent when; libcurl does the sending.
class Outbox::Sender {
 public:
  ~Sender() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    http_.wake();
    thread_.join();
  }

  class Waiting : public Queue {
   public:
    explicit Waiting(Sender& sender) : sender_(sender) {}

    void add(std::string entry) override {
      bool wake = false;
      {
        const std::lock_guard lock(mutex_);
        bytes_ += entry.size();
        if (entries_.empty()) oldest_ = Clock::now();
        entries_.push_back(std::move(entry));
        while (entries_.size() > delivery_->entries_max || (delivery_->bytes_max && bytes_ > *delivery_->bytes_max)) {
          bytes_ -= entries_.front().size();
          entries_.pop_front();
          dropped_.fetch_add(1, std::memory_order_relaxed);
          if (entries_.empty()) break;
        }
        // The thread learns of the first entry, when it has to wait for more, and of a full batch.
        wake = entries_.size() == 1 || entries_.size() == delivery_->batch_max;
      }
      if (wake) sender_.http_.wake();
    }
    std::uint64_t dropped() const override { return dropped_.load(std::memory_order_relaxed); }

    void set(Delivery delivery) {
      const std::lock_guard lock(mutex_);
      delivery_ = std::make_shared<const Delivery>(std::move(delivery));
    }
    std::shared_ptr<const Delivery> delivery() const {
      const std::lock_guard lock(mutex_);
      return delivery_;
    }
    // Takes a batch when one is full or has waited long enough; else says how long it is until then.
    std::optional<Batch> take(bool at_once, milliseconds& wait) {
      const std::lock_guard lock(mutex_);
      if (entries_.empty()) return {};
      const auto now = Clock::now();
      const auto ripe = oldest_ + delivery_->coalescing;
      if (entries_.size() < delivery_->batch_max && now < ripe && !at_once) {
        wait = std::min(wait, std::chrono::ceil<milliseconds>(ripe - now));
        return {};
      }
      Batch out;
      while (!entries_.empty() && out.entries.size() < delivery_->batch_max) {
        bytes_ -= entries_.front().size();
        out.entries.push_back(std::move(entries_.front()));
        entries_.pop_front();
      }
      oldest_ = now;
      out.given_up_at = now + delivery_->retry_time_max;
      out.next_try = now;
      out.delay = delivery_->first_retry_delay;
      return out;
    }
    std::size_t size() const {
      const std::lock_guard lock(mutex_);
      return entries_.size();
    }

    // Of the sender's thread.
    std::vector<std::unique_ptr<Batch>> batches;
    std::uint64_t told = 0;
    std::optional<Clock::time_point> told_at;
    std::atomic<std::uint64_t> dropped_{0};

   private:
    Sender& sender_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Delivery> delivery_;
    std::deque<std::string> entries_;
    std::size_t bytes_ = 0;
    Clock::time_point oldest_{};
  };

  std::shared_ptr<Queue> open(const Uuid& instance, Delivery delivery) {
    std::shared_ptr<Waiting> out;
    {
      const std::lock_guard lock(mutex_);
      auto& queue = queues_[instance];
      if (!queue) queue = std::make_shared<Waiting>(*this);
      queue->set(std::move(delivery));
      out = queue;
      if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    }
    http_.wake();
    return out;
  }

 private:
  void run() {
    block_broken_pipe_signal();
    std::optional<Clock::time_point> give_up_at;
    for (;;) {
      const bool stopping = stopping_.load();
      if (stopping && !give_up_at) give_up_at = Clock::now() + last_words;
      milliseconds wait{stopping ? 20 : 60'000};
      bool busy = false;
      for (const auto& queue : queues()) busy = serve(*queue, stopping, wait) || busy;
      if (stopping && (!busy || Clock::now() >= *give_up_at)) return tell_what_is_left();
      http_.run(wait);
    }
  }

  void tell_what_is_left() {
    for (const auto& queue : queues()) {
      auto left = queue->size();
      for (const auto& batch : queue->batches) left += batch->entries.size();
      if (left > 0)
        log::warn("http-log could not deliver before the node stopped; entries are lost",
                  {{"plugin", queue->delivery()->name}, {"entries", left}});
    }
  }

  // A copy, without those that nobody uses any more.
  std::vector<std::shared_ptr<Waiting>> queues() {
    const std::lock_guard lock(mutex_);
    std::erase_if(queues_, [](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->batches.empty() && entry.second->size() == 0;
    });
    std::vector<std::shared_ptr<Waiting>> out;
    for (const auto& [id, queue] : queues_) out.push_back(queue);
    return out;
  }

  // Whether there is something left to send.
  bool serve(Waiting& queue, bool stopping, milliseconds& wait) {
    const auto delivery = queue.delivery();
    const auto most = delivery->one_at_a_time ? 1 : batches_max;
    while (queue.batches.size() < most) {
      auto batch = queue.take(stopping, wait);
      if (!batch) break;
      queue.batches.push_back(std::make_unique<Batch>(std::move(*batch)));
    }
    const auto now = Clock::now();
    for (const auto& batch : queue.batches) {
      if (batch->sending) continue;
      if (batch->next_try <= now)
        send(queue, *delivery, *batch);
      else
        wait = std::min(wait, std::chrono::ceil<milliseconds>(batch->next_try - now));
    }
    complain(queue, *delivery);
    return !queue.batches.empty() || queue.size() > 0;
  }

  void send(Waiting& queue, const Delivery& delivery, Batch& batch) {
    batch.sending = true;
    net::HttpRequest request;
    request.url = delivery.url;
    request.method = delivery.method;
    request.username = delivery.username;
    request.password = delivery.password;
    request.timeout = delivery.timeout;
    request.keepalive = delivery.keepalive;
    request.headers = delivery.headers;
    request.headers.push_back("Content-Type: " + delivery.content_type);
    // Kong: an array as soon as batches may have several entries, also for one.
    if (delivery.batch_max == 1 && batch.entries.size() == 1)
      request.body = batch.entries.front();
    else
      request.body = fmt::format("[{}]", fmt::join(batch.entries, ","));
    http_.start(std::move(request), [this, &queue, &batch](const Result<int>& status) {
      ended(queue, batch, status ? *status < 400 : false,
            status ? fmt::format("status {}", *status) : status.error().message);
    });
  }

  void ended(Waiting& queue, Batch& batch, bool taken, const std::string& error) {
    batch.sending = false;
    const auto now = Clock::now();
    const auto delivery = queue.delivery();
    if (!taken && now + batch.delay < batch.given_up_at) {
      batch.next_try = now + batch.delay;
      batch.delay = std::min(batch.delay * 2, delivery->retry_delay_max);
      return;
    }
    if (!taken) {
      queue.dropped_.fetch_add(batch.entries.size(), std::memory_order_relaxed);
      log::error("http-log could not deliver; entries are lost",
                 {{"plugin", delivery->name}, {"entries", batch.entries.size()}, {"error", error}});
      queue.told = queue.dropped();
    }
    std::erase_if(queue.batches, [&](const auto& one) { return one.get() == &batch; });
  }

  static void complain(Waiting& queue, const Delivery& delivery) {
    const auto dropped = queue.dropped();
    const auto now = Clock::now();
    if (dropped == queue.told || (queue.told_at && now - *queue.told_at < complaint_every)) return;
    log::warn("the queue of http-log is full; the oldest entries are lost",
              {{"plugin", delivery.name}, {"entries", dropped - queue.told}});
    queue.told = dropped;
    queue.told_at = now;
  }

  net::HttpPost http_;
  std::mutex mutex_;
  std::map<Uuid, std::shared_ptr<Waiting>> queues_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

Outbox::Outbox() : sender_(std::make_unique<Sender>()) {}
Outbox::~Outbox() = default;

std::shared_ptr<Outbox::Queue> Outbox::open(const Uuid& instance, Delivery delivery) {
  return sender_->open(instance, std::move(delivery));
}

}  // namespace weir::plugin
