#include "reconcile/http_route_rules.h"

#include <re2/re2.h>

#include <set>

#include "base/text.h"

#include "reconcile/gateway_fields.h"
#include "reconcile/http_route_filters.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using Condition = model::GatewayRoute::Condition;

template <class T>
using Judged = std::expected<T, RuleFault>;

std::unexpected<RuleFault> unsupported(std::string message) {
  return std::unexpected(RuleFault{"UnsupportedValue", std::move(message)});
}

// As the snapshot compiles patterns; nothing: it is fine.
std::optional<std::string> fault_of_pattern(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 compiled(pattern, options);
  return compiled.ok() ? std::nullopt
                       : std::optional(fmt::format("pattern {} is not valid: {}", pattern, compiled.error()));
}

Judged<std::vector<Condition>> conditions_of(const json::array& given, bool headers) {
  std::vector<Condition> out;
  std::set<std::string> names;  // of equivalent names only the first counts
  for (const auto& value : given) {
    const auto& one = object_in(value);
    const auto type = text_of(one, "type", "Exact");
    if (type != "Exact" && type != "RegularExpression") return unsupported(fmt::format("match type {}", type));
    auto name = text_of(one, "name");
    if (headers) name = text::lower(name);
    if (!names.insert(name).second) continue;
    auto wanted = text_of(one, "value");
    const bool regex = type == "RegularExpression";
    if (regex)
      if (auto why = fault_of_pattern(wanted)) return unsupported(std::move(*why));
    out.push_back({std::move(name), std::move(wanted), regex});
  }
  return out;
}

Judged<void> read_path(const Object& match, model::GatewayRoute& out) {
  const auto& path = object_of(match, {"path"});
  const auto type = text_of(path, "type", "PathPrefix");
  out.path = text_of(path, "value", "/");
  if (type == "Exact")
    out.path_kind = model::GatewayRoute::Path::exact;
  else if (type == "PathPrefix")
    out.path_kind = model::GatewayRoute::Path::prefix;
  else if (type == "RegularExpression")
    out.path_kind = model::GatewayRoute::Path::regex;
  else
    return unsupported(fmt::format("path match type {}", type));
  if (out.path_kind == model::GatewayRoute::Path::regex)
    if (auto why = fault_of_pattern(out.path)) return unsupported(std::move(*why));
  return {};
}

Judged<model::GatewayRoute> match_of(const Object& match) {
  model::GatewayRoute out;
  if (auto read = read_path(match, out); !read) return std::unexpected(read.error());
  out.method = text_of(match, "method");
  auto headers = conditions_of(array_of(match, {"headers"}), true);
  if (!headers) return std::unexpected(headers.error());
  auto queries = conditions_of(array_of(match, {"queryParams"}), false);
  if (!queries) return std::unexpected(queries.error());
  out.headers = std::move(*headers);
  out.queries = std::move(*queries);
  return out;
}

// What all matches of a rule share.
struct Target {
  RuleFilters filters;
  std::vector<model::WeightedService> services;
  std::chrono::milliseconds request_timeout{0}, backend_timeout{0};
};

Judged<void> read_backends(const Object& rule, RouteBackends& backends, Target& out) {
  for (const auto& value : array_of(rule, {"backendRefs"})) {
    const auto& reference = object_in(value);
    auto filters = filters_of(array_of(reference, {"filters"}), true, backends);
    if (!filters) return std::unexpected(filters.error());
    const auto weight = static_cast<std::uint32_t>(number_of(reference, "weight").value_or(1));
    std::shared_ptr<const model::BackendTls> tls;
    const auto service = backends.resolve(reference, &tls);
    out.services.push_back({service, weight, std::move(filters->filters), std::move(tls)});
  }
  return {};
}

Judged<std::chrono::milliseconds> timeout_of(const Object& rule, std::string_view field) {
  const auto text = text_of(object_of(rule, {"timeouts"}), field);
  if (text.empty()) return std::chrono::milliseconds(0);
  const auto parsed = parse_duration(text);
  if (!parsed) return unsupported(fmt::format("timeouts.{}: {} is not a duration", field, text));
  return *parsed;
}

Judged<Target> target_of(const Object& rule, RouteBackends& backends) {
  Target out;
  for (const auto* field : {"retry", "sessionPersistence"})
    if (has(rule, field)) return unsupported(fmt::format("{} is not supported by this version", field));
  auto filters = filters_of(array_of(rule, {"filters"}), false, backends);
  if (!filters) return std::unexpected(filters.error());
  out.filters = std::move(*filters);
  if (auto read = read_backends(rule, backends, out); !read) return std::unexpected(read.error());
  const auto request = timeout_of(rule, "request"), backend = timeout_of(rule, "backendRequest");
  if (!request) return std::unexpected(request.error());
  if (!backend) return std::unexpected(backend.error());
  out.request_timeout = *request;
  out.backend_timeout = *backend;
  return out;
}

// A filter that cannot be applied must not be skipped, and what the rule matches must not fall to another rule that
// does without it: such requests are answered 500.
bool closes(const Object& rule) {
  return !array_of(rule, {"filters"}).empty();
}

class Rules {
 public:
  Rules(const Name& name, const Object& object, RouteBackends& backends)
      : name_(name), created_(created_at(object)), backends_(backends) {
    const auto& rules = array_of(object, {"spec", "rules"});
    out_.all = rules.size();
    for (std::size_t i = 0; i < rules.size(); ++i) add(i, object_in(rules[i]));
  }
  RouteRules take() && { return std::move(out_); }

 private:
  void drop(std::size_t rule, const RuleFault& fault) {
    if (out_.dropped++ == 0) {
      out_.reason = fault.reason;
      out_.message = fmt::format("Dropped Rule {}: {}.", rule, fault.message);
    }
  }

  void add(std::size_t index, const Object& rule) {
    std::vector<model::GatewayRoute> matches;
    const auto& given = array_of(rule, {"matches"});
    if (given.empty()) matches.emplace_back();
    for (const auto& value : given) {
      auto match = match_of(object_in(value));
      if (!match) return drop(index, match.error());
      matches.push_back(std::move(*match));
    }
    auto target = target_of(rule, backends_);
    if (!target) {
      drop(index, target.error());
      if (!closes(rule)) return;
      target = Target{};
    }
    for (std::size_t i = 0; i < matches.size(); ++i) add(index, i, std::move(matches[i]), *target);
  }

  void add(std::size_t rule, std::size_t match, model::GatewayRoute route, const Target& target) {
    route.id = entity_id("HTTPRoute", name_, fmt::format("{}/{}", rule, match));
    route.created_at = created_;
    route.order = fmt::format("{}/{:04}/{:04}", name_.text(), rule, match);
    route.filters = target.filters.filters;
    route.services = target.services;
    route.request_timeout = target.request_timeout;
    route.backend_timeout = target.backend_timeout;
    out_.routes.push_back(std::move(route));
    out_.plugins.push_back(target.filters.plugins);
  }

  const Name& name_;
  const std::int64_t created_;
  RouteBackends& backends_;
  RouteRules out_;
};

}  // namespace

RouteRules rules_of(const Name& route, const Object& object, RouteBackends& backends) {
  return Rules(route, object, backends).take();
}

}  // namespace weir::reconcile
