#include "admin/guard.h"

#include "base/text.h"

namespace weir::admin {

namespace {

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && text::is_ip(host));
}

// allowed: "name" (any port) or "name:port".
bool is_listed(std::string_view authority, std::string_view host, const std::vector<std::string>& allowed) {
  return std::ranges::any_of(allowed, [&](const std::string& entry) {
    return text::equal_ignoring_case(entry, authority) || text::equal_ignoring_case(entry, host);
  });
}

std::optional<std::string_view> authority_of(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme)) return origin.substr(scheme.size());
  return std::nullopt;  // "null", browser extensions
}

bool origin_allowed(std::string_view origin, std::string_view host, const Options& options) {
  const auto authority = authority_of(origin);
  if (!authority) return false;
  if (!host.empty() && text::equal_ignoring_case(*authority, host)) return true;
  const auto parts = text::split_host_port(*authority);
  return parts && is_listed(*authority, parts->host, options.allowed_hosts);
}

}  // namespace

Verdict judge(const Request& request, const Options& options) {
  const std::string host(request.header("Host"));
  if (!host.empty()) {
    const auto parts = text::split_host_port(host);
    if (!parts) return {400, "malformed Host header", {}};
    if (options.loopback_only && !is_loopback(text::lower(parts->host)) &&
        !is_listed(host, parts->host, options.allowed_hosts))
      return {403, "this Host is not allowed to use the Admin API; add it to admin_allowed_hosts", {}};
  }

  const std::string origin(request.header("Origin"));
  const bool known_origin = !origin.empty() && origin_allowed(origin, host, options);
  if (known_origin) return {0, {}, origin};
  const auto fetch_site = text::lower(request.header("Sec-Fetch-Site"));
  const bool foreign = !origin.empty() || fetch_site == "cross-site" || fetch_site == "same-site";
  const bool reads = request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
  if (foreign && !reads)
    return {403, "requests from other sites may not change anything; add the site to admin_allowed_hosts", {}};
  return {0, {}, foreign ? "" : "*"};
}

}  // namespace weir::admin
