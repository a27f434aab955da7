// HTTPRoute: becomes one GatewayRoute for each match of each rule, the services they need, and the plugins named.
#include <algorithm>
#include <set>

#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"
#include "reconcile/http_route_backends.h"
#include "reconcile/http_route_parents.h"
#include "reconcile/http_route_rules.h"
#include "reconcile/kong_plugins.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

constexpr std::string_view plugins_annotation = "konghq.com/plugins";

// What other controllers say in the status stays.
json::array parents_of_others(const Object& route, std::string_view controller) {
  json::array out;
  for (const auto& value : array_of(route, {"status", "parents"}))
    if (text_of(object_in(value), "controllerName") != controller) out.push_back(value);
  return out;
}

class HttpRouteUnit {
 public:
  HttpRouteUnit(const Name& name, const Object& object, View& view)
      : name_(name),
        object_(object),
        view_(view),
        generation_(generation_of(object)),
        parents_(parents_of(name, object, view)) {}

  Output translate() {
    auto others = parents_of_others(object_, view_.settings().controller);
    if (parents_.empty()) {  // if it was ours before, what we said goes
      if (others.size() != array_of(object_, {"status", "parents"}).size())
        out_.status = Object{{"parents", std::move(others)}};
      return std::move(out_);
    }
    out_.by = declared_by("HTTPRoute", name_, object_);
    RouteBackends backends(name_, view_, out_);
    rules_ = rules_of(name_, object_, backends);
    for (std::size_t i = 0; i < rules_.routes.size(); ++i) add_plugins(i, backends);
    add_routes();
    add_tells(backends);
    for (const auto& parent : parents_) others.push_back(status_of(parent, backends));
    out_.status = Object{{"parents", std::move(others)}};
    add_fault(backends);
    if (out_.gateway.empty()) {  // it is attached nowhere: nothing of it is needed
      out_.entities.clear();
      out_.backends.clear();
    }
    return std::move(out_);
  }

 private:
  // No rule can be served.
  bool all_dropped() const { return rules_.all > 0 && rules_.dropped == rules_.all; }
  bool accepted(const RouteParent& parent) const { return parent.accepted() && !all_dropped(); }

  void add_plugins(std::size_t index, RouteBackends& backends) {
    auto& route = rules_.routes[index];
    auto names = text_of(object_of(object_, {"metadata", "annotations"}), plugins_annotation);
    for (const auto& plugin : rules_.plugins[index]) {
      if (!view_.get(kinds::kong_plugin, {name_.space, plugin})) {
        backends.fail("InvalidExtensionRef", fmt::format("There is no KongPlugin {}/{}.", name_.space, plugin));
        route.services.clear();  // a filter is never skipped: answered 500
        route.filters = nullptr;
      }
      names += (names.empty() ? "" : ",") + plugin;
    }
    if (names.empty()) return;
    const Object annotated{{"metadata", Object{{"name", name_.name},
                                               {"namespace", name_.space},
                                               {"annotations", Object{{plugins_annotation, names}}}}}};
    std::string fault;
    auto plugins = plugins_of(annotated, "HTTPRoute", name_, route.id, view_, fault);
    std::move(plugins.begin(), plugins.end(), std::back_inserter(out_.entities));
    if (!fault.empty()) plugin_fault_ = std::move(fault);
  }

  void add_routes() {
    std::vector<model::GatewayRoute::Attachment> attached;
    std::set<std::pair<Uuid, Uuid>> seen;
    for (const auto& parent : parents_)
      for (const auto& one : parent.attached)
        if (seen.emplace(one.entry, one.listener).second) attached.push_back(one);
    if (attached.empty()) return;
    for (auto& route : rules_.routes) {
      route.by = out_.by;
      route.attached = attached;
      const auto id = route.id;
      out_.gateway.push_back({id, nullptr, std::make_shared<const model::GatewayRoute>(std::move(route))});
    }
  }

  void add_tells(const RouteBackends& backends) {
    std::set<std::tuple<std::string_view, Name, std::string>> seen;
    const auto add = [&](const Tell& tell) {
      if (seen.emplace(tell.about.kind, tell.name, tell.text).second) out_.tells.push_back(tell);
    };
    for (const auto& parent : parents_) {
      if (!accepted(parent)) continue;
      for (const auto& tell : parent.tells) add(tell);
      for (const auto& policy : backends.policies())
        add({kinds::backend_tls_policy, policy, "gateway/" + parent.gateway.text()});
    }
  }

  Object accepted_condition(const RouteParent& parent) const {
    if (!parent.accepted()) return condition("Accepted", "False", parent.reason, parent.message, generation_);
    if (all_dropped()) return condition("Accepted", "False", rules_.reason, rules_.message, generation_);
    return condition("Accepted", "True", "Accepted", "", generation_);
  }

  Object status_of(const RouteParent& parent, const RouteBackends& backends) const {
    json::array conditions;
    conditions.push_back(accepted_condition(parent));
    conditions.push_back(backends.reason().empty()
                             ? condition("ResolvedRefs", "True", "ResolvedRefs", "", generation_)
                             : condition("ResolvedRefs", "False", backends.reason(), backends.message(), generation_));
    if (parent.accepted() && rules_.dropped > 0 && !all_dropped())
      conditions.push_back(condition("PartiallyInvalid", "True", rules_.reason, rules_.message, generation_));
    conditions.push_back(
        accepted(parent) && !parent.attached.empty()
            ? condition("weir.dev/Served", "True", "Served", "", generation_)
            : condition("weir.dev/Served", "False", "NotAccepted", "Nothing of it can be served.", generation_));
    return {{"parentRef", parent.reference},
            {"controllerName", view_.settings().controller},
            {"conditions", std::move(conditions)}};
  }

  void fault(const std::string& reason, const std::string& message) {
    if (!out_.fault_reason.empty() || reason.empty()) return;
    out_.fault_reason = reason;
    out_.fault = message;
  }
  void add_fault(const RouteBackends& backends) {
    for (const auto& parent : parents_) fault(parent.reason, parent.message);
    fault(rules_.reason, rules_.message);
    fault(backends.reason(), backends.message());
    if (!plugin_fault_.empty()) fault("InvalidPlugin", plugin_fault_);
  }

  const Name& name_;
  const Object& object_;
  View& view_;
  const std::int64_t generation_;
  const std::vector<RouteParent> parents_;
  RouteRules rules_;
  std::string plugin_fault_;
  Output out_;
};

}  // namespace

Output translate_http_route(const Name& name, const Object& object, View& view) {
  return HttpRouteUnit(name, object, view).translate();
}

}  // namespace weir::reconcile
