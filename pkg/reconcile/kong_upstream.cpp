#include "reconcile/kong_upstream.h"

#include "model/formats.h"
#include "reconcile/kong_object.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

// "httpPath" -> "http_path".
std::string snake_case(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      out += '_';
      out += static_cast<char>(c | 0x20);
    } else {
      out += c;
    }
  }
  return out;
}

// Names of fields only; those of headers are the user's.
json::value with_snake_case(const json::value& value) {
  const auto* object = value.if_object();
  if (!object) return value;
  Object out;
  for (const auto& pair : *object)
    out[snake_case(pair.key())] = pair.key() == "headers" ? pair.value() : with_snake_case(pair.value());
  return out;
}

// hashOn and hashOnFallback name one input each: {"header": "x"} or {"input": "ip"}.
void add_hash_input(const Object& from, std::string_view field, Object& out) {
  constexpr std::string_view inputs[] = {"header", "cookie", "queryArg", "uriCapture"};
  if (const auto input = text_of(from, "input"); !input.empty()) out[field] = input;
  for (const auto input : inputs) {
    const auto value = text_of(from, input);
    if (value.empty()) continue;
    const auto name = snake_case(input);
    out[field] = name;
    // The cookie is the same for both.
    out[fmt::format("{}_{}", name == "cookie" ? "hash_on" : field, name)] = value;
  }
  if (const auto path = text_of(from, "cookiePath"); !path.empty()) out["hash_on_cookie_path"] = path;
}

Object from_policy(const Object& spec) {
  Object out;
  for (const std::string_view field : {"algorithm", "slots"})
    if (has(spec, field)) out[field] = spec.at(field);
  add_hash_input(object_of(spec, {"hashOn"}), "hash_on", out);
  add_hash_input(object_of(spec, {"hashOnFallback"}), "hash_fallback", out);
  if (const auto& checks = object_of(spec, {"healthchecks"}); !checks.empty())
    out["healthchecks"] = with_snake_case(checks);
  return out;
}

// What belongs together: a part that is refused takes its group with it.
std::string_view group_of(std::string_view field) {
  return field == "algorithm" || field.starts_with("hash_") ? "algorithm" : field;
}

// Puts into `upstream` what the schema accepts of `fields`.
void merge(Object fields, const std::string& of, Object& upstream, std::string& fault) {
  const auto* schema = model::find_schema("upstreams");
  WEIR_ASSERT(schema != nullptr);
  while (!fields.empty()) {
    Object whole = fields;
    whole["name"] = "any.svc";
    const auto checked = schema->validate(std::move(whole));
    if (checked) break;
    std::set<std::string> refused;
    for (const auto& pair : checked.error().fields) refused.emplace(group_of(pair.key()));
    const auto before = fields.size();
    Object kept;
    for (const auto& pair : fields)
      if (!refused.contains(std::string(group_of(pair.key())))) kept[pair.key()] = pair.value();
    kong::add_fault(fault,
                    fmt::format("{}: {} is left out: {}", of, fmt::join(refused, ", "), checked.error().message));
    if (kept.size() == before) return;  // a rule over what has no name of its own
    fields = std::move(kept);
  }
  for (auto& pair : fields) upstream[pair.key()] = std::move(pair.value());
}

}  // namespace

void kong_upstream(const Object& service, View& view, Object& upstream, std::string& fault) {
  const auto space = text_of(object_of(service, {"metadata"}), "namespace");
  const auto find = [&](const Kind& kind, std::string_view annotation, Name& name) -> std::optional<Object> {
    const auto wanted = kong::kong_annotation(service, annotation);
    if (!wanted || wanted->empty()) return std::nullopt;
    name = {space, std::string(*wanted)};
    auto found = view.get(kind, name);
    if (!found) kong::add_fault(fault, fmt::format("there is no {} {}", kind.kind, name.text()));
    return found;
  };
  Name name;
  // Deprecated; the policy goes over it.
  if (const auto found = find(kinds::kong_ingress, "override", name)) {
    merge(object_of(*found, {"upstream"}), "KongIngress " + name.text(), upstream, fault);
    for (const std::string_view part : {"proxy", "route"})
      if (has(*found, part))
        kong::add_fault(fault, fmt::format("KongIngress {}: {} is left out: use annotations", name.text(), part));
  }
  if (const auto found = find(kinds::kong_upstream_policy, "upstream-policy", name)) {
    const auto& spec = object_of(*found, {"spec"});
    const auto of = "KongUpstreamPolicy " + name.text();
    if (has(spec, "stickySessions"))
      kong::add_fault(fault, of + ": stickySessions is left out: not supported by this version");
    merge(from_policy(spec), of, upstream, fault);
  }
  if (const auto host = kong::kong_annotation(service, "host-header"); host && !host->empty()) {
    if (const auto wrong = model::check_host_and_port(*host))
      kong::add_fault(fault, fmt::format("Service {}/{}: annotation konghq.com/host-header is left out: {}", space,
                                         text_of(object_of(service, {"metadata"}), "name"), *wrong));
    else
      upstream["host_header"] = *host;
  }
}

}  // namespace weir::reconcile
