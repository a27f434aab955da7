#include "plugin/gateway_cors.h"

#include <algorithm>

#include "base/text.h"

namespace weir::plugin {
namespace {

bool holds_star(const std::vector<std::string>& list) {
  return std::ranges::find(list, "*") != list.end();
}

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) out.append(out.empty() ? "" : ", ").append(item);
  return out;
}

struct Parts {
  std::string_view scheme, host, port;
};

// Nothing that is no origin ("null") has a scheme.
Parts split_origin(std::string_view origin) {
  const auto at = origin.find("://");
  if (at == origin.npos) return {};
  Parts parts{origin.substr(0, at), origin.substr(at + 3), ""};
  const auto colon = parts.host.rfind(':');
  if (colon != parts.host.npos && parts.host.find(']', colon) == parts.host.npos) {
    parts.port = parts.host.substr(colon + 1);
    parts.host = parts.host.substr(0, colon);
  } else {
    parts.port = text::equal_ignoring_case(parts.scheme, "https") ? "443" : "80";
  }
  return parts;
}

bool is_preflight(const Exchange& x) {
  return x.method() == "OPTIONS" && x.header("access-control-request-method");
}

}  // namespace

GatewayCors::GatewayCors(const model::Cors& cors)
    : any_origin_(holds_star(cors.origins)),
      any_method_(holds_star(cors.methods)),
      any_header_(holds_star(cors.headers)),
      credentials_(cors.credentials),
      methods_(any_method_ ? "*" : joined(cors.methods)),
      headers_(any_header_ ? "*" : joined(cors.headers)),
      exposed_(holds_star(cors.exposed) ? "*" : joined(cors.exposed)),
      max_age_(std::to_string(cors.max_age)) {
  // With credentials browsers take a star for a header of that name, so it must not be sent.
  if (credentials_ && exposed_ == "*") exposed_.clear();
  for (const auto& origin : cors.origins) {
    const auto parts = split_origin(origin);
    if (parts.scheme.empty()) continue;
    const auto star = parts.host.find('*');
    Pattern pattern{.scheme = text::lower(parts.scheme), .host = {}, .tail = {}, .port = std::string(parts.port)};
    pattern.star = star != parts.host.npos;
    pattern.host = text::lower(parts.host.substr(0, star));
    if (pattern.star) pattern.tail = text::lower(parts.host.substr(star + 1));
    patterns_.push_back(std::move(pattern));
  }
}

bool GatewayCors::allows(std::string_view origin) const {
  if (any_origin_) return true;
  const auto parts = split_origin(origin);
  if (parts.scheme.empty()) return false;
  return std::ranges::any_of(patterns_, [&](const Pattern& p) {
    if (!text::equal_ignoring_case(parts.scheme, p.scheme) || parts.port != p.port) return false;
    if (!p.star) return text::equal_ignoring_case(parts.host, p.host);
    // The star stands for one character at least: "*.example.com" is not "example.com".
    return parts.host.size() > p.host.size() + p.tail.size() &&
           text::equal_ignoring_case(parts.host.substr(0, p.host.size()), p.host) &&
           text::equal_ignoring_case(parts.host.substr(parts.host.size() - p.tail.size()), p.tail);
  });
}

Step GatewayCors::access(Exchange& x) const {
  if (!x.header("origin") || !is_preflight(x)) return Step::next;
  answer_preflight(x);
  return Step::done;
}

void GatewayCors::answer_preflight(Exchange& x) const {
  if (allows(*x.header("origin"))) {
    // Where a star would be taken literally (with credentials), what was asked for is what is allowed.
    const auto answer = [&](std::string_view name, bool any, const std::string& list, std::string_view asked_by) {
      if (any && credentials_) {
        if (const auto asked = x.header(asked_by)) x.set_response_header(name, *asked);
      } else if (!list.empty()) {
        x.set_response_header(name, list);
      }
    };
    answer("Access-Control-Allow-Methods", any_method_, methods_, "access-control-request-method");
    answer("Access-Control-Allow-Headers", any_header_, headers_, "access-control-request-headers");
    x.set_response_header("Access-Control-Max-Age", max_age_);
  }
  x.respond(204, {}, {});
}

void GatewayCors::header_filter(Exchange& x) const {
  const auto origin = x.header("origin");
  const bool echoes = !any_origin_ || credentials_;
  if (echoes && x.response_header("vary") != "*")
    x.add_response_header("Vary", "Origin");  // caches must tell them apart
  if (!origin) return;
  if (!allows(*origin)) {
    x.remove_response_header("Access-Control-Allow-Origin");
    x.remove_response_header("Access-Control-Allow-Credentials");
    return;
  }
  x.set_response_header("Access-Control-Allow-Origin", echoes ? *origin : "*");
  if (credentials_) {
    x.set_response_header("Access-Control-Allow-Credentials", "true");
  } else {
    x.remove_response_header("Access-Control-Allow-Credentials");
  }
  if (!exposed_.empty()) x.set_response_header("Access-Control-Expose-Headers", exposed_);
}

}  // namespace weir::plugin
