// What the Admin API and the status listener show of this node, and the way their changes take. Control thread only.
#pragma once
#include <vector>

#include "admin/api.h"
#include "gateway/configuration.h"
#include "gateway/options.h"
#include "gateway/publisher.h"
#include "gateway/settings.h"
#include "metrics/counters.h"

namespace weir::gateway {

class NodeView : public admin::Node {
 public:
  NodeView(const Settings&, const Options&, store::Store&, net::Resolver&, Publisher&, Configuration&,
           std::vector<const metrics::Counters*> workers);

  void apply(store::Changes, std::function<void()> adopted) override;
  snapshot::SnapshotPtr snapshot() const override;
  admin::TargetView target(const snapshot::Target&) const override;
  admin::ConnectionCounts connections() const override;
  std::optional<std::string> unready() const override;
  void set_draining() override { draining_ = true; }
  std::vector<store::Fault> store_faults() const override;
  std::string metrics() const override;
  model::Object configuration() const override;
  std::string node_id() const override;
  std::string configuration_hash() const override;

 private:
  const Settings& settings_;
  const Options& options_;
  store::Store& store_;
  net::Resolver& resolver_;
  Publisher& publisher_;
  Configuration& configuration_;
  std::vector<const metrics::Counters*> workers_;
  double started_at_;
  bool draining_ = false;
};

}  // namespace weir::gateway
