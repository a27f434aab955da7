// The upstream of a Service's port, with one target per endpoint that traffic may go to.
//
// Endpoints as kube-proxy takes them: those that are ready; if there is none, those that are terminating but still
// serve. A pure function over a View, as the units' translations are.
#pragma once
#include "reconcile/unit.h"

namespace weir::reconcile {

// "10.0.0.1:8080", "[fd00::1]:8080", "host.example.com:80": sorted, each once.
std::vector<std::string> targets_of(const Backend&, const Object& service, View&);
// Entities "upstreams" and "targets"; by, fault. Without the Service there is an upstream without targets.
Output translate_backend(const Backend&, View&);

}  // namespace weir::reconcile
