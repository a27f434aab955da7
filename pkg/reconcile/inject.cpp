#include "reconcile/inject.h"

#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "kube/access.h"
#include "model/formats.h"
#include "reconcile/fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using fields::array_at;
using fields::object_at;
using fields::text_at;
using json::object;

constexpr std::string_view container_name = "weir", state_volume = "weir-state", config_volume = "weir-config",
                           config_folder = "/etc/weir/sidecar";

struct Outbound {
  std::uint16_t port = 0;  // on loopback
  std::string host;        // a DNS name, or an upstream of the configuration
  std::uint16_t host_port = 80;
};

struct Plan {
  std::uint16_t app_port = 0;
  std::vector<Outbound> outbound;
  std::string config_map;  // empty: the configuration is made of the above
};

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || port == 0) return {};
  return port;
}

// What the pod says, then what makes the pod.
class Annotations {
 public:
  Annotations(const object& pod, const object& owner) {
    for (const auto* from : {&owner, &pod})
      if (const auto* metadata = object_at(*from, "metadata"))
        if (const auto* given = object_at(*metadata, "annotations"))
          for (const auto& pair : *given) all_[pair.key()] = pair.value();
  }
  std::string_view operator[](std::string_view name) const { return text::trim(text_at(all_, name)); }

 private:
  object all_;
};

std::optional<std::uint16_t> first_container_port(const object& spec) {
  const auto* containers = array_at(spec, "containers");
  if (!containers) return {};
  for (const auto& container : *containers) {
    const auto* ports = container.is_object() ? array_at(container.get_object(), "ports") : nullptr;
    if (!ports) continue;
    for (const auto& port : *ports)
      if (const auto* one = port.if_object())
        if (const auto number = fields::number_at(*one, "containerPort"); number && *number > 0 && *number <= 65535)
          return static_cast<std::uint16_t>(*number);
  }
  return {};
}

Result<Outbound> read_outbound(std::string_view entry) {
  const auto equals = entry.find('=');
  const auto port = port_of(text::trim(entry.substr(0, equals)));
  if (equals == entry.npos || !port)
    return fail("weir.dev/outbound: '{}' is not of the form <port>=<upstream>[:<port>]", model::shown(entry));
  const auto address = model::read_address(text::trim(entry.substr(equals + 1)));
  if (!address.address) return fail("weir.dev/outbound: {}", address.wrong);
  if (address.address->port == 0) return fail("weir.dev/outbound: '{}' has no port 0", address.address->host);
  return Outbound{*port, address.address->host, static_cast<std::uint16_t>(address.address->port.value_or(80))};
}

Result<Plan> plan_for(const object& spec, const Annotations& annotations, const Sidecar& sidecar) {
  Plan plan;
  if (const auto given = annotations["weir.dev/app-port"]; !given.empty()) {
    const auto port = port_of(given);
    if (!port) return fail("weir.dev/app-port: '{}' is no port", model::shown(given));
    plan.app_port = *port;
  } else if (const auto port = first_container_port(spec)) {
    plan.app_port = *port;
  } else {
    return fail(
        "no container has a containerPort; say where the application listens by the annotation weir.dev/app-port, or "
        "leave "
        "the pod alone by weir.dev/inject: \"false\"");
  }
  std::set<std::uint16_t> taken{sidecar.inbound_port, sidecar.status_port};
  if (!taken.insert(plan.app_port).second)
    return fail("the application's port {} is one of the sidecar's; choose others", plan.app_port);
  for (const auto entry : text::split(annotations["weir.dev/outbound"])) {
    auto outbound = read_outbound(entry);
    if (!outbound) return std::unexpected(outbound.error());
    if (!taken.insert(outbound->port).second)
      return fail("weir.dev/outbound: port {} is taken already", outbound->port);
    plan.outbound.push_back(std::move(*outbound));
  }
  plan.config_map = annotations["weir.dev/config"];
  return plan;
}

// A route of an outbound port is found by the Host header, which a client from outside could send as well: it is for
// requests of this pod only.
object outbound_service(const Outbound& outbound) {
  const auto name = fmt::format("outbound-{}", outbound.port);
  json::array hosts{json::value(fmt::format("localhost:{}", outbound.port)),
                    json::value(fmt::format("127.0.0.1:{}", outbound.port))};
  if (outbound.host.find(':') == std::string::npos) hosts.push_back(json::value(outbound.host));
  object only_local{{"name", "ip-restriction"}, {"config", object{{"allow", json::array{"127.0.0.0/8", "::1/128"}}}}};
  object route{{"name", name},
               {"hosts", std::move(hosts)},
               {"strip_path", false},
               {"plugins", json::array{std::move(only_local)}}};
  return {
      {"name", name}, {"host", outbound.host}, {"port", outbound.host_port}, {"routes", json::array{std::move(route)}}};
}

// Kong's declarative format.
object configuration(const Plan& plan) {
  object inbound_route{
      {"name", "inbound"}, {"paths", json::array{"/"}}, {"strip_path", false}, {"preserve_host", true}};
  json::array services{object{{"name", "inbound"},
                              {"host", "127.0.0.1"},
                              {"port", plan.app_port},
                              {"routes", json::array{std::move(inbound_route)}}}};
  for (const auto& outbound : plan.outbound) services.push_back(outbound_service(outbound));
  return {{"_format_version", "3.0"}, {"services", std::move(services)}};
}

object variable(std::string_view name, std::string value) {
  return {{"name", name}, {"value", std::move(value)}};
}

json::array environment(const Plan& plan, const Sidecar& sidecar) {
  auto listen = fmt::format("0.0.0.0:{} reuseport backlog=16384", sidecar.inbound_port);
  for (const auto& outbound : plan.outbound) listen += fmt::format(", 127.0.0.1:{} reuseport", outbound.port);
  json::array out{variable("WEIR_PREFIX", "/var/lib/weir"),
                  variable("WEIR_DATABASE", "off"),
                  variable("WEIR_KUBERNETES", "off"),  // the pod's account is the application's
                  variable("WEIR_PROXY_LISTEN", std::move(listen)),
                  variable("WEIR_ADMIN_LISTEN", "off"),
                  variable("WEIR_STATUS_LISTEN", fmt::format("0.0.0.0:{}", sidecar.status_port)),
                  variable("WEIR_NGINX_WORKER_PROCESSES", "1")};
  if (plan.config_map.empty())
    out.push_back(variable("WEIR_DECLARATIVE_CONFIG_STRING", json::serialize(configuration(plan))));
  else
    out.push_back(variable("WEIR_DECLARATIVE_CONFIG", fmt::format("{}/weir.yaml", config_folder)));
  return out;
}

object probe(std::string_view path, const Sidecar& sidecar, int period, int failures) {
  return {{"httpGet", object{{"path", path}, {"port", sidecar.status_port}}},
          {"periodSeconds", period},
          {"failureThreshold", failures}};
}

// There is no preStop hook: hooks of all containers run at once when the pod ends, but the sidecar's SIGTERM waits
// until the application has stopped (KEP-753). Then it drains.
object container(const Plan& plan, const Sidecar& sidecar) {
  json::array mounts{object{{"name", state_volume}, {"mountPath", "/var/lib/weir"}}};
  if (!plan.config_map.empty())
    mounts.push_back(object{{"name", config_volume}, {"mountPath", config_folder}, {"readOnly", true}});
  return {{"name", container_name},
          {"image", sidecar.image},
          {"restartPolicy", "Always"},
          {"args", json::array{"run"}},
          {"env", environment(plan, sidecar)},
          {"ports", json::array{object{{"name", "weir-inbound"}, {"containerPort", sidecar.inbound_port}},
                                object{{"name", "weir-status"}, {"containerPort", sidecar.status_port}}}},
          // What follows, the application included, starts once Weir serves.
          {"startupProbe", probe("/status/ready", sidecar, 1, 60)},
          {"readinessProbe", probe("/status/ready", sidecar, 5, 3)},
          {"livenessProbe", probe("/status", sidecar, 10, 3)},
          {"resources", object{{"requests", object{{"cpu", "10m"}, {"memory", "32Mi"}}}}},
          {"securityContext", object{{"allowPrivilegeEscalation", false},
                                     {"readOnlyRootFilesystem", true},
                                     {"runAsNonRoot", true},
                                     {"runAsUser", 65532},
                                     {"runAsGroup", 65532},
                                     {"capabilities", object{{"drop", json::array{"ALL"}}}},
                                     {"seccompProfile", object{{"type", "RuntimeDefault"}}}}},
          {"volumeMounts", std::move(mounts)}};
}

bool has_sidecar(const object& spec) {
  for (const auto list : {"initContainers", "containers"})
    if (const auto* containers = array_at(spec, list))
      for (const auto& one : *containers)
        if (one.is_object() && text_at(one.get_object(), "name") == container_name) return true;
  return false;
}

// A list of the spec; null counts as not there.
json::array& list_in(object& spec, std::string_view name) {
  auto& list = spec[name];
  if (!list.is_array()) list.emplace_array();
  return list.get_array();
}

Result<bool> inject_pod(object& pod, const object& owner, const Sidecar& sidecar) {
  auto* value = pod.if_contains("spec");
  if (!value || !value->is_object()) return fail("the pod has no spec");
  auto& spec = value->get_object();
  if (has_sidecar(spec)) return false;
  const Annotations annotations(pod, owner);
  const auto plan = plan_for(spec, annotations, sidecar);
  if (!plan) return std::unexpected(plan.error());
  auto& first = list_in(spec, "initContainers");
  first.insert(first.begin(), container(*plan, sidecar));
  auto& volumes = list_in(spec, "volumes");
  volumes.push_back(object{{"name", state_volume}, {"emptyDir", object{}}});
  if (!plan->config_map.empty())
    volumes.push_back(object{{"name", config_volume}, {"configMap", object{{"name", plan->config_map}}}});
  return true;
}

// The part of a workload that describes its pods; null for other kinds.
object* pod_in(object& workload) {
  const auto kind = text_at(workload, "kind");
  std::vector<std::string_view> path;
  if (kind == "Pod")
    return &workload;
  else if (kind == "CronJob")
    path = {"spec", "jobTemplate", "spec", "template"};
  else if (kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet" || kind == "ReplicaSet" ||
           kind == "ReplicationController" || kind == "Job")
    path = {"spec", "template"};
  else
    return nullptr;
  auto* at = &workload;
  for (const auto step : path) {
    auto* next = at->if_contains(step);
    if (!next || !next->is_object()) return nullptr;
    at = &next->get_object();
  }
  return at;
}

object denied(std::string_view uid, std::string message) {
  return {{"uid", uid}, {"allowed", false}, {"status", object{{"code", 400}, {"message", std::move(message)}}}};
}

object answer(const object& request, const Sidecar& sidecar) {
  const auto uid = text_at(request, "uid");
  object unchanged{{"uid", uid}, {"allowed", true}};
  const auto* given = object_at(request, "object");
  const auto* kind = object_at(request, "kind");
  if (!given || !kind || text_at(*kind, "kind") != "Pod") return unchanged;
  if (Annotations(*given, {})["weir.dev/inject"] != "true") return unchanged;
  auto pod = *given;
  const auto changed = inject_pod(pod, {}, sidecar);
  if (!changed) return denied(uid, fmt::format("weir.dev/inject: {}", changed.error().message));
  if (!*changed) return unchanged;
  const auto& spec = pod.at("spec").get_object();
  json::array patch;
  for (const auto list : {"initContainers", "volumes"})
    patch.push_back(object{{"op", "add"}, {"path", fmt::format("/spec/{}", list)}, {"value", spec.at(list)}});
  unchanged["patchType"] = "JSONPatch";
  unchanged["patch"] = kube::encode_base64(json::serialize(patch));
  return unchanged;
}

}  // namespace

Result<std::size_t> inject(json::value& value, const Sidecar& sidecar) {
  auto* whole = value.if_object();
  if (!whole) return 0;
  if (auto* items = whole->if_contains("items");
      items && items->is_array() && text_at(*whole, "kind").ends_with("List")) {
    std::size_t changed = 0;
    for (auto& item : items->get_array()) {
      const auto one = inject(item, sidecar);
      if (!one) return one;
      changed += *one;
    }
    return changed;
  }
  auto* pod = pod_in(*whole);
  if (!pod || Annotations(*pod, *whole)["weir.dev/inject"] == "false") return 0;
  const auto changed = inject_pod(*pod, *whole, sidecar);
  if (!changed)
    return fail("{} {}: {}", model::shown(text_at(*whole, "kind")), model::shown(fields::meta(*whole, "name")),
                changed.error().message);
  return *changed ? 1 : 0;
}

object inject_review(const object& review, const Sidecar& sidecar) {
  const auto* request = object_at(review, "request");
  auto response = request ? answer(*request, sidecar) : denied("", "the review has no request");
  return {{"apiVersion", "admission.k8s.io/v1"}, {"kind", "AdmissionReview"}, {"response", std::move(response)}};
}

}  // namespace weir::reconcile
