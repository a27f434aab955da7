// The whole configuration compiled for traffic: immutable, revisioned, shared by all workers.
//
// compile() makes one from the one before and what changed, sharing every piece that did not change; nothing in here is
// ever written after that. Every piece knows the object it came from. State of traffic (cursors, health, connections)
// is never here: it belongs to the worker and to the endpoint's identity.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"
#include "model/entities.h"
#include "model/gateway.h"
#include "plugin/plugin.h"
#include "store/store.h"

namespace re2 {
class RE2;
}
struct ssl_ctx_st;
namespace weir::net {
class UpstreamTls;
}

namespace weir::snapshot {

// The object that a compiled piece came from.
struct Origin {
  std::string_view source;  // Source::name(): a literal that outlives everything
  std::string_view kind;    // schema name, "routes"
  Uuid id;
  std::string name;              // empty when the object has none
  std::int64_t generation = 0;   // updated_at in ms; a later phase of the same object has a larger one
  model::DeclaredByPtr by = {};  // the object of Kubernetes that declares it; null: the row itself
};

// Index into Snapshot's tables: the same object keeps its slot from snapshot to snapshot; freed slots are used again.
using Slot = std::uint32_t;
inline constexpr Slot no_slot = 0xffffffff;

struct Target {
  Origin origin;
  std::string host;  // host name or address, without brackets
  std::uint16_t port = 0;
  std::uint16_t weight = 100;
  bool is_ip = false;
};

// What a service's host stands for: an upstream with targets, or a plain host name (one target without port).
struct Backend {
  Origin origin;  // of the upstream; kind is empty for a plain host
  std::string name;
  bool is_upstream = false;
  std::optional<std::string> host_header;
  bool use_srv_name = false;
  std::vector<std::shared_ptr<const Target>> targets;  // oldest first
};

struct Service {
  Origin origin;
  bool tls = false;  // protocol https
  std::string host;
  std::uint16_t port = 80;  // used when the backend's address brings none
  std::string path;         // "/" when unset
  std::uint32_t retries = 5;
  std::chrono::milliseconds connect_timeout{60000}, write_timeout{60000}, read_timeout{60000};
  Slot backend = no_slot;
};

enum class PathHandling : std::uint8_t { v0, v1 };

// One of the services that a route's requests are spread over.
struct WeightedService {
  Slot service = no_slot;  // no_slot: answered 500
  std::uint32_t weight = 0;
  std::shared_ptr<const net::UpstreamTls> tls = {};  // whom it must be; null: as the service says
};

struct Route {
  Origin origin;
  Slot service = no_slot;          // no_slot: none; answered 503
  Slot own_chain = no_slot;        // where Snapshot::chain() finds its own plugins, if it has some
  bool http = true, https = true;  // its protocols
  std::uint16_t https_redirect_status_code = 426;
  bool strip_path = true, preserve_host = false;
  PathHandling path_handling = PathHandling::v0;

  // Of the Gateway API only.
  bool gateway = false;                   // `services` are asked, not `service`; the path goes on as it came
  std::vector<WeightedService> services;  // empty: answered 500, unless a filter answers
  std::uint64_t weights = 0;              // their sum; 0: answered 500
  std::chrono::milliseconds request_timeout{0}, backend_timeout{0};  // 0: none; that of the service
};

// What a route is chosen by. Views must outlive the call only.
struct Request {
  std::string_view method;
  std::string_view host;   // lower case, without port; IPv6 in brackets
  std::uint16_t port = 0;  // of the Host field, else the scheme's default
  std::string_view path;   // normalised, without query
  std::string_view sni;    // empty when plain
  bool tls = false;
  std::string_view query;  // without "?"
  Uuid entry;              // of the listener that the connection came in by; nil: proxy_listen
  // Calls back with each value of the field `name` (lower case); stops when it returns true, and then returns true.
  const void* headers = nullptr;
  bool (*any_header)(const void* headers, std::string_view name,
                     bool (*test)(const void* context, std::string_view value), const void* context) = nullptr;
};

struct Match {
  const Route* route = nullptr;     // null: no route
  std::size_t prefix_bytes = 0;     // length of the matched part of the path; 0 when it matched without a path
  const re2::RE2* regex = nullptr;  // of the matched path; null: a prefix, or none
  bool misdirected = false;         // the name asked for in the handshake belongs to another listener: 421
};

// A part of the configuration that could not be compiled, and why.
struct Fault {
  Origin origin;
  std::string message;
};

// A configured plugin.
struct PluginInstance {
  Origin origin;
  const plugin::Kind* kind = nullptr;
  std::shared_ptr<const plugin::Plugin> plugin;
  std::optional<Uuid> route, service, consumer;
  bool http = true, https = true;  // its protocols
};

// The plugins of a request, one of each kind, the most specific one (kong-entities.md section 6), by falling priority,
// then name.
struct Chain {
  std::vector<std::shared_ptr<const PluginInstance>> plugins;  // without consumer-scoped ones
  std::uint8_t phases = 0;                                     // of all of them together; plugin::Phase
};

class Router;

class Snapshot {
 public:
  Snapshot();  // the empty one, revision 0
  std::uint64_t revision() const { return revision_; }

  // The route that Kong's traditional router would take. No allocation; cost does not grow with the number of hosts or
  // prefix paths. Regex paths and header patterns cost what they match.
  // Request::entry says which router: Kong's for proxy_listen, the Gateway API's for the entry of a Gateway (of its
  // listeners the one whose host name is the most specific for the request, then the routes of that one only).
  Match match(const Request&) const;
  // The certificate's context for a handshake (server side). Null: none; proxy_listen then has its default one, the
  // entry of a Gateway ends the handshake. Of `certificates` and `snis` for a nil entry (exact name, then wildcards,
  // then the name "*").
  ssl_ctx_st* tls_context(const Uuid& entry, std::string_view sni) const;
  const model::Entry* entry(const Uuid&) const;
  const Service* service(Slot) const;
  const Backend* backend(Slot) const;
  const Backend* find_backend(std::string_view upstream_name) const;  // upstreams only
  Slot backend_slots() const;                                         // one more than the largest slot in use
  const Route* find_route(const Uuid&) const;
  const Service* find_service(const Uuid&) const;

  // The plugins of requests that match `route`; null route: none matched, the global ones. Null: there are none.
  const Chain* chain(const Route*) const;
  // Whether any plugin is bound to this consumer.
  bool has_plugins_of(const Uuid& consumer) const;
  // The same as chain() for a known consumer: replaces `out`. The pointers live as long as the snapshot.
  void chain_of(const Route*, const Uuid& consumer, std::vector<const PluginInstance*>& out) const;
  std::size_t plugins() const;
  std::size_t plugins_of_kind(std::string_view kind) const;  // enabled ones

  // Backends that differ from the snapshot of revision() - 1: what a worker that serves that one must look at.
  std::span<const Slot> changed_backends() const { return changed_backends_; }

  std::size_t routes() const;
  std::size_t services() const;
  std::size_t upstreams() const;
  // Every fault of the present configuration (left-out or partly compiled objects), for /status.
  std::vector<Fault> faults() const;

 private:
  friend class Compiler;
  struct Tables;  // persistent maps; see compile.cpp
  std::uint64_t revision_ = 0;
  std::shared_ptr<const Tables> tables_;
  std::vector<Slot> changed_backends_;
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

// Pure: the same arguments give the same snapshot. previous may be null (the empty one). A faulty entity keeps its own
// last good version, or nothing, and is listed in faults(); the rest goes on. Cost: that of the changes, not of the
// configuration. source: Source::name() of where the changes come from.
// plugins: what instances of plugins are made with; null: plugins are left out. Two sources may declare upstreams of
// one name: "kube" goes before "postgres" and "sqlite", these before "file"; the others are faults that name the one
// that is in force, and take its place when it goes.
SnapshotPtr compile(const SnapshotPtr& previous, const store::Changes& changes, std::string_view source,
                    plugin::Services* plugins = nullptr, std::span<const model::GatewayChange> gateway = {});

// The path that goes to the upstream, without query (kong-entities.md section 10, v0 and v1): the service's path joined
// with the request's, without the matched prefix when the route strips it. Replaces `out`; percent-escaped again.
void upstream_path(const Route&, const Service&, std::string_view path, std::size_t prefix_bytes, std::string& out);

}  // namespace weir::snapshot
