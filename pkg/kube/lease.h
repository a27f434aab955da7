// Leases (coordination.k8s.io/v1): who leads, and which replicas are alive. Kube thread only.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "kube/client.h"

namespace weir::kube {

// Takes part in an election as client-go does: renews every retry period, gives up leading when it could not renew
// within the renew deadline, releases at the end.
class Election {
 public:
  struct Options {
    std::string space, name, identity;
    std::chrono::milliseconds duration{15'000}, renew_deadline{10'000}, retry{2'000};
  };
  static std::unique_ptr<Election> start(Client&, Options, std::function<void(bool leads)> changed);
  virtual ~Election() = default;  // releases it, as well as that can be done at once
  virtual bool leads() const = 0;
  virtual const std::string& fault() const = 0;  // empty: none
};

// A lease that says "I am here", and how far this replica has come; the others watch leases with the same labels.
class Presence {
 public:
  struct Options {
    std::string space, name, identity;  // name: of the lease; identity: the pod's name
    std::map<std::string, std::string> labels;
    std::string owner_pod_uid;  // so that it goes with the pod; may be empty
    std::chrono::milliseconds duration{10'000}, renew{3'000};
  };
  static std::unique_ptr<Presence> start(Client&, Options);
  virtual ~Presence() = default;  // deletes it, as well as that can be done at once
  // Written soon (at most five times a second), with whatever was told last.
  virtual void tell(const std::string& annotation, std::string value) = 0;
};

}  // namespace weir::kube
