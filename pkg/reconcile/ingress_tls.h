// spec.tls of an Ingress: certificates from Secrets, and the server names that they are for.
#pragma once
#include "reconcile/ingress_sheet.h"

namespace weir::reconcile {

// Entities "certificates" (the same whoever refers to the Secret) and "snis". A tls entry without hosts is for any
// name.
void add_tls(Sheet&);

}  // namespace weir::reconcile
