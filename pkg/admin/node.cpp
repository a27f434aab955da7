// What this node is and how it does: /, /status, /status/ready, /metrics.
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "admin/body.h"
#include "admin/endpoint.h"
#include "model/formats.h"
#include "model/plugin_schemas.h"

namespace weir::admin {

namespace {

namespace json = boost::json;

std::string host_name() {
  char name[256] = "";
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// Resident memory of this process; 0 when the system does not say.
std::uint64_t resident_bytes() {
  std::uint64_t pages = 0, resident = 0;
  if (auto* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu %lu", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// How /status?unit=&scale= wants sizes shown.
struct SizeFormat {
  char unit = 'm';
  int scale = 2;

  json::value print(std::uint64_t bytes) const {
    if (unit == 'b') return bytes;
    const double divisor = unit == 'k' ? 1024.0 : unit == 'm' ? 1048576.0 : 1073741824.0;
    const auto prefix = static_cast<char>(unit - 32);
    return json::value(fmt::format("{:.{}f} {}iB", static_cast<double>(bytes) / divisor, scale, prefix));
  }
};

std::expected<SizeFormat, Answer> read_size_format(const Call& call) {
  SizeFormat out;
  if (const auto* unit = call.arg("unit")) {
    out.unit = unit->size() == 1 ? static_cast<char>((*unit)[0] | 0x20) : '?';
    if (out.unit != 'b' && out.unit != 'k' && out.unit != 'm' && out.unit != 'g')
      return std::unexpected(
          answer_message(400, fmt::format("invalid unit '{}' (expected 'k/K', 'm/M', or 'g/G')", model::shown(*unit))));
  }
  if (const auto* scale = call.arg("scale")) {
    const auto [end, failed] = std::from_chars(scale->data(), scale->data() + scale->size(), out.scale);
    if (failed != std::errc() || end != scale->data() + scale->size() || out.scale < 0 || out.scale > 10)
      return std::unexpected(
          answer_message(400, fmt::format("invalid scale '{}' (expected 0 to 10)", model::shown(*scale))));
  }
  return out;
}

Object show_plugins(const Context& context) {
  Object available;
  json::array in_use;
  const auto snapshot = context.node.snapshot();
  for (const auto& plugin : model::plugin_schemas()) {
    available[plugin.name] = Object{{"version", context.options.version}, {"priority", plugin.priority}};
    if (snapshot && snapshot->plugins_of_kind(plugin.name) > 0)
      in_use.emplace_back(json::string_view(plugin.name.data(), plugin.name.size()));
  }
  return {{"available_on_server", std::move(available)}, {"enabled_in_cluster", std::move(in_use)}};
}

Answer show_node(const Context& context, const Call&) {
  const Object version{{"version", context.options.weir_version}};
  return answer_json(200, Object{{"tagline", "Welcome to Weir"},
                                 {"version", context.options.version},
                                 {"edition", "community"},
                                 {"weir", version},
                                 {"hostname", host_name()},
                                 {"node_id", context.node.node_id()},
                                 {"timers", Object{{"running", 0}, {"pending", 0}}},
                                 {"plugins", show_plugins(context)},
                                 {"configuration", context.node.configuration()},
                                 {"pids", Object{{"master", getpid()}, {"workers", json::array{getpid()}}}}});
}

// What is served, and what had to be left out of it.
Object weir_status(const Context& context) {
  json::array faults;
  for (const auto& fault : context.node.store_faults())
    faults.push_back(Object{{"entity", fault.schema}, {"id", fault.id}, {"name", nullptr}, {"message", fault.message}});
  const auto snapshot = context.node.snapshot();
  if (snapshot)
    for (const auto& fault : snapshot->faults()) {
      const auto& origin = fault.origin;
      faults.push_back(Object{{"entity", json::string_view(origin.kind.data(), origin.kind.size())},
                              {"id", origin.id.text()},
                              {"name", origin.name.empty() ? json::value(nullptr) : json::value(origin.name)},
                              {"message", fault.message}});
    }
  return {{"version", context.options.weir_version},
          {"revision", snapshot ? snapshot->revision() : 0},
          {"routes", snapshot ? snapshot->routes() : 0},
          {"services", snapshot ? snapshot->services() : 0},
          {"upstreams", snapshot ? snapshot->upstreams() : 0},
          {"plugins", snapshot ? snapshot->plugins() : 0},
          {"faults", std::move(faults)}};
}

Answer show_status(const Context& context, const Call& call) {
  const auto format = read_size_format(call);
  if (!format) return format.error();
  const auto counts = context.node.connections();
  const auto resident = format->print(resident_bytes());
  Object body{
      {"memory", Object{{"resident", resident},
                        {"lua_shared_dicts", Object{}},
                        {"workers_lua_vms", json::array{Object{{"http_allocated_gc", resident}, {"pid", getpid()}}}}}},
      {"server", Object{{"connections_active", counts.active},
                        {"connections_reading", counts.reading},
                        {"connections_writing", counts.writing},
                        {"connections_waiting", counts.waiting},
                        {"connections_accepted", counts.accepted},
                        {"connections_handled", counts.handled},
                        {"total_requests", counts.requests}}},
      {"weir", weir_status(context)}};
  if (context.options.database_off)
    body["configuration_hash"] = context.node.configuration_hash();
  else
    body["database"] = Object{{"reachable", context.node.database_reachable()}};
  return answer_json(200, body);
}

Answer show_metrics(const Context& context, const Call&) {
  return {{200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, context.node.metrics()}};
}

Answer show_ready(const Context& context, const Call&) {
  if (const auto reason = context.node.unready()) return answer_message(503, *reason);
  return answer_message(200, "ready");
}

Answer set_ready(const Context& context, const Call& call) {
  const auto body = read_body(call.request);
  if (!body) return body.error();
  const auto* status = body->values.if_contains("status");
  if (!status || *status != "draining") return answer_message(400, "status must be 'draining'");
  context.node.set_draining();
  return answer_empty(204);
}

}  // namespace

void add_node(Table& table, const Context& context) {
  table.add("GET", "/",
            on_control({[&context](const Call& call) { return show_node(context, call); },
                        "What this node is, and its effective settings", "", ""}));
}

void add_status(Table& table, const Context& context) {
  table.add("GET", "/status",
            on_control({[&context](const Call& call) { return show_status(context, call); },
                        "Memory, connections, store, and faulty entities",
                        "",
                        "",
                        200,
                        {"unit", "scale"}}));
  table.add("GET", "/metrics",
            on_control({[&context](const Call& call) { return show_metrics(context, call); },
                        "Metrics in Prometheus' text format", "", "text"}));
}

void add_ready(Table& table, const Context& context) {
  table.add("GET", "/status/ready",
            on_control({[&context](const Call& call) { return show_ready(context, call); },
                        "Whether this node can take traffic", "", ""}));
  table.add("POST", "/status/ready",
            on_control({[&context](const Call& call) { return set_ready(context, call); },
                        "Take this node out of traffic: status=draining", "draining", "", 204}));
}

}  // namespace weir::admin
