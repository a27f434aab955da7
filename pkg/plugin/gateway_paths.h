// Paths and places that filters of the Gateway API make of a request's: for rewrites, and for the Location of
// redirects.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "model/gateway.h"

namespace weir::plugin {

// A PathModifier, ready to be applied.
class PathChange {
 public:
  PathChange() = default;
  // matched: the path that the rule was matched by. A prefix is replaced by whole segments; where the rule matched a
  // regular expression there is none to replace, and the path stays.
  PathChange(const model::PathModifier&, model::GatewayRoute::Path kind, std::string_view matched);

  bool any() const { return kind_ != model::PathModifier::Kind::none; }
  // `path` as the client sent it. Replaces `out`: an absolute path, normalised where it is the request's own.
  void apply(std::string_view path, std::string& out) const;

 private:
  model::PathModifier::Kind kind_ = model::PathModifier::Kind::none;
  std::string value_;   // without a final "/" for a prefix
  std::string prefix_;  // normalised, without a final "/"
};

// Appends "scheme://host", and ":port" unless it is the scheme's own.
void append_authority(std::string& out, std::string_view scheme, std::string_view host, std::uint16_t port);

}  // namespace weir::plugin
