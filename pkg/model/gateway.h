// What the Gateway API declares beyond Kong's entities: places that listen, and routes with their conditions and
// filters. Made by the Kubernetes reconcilers, compiled by the snapshot beside Kong's entities; no store holds them.
//
// Plain values, immutable once they are handed over; shared between threads by shared_ptr<const ...>.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/uuid.h"

namespace weir::model {

// The object of a source that something was made from, when that is not the entity's own row.
struct DeclaredBy {
  std::string kind;             // "HTTPRoute", "WeirRoute", "Ingress"
  std::string name;             // "namespace/name"; "name" for cluster-scoped ones
  std::int64_t generation = 0;  // metadata.generation
};
using DeclaredByPtr = std::shared_ptr<const DeclaredBy>;

// One address and port of a Gateway, with the listeners that share it.
struct Entry {
  struct Listener {
    Uuid id;
    std::string name;                // sectionName
    std::string hostname;            // lower case; "": any; "*.example.com"
    std::vector<Uuid> certificates;  // entities "certificates"; the first is the default one
  };
  Uuid id;
  DeclaredByPtr by;
  std::string ip;                 // that Weir binds
  std::uint16_t port = 0;         // that Weir binds
  std::uint16_t public_port = 0;  // that clients know: the listener's
  bool tls = false;               // all of its listeners are HTTPS
  std::vector<Listener> listeners;
};

struct HeaderEdits {
  std::vector<std::pair<std::string, std::string>> set, add;
  std::vector<std::string> remove;
  bool empty() const { return set.empty() && add.empty() && remove.empty(); }
};
struct PathModifier {
  enum class Kind : std::uint8_t { none, full, prefix } kind = Kind::none;  // prefix: replaces what the rule matched
  std::string value;
};
struct Redirect {
  std::string scheme, hostname;  // empty: the request's
  PathModifier path;
  std::optional<std::uint16_t> port;
  int status = 302;
};
struct Rewrite {
  std::string hostname;  // empty: unchanged
  PathModifier path;
};
struct Mirror {
  Uuid service;                                  // an entity "services"
  std::uint32_t numerator = 1, denominator = 1;  // share of requests
};
// GEP-1767. "*" may stand in origins ("https://*.example.com"), methods, headers and exposed headers.
struct Cors {
  std::vector<std::string> origins, methods, headers, exposed;
  bool credentials = false;
  std::int64_t max_age = 5;  // seconds
};
struct Filters {
  HeaderEdits request, response;
  std::optional<Redirect> redirect;
  std::optional<Rewrite> rewrite;
  std::vector<Mirror> mirrors;
  std::optional<Cors> cors;
};

// Whom a backend must be (BackendTLSPolicy): requests go to it by TLS only, its certificate is verified.
struct BackendTls {
  std::string hostname;                  // SNI; the certificate must be for it, unless `names` or `uris` are there:
  std::vector<std::string> names, uris;  // then for one of these (subjectAltNames)
  std::string authorities;               // PEM; empty: those of the system
};

struct WeightedService {
  Uuid service;                                // nil: its share of requests is answered 500
  std::uint32_t weight = 1;                    // 0..1,000,000
  std::shared_ptr<const Filters> filters;      // of this backend alone: header edits, mirrors; may be null
  std::shared_ptr<const BackendTls> tls = {};  // null: as the service says
};

// One match of one rule of an HTTPRoute: Gateway API order decides between them (exact path, longest prefix or regex,
// method, most headers, most query parameters, oldest, `order`).
struct GatewayRoute {
  struct Attachment {
    Uuid entry, listener;
    std::vector<std::string> hosts;  // what route and listener have in common, lower case; empty: any
  };
  struct Condition {
    std::string name, value;  // header names in lower case
    bool regex = false;       // value is a RE2 pattern for the whole value
  };
  enum class Path : std::uint8_t { exact, prefix, regex };

  Uuid id;
  DeclaredByPtr by;
  std::int64_t created_at = 0;  // Unix seconds
  std::string order;            // what decides between routes of one age: "namespace/name", then rule and match
  std::vector<Attachment> attached;
  Path path_kind = Path::prefix;  // prefix: by path segments, "/" matches all
  std::string path = "/";
  std::string method;  // empty: any
  std::vector<Condition> headers, queries;
  std::shared_ptr<const Filters> filters;        // may be null
  std::vector<WeightedService> services;         // empty: answered 500, unless the filters redirect
  std::chrono::milliseconds request_timeout{0};  // of the whole exchange; 0: none. Answered 504
  std::chrono::milliseconds backend_timeout{0};  // of one attempt; 0: that of the service
};

// Made or changed (one of the two is there), or deleted (neither).
struct GatewayChange {
  Uuid id;
  std::shared_ptr<const Entry> entry;
  std::shared_ptr<const GatewayRoute> route;
};

}  // namespace weir::model
