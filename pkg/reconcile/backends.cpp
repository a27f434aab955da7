#include "reconcile/backends.h"

#include <set>

#include "base/text.h"
#include "kube/moment.h"
#include "reconcile/fields.h"
#include "reconcile/kong_upstream.h"

namespace weir::reconcile {
namespace {

using fields::array_at;
using fields::object_at;
using fields::text_at;

// The Service's port that the backend means.
const Object* port_of(const Backend& backend, const Object& spec) {
  const auto* ports = array_at(spec, "ports");
  if (!ports) return nullptr;
  for (const auto& value : *ports) {
    const auto* port = value.if_object();
    if (!port) continue;
    const bool means =
        backend.port ? fields::number_at(*port, "port") == backend.port : text_at(*port, "name") == backend.port_name;
    if (means) return port;
  }
  return nullptr;
}

// Kubernetes gives a slice's port the name of the Service's ("" for an unnamed one), and the number that the pods
// listen on. A headless Service without ports of its own has slices without ports: then the backend's number holds.
std::optional<std::int64_t> number_in(const Object& slice, std::string_view port_name, const Backend& backend,
                                      bool headless) {
  const auto* ports = array_at(slice, "ports");
  if (!ports || ports->empty())
    return headless && backend.port ? std::optional<std::int64_t>(backend.port) : std::nullopt;
  for (const auto& value : *ports) {
    const auto* port = value.if_object();
    if (port && text_at(*port, "name") == port_name) return fields::number_at(*port, "port");
  }
  return std::nullopt;
}

std::string host_port(std::string_view host, std::int64_t port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                  : fmt::format("[{}]:{}", host, port);
}

struct Found {
  std::set<std::string> ready, terminating;
};

void read_slice(const Object& slice, std::int64_t port, Found& found) {
  const auto* endpoints = array_at(slice, "endpoints");
  if (!endpoints) return;
  for (const auto& value : *endpoints) {
    const auto* endpoint = value.if_object();
    if (!endpoint) continue;
    const auto* conditions = object_at(*endpoint, "conditions");
    // nil means: not known, to be taken as ready (EndpointConditions.ready), and serving as ready.
    const auto says = [&](std::string_view name) -> std::optional<bool> {
      const auto* condition = conditions ? conditions->if_contains(name) : nullptr;
      return condition && condition->is_bool() ? std::optional(condition->get_bool()) : std::nullopt;
    };
    const bool ready = says("ready").value_or(true), terminating = says("terminating").value_or(false);
    auto* list = ready ? &found.ready : terminating && says("serving").value_or(ready) ? &found.terminating : nullptr;
    const auto* addresses = list ? array_at(*endpoint, "addresses") : nullptr;
    if (!addresses) continue;
    for (const auto& address : *addresses)
      if (address.is_string() && !address.get_string().empty())
        list->insert(host_port(std::string_view(address.get_string()), port));
  }
}

}  // namespace

std::vector<std::string> targets_of(const Backend& backend, const Object& service, View& view) {
  static const Object none;
  const auto* spec = object_at(service, "spec");
  if (!spec) spec = &none;
  if (text_at(*spec, "type") == "ExternalName") {
    auto name = std::string(text_at(*spec, "externalName"));
    if (name.empty() || !backend.port) return {};
    return {host_port(name, backend.port)};
  }
  const auto* port = port_of(backend, *spec);
  if (backend.by_cluster_ip) {
    const auto number = port ? fields::number_at(*port, "port") : std::nullopt;
    if (!number) return {};
    return {fmt::format("{}.{}.svc:{}", backend.service.name, backend.service.space, *number)};
  }
  const bool headless = text_at(*spec, "clusterIP") == "None";
  if (!port && !headless) return {};
  const auto port_name = port ? text_at(*port, "name") : std::string_view(backend.port_name);
  Found found;
  for (const auto& slice : view.slices(backend.service)) {
    // Slices of type FQDN are deprecated and never made by Kubernetes; their names resolve as any target's.
    if (const auto number = number_in(slice, port_name, backend, headless)) read_slice(slice, *number, found);
  }
  const auto& chosen = found.ready.empty() ? found.terminating : found.ready;
  return {chosen.begin(), chosen.end()};
}

Output translate_backend(const Backend& backend, View& view) {
  Output out;
  out.by = std::make_shared<const model::DeclaredBy>(model::DeclaredBy{"Service", backend.service.text(), 0});
  const auto service = view.get(kinds::service, backend.service);
  const auto name = upstream_name(backend);
  // 0 is no valid time of an entity.
  const auto created = static_cast<double>(std::max<std::int64_t>(service ? fields::created_at(*service) : 0, 1));
  const auto port = backend.port ? std::to_string(backend.port) : backend.port_name;
  const auto id = entity_id("Upstream", backend.service, port);

  const auto* upstreams = model::find_schema("upstreams");
  Object plain{{"id", id.text()}, {"name", name}};
  Object input = plain;
  if (service) kong_upstream(*service, view, input, out.fault);
  auto upstream = upstreams->insert(std::move(input), created);
  if (!upstream) {
    if (!out.fault.empty()) out.fault += "; ";
    out.fault += upstream.error().message;
    upstream = upstreams->insert(std::move(plain), created);
  }
  if (!out.fault.empty()) out.fault_reason = "InvalidUpstream";
  if (!upstream) return out;  // the name itself is no host name: nothing could be balanced under it
  out.entities.push_back({upstreams, id, std::move(*upstream)});

  if (!service) return out;
  const auto* targets = model::find_schema("targets");
  for (const auto& target : targets_of(backend, *service, view)) {
    const auto target_id = entity_id("Endpoint", backend.service, fmt::format("{}/{}", port, target));
    auto made = targets->insert(
        {{"id", target_id.text()}, {"upstream", {{"id", id.text()}}}, {"target", target}, {"weight", 100}}, created);
    if (made)
      out.entities.push_back({targets, target_id, std::move(*made)});
    else if (out.fault.empty())
      out.fault_reason = "InvalidEndpoint", out.fault = fmt::format("{}: {}", target, made.error().message);
  }
  return out;
}

}  // namespace weir::reconcile
