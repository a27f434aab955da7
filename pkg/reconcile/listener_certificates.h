// The certificates of a listener: from Secrets, checked, as entities "certificates".
#pragma once
#include <string>
#include <vector>

#include "reconcile/listener_plan.h"
#include "reconcile/unit.h"

namespace weir::reconcile {

struct ListenerCertificates {
  std::vector<Entity> entities;
  // What was wrong with a reference: reason and message of the condition ResolvedRefs. Empty: nothing. The sound ones
  // are there all the same.
  std::string reason, message;
};
ListenerCertificates certificates_of(const Listener&, View&);

// A pair from PEM texts: why it cannot be used, or nothing. The words hold nothing of the key.
std::string check_key_pair(const std::string& certificate, const std::string& key);

}  // namespace weir::reconcile
