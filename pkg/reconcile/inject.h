// Puts Weir beside an application: a native sidecar (an init container that restarts always) in a pod's description.
//
// Inbound requests reach the application through it; outbound ports on loopback lead to named upstreams. Kubernetes
// starts such a container before the application's and stops it after them, so that it serves as long as they do and
// drains last. Pure functions over JSON: used by `weir inject` and by the mutating webhook. No I/O.
//
// Annotations of the pod (or of what makes it):
//   weir.dev/inject: "true"          the webhook adds the sidecar; "false": `weir inject` leaves the pod alone
//   weir.dev/app-port: "8080"        where the application listens; else the first containerPort
//   weir.dev/outbound: "15001=orders:8080, 15002=payments.other"
//                                    http://localhost:15001 is the upstream orders, port 8080; port 80 when left out
//   weir.dev/config: "name"          a ConfigMap whose weir.yaml is the whole declarative configuration instead
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include <boost/json.hpp>

#include "base/result.h"

namespace weir::reconcile {

struct Sidecar {
  std::string image = "weir";
  std::uint16_t inbound_port = 15000;  // where requests for the application arrive
  std::uint16_t status_port = 15100;   // probes, metrics
};

// A workload's object of any kind that makes pods, or a List of such; returns how many pods' descriptions changed. What
// is no workload, has the sidecar already, or says "false", stays as it is. An error names object and annotation.
Result<std::size_t> inject(boost::json::value& object, const Sidecar&);

// admission.k8s.io/v1: an AdmissionReview with a request for a Pod; the answer has the same uid and a JSON patch, or
// denies with the reason.
boost::json::object inject_review(const boost::json::object& review, const Sidecar&);

}  // namespace weir::reconcile
