// What the parts of one worker share. Belongs to the worker's thread.
//
// The buffers are the worker's: a function that receives or prints uses them until it returns to the loop, and nothing
// in them survives that.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/head.h"
#include "http/print.h"
#include "metrics/counters.h"
#include "net/loop.h"
#include "proxy/backends.h"
#include "proxy/body.h"
#include "proxy/mirror.h"
#include "proxy/pool.h"
#include "proxy/trust.h"
#include "proxy/turns.h"
#include "proxy/worker.h"

namespace weir::proxy {

class Client;
class Exchange;
class PluginHost;

// A snapshot, for as long as exchanges that began with it last.
struct Epoch {
  snapshot::SnapshotPtr snapshot;
  std::uint64_t exchanges = 0;  // a plain count: only this worker touches it
};

// Request ids: unguessable enough to tell requests apart, not a secret (xoshiro256++ from a random seed).
class Random {
 public:
  Random();
  std::uint64_t next();

 private:
  std::array<std::uint64_t, 4> state_;
};

// The way to a worker's loop for those who may outlive it. After close() nothing gets through.
class Door {
 public:
  explicit Door(net::Loop& loop) : loop_(&loop) {}
  void post(Inbox::Work work) {
    std::lock_guard lock(mutex_);
    if (loop_) loop_->post(std::move(work));
  }
  void close() {
    std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  net::Loop* loop_;
};

struct Context {
  static constexpr std::size_t read_bytes = 64 * 1024;  // one receive
  // When much more of a body is to come: 1 MiB takes half the CPU time of 256 KiB, since most of it is in the sockets
  // by then.
  static constexpr std::size_t bulk_read_bytes = 1024 * 1024;
  static constexpr std::size_t bulk_holders_max = 64;   // what slow readers hold: this many bulk reads, then small ones
  static constexpr std::size_t flat_bytes = 16 * 1024;  // head and body up to this leave in one piece
  static constexpr int reads_per_turn = 16;             // of one direction, and then others have their turn
  static constexpr int heads_per_turn = 64;             // of one client
  static constexpr std::size_t interim_max = 100;       // 1xx responses to one request
  static constexpr std::size_t waiting_max = 1024;      // exchanges that wait for one name
  static constexpr std::size_t attempts_max = 100;      // of one request, whatever `retries` says

  Context(const Options& options, net::Resolver& resolver, store::Lookup& lookup, Trust trust);
  ~Context();

  const snapshot::Snapshot* snapshot() const { return epoch ? epoch->snapshot.get() : nullptr; }

  Exchange* new_exchange();
  void free_exchange(Exchange*);
  PluginHost* new_plugins(Exchange&);
  void free_plugins(PluginHost&);
  void end_epoch_use(Epoch&);
  // Calls drained() once nothing is left.
  void check_drained();
  // Where received bytes go: `frame_room` bytes are free before, and room for `head` earlier bytes behind that.
  // How much to read of a body of which `left` bytes are still to come.
  std::size_t stride(std::uint64_t left) const {
    return left > read_bytes && bulk_holders < bulk_holders_max ? bulk_read_bytes : read_bytes;
  }
  char* receive_buffer() { return receive_.data() + receive_offset; }
  char* print_buffer() { return print_.data() + print_offset; }
  std::size_t print_room() const { return print_.size() - print_offset; }

  net::Loop loop;
  const Options options;
  const std::string token;  // "weir/0.1.0"
  const Trust trust;
  metrics::Counters counters;
  ssl_ctx_st* tls_server = nullptr;  // not owned
  ssl_ctx_st* tls_client = nullptr;
  Pool pool;
  Backends backends;
  Mirrors mirrors;
  ServiceTurns turns;
  store::Cache::Counts cache_counts;
  const std::shared_ptr<Door> door;
  store::Cache cache;
  std::unique_ptr<Epoch> epoch;  // null before the first snapshot
  std::vector<std::unique_ptr<Epoch>> old_epochs;
  bool draining = false;
  Client* clients = nullptr;                         // all of them, linked
  std::size_t client_count = 0, listener_count = 0;  // open ones
  std::uint64_t client_serial = 0;                   // of the last one that came
  std::size_t bulk_holders = 0;                      // connections that hold more than read_bytes for a slow reader
  std::function<void()> drained;                     // waits for its call while draining

  http::RequestHead request_head;
  http::ResponseHead response_head;
  http::DateCache date;
  Random random;
  std::string path_scratch, upstream_path, answer, error_body;

 private:
  // Offsets keep the two buffers from lying alike within their pages: a copy between such addresses is slow.
  static constexpr std::size_t receive_offset = 64, print_offset = 1536;
  std::vector<char> receive_, print_;
  std::vector<std::unique_ptr<Exchange>> free_;
  // All hosts that were ever made: as many as exchanges had plugins at a time. A late answer may still know one.
  std::vector<std::unique_ptr<PluginHost>> hosts_;
  std::vector<PluginHost*> free_hosts_;
};

// Whether a connection holds a bulk read for a slow reader; counted, so that slow readers cannot hold all memory.
class BulkHold {
 public:
  void update(Context& context, std::size_t unsent) {
    const bool holds = unsent > Context::read_bytes;
    if (holds == holds_) return;
    holds_ = holds;
    holds ? ++context.bulk_holders : --context.bulk_holders;
  }

 private:
  bool holds_ = false;
};

}  // namespace weir::proxy
