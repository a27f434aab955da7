#include "reconcile/gateway_parts.h"

namespace weir::reconcile {

std::vector<UnitKind> gateway_units() {
  return {{kinds::gateway_class, translate_gateway_class},
          {kinds::gateway, translate_gateway},
          {kinds::listener_set, translate_listener_set},
          {kinds::http_route, translate_http_route},
          {kinds::backend_tls_policy, translate_backend_tls_policy}};
}

}  // namespace weir::reconcile
