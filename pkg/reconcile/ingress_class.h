// Which objects are meant for this installation.
#pragma once
#include "reconcile/unit.h"

namespace weir::reconcile {

// An Ingress, by its annotation kubernetes.io/ingress.class, its spec.ingressClassName, or, without both, by an
// IngressClass of ours that is marked as the default.
bool is_our_ingress(const Object&, View&);
// An object of Kong's kinds that needs the annotation (KongConsumer, KongClusterPlugin).
bool is_our_kong_object(const Object&, View&);

}  // namespace weir::reconcile
