#include "gateway/options.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <thread>

#include "base/text.h"
#include "base/uuid.h"
#include "gateway/version.h"
#include "plugin/plugin.h"

namespace weir::gateway {
namespace {

template <class Int>
std::optional<Int> number(std::string_view text) {
  Int value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "10m" -> 10 and "m".
std::optional<std::pair<std::uint64_t, std::string_view>> amount(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return std::pair(value, text.substr(static_cast<std::size_t>(end - text.data())));
}

Result<proxy::Listen> parse_listen_entry(std::string_view entry) {
  const auto words = text::split(entry, ' ');
  const auto address = text::split_host_port(words.front());
  const bool has_port = address && (words.front().starts_with('[') ? words.front().find("]:") != entry.npos
                                                                   : words.front().find(':') != entry.npos);
  if (!has_port || !text::is_ip(address->host))
    return fail("'{}' must be of form: [off] | <ip>:<port> [ssl] [reuseport] [backlog=N]", entry);
  proxy::Listen listen{.ip = std::string(address->host),
                       .port = address->port,
                       .tls = false,
                       .backlog = 16384,
                       .reuseport = true,
                       .entry = {},
                       .public_port = 0};
  for (const auto word : std::span(words).subspan(1)) {
    if (word == "ssl") {
      listen.tls = true;
    } else if (word == "reuseport" || word == "bind" || word == "deferred" || word == "so_keepalive=on") {
      continue;  // workers always share the address; the others change nothing that a client sees
    } else if (word.starts_with("backlog=")) {
      const auto backlog = number<int>(word.substr(8));
      if (!backlog || *backlog < 1) return fail("'{}': backlog must be a positive number", entry);
      listen.backlog = *backlog;
    } else if (word == "http2" || word == "proxy_protocol") {
      return fail("'{}': {} cannot be honoured by this version; leave it out", entry, word);
    } else {
      return fail("'{}': unknown flag '{}'; the flags are ssl, reuseport, backlog=N", entry, word);
    }
  }
  return listen;
}

// Reads settings one by one and gathers what is wrong with them.
class Mapper {
 public:
  explicit Mapper(const Settings& settings) : settings_(settings) {}
  std::string faults;

  const std::string& text(std::string_view key) const { return settings_.text(key); }

  template <class T>
  void take(std::string_view key, Result<T> value, T& into) {
    if (value)
      into = std::move(*value);
    else
      fault(key, value.error().message);
  }
  void listen(std::string_view key, std::vector<proxy::Listen>& into) { take(key, parse_listen(text(key)), into); }
  void duration(std::string_view key, std::chrono::milliseconds& into) { take(key, parse_duration(text(key)), into); }
  void size(std::string_view key, std::size_t& into) { take(key, parse_size(text(key)), into); }

  void seconds(std::string_view key, std::chrono::seconds& into) {
    if (text(key).empty()) return;
    if (const auto n = number<std::uint32_t>(text(key)))
      into = std::chrono::seconds(*n);
    else
      fault(key, "must be a number of seconds");
  }

  template <class Int>
  void integer(std::string_view key, Int& into, std::int64_t low, std::int64_t high) {
    const auto n = number<std::int64_t>(text(key));
    if (!n || *n < low || *n > high)
      fault(key, fmt::format("must be a whole number between {} and {}", low, high));
    else
      into = static_cast<Int>(*n);
  }

  void boolean(std::string_view key, bool& into) {
    const auto& value = text(key);
    if (value == "on" || value == "true")
      into = true;
    else if (value == "off" || value == "false")
      into = false;
    else
      fault(key, "must be on or off");
  }

  void list(std::string_view key, std::vector<std::string>& into) {
    for (const auto part : text::split(text(key))) into.emplace_back(part);
  }

  void fault(std::string_view key, std::string_view what) {
    if (!faults.empty()) faults += '\n';
    faults += fmt::format("setting {} = '{}': {}", key, text(key), what);
  }

 private:
  const Settings& settings_;
};

void map_headers(Mapper& m, proxy::Options& out) {
  out.server_tokens = out.latency_tokens = out.request_id = out.upstream_status = false;
  for (const auto word : text::split(m.text("headers"))) {
    const auto is = [&](std::string_view name) { return text::equal_ignoring_case(word, name); };
    if (is("off"))
      continue;
    else if (is("server_tokens") || is("Server") || is("Via"))
      out.server_tokens = true;
    else if (is("latency_tokens") || is("X-Kong-Proxy-Latency") || is("X-Kong-Response-Latency") ||
             is("X-Kong-Upstream-Latency"))
      out.latency_tokens = true;
    else if (is("X-Kong-Request-Id"))
      out.request_id = true;
    else if (is("X-Kong-Upstream-Status"))
      out.upstream_status = true;
    else
      m.fault("headers", fmt::format("unknown entry '{}'", word));
  }
  out.request_id_upstream = text::equal_ignoring_case(m.text("headers_upstream"), "X-Kong-Request-Id");
  if (!out.request_id_upstream && m.text("headers_upstream") != "off")
    m.fault("headers_upstream", "must be X-Kong-Request-Id or off");
}

void map_proxy(Mapper& m, Options& out) {
  auto& p = out.proxy;
  map_headers(m, p);
  m.boolean("proxy_access_log", p.access_log);
  m.boolean("allow_debug_header", p.allow_debug_header);
  m.list("trusted_ips", p.trusted_ips);
  for (const auto& cidr : p.trusted_ips) {
    const auto slash = cidr.find('/');
    const auto ip = std::string_view(cidr).substr(0, slash);
    const auto bits = slash == cidr.npos ? 0 : number<unsigned>(std::string_view(cidr).substr(slash + 1)).value_or(999);
    if (!text::is_ip(ip) || bits > (ip.find(':') == ip.npos ? 32U : 128U))
      m.fault("trusted_ips", fmt::format("'{}' is neither an address nor a CIDR", cidr));
  }
  p.error_default_type = m.text("error_default_type");
  if (p.error_default_type != "text/plain" && p.error_default_type != "text/html" &&
      p.error_default_type != "application/json" && p.error_default_type != "application/xml")
    m.fault("error_default_type", "must be text/plain, text/html, application/json or application/xml");
  m.integer("upstream_keepalive_pool_size", p.upstream_keepalive_pool_size, 0, 1'000'000);
  m.integer("upstream_keepalive_max_requests", p.upstream_keepalive_max_requests, 0, 4'000'000'000);
  m.duration("upstream_keepalive_idle_timeout", p.upstream_keepalive_idle_timeout);
  m.size("nginx_http_client_max_body_size", p.client_max_body_bytes);
  m.duration("nginx_http_client_header_timeout", p.client_header_timeout);
  m.duration("nginx_http_client_body_timeout", p.client_body_timeout);
  m.duration("nginx_http_send_timeout", p.client_send_timeout);
  m.duration("nginx_http_keepalive_timeout", p.keepalive_timeout);
  m.integer("nginx_http_keepalive_requests", p.keepalive_requests, 1, 4'000'000'000);
  m.integer("nginx_events_worker_connections", p.connections_max, 1, 10'000'000);
}

void map_resolver(Mapper& m, net::Resolver::Options& out) {
  m.list("dns_resolver", out.servers);
  for (const auto& server : out.servers)
    if (const auto address = text::split_host_port(server); !address || !text::is_ip(address->host))
      m.fault("dns_resolver", fmt::format("'{}' is not of the form ip[:port]", server));
  out.hosts_file = m.text("dns_hostsfile");
  out.order.clear();
  for (const auto type : text::split(m.text("dns_order"))) {
    if (type != "LAST" && type != "SRV" && type != "A" && type != "AAAA" && type != "CNAME")
      m.fault("dns_order", fmt::format("unknown record type '{}'; use LAST, SRV, A, AAAA, CNAME", type));
    out.order.emplace_back(type);
  }
  std::chrono::seconds valid{0};
  m.seconds("dns_valid_ttl", valid);
  out.valid_ttl = valid;
  m.seconds("dns_stale_ttl", out.stale_ttl);
  m.seconds("dns_not_found_ttl", out.not_found_ttl);
  m.seconds("dns_error_ttl", out.error_ttl);
}

void map_admin(Mapper& m, Options& out) {
  m.size("client_max_body_size", out.admin_http.body_bytes_max);
  m.list("admin_allowed_hosts", out.admin.allowed_hosts);
  out.admin.database_off = out.database_off;
  out.admin.version = kong_version;
  out.admin.weir_version = version;
  for (const auto& l : out.admin_listen) {
    out.admin.loopback_only = out.admin.loopback_only && (l.ip.starts_with("127.") || l.ip == "::1");
  }
}

// The keys <start>host, <start>port, ...; those that are unset keep what `out` has.
void map_server(Mapper& m, const std::string& start, store::PostgresServer& out) {
  const auto key = [&](const char* name) { return start + name; };
  const auto text = [&](const char* name, std::string& into) {
    if (!m.text(key(name)).empty()) into = m.text(key(name));
  };
  const auto boolean = [&](const char* name, bool& into) {
    if (!m.text(key(name)).empty()) m.boolean(key(name), into);
  };
  text("host", out.host);
  text("port", out.port);
  for (const auto port : text::split(out.port))
    if (const auto n = number<std::uint16_t>(port); !n || *n == 0) m.fault(key("port"), "must be a port, or a list");
  text("user", out.user);
  text("password", out.password);
  text("database", out.database);
  text("schema", out.schema);
  text("ssl_version", out.ssl_version);
  if (!out.ssl_version.empty() && out.ssl_version != "tlsv1_2" && out.ssl_version != "tlsv1_3" &&
      out.ssl_version != "any")
    m.fault(key("ssl_version"), "must be tlsv1_2, tlsv1_3 or any");
  boolean("ssl", out.ssl);
  boolean("ssl_required", out.ssl_required);
  boolean("ssl_verify", out.ssl_verify);
  if (m.text(key("timeout")).empty()) return;
  std::int64_t timeout = 0;
  m.integer(key("timeout"), timeout, 1, 2'147'483'646);
  out.timeout = std::chrono::milliseconds(timeout);
}

// Seconds with a fraction, as Kong takes them.
void map_seconds(Mapper& m, std::string_view key, std::chrono::milliseconds& into) {
  if (m.text(key).empty()) return;
  const auto n = number<double>(m.text(key));
  if (!n || !(*n >= 0 && *n <= 100'000'000))
    m.fault(key, "must be a number of seconds");
  else
    into = std::chrono::milliseconds(std::llround(*n * 1000));
}

void map_postgres(Mapper& m, Options& out) {
  store::PostgresOptions postgres;
  map_server(m, "pg_", postgres.server);
  if (const auto& trusted = m.text("lua_ssl_trusted_certificate"); trusted != "system")
    postgres.server.trusted_certificate = trusted;
  if (!m.text("pg_ro_host").empty()) {
    postgres.read_only = postgres.server;
    map_server(m, "pg_ro_", *postgres.read_only);
  }
  m.boolean("pg_notify", postgres.listen);
  map_seconds(m, "db_update_frequency", postgres.update_frequency);
  if (postgres.update_frequency.count() == 0) m.fault("db_update_frequency", "must be more than 0");
  map_seconds(m, "db_update_propagation", postgres.update_propagation);
  postgres.mirror_path = out.prefix + "/postgres-mirror.db";
  out.postgres = std::move(postgres);
}

void map_cache(Mapper& m, Options& out) {
  auto& cache = out.proxy.cache;
  map_seconds(m, "db_cache_ttl", cache.ttl);
  cache.neg_ttl = cache.ttl;
  map_seconds(m, "db_cache_neg_ttl", cache.neg_ttl);
  map_seconds(m, "db_resurrect_ttl", cache.resurrect_ttl);
  std::size_t bytes = 0;
  m.size("mem_cache_size", bytes);
  // Negative entries have a quarter more beside.
  cache.bytes_max = std::max<std::size_t>(bytes / out.workers * 4 / 5, 1024 * 1024);
}

void map_database(Mapper& m, Options& out) {
  const auto& database = m.text("database");
  if (database == "postgres")
    map_postgres(m, out);
  else if (database != "sqlite" && database != "off")
    m.fault("database", "must be sqlite, postgres or off");
  out.database_off = database == "off";
  out.sqlite_path = m.text("sqlite_path").empty() ? out.prefix + "/weir.db" : m.text("sqlite_path");
  out.declarative_config = m.text("declarative_config");
  out.declarative_config_string = m.text("declarative_config_string");
  if (!out.declarative_config.empty() && !out.declarative_config_string.empty())
    m.fault("declarative_config_string", "and declarative_config exclude each other; set one of them");
  if (!out.declarative_config_string.empty() && !out.database_off)
    m.fault("declarative_config_string", "is served with database=off only");
  if (!out.declarative_config.empty() && !out.database_off)
    m.fault("declarative_config",
            "is served with database=off only; set that, or load the file by 'weir config import'");
  out.node_id = m.text("node_id");
  if (!out.node_id.empty() && !Uuid::parse(out.node_id)) m.fault("node_id", "must be a UUID");
}

void map_certificate(Mapper& m, const std::string& key, CertificateFiles& out) {
  out = {m.text(key), m.text(key + "_key")};
  if (out.certificate.empty() != out.key.empty())
    m.fault(key, fmt::format("{} and {}_key go together; set both or none", key, key));
}

bool is_cidr(std::string_view text) {
  const auto slash = text.find('/');
  const auto ip = text.substr(0, slash);
  if (slash == text.npos || !text::is_ip(ip)) return false;
  return number<unsigned>(text.substr(slash + 1)).value_or(999) <= (ip.find(':') == ip.npos ? 32U : 128U);
}

void map_reconcile(Mapper& m, reconcile::Settings& out) {
  const auto of_environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  out.controller = m.text("gateway_controller");
  out.ingress_controller = m.text("ingress_controller");
  out.ingress_class = m.text("ingress_class");
  out.watch_namespace = m.text("kubernetes_namespace");
  out.service_name = m.text("publish_service");
  m.list("publish_status_address", out.publish_addresses);
  out.gateway_addresses = m.text("gateway_addresses");
  if (!out.gateway_addresses.empty() && !is_cidr(out.gateway_addresses))
    m.fault("gateway_addresses", "must be a CIDR such as 198.18.128.0/24");
  const auto& ports = m.text("gateway_ports");
  const auto dash = ports.find('-');
  const auto from = number<std::uint16_t>(std::string_view(ports).substr(0, dash));
  const auto to = dash == ports.npos ? from : number<std::uint16_t>(std::string_view(ports).substr(dash + 1));
  if (!from || !to || *from == 0 || *from > *to)
    m.fault("gateway_ports", "must be a range of ports such as 20000-20999");
  else
    out.gateway_ports_from = *from, out.gateway_ports_to = *to;
  // The downward API's usual names.
  out.pod_name = of_environment("POD_NAME");
  out.pod_uid = of_environment("POD_UID");
  out.own_namespace = m.text("pod_namespace").empty() ? of_environment("POD_NAMESPACE") : m.text("pod_namespace");
}

void map_kubernetes(Mapper& m, Options& out) {
  const auto& wanted = m.text("kubernetes");
  if (wanted != "auto" && wanted != "on" && wanted != "off") m.fault("kubernetes", "must be auto, on or off");
  KubernetesOptions kubernetes;
  map_reconcile(m, kubernetes.reconcile);
  std::map<std::string, std::string> environment;
  for (const char* name : {"KUBECONFIG", "HOME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"})
    if (const char* value = std::getenv(name)) environment[name] = value;
  const bool on =
      wanted == "on" || (wanted == "auto" && (kube::in_cluster(environment) || !m.text("kubeconfig").empty()));
  if (!on) return;
  auto access = kube::load_access(m.text("kubeconfig"), environment);
  if (!access) return m.fault("kubeconfig", access.error().message);
  kubernetes.access = std::move(*access);
  if (kubernetes.reconcile.own_namespace.empty())
    kubernetes.reconcile.own_namespace =
        kubernetes.access.as_namespace.empty() ? "default" : kubernetes.access.as_namespace;
  out.kubernetes = std::move(kubernetes);
}

}  // namespace

Result<std::vector<proxy::Listen>> parse_listen(std::string_view text) {
  std::vector<proxy::Listen> out;
  if (text == "off") return out;
  for (const auto entry : text::split(text)) {
    auto listen = parse_listen_entry(entry);
    if (!listen) return std::unexpected(listen.error());
    out.push_back(std::move(*listen));
  }
  if (out.empty())
    return fail("must be of form: [off] | <ip>:<port> [ssl] [reuseport] [backlog=N], [... next entry ...]");
  return out;
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, std::uint64_t> units[] = {
      {"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  if (const auto read = amount(text))
    for (const auto& [unit, factor] : units)
      if (unit == read->second && read->first <= 0x7fffffff) return std::chrono::milliseconds(read->first * factor);
  return fail("must be a time such as 500ms, 10s, 5m or 1h");
}

Result<std::size_t> parse_size(std::string_view text) {
  static constexpr std::pair<std::string_view, int> units[] = {{"", 0}, {"k", 10}, {"m", 20}, {"g", 30}};
  if (const auto read = amount(text))
    for (const auto& [unit, shift] : units)
      if (text::equal_ignoring_case(unit, read->second) && read->first < (1ULL << 33)) return read->first << shift;
  return fail("must be a size such as 8k, 10m or 1g");
}

Result<Options> options(const Settings& settings) {
  Mapper m(settings);
  Options out;
  out.prefix = m.text("prefix");
  if (const auto level = log::parse_level(m.text("log_level")))
    out.log_level = *level;
  else
    m.fault("log_level", "must be one of debug, info, notice, warn, error, crit, alert, emerg");
  map_database(m, out);
  map_kubernetes(m, out);
  m.boolean("ready_requires_database", out.ready_requires_database);
  if (auto installed = plugin::install(m.text("plugins")); !installed) m.fault("plugins", installed.error().message);
  m.listen("proxy_listen", out.proxy_listen);
  m.listen("admin_listen", out.admin_listen);
  m.listen("status_listen", out.status_listen);
  m.listen("webhook_listen", out.webhook_listen);
  out.sidecar.image = m.text("sidecar_image");
  map_certificate(m, "ssl_cert", out.ssl);
  map_certificate(m, "admin_ssl_cert", out.admin_ssl);
  map_certificate(m, "status_ssl_cert", out.status_ssl);
  map_certificate(m, "webhook_ssl_cert", out.webhook_ssl);
  out.workers = std::max(1U, std::thread::hardware_concurrency());
  if (m.text("nginx_worker_processes") != "auto") m.integer("nginx_worker_processes", out.workers, 1, 1024);
  m.duration("nginx_main_worker_shutdown_timeout", out.shutdown_timeout);
  map_proxy(m, out);
  map_cache(m, out);
  map_resolver(m, out.resolver);
  map_admin(m, out);
  if (!m.faults.empty()) return std::unexpected(Error{std::move(m.faults)});
  return out;
}

}  // namespace weir::gateway
