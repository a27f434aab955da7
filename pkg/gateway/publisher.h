// Takes changes to the workers: compiles, publishes, waits for every worker to adopt, frees what nobody serves any
// more.
//
// Control thread only. Snapshots are always released here, never on a worker, since freeing a large one takes time.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/resolver.h"
#include "proxy/worker.h"
#include "snapshot/snapshot.h"

namespace boost::asio {
class io_context;
}

namespace weir::gateway {

class Publisher {
 public:
  Publisher(boost::asio::io_context&, net::Resolver&, plugin::Services&);

  // The workers that serve; they must outlive the publisher's last call. Publishes what there is already.
  void serve(std::vector<proxy::Worker*> workers);

  // Compiles without publishing: for loading a large configuration piece by piece.
  void compile(const store::Changes&, std::string_view source, std::span<const model::GatewayChange> gateway = {});
  // Cached rows that are stale; nothing: all. Before publish().
  void invalidate(const std::optional<std::vector<std::string>>& keys);
  // Publishes the present snapshot. adopted: called on the control thread once every worker serves it.
  void publish(std::function<void()> adopted);

  // Frees old snapshots that no exchange holds any more; to be called now and then.
  void retire();

  const snapshot::SnapshotPtr& snapshot() const { return snapshot_; }
  std::uint64_t adopted_revision() const { return adopted_revision_; }  // served by every worker
  double last_change_seconds() const { return last_change_seconds_; }   // from publish to adopted by all

 private:
  void watch_names();
  void watch_names_of(snapshot::Slot);

  boost::asio::io_context& io_;
  net::Resolver& resolver_;
  plugin::Services& plugins_;
  std::vector<proxy::Worker*> workers_;
  snapshot::SnapshotPtr snapshot_;
  std::vector<snapshot::SnapshotPtr> retired_;                          // until no worker holds them
  std::unordered_map<snapshot::Slot, std::vector<std::string>> names_;  // host names of upstreams' targets, by backend
  std::uint64_t watched_revision_ = 0, adopted_revision_ = 0;
  double last_change_seconds_ = 0;
};

}  // namespace weir::gateway
