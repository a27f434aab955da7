// Query parameters of a request as the Gateway API compares them: the first value of a name, percent-decoded.
#pragma once
#include <string_view>

#include "snapshot/gateway_router.h"

namespace weir::snapshot {

// query: raw, without "?".
bool query_matches(const CompiledGatewayRoute::Condition&, std::string_view query);

}  // namespace weir::snapshot
