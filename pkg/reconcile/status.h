// A unit's status as it is to be written: the translation's, completed by what is known only afterwards (is it served,
// by whom, was it refused) and by what the present status says (since when, and what other controllers wrote).
//
// Pure functions over JSON.
#pragma once
#include <set>
#include <string>

#include "reconcile/unit.h"

namespace weir::reconcile {

struct ServedBy {
  std::size_t served = 1, replicas = 1;
  std::string waiting_for;  // names of replicas that do not serve it yet
  std::string refused;      // why it cannot be served at all; empty: it can
  bool all() const { return served >= replicas && refused.empty(); }
  std::string message() const;  // "2 of 3 replicas; waiting for weir-x"
};

// Whether the status claims something that only holds once it is served.
bool claims_served(const Object& status);
// wanted: Output::status. present: the object's status, or null. ours: controller names whose entries in `parents` and
// `ancestors` are this program's; those of others are kept. now: RFC 3339.
Object finish_status(Object wanted, const ServedBy&, const Object* present, const std::set<std::string_view>& ours,
                     std::string_view now);
// Whether writing `finished` would change nothing that matters: how many replicas serve does not, when all do.
bool same_status(const Object& finished, const Object* present);
// Lists of several controllers that the API server replaces whole (x-kubernetes-list-type: atomic): they are written
// with the resourceVersion that they were read at.
bool has_shared_lists(const Object& status);

}  // namespace weir::reconcile
