// The mutating webhook that adds Weir as a sidecar to new pods (reconcile/inject.h): POST /inject with an
// AdmissionReview. Control thread.
#pragma once
#include "admin/http_server.h"
#include "reconcile/inject.h"

namespace weir::gateway {

// Anything but a well-formed review gets 400, 404 or 405; the API server then obeys the webhook's failurePolicy.
admin::Response answer_webhook(const admin::Request&, const reconcile::Sidecar&);

}  // namespace weir::gateway
