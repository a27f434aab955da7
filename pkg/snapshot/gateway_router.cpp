#include "snapshot/gateway_router.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "snapshot/gateway_query.h"
#include "snapshot/tables.h"

namespace weir::snapshot {
namespace {

using Condition = CompiledGatewayRoute::Condition;

bool matches_whole(const re2::RE2& regex, std::string_view text) {
  return regex.Match({text.data(), text.size()}, 0, text.size(), re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

bool header_matches(const void* context, std::string_view value) {
  const auto& wanted = *static_cast<const Condition*>(context);
  return wanted.regex ? matches_whole(*wanted.regex, value) : wanted.value == value;
}

// Everything but host and path.
bool conditions_hold(const CompiledGatewayRoute& route, const Request& request) {
  const auto& method = route.declared->method;
  if (!method.empty() && method != request.method) return false;
  const auto has_header = [&](const Condition& wanted) {
    return request.any_header && request.any_header(request.headers, wanted.name, header_matches, &wanted);
  };
  const auto has_query = [&](const Condition& wanted) { return query_matches(wanted, request.query); };
  return std::ranges::all_of(route.headers, has_header) && std::ranges::all_of(route.queries, has_query);
}

Result<void> compile_conditions(const std::vector<model::GatewayRoute::Condition>& from, std::string_view what,
                                Patterns& patterns, std::vector<Condition>& out) {
  out.reserve(from.size());
  for (const auto& each : from) {
    Pattern regex;
    if (each.regex) {
      auto acquired = patterns.acquire(each.value, Patterns::Case::sensitive);
      if (!acquired) return fail("{} '{}': {}", what, each.name, acquired.error().message);
      regex = std::move(*acquired);
    }
    out.push_back({each.name, each.value, std::move(regex)});
  }
  return {};
}

Result<void> compile_patterns(CompiledGatewayRoute& out, Patterns& patterns) {
  const auto& route = *out.declared;
  if (route.path_kind == model::GatewayRoute::Path::regex) {
    auto regex = patterns.acquire(route.path, Patterns::Case::sensitive);
    if (!regex) return fail("path '{}': {}", route.path, regex.error().message);
    out.regex = std::move(*regex);
  } else if (!route.path.starts_with('/')) {
    return fail("path '{}' is malformed: it begins with '/'", route.path);
  }
  if (auto done = compile_conditions(route.headers, "header", patterns, out.headers); !done) return done;
  return compile_conditions(route.queries, "query parameter", patterns, out.queries);
}

void put(std::string& key, std::uint64_t value, int bytes) {
  while (bytes-- > 0) key += static_cast<char>(value >> (8 * bytes));
}

}  // namespace

CompiledEntry::CompiledEntry(std::shared_ptr<const model::Entry> entry) : declared(std::move(entry)) {
  for (const auto& listener : declared->listeners)
    if (auto& place = listeners.edit(listener.hostname); !place) place = &listener;
}

const model::Entry::Listener* CompiledEntry::listener(std::string_view host) const {
  const model::Entry::Listener* found = nullptr;
  listeners.for_each_match(host, [&](const auto* listener) { return found = listener, true; });
  return found;
}

std::string_view CompiledGatewayRoute::prefix() const {
  std::string_view path = declared->path;
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

std::string CompiledGatewayRoute::order_key() const {
  const auto fewer_later = [](std::size_t count) { return 255 - std::min<std::size_t>(count, 255); };
  std::string key;
  if (regex) put(key, ~declared->path.size(), 4);
  put(key, declared->method.empty() ? 1 : 0, 1);
  put(key, fewer_later(headers.size()), 1);
  put(key, fewer_later(queries.size()), 1);
  put(key, static_cast<std::uint64_t>(declared->created_at) ^ (1ull << 63), 8);
  key += declared->order;
  put(key, 0, 1);
  key.append(reinterpret_cast<const char*>(declared->id.bytes.data()), declared->id.bytes.size());
  return key;
}

void CompiledGatewayRoute::release_patterns(Patterns& patterns) const {
  if (regex) patterns.release(*regex);
  for (const auto* conditions : {&headers, &queries})
    for (const auto& each : *conditions)
      if (each.regex) patterns.release(*each.regex);
}

Result<std::shared_ptr<CompiledGatewayRoute>> compile_gateway_route(std::shared_ptr<const model::GatewayRoute> route,
                                                                    Patterns& patterns) {
  auto out = std::make_shared<CompiledGatewayRoute>();
  out->declared = std::move(route);
  if (auto done = compile_patterns(*out, patterns); !done) {
    out->release_patterns(patterns);
    return std::unexpected(done.error());
  }
  auto& to = out->route;
  to.gateway = true;
  to.strip_path = false;
  to.preserve_host = true;
  to.request_timeout = out->declared->request_timeout;
  to.backend_timeout = out->declared->backend_timeout;
  if (out->declared->services.size() == 1 && out->declared->services[0].service != Uuid{})
    out->service = out->declared->services[0].service;
  return out;
}

// Hands the set that the route belongs to to `change`, and takes it away when it is empty afterwards.
template <class Change>
void GatewayRouter::change_routes(Bucket& bucket, const CompiledGatewayRoute& route, Change&& change) {
  using Path = model::GatewayRoute::Path;
  if (route.declared->path_kind == Path::regex) return change(bucket.regexes);
  const bool is_exact = route.declared->path_kind == Path::exact;
  auto& paths = is_exact ? bucket.exact : bucket.prefixes;
  const Bytes key{is_exact ? std::string_view(route.declared->path) : route.prefix()};
  auto& routes = paths.edit(key);
  change(routes);
  if (routes.empty()) paths.erase(key);
}

void GatewayRouter::insert(const GatewayRoutePtr& route, std::string_view host) {
  change_routes(hosts_.edit(host), *route, [&](Routes& routes) { routes.edit(Nibbles(route->order_key())) = route; });
}

void GatewayRouter::erase(const CompiledGatewayRoute& route, std::string_view host) {
  if (!hosts_.find(host)) return;
  auto& bucket = hosts_.edit(host);
  change_routes(bucket, route, [&](Routes& routes) { routes.erase(Nibbles(route.order_key())); });
  if (bucket.empty()) hosts_.erase(host);
}

Match GatewayRouter::match(const Request& request) const {
  Match match;
  hosts_.for_each_match(request.host, [&](const Bucket& bucket) { return find(bucket, request, match); });
  return match;
}

Match GatewayTables::match(const Request& request) const {
  const auto* entry = entries.find(Nibbles(request.entry));
  const auto* listener = entry ? (*entry)->listener(request.host) : nullptr;
  if (!listener) return {};
  // A connection of the name of one listener may not ask for what another one offers (RFC 9110 section 7.4).
  if (request.tls && (*entry)->listener(LowerName(request.sni).view()) != listener) return {.misdirected = true};
  std::array<char, 32> key;
  std::ranges::copy(listener->id.bytes, std::ranges::copy(request.entry.bytes, key.begin()).out);
  const auto* router = routers.find(Nibbles(std::string_view(key.data(), key.size())));
  return router ? router->match(request) : Match{};
}

bool GatewayRouter::find(const Bucket& bucket, const Request& request, Match& match) {
  const auto path = request.path;
  if (const auto* routes = bucket.exact.find(Bytes{path}); routes && find(*routes, request, match)) {
    match.prefix_bytes = path.size();
    return true;
  }
  if (find(bucket.regexes, request, match)) return true;
  return bucket.prefixes.for_each_prefix(Bytes{path}, [&](const Routes& routes, std::size_t length) {
    // Whole segments only.
    if (length > 0 && length < path.size() && path[length] != '/') return false;
    if (!find(routes, request, match)) return false;
    match.prefix_bytes = length;
    return true;
  });
}

bool GatewayRouter::find(const Routes& routes, const Request& request, Match& match) {
  return routes.for_each([&](const GatewayRoutePtr& route) {
    if (route->regex && !matches_whole(*route->regex, request.path)) return false;
    if (!conditions_hold(*route, request)) return false;
    match.route = &route->route;
    match.regex = route->regex.get();
    match.prefix_bytes = route->regex ? request.path.size() : 0;
    return true;
  });
}

}  // namespace weir::snapshot
