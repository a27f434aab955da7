// The Services of Gateways. Without an address pool: one of type LoadBalancer beside Weir's pods that leads to ports
// of theirs. With one: a name in the cluster's DNS for the addresses of the Gateway.
#pragma once
#include <vector>

#include "reconcile/gateway_addresses.h"
#include "reconcile/listener_plan.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

// Fills in pod_ports, addresses and applied. What the present Service maps stays as it is.
void plan_service(const ListenerPlan&, View&, AddressPlan&);
// A headless Service "<gateway>-weir" in the Gateway's namespace, and its EndpointSlice.
std::vector<Object> name_of_addresses(const ListenerPlan&, const std::vector<AddressPlan::Address>&);

// "weir-<namespace>-<gateway>", with a hash where that is longer than 63 characters.
std::string service_name_of(const Name& gateway);

}  // namespace weir::reconcile
