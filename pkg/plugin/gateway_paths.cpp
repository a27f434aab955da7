#include "plugin/gateway_paths.h"

#include "http/uri.h"

namespace weir::plugin {
namespace {

using Kind = model::PathModifier::Kind;

std::string normal(std::string_view path) {
  std::string scratch;
  std::string_view found;
  return http::normalise_path(path, scratch, found) ? std::string(found) : std::string(path);
}

void drop_final_slash(std::string& path) {
  if (path.ends_with('/')) path.pop_back();
}

}  // namespace

PathChange::PathChange(const model::PathModifier& modifier, model::GatewayRoute::Path kind, std::string_view matched)
    : kind_(modifier.kind), value_(modifier.value) {
  if (kind_ == Kind::none) return;
  if (kind_ == Kind::prefix && kind == model::GatewayRoute::Path::regex) kind_ = Kind::none;
  if (!value_.starts_with('/')) value_.insert(0, "/");
  if (kind_ != Kind::prefix) return;
  drop_final_slash(value_);
  prefix_ = normal(matched);
  drop_final_slash(prefix_);
}

void PathChange::apply(std::string_view path, std::string& out) const {
  out.clear();
  if (kind_ == Kind::full) return http::escape_path(value_, out);
  thread_local std::string scratch;  // of a path that is not normal
  if (!http::normalise_path(path, scratch, path)) path = "/";
  if (kind_ == Kind::none || !path.starts_with(prefix_)) return http::escape_path(path, out);
  const auto rest = path.substr(prefix_.size());
  if (!rest.empty() && !rest.starts_with('/')) return http::escape_path(path, out);  // another segment
  http::escape_path(value_, out);
  http::escape_path(rest, out);
  if (out.empty()) out = "/";
}

void append_authority(std::string& out, std::string_view scheme, std::string_view host, std::uint16_t port) {
  const bool bracketed = host.find(':') != host.npos;  // IPv6
  out.append(scheme).append(bracketed ? "://[" : "://").append(host).append(bracketed ? "]" : "");
  const bool usual = (scheme == "http" && port == 80) || (scheme == "https" && port == 443);
  if (!usual && port != 0) out.append(":").append(std::to_string(port));
}

}  // namespace weir::plugin
