// Queues of log entries on their way to HTTP servers: Kong's plugin queue. One thread and one libcurl multi handle for
// all of them.
//
// A worker only appends to a bounded queue, the oldest entries give way. Entries are sent in batches, and a batch that
// is not taken is tried again with a growing delay until max_retry_time is over.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/uuid.h"

namespace weir::plugin {

struct Delivery {
  std::string name;  // of the instance, for the log
  std::string url, method = "POST", content_type = "application/json";
  std::vector<std::string> headers;  // "Name: value"
  std::string username, password;    // Basic, when there is a username
  std::chrono::milliseconds timeout{10'000}, keepalive{60'000};
  // Kong's queue record.
  std::size_t batch_max = 1, entries_max = 10'000;
  std::optional<std::size_t> bytes_max;
  std::chrono::milliseconds coalescing{1000};  // how long a batch waits to become full
  std::chrono::milliseconds retry_time_max{60'000}, first_retry_delay{10}, retry_delay_max{60'000};
  bool one_at_a_time = true;
};

class Outbox {
 public:
  class Queue {
   public:
    virtual ~Queue() = default;
    virtual void add(std::string entry) = 0;  // JSON; any thread
    virtual std::uint64_t dropped() const = 0;
  };

  Outbox();
  ~Outbox();  // sends what is queued, for at most three seconds

  // The queue of an instance; what is in it survives a change of its configuration. Control thread.
  std::shared_ptr<Queue> open(const Uuid& instance, Delivery);

 private:
  class Sender;
  std::unique_ptr<Sender> sender_;
};

}  // namespace weir::plugin
