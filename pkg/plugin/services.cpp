#include "plugin/services.h"

#include <utility>

namespace weir::plugin {

Services::Services(const Options& options, std::unique_ptr<Counters> cluster_counters)
    : limits(options.limit_slots), cluster(std::move(cluster_counters)) {}

Services::~Services() = default;

}  // namespace weir::plugin
