// Conditions and status of listeners, for the Gateway's status and that of its ListenerSets.
#pragma once
#include <map>
#include <string>

#include "reconcile/listener_certificates.h"
#include "reconcile/listener_plan.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

// How a listener stands with its certificates.
struct ListenerState {
  const Listener* listener = nullptr;
  ListenerCertificates certificates;
  bool serves() const;  // something of it goes to the data plane
};

// attached: what routes tell about the owner, "listener/<name>" (View::told). bound: an address of the Gateway is
// there. The element of status.listeners.
Object listener_status(const ListenerState&, const std::map<std::string, std::size_t>& attached, bool bound,
                       std::int64_t generation);

}  // namespace weir::reconcile
