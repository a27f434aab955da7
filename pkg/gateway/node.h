// What the Admin API and the status listener show of this node, and the way their changes take. Control thread only.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "admin/api.h"
#include "gateway/configuration.h"
#include "gateway/kubernetes.h"
#include "gateway/options.h"
#include "gateway/publisher.h"
#include "gateway/settings.h"
#include "plugin/services.h"

namespace weir::gateway {

class NodeView : public admin::Node {
 public:
  struct Parts {
    boost::asio::io_context& io;
    const Settings& settings;
    const Options& options;
    const OpenStore& store;
    net::Resolver& resolver;
    Publisher& publisher;
    Configuration& configuration;
    plugin::Services& plugins;
  };
  NodeView(const Parts&, std::vector<proxy::Worker*> workers);
  void show_kubernetes(const Kubernetes* kubernetes) { kubernetes_ = kubernetes; }
  // Looks, on the store's thread, whether an embedded store can still be read; PostgreSQL tells by itself.
  void check_store(store::Desk&);

  void apply(store::Changes, std::function<void()> adopted) override;
  snapshot::SnapshotPtr snapshot() const override;
  std::optional<Elsewhere> declared_elsewhere(const model::Schema&, const model::Object& entity) const override;
  admin::TargetView target(const snapshot::Target&) const override;
  admin::ConnectionCounts connections() const override;
  std::optional<std::string> unready() const override;
  void set_draining() override { draining_ = true; }
  std::vector<store::Fault> store_faults() const override;
  std::string metrics() const override;
  model::Object configuration() const override;
  std::string node_id() const override;
  std::string configuration_hash() const override;
  bool database_reachable() const override;
  void cached(std::string key, std::function<void(std::optional<boost::json::value>)> done) override;
  void drop_cached(std::optional<std::string> key, std::function<void()> done) override;

 private:
  std::vector<plugin::TargetState> target_states() const;
  void ask_worker(std::size_t number, std::string key, std::function<void(std::optional<boost::json::value>)> done);

  Parts parts_;
  std::vector<proxy::Worker*> workers_;
  const Kubernetes* kubernetes_ = nullptr;  // null: it is off
  double started_at_;
  std::shared_ptr<std::atomic<bool>> readable_ = std::make_shared<std::atomic<bool>>(true);
  bool draining_ = false;
};

}  // namespace weir::gateway
