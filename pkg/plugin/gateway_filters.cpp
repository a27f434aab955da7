#include "plugin/gateway_filters.h"

#include <optional>
#include <string>
#include <vector>

#include "model/schema_builder.h"
#include "plugin/gateway_cors.h"
#include "plugin/gateway_paths.h"

namespace weir::plugin {
namespace {

using Path = model::GatewayRoute::Path;

// Filters of one rule or one backend, with what can be made ready beforehand.
class FilterSet {
 public:
  FilterSet(std::shared_ptr<const model::Filters> filters, Path kind, const std::string& path)
      : filters_(std::move(filters)) {
    if (filters_->redirect) redirect_path_ = PathChange(filters_->redirect->path, kind, path);
    if (filters_->rewrite) rewrite_path_ = PathChange(filters_->rewrite->path, kind, path);
    if (filters_->cors) cors_.emplace(*filters_->cors);
  }

  Step access(Exchange& x) const {
    if (cors_ && cors_->access(x) == Step::done) return Step::done;
    if (filters_->redirect) {
      redirect(x, *filters_->redirect);
      return Step::done;
    }
    if (filters_->rewrite) rewrite(x, *filters_->rewrite);
    const auto& edits = filters_->request;
    for (const auto& [name, value] : edits.set) x.set_header(name, value);
    for (const auto& [name, value] : edits.add) x.add_header(name, value);
    for (const auto& name : edits.remove) x.remove_header(name);
    for (const auto& mirror : filters_->mirrors) x.mirror(mirror.service, mirror.numerator, mirror.denominator);
    return Step::next;
  }

  void header_filter(Exchange& x) const {
    if (cors_) cors_->header_filter(x);
    const auto& edits = filters_->response;
    for (const auto& [name, value] : edits.set) x.set_response_header(name, value);
    for (const auto& [name, value] : edits.add) x.add_response_header(name, value);
    for (const auto& name : edits.remove) x.remove_response_header(name);
  }

 private:
  void redirect(Exchange& x, const model::Redirect& to) const {
    thread_local std::string location, path;
    location.clear();
    const auto scheme = to.scheme.empty() ? x.scheme() : std::string_view(to.scheme);
    const auto host = to.hostname.empty() ? x.host() : std::string_view(to.hostname);
    // Without one of its own: the well-known port of a scheme that is named, else the listener's.
    const std::uint16_t port = to.port ? *to.port : to.scheme.empty() ? x.port() : std::uint16_t{0};
    // HTTP/1.0 may name no host: then a reference that is relative to where the client is.
    if (!host.empty()) append_authority(location, scheme, host, port);
    if (redirect_path_.any()) {
      redirect_path_.apply(x.path(), path);
      location.append(path);
    } else {
      location.append(x.path() == "*" ? "/" : x.path());
    }
    if (!x.raw_query().empty()) location.append("?").append(x.raw_query());
    x.set_response_header("Location", location);
    x.respond(to.status, {}, {});
  }

  void rewrite(Exchange& x, const model::Rewrite& to) const {
    if (!to.hostname.empty()) x.set_upstream_host(to.hostname);
    if (!rewrite_path_.any()) return;
    thread_local std::string path;
    rewrite_path_.apply(x.path(), path);
    x.set_upstream_path(path);
  }

  std::shared_ptr<const model::Filters> filters_;
  PathChange redirect_path_, rewrite_path_;
  std::optional<GatewayCors> cors_;
};

class GatewayFilters final : public Plugin {
 public:
  explicit GatewayFilters(const model::GatewayRoute& route) {
    if (route.filters) rule_.emplace(route.filters, route.path_kind, route.path);
    for (const auto& backend : route.services)
      if (backend.filters)
        backends_.push_back({backend.service, FilterSet(backend.filters, route.path_kind, route.path)});
  }

  bool empty() const { return !rule_ && backends_.empty(); }

  Step access(Exchange& x) const override {
    if (rule_ && rule_->access(x) == Step::done) return Step::done;
    const auto* backend = picked(x);
    return backend ? backend->access(x) : Step::next;
  }

  void header_filter(Exchange& x) const override {
    if (const auto* backend = picked(x)) backend->header_filter(x);
    if (rule_) rule_->header_filter(x);
  }

 private:
  struct OfBackend {
    Uuid service;
    FilterSet filters;
  };

  const FilterSet* picked(Exchange& x) const {
    if (backends_.empty()) return nullptr;
    const auto* service = x.service();
    if (!service) return nullptr;
    for (const auto& backend : backends_)
      if (backend.service == service->id) return &backend.filters;
    return nullptr;
  }

  std::optional<FilterSet> rule_;
  std::vector<OfBackend> backends_;
};

struct Config {};

const auto& declared() {
  static const auto made = model::SchemaBuilder<Config>("gateway-filters").build();
  return made;
}

}  // namespace

const Kind& gateway_filters() {
  static const Kind kind{
      .name = "gateway-filters",
      .priority = 10'000,
      .phases = phase_access | phase_header_filter,
      .consumer_scope = false,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object&, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return fail("gateway-filters cannot be configured: it is made of the filters of an HTTPRoute");
      }};
  return kind;
}

std::unique_ptr<const Plugin> make_gateway_filters(const model::GatewayRoute& route) {
  auto made = std::make_unique<GatewayFilters>(route);
  if (made->empty()) return nullptr;
  return made;
}

}  // namespace weir::plugin
