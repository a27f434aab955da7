// Keeps web pages out of the Admin API: a browser may be made to send requests to it, by DNS rebinding (the Host field
// gives that away) or from another site (Origin and Sec-Fetch-Site do).
#pragma once
#include <string>

#include "admin/api.h"

namespace weir::admin {

struct Verdict {
  unsigned status = 0;  // not 0: refuse with this status
  std::string message;
  std::string allow_origin;  // for Access-Control-Allow-Origin; empty: leave it out
};

Verdict judge(const Request&, const Options&);

}  // namespace weir::admin
