// Metrics weir_kube_*: what Prometheus is told of Kubernetes as a source.
#pragma once
#include <vector>

#include "gateway/kubernetes.h"

namespace prometheus {
struct MetricFamily;
}

namespace weir::gateway {

void collect_metrics(const Kubernetes&, std::vector<prometheus::MetricFamily>& out);  // control thread

}  // namespace weir::gateway
