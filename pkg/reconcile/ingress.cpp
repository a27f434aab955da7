// Ingress (networking.k8s.io/v1) as routes, services, certificates and plugins: one route for each host, Service and
// port. reconcile/kong_*.h has what the annotations of konghq.com add.
#include <map>

#include "base/text.h"
#include "model/formats.h"
#include "reconcile/ingress_class.h"
#include "reconcile/ingress_paths.h"
#include "reconcile/ingress_route.h"
#include "reconcile/ingress_service.h"
#include "reconcile/ingress_status.h"
#include "reconcile/ingress_tls.h"
#include "reconcile/kong_units.h"

namespace weir::reconcile {
namespace {

class Translation {
 public:
  explicit Translation(Sheet& sheet) : sheet_(sheet), services_(sheet), settings_(sheet) {}

  void run() {
    const auto& spec = object_of(sheet_.object, {"spec"});
    const auto& fallback = object_of(spec, {"defaultBackend"});
    for (const auto& element : array_of(spec, {"rules"})) {
      const auto& rule = object_in(element);
      const auto host = text::lower(text_of(rule, "host"));
      const auto& paths = array_of(rule, {"http", "paths"});
      for (const auto& path : paths) add_path(host, object_in(path));
      // Kubernetes: a host without paths has its requests sent to the default backend.
      if (paths.empty() && !host.empty() && !fallback.empty()) add_path(host, {{"backend", fallback}});
    }
    for (auto& [place, paths] : paths_) {
      const auto& [host, service, port] = place;
      const auto name =
          fmt::format("{}.{}.{}.{}.{}", sheet_.name.space, sheet_.name.name, service, for_name(host), port.text());
      settings_.add_route(name, host, std::move(paths), services_.find(service, port));
    }
    if (!fallback.empty()) add_default(fallback);
    add_tls(sheet_);
  }

 private:
  static std::string for_name(std::string host) {
    for (char& c : host)
      if (c == '*') c = '_';
    return host;
  }

  // Nothing: told as a fault.
  std::optional<std::pair<std::string, PortName>> backend_of(const Object& backend) {
    const auto service = text_of(object_of(backend, {"service"}), "name");
    const auto& port = object_of(backend, {"service", "port"});
    const auto number = number_of(port, "number").value_or(0);
    PortName out{number > 0 && number <= 65535 ? static_cast<std::uint16_t>(number) : std::uint16_t{0},
                 text_of(port, "name")};
    if (out.number) out.name.clear();
    if (!service.empty() && (out.number || !out.name.empty())) return std::pair(service, out);
    sheet_.fault(has(backend, "resource") ? "a backend is a resource; only Services are supported"
                                          : "a backend has no Service with a port");
    return std::nullopt;
  }

  void add_path(const std::string& host, const Object& path) {
    const auto backend = backend_of(object_of(path, {"backend"}));
    if (!backend) return;
    auto made = route_paths(text_of(path, "path"), text_of(path, "pathType"), settings_.regex_prefix());
    if (!made) return sheet_.fault(made.error().message);
    auto& paths = paths_[{host, backend->first, backend->second}];
    for (auto& one : *made)
      if (std::ranges::find(paths, one) == paths.end()) paths.push_back(std::move(one));
  }

  void add_default(const Object& fallback) {
    const auto backend = backend_of(fallback);
    if (!backend) return;
    settings_.add_route(fmt::format("{}.{}", sheet_.name.space, sheet_.name.name), "", {"/"},
                        services_.find(backend->first, backend->second));
  }

  Sheet& sheet_;
  IngressServices services_;
  IngressRoutes settings_;
  std::map<std::tuple<std::string, std::string, PortName>, std::vector<std::string>> paths_;
};

Output translate(const Name& name, const Object& ingress, View& view) {
  Output out;
  if (!is_our_ingress(ingress, view)) return out;
  Sheet sheet(name, ingress, view, out);
  Translation(sheet).run();
  out.by = declared_by("Ingress", name, ingress);
  out.status = ingress_status(view);
  if (!out.fault.empty()) out.fault_reason = kong::translation_failed;
  return out;
}

}  // namespace

std::vector<UnitKind> ingress_units() {
  std::vector<UnitKind> out = kong_units();
  out.push_back({kinds::ingress, translate});
  return out;
}

}  // namespace weir::reconcile
