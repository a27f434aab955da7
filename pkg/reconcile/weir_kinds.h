// Weir's own kinds in Kubernetes: group weir.dev/v1, one for each entity that a user configures.
//
// Immutable table; the spec of each kind has the fields of its entity (crd_schema.h), with references by name.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "kube/informer.h"
#include "model/schema.h"

namespace weir::reconcile {

struct WeirKind {
  std::string_view kind;        // "WeirRoute"
  std::string_view plural;      // "weirroutes"
  std::string_view short_name;  // "wrt"
  std::string_view entity;      // "routes"
  std::string_view summary;     // one sentence, for kubectl explain

  const model::Schema* schema() const { return model::find_schema(entity); }
};

// Those whose entities this version has, in the order in which they are put in force: parents first.
std::vector<const WeirKind*> weir_kinds();
// The kind that makes entities of this name; null when there is none.
const WeirKind* weir_kind_of_entity(std::string_view entity);

}  // namespace weir::reconcile
