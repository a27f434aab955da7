// Where an Ingress says that it can be reached.
#pragma once
#include "reconcile/unit.h"

namespace weir::reconcile {

// status of an Ingress: the addresses that the operator chose, else those of this installation's own Service.
Object ingress_status(View&);

}  // namespace weir::reconcile
