#include "gateway/settings.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.h"

namespace weir::gateway {
namespace {

constexpr Setting table[] = {
    {"prefix", "/usr/local/weir", "Folder that holds the node's state: database, identity, generated certificate."},
    {"log_level", "notice", "Lowest level that is logged: debug, info, notice, warn, error, crit, alert, emerg."},
    {"database", "sqlite",
     "Where entities are kept: sqlite (embedded), postgres (shared by nodes), or off (a declarative file)."},
    {"sqlite_path", "", "Database file; <prefix>/weir.db when unset."},
    {"declarative_config", "",
     "Declarative file (YAML or JSON) that is served with database=off; watched for changes."},
    {"node_id", "", "Identity of this node, a UUID; made once and kept in <prefix>/weir.id when unset."},
    {"declarative_config_string", "", "The declarative configuration itself (YAML or JSON), instead of a file."},
    {"kubernetes", "auto", "Take configuration from Kubernetes: auto (inside a cluster), on or off."},
    {"kubeconfig", "",
     "File that says how to reach Kubernetes; unset: KUBECONFIG, the pod's service account, ~/.kube/config."},
    {"kubernetes_namespace", "", "The only namespace that is watched; all when unset."},
    {"pod_namespace", "", "Namespace of this replica; POD_NAMESPACE, else that of the service account."},
    {"ingress_class", "weir", "Name of the IngressClass that is served."},
    {"ingress_controller", "weir.dev/ingress-controller", "spec.controller of IngressClasses that are served."},
    {"gateway_controller", "weir.dev/gateway-controller", "spec.controllerName of GatewayClasses that are served."},
    {"gateway_addresses", "",
     "Address pool (CIDR): each Gateway gets an address of its own there, which this node binds. Unset: each Gateway "
     "gets "
     "a Service and ports of its own inside the pod."},
    {"gateway_ports", "20000-20999", "Ports inside the pod for Gateways that have a Service."},
    {"publish_service", "", "Service whose addresses are shown in the status of Ingresses."},
    {"publish_status_address", "", "Addresses that are shown there instead."},
    {"plugins", "bundled", "Plugins that may be used: bundled (all), off, or a list of names."},
    {"pg_host", "127.0.0.1", "PostgreSQL server; of several (a, b) the one that is the primary is used."},
    {"pg_port", "5432", "Its port, or one for each of several servers."},
    {"pg_timeout", "5000", "Milliseconds to connect and for each statement."},
    {"pg_user", "kong", "User."},
    {"pg_password", "", "Password.", true, true},
    {"pg_database", "kong", "Database."},
    {"pg_schema", "", "Schema; the database's default search path when unset."},
    {"pg_ssl", "off", "Use TLS when the server offers it: on or off."},
    {"pg_ssl_required", "off", "Refuse a server without TLS: on or off."},
    {"pg_ssl_verify", "off", "Verify the server's certificate and name: on or off."},
    {"pg_ssl_version", "", "Lowest TLS version: tlsv1_2 or tlsv1_3."},
    {"pg_ro_host", "", "Server for the Admin API's lists, such as a replica; pg_host when unset."},
    {"pg_ro_port", "", "The same as pg_port, for pg_ro_host; as are the following. Unset ones take those of pg_."},
    {"pg_ro_timeout", "", "See pg_timeout."},
    {"pg_ro_user", "", "See pg_user."},
    {"pg_ro_password", "", "See pg_password.", true, true},
    {"pg_ro_database", "", "See pg_database."},
    {"pg_ro_schema", "", "See pg_schema."},
    {"pg_ro_ssl", "", "See pg_ssl."},
    {"pg_ro_ssl_required", "", "See pg_ssl_required."},
    {"pg_ro_ssl_verify", "", "See pg_ssl_verify."},
    {"pg_ro_ssl_version", "", "See pg_ssl_version."},
    {"pg_notify", "on", "Be woken by LISTEN/NOTIFY when another node writes; off: only the poll tells."},
    {"lua_ssl_trusted_certificate", "system", "CA certificates (PEM file) for outgoing TLS; system: Debian's."},
    {"db_update_frequency", "5",
     "Seconds between two looks for changes of other nodes; the guarantee beside pg_notify."},
    {"db_update_propagation", "0", "Seconds that a change may need to reach replicas; it is applied again after them."},
    {"db_cache_ttl", "0", "Seconds that a looked-up row is kept; 0: until it changes."},
    {"db_cache_neg_ttl", "", "The same for rows that are not there; db_cache_ttl when unset."},
    {"db_resurrect_ttl", "30", "Seconds that an outdated row is served on while the database is away."},
    {"mem_cache_size", "128m", "Memory for looked-up rows (consumers, credentials) of all workers together."},
    {"ready_requires_database", "off",
     "Whether /status/ready fails while the database is away, although traffic is served: on or off."},
    {"proxy_listen", "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 ssl reuseport backlog=16384",
     "Addresses for traffic: <ip>:<port> [ssl] [reuseport] [backlog=N], ...; or off."},
    {"admin_listen", "127.0.0.1:8001", "Addresses of the Admin API; or off."},
    {"status_listen", "127.0.0.1:8100", "Addresses of /status, /status/ready and /metrics; or off."},
    {"admin_allowed_hosts", "", "Host names, besides loopback ones, under which the Admin API may be called."},
    {"proxy_access_log", "off", "A line for each request on standard error: on or off."},
    {"ssl_cert", "", "Certificate chain (PEM) of ssl listeners; a self-signed one is made in <prefix>/ssl when unset."},
    {"ssl_cert_key", "", "Key (PEM) of ssl_cert."},
    {"admin_ssl_cert", "", "Certificate chain (PEM) of admin_listen's ssl addresses; as ssl_cert when unset."},
    {"admin_ssl_cert_key", "", "Key (PEM) of admin_ssl_cert."},
    {"status_ssl_cert", "", "Certificate chain (PEM) of status_listen's ssl addresses; as ssl_cert when unset."},
    {"status_ssl_cert_key", "", "Key (PEM) of status_ssl_cert."},
    {"webhook_listen", "off", "Addresses (with ssl) where Kubernetes asks for the sidecar of new pods; or off."},
    {"sidecar_image", "weir", "Image of the sidecar that the webhook adds."},
    {"webhook_ssl_cert", "", "Certificate chain (PEM) of webhook_listen; as ssl_cert when unset."},
    {"webhook_ssl_cert_key", "", "Key (PEM) of webhook_ssl_cert."},
    {"headers", "server_tokens, latency_tokens, X-Kong-Request-Id",
     "What is added to answers: server_tokens, latency_tokens, X-Kong-Request-Id, X-Kong-Upstream-Status, Via, Server, "
     "X-Kong-Proxy-Latency, X-Kong-Response-Latency, X-Kong-Upstream-Latency; or off."},
    {"headers_upstream", "X-Kong-Request-Id", "What is added to requests: X-Kong-Request-Id; or off."},
    {"trusted_ips", "", "Addresses or CIDRs whose X-Forwarded-* headers are believed."},
    {"error_default_type", "text/plain",
     "Format of error answers when the request asks for none: text/plain, text/html, application/json, "
     "application/xml."},
    {"allow_debug_header", "off",
     "Answer Kong-Debug: 1 with Kong-Route-Id, Kong-Service-Name and the like: on or off."},
    {"upstream_keepalive_pool_size", "512", "Idle connections kept for each upstream address and worker; 0: none."},
    {"upstream_keepalive_max_requests", "10000", "Requests over one upstream connection; 0: no limit."},
    {"upstream_keepalive_idle_timeout", "60", "Seconds that an idle upstream connection is kept."},
    {"client_max_body_size", "10m", "Largest body of an Admin API request."},
    {"nginx_http_client_max_body_size", "0", "Largest body of a proxied request; 0: no limit."},
    {"nginx_http_client_header_timeout", "10s", "Time for a request's head, from its first byte."},
    {"nginx_http_client_body_timeout", "60s", "Longest pause within a request's body."},
    {"nginx_http_send_timeout", "60s", "Longest pause of a client that does not read its answer."},
    {"nginx_http_keepalive_timeout", "60s", "How long an idle client connection is kept."},
    {"nginx_http_keepalive_requests", "10000", "Requests over one client connection."},
    {"nginx_worker_processes", "auto", "Number of workers; auto: one for each core."},
    {"nginx_events_worker_connections", "16384", "Client connections of one worker; more are closed at once."},
    {"nginx_main_worker_shutdown_timeout", "30s", "Longest wait for requests in flight when the node stops."},
    {"dns_resolver", "", "Name servers, ip[:port], ...; those of /etc/resolv.conf when unset."},
    {"dns_hostsfile", "/etc/hosts", "File of fixed host names."},
    {"dns_order", "LAST,SRV,A,CNAME", "Order in which record types are tried; AAAA may be named too."},
    {"dns_valid_ttl", "", "Seconds that overrule the TTL of answers."},
    {"dns_stale_ttl", "3600", "Seconds that an outdated answer is served while no new one comes."},
    {"dns_not_found_ttl", "30", "Seconds that a name which is not there is not asked for again."},
    {"dns_error_ttl", "1", "Seconds after which a failed query is tried again."},
    // Keys of Kong that only take their default in this version.
    {"role", "traditional", "Hybrid mode.", false},
    {"router_flavor", "traditional", "Router flavour.", false},
    {"worker_consistency", "eventual", "Changes are in force on every worker before a write is answered.", false},
    {"vaults", "bundled", "Vaults.", false},
    {"stream_listen", "off", "Listeners for TCP and UDP.", false},
    {"admin_gui_listen", "off", "Listener of a graphical interface.", false},
    {"cluster_listen", "off", "Hybrid mode.", false},
    {"client_ssl", "off", "Client certificate for upstreams.", false},
    {"ssl_protocols", "TLSv1.2 TLSv1.3", "TLS versions.", false},
    {"ssl_cipher_suite", "intermediate", "TLS ciphers.", false},
    {"real_ip_header", "X-Real-IP", "Header with the client's address.", false},
    {"real_ip_recursive", "off", "Search for the client's address.", false},
    {"port_maps", "", "Outside ports.", false},
    {"pg_max_concurrent_queries", "0", "Limit of queries at a time.", false},
    {"pg_keepalive_timeout", "", "Connections are kept.", false},
    {"pg_pool_size", "", "Each task has one connection.", false},
    {"pg_backlog", "", "Each task has one connection.", false},
    {"pg_semaphore_timeout", "60000", "Wait for a query's turn.", false},
    {"db_cache_warmup_entities", "services", "Services are always in memory.", false},
};

const Setting* find(std::string_view name) {
  for (const auto& s : table)
    if (s.name == name) return &s;
  return nullptr;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); i++) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); j++) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// Words and commas only, so that "a,b" equals Kong's own "a, b".
std::string plain(std::string_view text) {
  std::string out;
  for (const auto part : text::split(text)) (out += out.empty() ? "" : ",") += text::lower(part);
  return out;
}

class Reader {
 public:
  std::map<std::string, std::string, std::less<>> values;
  std::string faults;

  void set(std::string_view name, std::string_view value, std::string_view where) {
    const auto* setting = find(name);
    if (!setting) return unknown(name, where);
    if (!setting->honoured && !value.empty() && plain(value) != plain(setting->initial))
      return fault("{}: {} = {} cannot be honoured by this version; leave it out{}", where, name,
                   setting->secret ? "******" : value,
                   setting->initial.empty() ? std::string() : fmt::format(" or set it to '{}'", setting->initial));
    values[std::string(name)] = value;
  }

  void file(const std::string& path) {
    std::ifstream in(path);
    if (!in)
      return fault("cannot read settings file {}: {}; check the path given with --conf", path, std::strerror(errno));
    std::string line;
    for (int number = 1; std::getline(in, line); number++) {
      if (const auto hash = comment(line); hash != line.npos) line.resize(hash);
      const auto trimmed = text::trim(line);
      if (trimmed.empty()) continue;
      const auto equals = trimmed.find('=');
      const auto where = fmt::format("{} line {}", path, number);
      if (equals == trimmed.npos || text::trim(trimmed.substr(0, equals)).empty()) {
        fault("{}: '{}' is not of the form key = value", where, trimmed);
        continue;
      }
      set(text::trim(trimmed.substr(0, equals)), text::trim(trimmed.substr(equals + 1)), where);
    }
    if (in.bad()) fault("cannot read settings file {}: {}", path, std::strerror(errno));
  }

  template <class... Args>
  void fault(fmt::format_string<Args...> format, Args&&... args) {
    if (!faults.empty()) faults += '\n';
    faults += fmt::format(format, std::forward<Args>(args)...);
  }

 private:
  // A '#' starts a comment at the line's start or after a blank; a password may hold one.
  static std::size_t comment(const std::string& line) {
    for (std::size_t i = 0; i < line.size(); i++)
      if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return i;
    return line.npos;
  }

  void unknown(std::string_view name, std::string_view where) {
    const Setting* nearest = nullptr;
    for (const auto& s : table)
      if (!nearest || distance(name, s.name) < distance(name, nearest->name)) nearest = &s;
    const bool close = distance(name, nearest->name) <= 3;
    fault("{}: unknown setting '{}'{}", where, name, close ? fmt::format("; did you mean '{}'?", nearest->name) : "");
  }
};

}  // namespace

std::span<const Setting> known_settings() {
  return table;
}

Result<Settings> Settings::read(const From& from) {
  Reader reader;
  std::string file = from.file;
  for (const char* usual : {"/etc/weir/weir.conf", "/etc/weir.conf"}) {
    std::error_code ignored;
    if (file.empty() && std::filesystem::exists(usual, ignored)) file = usual;
  }
  for (const auto& s : table) reader.values[std::string(s.name)] = s.initial;
  if (!file.empty()) reader.file(file);
  Settings settings;
  for (const auto& [name, value] : from.environment) {
    if (!name.starts_with("WEIR_")) continue;
    const auto key = text::lower(std::string_view(name).substr(5));
    if (find(key))
      reader.set(key, value, name + " in the environment");
    else
      settings.unknown_variables_.push_back(name);
  }
  for (const auto& assignment : from.assignments) {
    const auto equals = assignment.find('=');
    if (equals == assignment.npos)
      reader.fault("--set {}: not of the form key=value", assignment);
    else
      reader.set(text::trim(std::string_view(assignment).substr(0, equals)),
                 text::trim(std::string_view(assignment).substr(equals + 1)), "--set");
  }
  if (!reader.faults.empty()) return std::unexpected(Error{std::move(reader.faults)});
  settings.values_ = std::move(reader.values);
  return settings;
}

const std::string& Settings::text(std::string_view name) const {
  const auto it = values_.find(name);
  WEIR_ASSERT(it != values_.end());
  return it->second;
}

boost::json::object Settings::shown() const {
  boost::json::object out;
  for (const auto& s : table) {
    const auto& value = text(s.name);
    if (value.empty())
      out[s.name] = nullptr;
    else
      out[s.name] = s.secret ? "******" : value;
  }
  return out;
}

}  // namespace weir::gateway
