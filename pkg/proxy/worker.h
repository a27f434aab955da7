// One worker: a thread with its own epoll loop, listening sockets, connections, exchanges, upstream pools and counters.
//
// Serves traffic from one Snapshot, adopted between two turns of its loop; exchanges in flight finish on what they
// began with. Shares nothing with other workers but the Snapshot and the resolver. The public functions may be called
// from the control thread; what they hand over travels through the worker's inbox.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/head.h"
#include "metrics/counters.h"
#include "net/resolver.h"
#include "snapshot/snapshot.h"
#include "store/cache.h"

struct ssl_ctx_st;

namespace weir::proxy {

// A proxy_listen entry.
struct Listen {
  std::string ip = "0.0.0.0";
  std::uint16_t port = 8000;
  bool tls = false;
  int backlog = 16384;
  bool reuseport = true;
  Uuid entry = {};                // of a Gateway (snapshot::Request::entry); nil: proxy_listen
  std::uint16_t public_port = 0;  // that clients know (X-Forwarded-Port); 0: `port`
};

// Defaults are Kong's (kong-conf.md) or those of robustness.md section 1.5.
struct Options {
  http::Limits limits;
  std::size_t client_max_body_bytes = 0;                    // nginx_http_client_max_body_size; 0: no limit
  std::chrono::milliseconds client_header_timeout{10'000};  // from the first byte of a head to its end
  std::chrono::milliseconds client_body_timeout{60'000};    // between two reads of a body
  std::chrono::milliseconds client_send_timeout{60'000};    // between two writes to a slow reader
  std::chrono::milliseconds keepalive_timeout{60'000};      // idle client connection
  std::chrono::milliseconds tls_handshake_timeout{10'000};
  std::uint32_t keepalive_requests = 10'000;
  std::uint32_t upstream_keepalive_pool_size = 512;  // per address (and TLS name) and worker; 0: off
  std::uint32_t upstream_keepalive_max_requests = 10'000;
  std::chrono::milliseconds upstream_keepalive_idle_timeout{60'000};
  std::size_t connections_max = 16'384;  // clients of this worker; more are closed at accept
  // The `headers` setting: what is added to answers. headers_upstream: X-Kong-Request-Id to the upstream.
  bool server_tokens = true, latency_tokens = true, request_id = true, upstream_status = false;
  bool request_id_upstream = true;
  bool allow_debug_header = false;
  std::vector<std::string> trusted_ips;  // CIDRs whose X-Forwarded-* are believed
  std::string error_default_type = "text/plain";
  std::string version = "0.1.0";
  std::string token;        // product in Via and Server; empty: "weir/" + version
  bool access_log = false;  // proxy_access_log
  store::Cache::Options cache;
  std::size_t body_gather_max = 8 * 1024 * 1024;  // of one request or response that a plugin wants whole
};

class Worker {
 public:
  // tls: shared server context for listeners with tls; not owned, must outlive the worker.
  static Result<std::unique_ptr<Worker>> start(unsigned number, const Options&, const std::vector<Listen>&,
                                               ssl_ctx_st* tls, net::Resolver&, store::Lookup&);
  virtual ~Worker() = default;  // stops
  // Ends all connections and the thread, and lets go of the snapshot; what others still hand over is not run any more.
  // So what workers ask can be ended before they are freed.
  virtual void stop() = 0;

  // Serves from `snapshot` from the next turn on. adopted: called on the worker's thread once it does.
  virtual void publish(snapshot::SnapshotPtr snapshot, std::function<void()> adopted) = 0;
  // A watched host name has new addresses (called by the resolver's owner for every worker).
  virtual void resolved(const std::string& name, net::ResolvedPtr answer) = 0;
  // Replaces the server TLS context for new connections (certificate files read again).
  virtual void replace_tls(ssl_ctx_st* tls) = 0;
  // Listens as well: `fd` is bound and listens (net::listen_on), and is the worker's from here on. Connections are
  // accepted from the moment it serves a snapshot.
  virtual void open(const Listen&, int fd) = 0;
  // Accepts no more on the entry: what is in the queue is answered, idle connections are closed, the others after their
  // answer. Several addresses may have one entry.
  virtual void close(const Uuid& entry) = 0;
  // Stops accepting, closes idle connections, answers what is in flight with Connection: close. drained: called on the
  // worker's thread when nothing is left.
  virtual void drain(std::function<void()> drained) = 0;
  // Cached rows that are stale; nothing: all of them. To be called before publish() of the same change, in that order.
  virtual void invalidate(std::optional<std::vector<std::string>> keys) = 0;
  // What is cached under a key (store/cache.h), for GET /cache. done: on the worker's thread.
  virtual void peek(std::string key, std::function<void(std::shared_ptr<const store::Found>)> done) = 0;

  virtual const metrics::Counters& counters() const = 0;
  virtual const store::Cache::Counts& cache_counts() const = 0;
  virtual std::uint16_t port(std::size_t listen) const = 0;  // what port 0 became
};

}  // namespace weir::proxy
