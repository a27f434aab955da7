// Kong's kinds that are units of their own: KongPlugin, KongClusterPlugin, KongConsumer. Part of ingress_units().
#pragma once
#include <vector>

#include "reconcile/unit.h"

namespace weir::reconcile {

std::vector<UnitKind> kong_units();

}  // namespace weir::reconcile
