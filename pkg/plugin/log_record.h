// What file-log and http-log say of a request: Kong's log object (kong.log.serialize) as one line of JSON.
//
// Authorization and Proxy-Authorization are "REDACTED". Bytes that are not UTF-8 are replaced, so the line is always
// valid JSON.
#pragma once
#include <string>

#include "plugin/exchange.h"

namespace weir::plugin {

// In the phase log only. out: cleared first.
void print_log_record(std::string& out, const Exchange&);

}  // namespace weir::plugin
