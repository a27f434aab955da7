#include "snapshot/compiled_route.h"

#include <re2/re2.h>

#include <algorithm>
#include <bit>

#include "base/text.h"
#include "model/formats.h"

namespace weir::snapshot {
namespace {

// RE2 keeps its automaton's states up to this size, for each expression; beyond it matching gets slower, not wrong.
constexpr std::int64_t pattern_bytes_max = 1 << 20;

std::string pattern_key(const std::string& text, bool case_sensitive) {
  return (case_sensitive ? "s" : "i") + text;
}

Result<HostRule> compile_host(const std::string& text) {
  const auto parts = text::split_host_port(text);
  if (!parts) return fail("host '{}' is malformed: give a host name, with :port if wanted", text);
  HostRule rule;
  rule.port = parts->port;
  rule.name = text::lower(parts->host);
  const auto star = rule.name.find('*');
  if (star == rule.name.npos) {
    if (rule.name.find(':') != rule.name.npos) rule.name = '[' + rule.name + ']';
    return rule;
  }
  const std::string_view name = rule.name;
  if (name.find('*', star + 1) == name.npos && name.size() > 2) {
    if (name.starts_with("*.")) {
      rule.kind = HostRule::Kind::left_wildcard;
      rule.name.erase(0, 1);
      return rule;
    }
    if (name.ends_with(".*")) {
      rule.kind = HostRule::Kind::right_wildcard;
      rule.name.pop_back();
      return rule;
    }
  }
  return fail("host '{}' has an invalid wildcard: one '*' as the whole leftmost or rightmost label is possible", text);
}

Result<PathRule> compile_path(const std::string& text, Patterns& patterns) {
  if (!text.starts_with('~')) return PathRule{text, nullptr};
  auto regex = patterns.acquire(text.substr(1), Patterns::Case::sensitive);
  if (!regex) return fail("path '{}': {}", text, regex.error().message);
  return PathRule{text.substr(1), std::move(*regex)};
}

Result<HeaderRule> compile_header(const std::string& name, const std::vector<std::string>& values, Patterns& patterns) {
  HeaderRule rule{text::lower(name), {}, nullptr};
  if (values.size() == 1 && values[0].starts_with("~*")) {
    auto regex = patterns.acquire(values[0].substr(2), Patterns::Case::ignored);
    if (!regex) return fail("header '{}': {}", name, regex.error().message);
    rule.regex = std::move(*regex);
  } else {
    rule.values = values;
  }
  return rule;
}

// Adds the rules that `route` has; what was acquired is in `out` also when it fails.
Result<void> compile_rules(const model::Route& route, CompiledRoute& out, Patterns& patterns) {
  if (route.hosts) {
    out.hosts.reserve(route.hosts->size());
    for (const auto& text : *route.hosts) {
      auto host = compile_host(text);
      if (!host) return std::unexpected(host.error());
      out.hosts.push_back(std::move(*host));
    }
  }
  if (route.paths) {
    out.paths.reserve(route.paths->size());
    for (const auto& text : *route.paths) {
      auto path = compile_path(text, patterns);
      if (!path) return std::unexpected(path.error());
      out.paths.push_back(std::move(*path));
    }
  }
  auto conditions = std::make_unique<CompiledRoute::Conditions>();
  if (route.methods) conditions->methods = *route.methods;
  if (route.snis)
    for (const auto& sni : *route.snis) conditions->snis.push_back(text::lower(sni));
  std::optional<Error> failed;
  if (route.headers) {
    for (const auto& [name, values] : *route.headers) {
      auto header = compile_header(name, values, patterns);
      if (header)
        conditions->headers.push_back(std::move(*header));
      else
        failed = header.error();
    }
  }
  if (!conditions->methods.empty() || !conditions->snis.empty() || !conditions->headers.empty())
    out.conditions = std::move(conditions);
  if (failed) return std::unexpected(*failed);
  return {};
}

}  // namespace

Result<Pattern> Patterns::acquire(const std::string& text, Case mode) {
  const auto spelled = model::to_re2(text);
  const auto key = pattern_key(spelled, mode == Case::sensitive);
  if (uses_.find(Bytes{key})) {
    auto& use = uses_.edit(Bytes{key});
    use.users++;
    return use.pattern;
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(pattern_bytes_max);
  options.set_case_sensitive(mode == Case::sensitive);
  auto pattern = std::make_shared<const re2::RE2>(spelled, options);
  if (!pattern->ok()) return fail("the regular expression does not compile: {}", pattern->error());
  uses_.edit(Bytes{key}) = {pattern, 1};
  return pattern;
}

void Patterns::release(const re2::RE2& pattern) {
  const auto key = pattern_key(pattern.pattern(), pattern.options().case_sensitive());
  if (--uses_.edit(Bytes{key}).users == 0) uses_.erase(Bytes{key});
}

// kong/router/traditional.lua: routes are grouped into categories by the kinds of fields that they match. More kinds go
// first, then by hosts > headers > paths > methods > snis; within a category by the weight of details (wildcard host
// with port 4, plain hosts only 2, regex path 1), then by the number of headers.
std::uint32_t CompiledRoute::rank(const PathRule* path) const {
  const auto header_count = conditions ? conditions->headers.size() : 0;
  std::uint32_t category = 0, details = 0;
  if (!hosts.empty()) {
    category |= 16;
    const auto is_wildcard = [](const HostRule& host) { return host.kind != HostRule::Kind::exact; };
    if (std::ranges::none_of(hosts, is_wildcard)) details |= 2;
    if (std::ranges::any_of(hosts, [&](const HostRule& host) { return is_wildcard(host) && host.port != 0; }))
      details |= 4;
  }
  if (header_count > 0) category |= 8;
  if (path) category |= 4;
  if (conditions && !conditions->methods.empty()) category |= 2;
  if (conditions && !conditions->snis.empty()) category |= 1;
  if (path && path->regex) details |= 1;
  const auto kinds = static_cast<std::uint32_t>(std::popcount(category));
  return kinds << 24 | category << 19 | details << 16 | static_cast<std::uint32_t>(std::min(header_count, 0xffffuz));
}

void CompiledRoute::release_patterns(Patterns& patterns) const {
  for (const auto& path : paths)
    if (path.regex) patterns.release(*path.regex);
  if (!conditions) return;
  for (const auto& header : conditions->headers)
    if (header.regex) patterns.release(*header.regex);
}

Result<std::shared_ptr<CompiledRoute>> compile_route(const model::Route& route, const Origin& origin,
                                                     Patterns& patterns) {
  auto out = std::make_shared<CompiledRoute>();
  out->route.origin = origin;
  out->service = route.service;
  out->created_at = route.created_at;
  out->regex_priority = route.regex_priority;
  const auto speaks = [&](std::string_view protocol) { return std::ranges::count(route.protocols, protocol) > 0; };
  out->route.http = speaks("http");
  out->route.https = speaks("https");
  if (!out->route.http && !out->route.https)
    return fail("protocols hold neither http nor https; this version serves no others");
  out->route.https_redirect_status_code = static_cast<std::uint16_t>(route.https_redirect_status_code);
  out->route.strip_path = route.strip_path;
  out->route.preserve_host = route.preserve_host;
  out->route.path_handling = route.path_handling == "v1" ? PathHandling::v1 : PathHandling::v0;
  if (auto done = compile_rules(route, *out, patterns); !done) {
    out->release_patterns(patterns);
    return std::unexpected(done.error());
  }
  return out;
}

}  // namespace weir::snapshot
