// Kubernetes as a source of this node: takes the reconciler's batches to the snapshot, opens and closes the listeners
// of Gateways, and tells the reconciler what is served.
//
// Control thread only, but for owner_of(). Batches are taken one after the other: what one of them changes of looked-up
// rows (consumers, credentials) is in their store before the next one.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "admin/api.h"
#include "gateway/options.h"
#include "gateway/publisher.h"
#include "proxy/worker.h"
#include "reconcile/reconciler.h"
#include "store/desk.h"
#include "store/store.h"

namespace weir::gateway {

class Kubernetes {
 public:
  // rows: a store of its own for looked-up rows, used on the desk's thread.
  Kubernetes(boost::asio::io_context&, Publisher&, store::Desk&, store::Store& rows, std::vector<proxy::Worker*>);

  // Errors: the kubeconfig, the service account. An API server that is away is none: it is tried again for ever.
  Result<> start(const KubernetesOptions&);
  // Binds again what could not be bound; to be called now and then.
  void retry();

  bool loaded() const { return loaded_; }  // all that there was at the start is served
  reconcile::Counts counts() const { return reconciler_->counts(); }
  const metrics::Histogram& event_to_served() const { return reconciler_->event_to_served(); }
  std::vector<store::Fault> faults() const;
  // Who declares an entity of this kind with the same unique field. Any thread.
  std::optional<admin::Node::Elsewhere> owner_of(const model::Schema&, const model::Object& entity) const;

 private:
  // Of a Gateway: where it listens now, or why it cannot.
  struct Place {
    std::shared_ptr<const model::Entry> entry;
    bool open = false;
    std::string fault;
  };

  using BatchPtr = std::shared_ptr<const reconcile::Batch>;

  void take(reconcile::Batch);
  void serve_waiting();
  void store_rows(BatchPtr);
  void serve(BatchPtr);
  void note_names(const reconcile::Batch&);
  void close_changed(const std::vector<model::GatewayChange>&);
  void open_all();
  void open(const Uuid&, Place&);
  std::vector<reconcile::Refusal> refused(const reconcile::Batch&) const;

  boost::asio::io_context& io_;
  Publisher& publisher_;
  store::Desk& desk_;
  store::Store& rows_;
  std::vector<proxy::Worker*> workers_;
  std::deque<BatchPtr> waiting_;
  bool storing_ = false, loaded_ = false;
  std::map<Uuid, Place> places_;  // by entry
  mutable std::mutex names_mutex_;
  std::unordered_map<std::string, Uuid> names_;                           // "upstreams:hello": its id
  std::unordered_map<Uuid, std::pair<std::string, std::string>> owners_;  // by id: key in names_, who declares it
  std::unique_ptr<reconcile::Reconciler> reconciler_;                     // last: its thread ends first
};

}  // namespace weir::gateway
