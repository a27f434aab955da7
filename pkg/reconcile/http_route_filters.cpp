#include "reconcile/http_route_filters.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"

#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

std::unexpected<RuleFault> unsupported(std::string message) {
  return std::unexpected(RuleFault{"UnsupportedValue", std::move(message)});
}

std::vector<std::string> texts(const Object& object, std::string_view field) {
  std::vector<std::string> out;
  for (const auto& value : array_of(object, {field}))
    if (value.is_string()) out.emplace_back(value.get_string());
  return out;
}

model::HeaderEdits header_edits(const Object& filter) {
  model::HeaderEdits out;
  const auto pairs = [&](std::string_view field) {
    std::vector<std::pair<std::string, std::string>> found;
    std::set<std::string> names;  // of equivalent names only the first counts
    for (const auto& value : array_of(filter, {field})) {
      const auto name = text_of(object_in(value), "name");
      if (names.insert(text::lower(name)).second) found.emplace_back(name, text_of(object_in(value), "value"));
    }
    return found;
  };
  out.set = pairs("set");
  out.add = pairs("add");
  out.remove = texts(filter, "remove");
  return out;
}

model::PathModifier path_modifier(const Object& filter) {
  const auto& path = object_of(filter, {"path"});
  const auto type = text_of(path, "type");
  if (type == "ReplaceFullPath") return {model::PathModifier::Kind::full, text_of(path, "replaceFullPath")};
  if (type == "ReplacePrefixMatch") return {model::PathModifier::Kind::prefix, text_of(path, "replacePrefixMatch")};
  return {};
}

model::Redirect redirect(const Object& filter) {
  model::Redirect out;
  out.scheme = text_of(filter, "scheme");
  out.hostname = text_of(filter, "hostname");
  out.path = path_modifier(filter);
  if (const auto port = number_of(filter, "port")) out.port = static_cast<std::uint16_t>(*port);
  out.status = static_cast<int>(number_of(filter, "statusCode").value_or(302));
  return out;
}

model::Cors cors(const Object& filter) {
  model::Cors out;
  out.origins = texts(filter, "allowOrigins");
  out.methods = texts(filter, "allowMethods");
  out.headers = texts(filter, "allowHeaders");
  out.exposed = texts(filter, "exposeHeaders");
  out.credentials = flag_of(filter, "allowCredentials").value_or(false);
  out.max_age = number_of(filter, "maxAge").value_or(5);
  return out;
}

void add_mirror(model::Filters& out, const Object& filter, RouteBackends& backends) {
  model::Mirror mirror;
  mirror.service = backends.resolve(object_of(filter, {"backendRef"}), nullptr);
  if (mirror.service.is_nil()) return;  // told by `backends`; the request itself goes on
  if (const auto percent = number_of(filter, "percent")) {
    mirror.numerator = static_cast<std::uint32_t>(*percent);
    mirror.denominator = 100;
  } else if (has(filter, "fraction")) {
    const auto& fraction = object_of(filter, {"fraction"});
    mirror.numerator = static_cast<std::uint32_t>(number_of(fraction, "numerator").value_or(0));
    mirror.denominator = static_cast<std::uint32_t>(number_of(fraction, "denominator").value_or(100));
  }
  if (mirror.denominator > 0) out.mirrors.push_back(mirror);
}

// A reference to a filter of ours. Nothing: done; else why it cannot be honoured.
std::optional<std::string> add_extension(RuleFilters& out, const Object& reference) {
  if (!refers_to(reference, kinds::kong_plugin, "", ""))
    return fmt::format("extensionRef to {} {} is not supported: refer to a KongPlugin.", text_of(reference, "kind"),
                       text_of(reference, "name"));
  out.plugins.push_back(text_of(reference, "name"));
  return {};
}

bool for_backends(std::string_view type) {
  return type == "RequestHeaderModifier" || type == "ResponseHeaderModifier" || type == "RequestMirror";
}

std::optional<std::string> add(RuleFilters& named, model::Filters& out, const Object& filter, RouteBackends& backends) {
  const auto type = text_of(filter, "type");
  if (type == "RequestHeaderModifier")
    out.request = header_edits(object_of(filter, {"requestHeaderModifier"}));
  else if (type == "ResponseHeaderModifier")
    out.response = header_edits(object_of(filter, {"responseHeaderModifier"}));
  else if (type == "RequestMirror")
    add_mirror(out, object_of(filter, {"requestMirror"}), backends);
  else if (type == "RequestRedirect")
    out.redirect = redirect(object_of(filter, {"requestRedirect"}));
  else if (type == "URLRewrite")
    out.rewrite = model::Rewrite{text_of(object_of(filter, {"urlRewrite"}), "hostname"),
                                 path_modifier(object_of(filter, {"urlRewrite"}))};
  else if (type == "CORS")
    out.cors = cors(object_of(filter, {"cors"}));
  else if (type == "ExtensionRef")
    return add_extension(named, object_of(filter, {"extensionRef"}));
  else
    return fmt::format("filter {} is not supported", type);
  return {};
}

}  // namespace

std::expected<RuleFilters, RuleFault> filters_of(const json::array& filters, bool of_backend, RouteBackends& backends) {
  RuleFilters out;
  if (filters.empty()) return out;
  auto made = std::make_shared<model::Filters>();
  std::set<std::string> once;
  for (const auto& value : filters) {
    const auto type = text_of(object_in(value), "type");
    if (of_backend && !for_backends(type))
      return unsupported(fmt::format("filter {} is not supported for a single backend", type));
    if (type != "RequestMirror" && type != "ExtensionRef" && !once.insert(type).second)
      return std::unexpected(RuleFault{"IncompatibleFilters", fmt::format("filter {} is given twice", type)});
    if (auto why = add(out, *made, object_in(value), backends)) return unsupported(std::move(*why));
  }
  if (once.empty() && made->mirrors.empty()) return out;
  if (made->redirect && made->rewrite)
    return std::unexpected(RuleFault{"IncompatibleFilters", "RequestRedirect and URLRewrite exclude each other"});
  out.filters = std::move(made);
  return out;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  using std::chrono::milliseconds;
  if (text.empty()) return {};
  static constexpr std::pair<std::string_view, milliseconds> units[] = {{"ms", milliseconds(1)},
                                                                        {"s", std::chrono::seconds(1)},
                                                                        {"m", std::chrono::minutes(1)},
                                                                        {"h", std::chrono::hours(1)}};
  milliseconds out{0};
  for (int parts = 0; !text.empty(); ++parts) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    std::int64_t number = 0;
    if (parts == 4 || digits > 5 ||
        std::from_chars(text.data(), text.data() + digits, number).ptr != text.data() + digits || digits == 0)
      return {};
    text.remove_prefix(digits);
    const auto* unit =
        std::find_if(std::begin(units), std::end(units), [&](const auto& one) { return text.starts_with(one.first); });
    if (unit == std::end(units)) return {};
    out += number * unit->second;
    text.remove_prefix(unit->first.size());
  }
  return out;
}

}  // namespace weir::reconcile
