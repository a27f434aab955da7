// Settings as the options of each folder: the one place that maps names to structs and reads their values.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "admin/api.h"
#include "admin/http_server.h"
#include "base/log.h"
#include "gateway/settings.h"
#include "kube/client.h"
#include "net/resolver.h"
#include "proxy/worker.h"
#include "reconcile/inject.h"
#include "reconcile/unit.h"
#include "store/postgres.h"

namespace weir::gateway {

struct CertificateFiles {
  std::string certificate, key;  // PEM; empty: the self-signed one in <prefix>/ssl
};

struct KubernetesOptions {
  kube::Access access;
  reconcile::Settings reconcile;
};

struct Options {
  std::string prefix;
  log::Level log_level = log::Level::notice;
  bool database_off = false;
  std::optional<store::PostgresOptions> postgres;  // database=postgres
  std::optional<KubernetesOptions> kubernetes;     // kubernetes=on, or auto inside a cluster
  bool ready_requires_database = false;
  std::string sqlite_path, declarative_config, declarative_config_string, node_id;
  reconcile::Sidecar sidecar;  // that the webhook adds
  CertificateFiles ssl, admin_ssl, status_ssl, webhook_ssl;
  unsigned workers = 1;
  std::vector<proxy::Listen> proxy_listen, admin_listen, status_listen, webhook_listen;  // empty: off
  std::chrono::milliseconds shutdown_timeout{30'000};
  proxy::Options proxy;
  net::Resolver::Options resolver;
  admin::HttpServer::Options admin_http;
  admin::Options admin;
};

// All faults at once, one a line: the key, its value and what it may be.
Result<Options> options(const Settings&);

// Kong's listen syntax: "<ip>:<port> [ssl] [reuseport] [backlog=N], ..." or "off".
Result<std::vector<proxy::Listen>> parse_listen(std::string_view text);
// nginx's units: "10s", "500ms", "1m", "2h", "1d"; a bare number is seconds.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// nginx's sizes: "0", "8k", "10m", "1g".
Result<std::size_t> parse_size(std::string_view text);

}  // namespace weir::gateway
