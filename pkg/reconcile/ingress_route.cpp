#include "reconcile/ingress_route.h"

#include "base/text.h"
#include "model/formats.h"
#include "reconcile/kong_annotations.h"
#include "reconcile/kong_plugins.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using Form = kong::AnnotatedField::Form;

constexpr kong::AnnotatedField annotated[] = {
    {"protocols", "protocols", Form::list},
    {"https-redirect-status-code", "https_redirect_status_code", Form::number},
    {"strip-path", "strip_path", Form::flag},
    {"preserve-host", "preserve_host", Form::flag},
    {"regex-priority", "regex_priority", Form::number},
    {"methods", "methods", Form::upper_list},
    {"snis", "snis", Form::list},
    {"request-buffering", "request_buffering", Form::flag},
    {"response-buffering", "response_buffering", Form::flag},
    {"path-handling", "path_handling", Form::text},
};

// "/to/$1" as request-transformer writes it: "/to/$(uri_captures[1])". What would be a hole already is refused.
Result<std::string> rewrite_template(std::string_view text) {
  if (!text.starts_with('/')) return fail("'{}' does not start with /", model::shown(text));
  std::string out;
  for (std::size_t i = 0; i < text.size(); i++) {
    out += text[i];
    if (text[i] != '$') continue;
    if (i + 1 >= text.size() || text[i + 1] < '0' || text[i + 1] > '9')
      return fail("in '{}' a $ is not followed by the number of a capture", model::shown(text));
    out += fmt::format("(uri_captures[{}])", text[++i]);
  }
  return out;
}

}  // namespace

IngressRoutes::IngressRoutes(Sheet& sheet) : sheet_(sheet), of_("Ingress " + sheet.name.text()) {
  common_ = {{"strip_path", false}, {"preserve_host", true}, {"tags", kong::tags(kinds::ingress, sheet.object)}};
  optional_ = kong::read_annotations(sheet.object, annotated, common_, of_, sheet.output.fault);
  optional_.emplace("tags", "annotation konghq.com/tags");
  read_headers();
  read_redirect();
  for (const auto alias : text::split(kong::kong_annotation(sheet.object, "host-aliases").value_or("")))
    if (const auto wrong = model::check_route_host(alias))
      sheet.fault(fmt::format("{}: host alias is left out: {}", of_, *wrong));
    else
      aliases_.push_back(text::lower(alias));
  if (const auto prefix = kong::kong_annotation(sheet.object, "regex-prefix"); prefix && !prefix->empty())
    regex_prefix_ = *prefix;
  if (const auto rewrite = kong::kong_annotation(sheet.object, "rewrite"); rewrite && !rewrite->empty()) {
    if (auto made = rewrite_template(*rewrite))
      rewrite_ = std::move(*made);
    else
      sheet.fault(fmt::format("{}: annotation konghq.com/rewrite is left out: {}", of_, made.error().message));
  }
  if (kong::kong_annotation(sheet.object, "override"))
    sheet.fault(of_ + ": annotation konghq.com/override is left out: routes are changed by annotations of their own");
}

void IngressRoutes::read_headers() {
  constexpr std::string_view start = "konghq.com/headers.";
  const auto separator = kong::kong_annotation(sheet_.object, "headers-separator").value_or("");
  Object headers;
  for (const auto& pair : object_of(sheet_.object, {"metadata", "annotations"})) {
    const std::string_view key = pair.key();
    const auto* value = pair.value().if_string();
    if (!key.starts_with(start) || !value) continue;
    json::array values;
    std::string_view rest = *value;
    const auto by = separator.empty() ? std::string_view(",") : separator;
    while (true) {
      const auto end = std::min(rest.find(by), rest.size());
      if (const auto part = text::trim(rest.substr(0, end)); !part.empty()) values.emplace_back(part);
      if (end == rest.size()) break;
      rest.remove_prefix(end + by.size());
    }
    if (!values.empty()) headers[key.substr(start.size())] = std::move(values);
  }
  if (headers.empty()) return;
  common_["headers"] = std::move(headers);
  optional_.emplace("headers", "annotation konghq.com/headers");
}

void IngressRoutes::read_redirect() {
  if (kong::annotation(sheet_.object, "ingress.kubernetes.io/force-ssl-redirect") != "true") return;
  common_["protocols"] = json::array{"https"};
  optional_.erase("protocols");
  if (!common_.contains("https_redirect_status_code")) common_["https_redirect_status_code"] = 302;
}

void IngressRoutes::add_route(const std::string& name, const std::string& host, std::vector<std::string> paths,
                              const std::optional<Uuid>& service) {
  auto input = common_;
  const auto id = entity_id("Ingress", sheet_.name, "route/" + name);
  input["name"] = name;
  input["paths"] = json::array(paths.begin(), paths.end());
  if (service) input["service"] = Object{{"id", service->text()}};
  if (!host.empty()) {
    json::array hosts{host};
    for (const auto& alias : aliases_)
      if (alias != host) hosts.emplace_back(alias);
    input["hosts"] = std::move(hosts);
  }
  auto made = kong::make_without_faulty("routes", id, std::move(input), created_at(sheet_.object), optional_, of_,
                                        sheet_.output.fault);
  if (!made) return sheet_.fault(fmt::format("{}: host '{}' is not served: {}", of_, host, made.error().message));
  sheet_.entities.add(std::move(*made));
  sheet_.entities.add_all(plugins_of(sheet_.object, "Ingress", sheet_.name, id, sheet_.view, sheet_.output.fault));
  if (rewrite_) add_rewrite(id);
}

void IngressRoutes::add_rewrite(const Uuid& route) {
  constexpr std::string_view plugin = "request-transformer";
  const auto id = entity_id("Ingress", sheet_.name, fmt::format("plugin/{}/{}", plugin, route.text()));
  auto made = kong::make_entity("plugins", id,
                                {{"name", plugin},
                                 {"route", Object{{"id", route.text()}}},
                                 {"config", Object{{"replace", Object{{"uri", *rewrite_}}}}},
                                 {"tags", kong::tags(kinds::ingress, sheet_.object)}},
                                created_at(sheet_.object));
  if (!made)
    sheet_.fault(fmt::format("{}: annotation konghq.com/rewrite is left out: {}", of_, made.error().message));
  else if (!sheet_.entities.add(std::move(*made)))
    sheet_.fault(of_ + ": annotation konghq.com/rewrite is left out: konghq.com/plugins brings a request-transformer");
}

}  // namespace weir::reconcile
