#include "reconcile/ingress_paths.h"

#include <fmt/format.h>

#include "model/formats.h"

namespace weir::reconcile {
namespace {

// The API server refuses most of these in an Ingress of today, not in one that was made by an older version.
std::string without_double_slashes(std::string_view path) {
  std::string out;
  for (const char c : path)
    if (c != '/' || !out.ends_with('/')) out += c;
  return out;
}

// RE2::QuoteMeta would quote slashes too, by which a route knows an expression's beginning.
std::string quoted(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

Result<std::vector<std::string>> implementation_specific(std::string_view path, std::string_view regex_prefix) {
  std::string out;
  if (!regex_prefix.empty() && path.starts_with(regex_prefix)) {
    out = "~" + without_double_slashes(path.substr(regex_prefix.size()));
  } else if (!model::normal_path(without_double_slashes(path), out)) {
    return fail("path '{}' has a broken percent escape", model::shown(path));
  }
  if (const auto wrong = model::check_route_path(out)) return fail("path '{}': {}", model::shown(path), *wrong);
  return std::vector{std::move(out)};
}

}  // namespace

Result<std::vector<std::string>> route_paths(std::string_view path, std::string_view path_type,
                                             std::string_view regex_prefix) {
  if (path.empty()) path = "/";
  if (!path.starts_with('/')) return fail("path '{}' does not start with /", model::shown(path));
  if (path_type == "ImplementationSpecific" || path_type.empty()) return implementation_specific(path, regex_prefix);
  if (path_type != "Prefix" && path_type != "Exact")
    return fail("path '{}': pathType '{}' is not Prefix, Exact or ImplementationSpecific", model::shown(path),
                model::shown(path_type));
  // The router compares with normal paths, so the text of an anchored expression must be one as well.
  std::string normal;
  if (!model::normal_path(without_double_slashes(path), normal))
    return fail("path '{}' has a broken percent escape", model::shown(path));

  std::vector<std::string> out;
  if (path_type == "Exact") {
    // \z and not $: one character longer, which lets Exact win over a Prefix of the same path, as Kubernetes wants it
    // (the longer expression goes first).
    out.push_back(fmt::format("~{}\\z", quoted(normal)));
  } else {
    while (normal.ends_with('/')) normal.pop_back();
    out.push_back(normal + "/");
    if (!normal.empty()) out.push_back(fmt::format("~{}$", quoted(normal)));
  }
  for (const auto& made : out)
    if (const auto wrong = model::check_route_path(made)) return fail("path '{}': {}", model::shown(path), *wrong);
  return out;
}

}  // namespace weir::reconcile
