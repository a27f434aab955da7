// BackendTLSPolicy: how backends are spoken to by TLS, and whether a policy can be obeyed.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "model/gateway.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

// A policy that names a Service: for one of its ports (section) or for all of them.
struct TargetingPolicy {
  Name name;
  std::string section;
  std::int64_t created_at = 0;
};
// Those that name the Service, in order of precedence within one section: the older, then by name.
std::vector<TargetingPolicy> policies_of(const Name& service, View&);
// The one in force for a port: one for that port before one for all. Null: none. port_name: empty for a port without
// name.
const TargetingPolicy* in_force(const std::vector<TargetingPolicy>&, const std::string& port_name);

// What a policy asks for, or why it cannot be obeyed: reason and message of its condition ResolvedRefs.
struct PolicyReading {
  std::shared_ptr<const model::BackendTls> tls;  // null: it cannot
  std::string reason, message;                   // also of references that are left out
};
PolicyReading read_policy(const Name&, const Object& policy, View&);

}  // namespace weir::reconcile
