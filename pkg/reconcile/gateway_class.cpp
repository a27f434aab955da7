// GatewayClass: says whether it is ours, and what it can do.
#include <charconv>

#include "reconcile/gateway_features.h"
#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_parts.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

constexpr std::string_view bundle_version = "gateway.networking.k8s.io/bundle-version";
// The version whose conformance suite this one is held against; older ones of v1 lack fields only.
constexpr int newest_minor = 6;

// "v1.6.3" -> 6. Nothing for another major version.
std::optional<int> minor_of(std::string_view version) {
  if (!version.starts_with("v1.")) return {};
  version.remove_prefix(3);
  int minor = 0;
  const auto read = std::from_chars(version.data(), version.data() + version.size(), minor);
  return read.ec == std::errc{} ? std::optional(minor) : std::nullopt;
}

Object supported_version(std::int64_t generation, View& view) {
  const auto definition = view.get(kinds::custom_resource_definition, {"", "gatewayclasses.gateway.networking.k8s.io"});
  const auto version =
      definition ? text_of(object_of(*definition, {"metadata", "annotations"}), bundle_version) : std::string();
  const auto minor = minor_of(version);
  if (minor && *minor <= newest_minor) return condition("SupportedVersion", "True", "SupportedVersion", "", generation);
  return condition("SupportedVersion", "False", "UnsupportedVersion",
                   version.empty() ? std::string("The version of the Gateway API's CRDs cannot be told; Weir goes on.")
                                   : fmt::format("The Gateway API's CRDs are {}; Weir knows v1.{}, and goes on.",
                                                 version, newest_minor),
                   generation);
}

}  // namespace

Output translate_gateway_class(const Name&, const Object& object, View& view) {
  Output out;
  const auto& spec = object_of(object, {"spec"});
  if (text_of(spec, "controllerName") != view.settings().controller) return out;
  const auto generation = generation_of(object);
  const bool parameters = has(spec, "parametersRef");
  json::array features;
  for (const auto feature : supported_features(view.settings())) features.push_back(Object{{"name", feature}});
  out.status =
      Object{{"conditions",
              json::array{parameters ? condition("Accepted", "False", "InvalidParameters",
                                                 "Weir takes no parameters: leave spec.parametersRef out.", generation)
                                     : condition("Accepted", "True", "Accepted", "", generation),
                          supported_version(generation, view)}},
             {"supportedFeatures", std::move(features)}};
  if (parameters) {
    out.fault_reason = "InvalidParameters";
    out.fault = "Weir takes no parameters: leave spec.parametersRef out.";
  }
  return out;
}

}  // namespace weir::reconcile
