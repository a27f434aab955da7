// CustomResourceDefinitions of Weir's kinds, with what kubectl shows of them.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "reconcile/weir_kinds.h"

namespace weir::reconcile {

// The complete object, for one of weir_kinds().
model::Object crd_definition(const WeirKind&);
// File names ("weirroutes.yaml") and their text, one for each kind.
std::vector<std::pair<std::string, std::string>> crd_files();
// All of it as one YAML text of several documents.
std::string crd_documents();

}  // namespace weir::reconcile
