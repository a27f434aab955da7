// For tests of this folder: what the Gateway API declares, as few words.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "model/gateway.h"
#include "snapshot/test_support.h"

namespace weir::snapshot::testing {

inline constexpr std::uint32_t entry_number = 1000, listener_number = 2000;

// The listeners 2000, 2001, ... with these host names.
inline model::GatewayChange put_entry(std::uint32_t number, const std::vector<std::string>& hostnames,
                                      bool tls = false) {
  auto entry = std::make_shared<model::Entry>();
  entry->id = id(number);
  entry->tls = tls;
  for (const auto& hostname : hostnames) {
    const auto at = static_cast<std::uint32_t>(entry->listeners.size());
    entry->listeners.push_back({id(listener_number + at), fmt::format("l{}", at), hostname, {}});
  }
  return {id(number), std::move(entry), nullptr};
}

// "exact /foo", "prefix /foo", "regex /f.o"; attached to the listener 2000 of the entry 1000.
struct RouteSpec {
  std::string path = "prefix /";
  std::vector<std::string> hosts = {};
  std::string method = {};
  std::vector<model::GatewayRoute::Condition> headers = {}, queries = {};
  std::int64_t created_at = 0;
  std::string order = {};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> services = {};  // number, weight
  std::uint32_t listener = listener_number, entry = entry_number;
  bool filters = false;
};

inline model::GatewayChange put_gateway_route(std::uint32_t number, const RouteSpec& spec) {
  using Path = model::GatewayRoute::Path;
  auto route = std::make_shared<model::GatewayRoute>();
  route->id = id(number);
  route->created_at = spec.created_at;
  route->order = spec.order;
  route->attached = {{id(spec.entry), id(spec.listener), spec.hosts}};
  const auto space = spec.path.find(' ');
  const auto kind = spec.path.substr(0, space);
  route->path_kind = kind == "exact" ? Path::exact : kind == "regex" ? Path::regex : Path::prefix;
  route->path = spec.path.substr(space + 1);
  route->method = spec.method;
  route->headers = spec.headers;
  route->queries = spec.queries;
  if (spec.filters) route->filters = std::make_shared<const model::Filters>();
  for (const auto& [service, weight] : spec.services)
    route->services.push_back({service == 0 ? Uuid{} : id(service), weight, nullptr});
  return {id(number), nullptr, std::move(route)};
}
inline model::GatewayChange drop_gateway(std::uint32_t number) {
  return {id(number), nullptr, nullptr};
}

inline Asked by_entry(Asked asked, std::uint32_t entry = entry_number) {
  asked.entry = id(entry);
  return asked;
}

inline SnapshotPtr compile_gateway(const std::vector<model::GatewayChange>& gateway,
                                   const SnapshotPtr& previous = nullptr, const store::Changes& changes = {}) {
  return compile(previous, changes, "kube", nullptr, gateway);
}

}  // namespace weir::snapshot::testing
