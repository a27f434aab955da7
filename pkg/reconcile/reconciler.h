// Kubernetes as a source: watches, translates what changed, hands batches to the control thread, and writes status back
// once they are served. start() makes the kube thread; everything but start, adopted, counts and the destructor
// happens there.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kube/client.h"
#include "metrics/counters.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

// Changes of one moment, to be compiled and published together.
struct Batch {
  std::uint64_t number = 0;
  bool complete = false;  // the first one: all there is
  store::Changes entities;
  std::vector<model::GatewayChange> gateway;
};

// What could not be compiled or opened of a batch: tells the object's status.
struct Refusal {
  Uuid id;
  std::string message;
};

struct Counts {  // weir_kube_*; any thread
  std::map<std::string, kube::WatchCounts> watches;
  std::uint64_t units = 0, translations = 0, faulty_units = 0, queue = 0, batches = 0;
  std::uint64_t status_writes = 0, status_faults = 0, status_queue = 0;
  std::uint64_t replicas = 0;
  bool synced = false, leader = false, reachable = false;
  std::string fault;                 // of the client, the election
  std::vector<store::Fault> faults;  // of units, for /status (at most 100)
};

class Reconciler {
 public:
  static Result<std::unique_ptr<Reconciler>> start(kube::Access, Settings, std::function<void(Batch)> batch);
  virtual ~Reconciler() = default;
  // Every worker serves the batch of this number (and all before). Any thread.
  virtual void adopted(std::uint64_t number, std::vector<Refusal> refused) = 0;
  virtual Counts counts() const = 0;
  virtual const metrics::Histogram& event_to_served()
      const = 0;  // seconds from the watch event to served by every worker
};

}  // namespace weir::reconcile
