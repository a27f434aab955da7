// Cross-origin sharing as the Gateway API's CORS filter has it (GEP-1767). Kong's own is cors.cpp.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/gateway.h"
#include "plugin/exchange.h"

namespace weir::plugin {

class GatewayCors {
 public:
  explicit GatewayCors(const model::Cors&);

  // Answers a preflight request; for others notes what the response says.
  Step access(Exchange&) const;
  // What the upstream says of these things itself gives way.
  void header_filter(Exchange&) const;

  bool allows(std::string_view origin) const;

 private:
  // "https://*.example.com": scheme and port are compared, the host by what stands before and behind the star.
  struct Pattern {
    std::string scheme, host, tail;  // without a star: host alone
    std::string port;                // the scheme's own when none was given
    bool star = false;
  };

  void answer_preflight(Exchange&) const;

  std::vector<Pattern> patterns_;
  bool any_origin_ = false, any_method_ = false, any_header_ = false, credentials_ = false;
  std::string methods_, headers_, exposed_, max_age_;  // as they are printed; empty: left out
};

}  // namespace weir::plugin
