#include "reconcile/gateway_features.h"

namespace weir::reconcile {

std::vector<std::string_view> supported_features(const Settings& settings) {
  struct Feature {
    std::string_view name;
    bool served;
  };
  const bool pool = !settings.gateway_addresses.empty();
  // All of the suite's for Gateways and HTTPRoutes, in its order: what is not served is not claimed.
  const Feature all[] = {
      {"BackendTLSPolicy", true},
      {"BackendTLSPolicySANValidation", true},
      {"Gateway", true},
      {"GatewayAddressEmpty", true},
      {"GatewayBackendClientCertificate", false},
      {"GatewayFrontendClientCertificateValidation", false},
      {"GatewayFrontendClientCertificateValidationInsecureFallback", false},
      {"GatewayHTTPListenerIsolation", true},
      {"GatewayHTTPSListenerDetectMisdirectedRequests", false},  // its test speaks HTTP/2
      {"GatewayInfrastructure", pool},  // without a pool the Service lies beside Weir, not beside the Gateway
      {"GatewayPort8080", true},
      {"GatewayStaticAddresses", pool},
      {"HTTPRoute", true},
      {"HTTPRoute303RedirectStatusCode", true},
      {"HTTPRoute307RedirectStatusCode", true},
      {"HTTPRoute308RedirectStatusCode", true},
      {"HTTPRouteBackendProtocolH2C", false},  // HTTP/2
      {"HTTPRouteBackendProtocolWebSocket", true},
      {"HTTPRouteBackendRequestHeaderModification", true},
      {"HTTPRouteBackendTimeout", true},
      {"HTTPRouteCORS", true},
      {"HTTPRouteDestinationPortMatching", true},
      {"HTTPRouteHostRewrite", true},
      {"HTTPRouteMethodMatching", true},
      {"HTTPRouteNamedRouteRule", true},
      {"HTTPRouteParentRefPort", true},
      {"HTTPRoutePathRedirect", true},
      {"HTTPRoutePathRewrite", true},
      {"HTTPRoutePortRedirect", true},
      {"HTTPRouteQueryParamMatching", true},
      {"HTTPRouteRequestMirror", true},
      {"HTTPRouteRequestMultipleMirrors", true},
      {"HTTPRouteRequestPercentageMirror", true},
      {"HTTPRouteRequestTimeout", true},
      {"HTTPRouteResponseHeaderModification", true},
      {"HTTPRouteRetry", false},
      {"HTTPRouteRetryBackendTimeout", false},
      {"HTTPRouteRetryConnectionError", false},
      {"HTTPRouteSchemeRedirect", true},
      {"ListenerSet", true},
      {"ReferenceGrant", true},
  };
  std::vector<std::string_view> out;
  for (const auto& feature : all)
    if (feature.served) out.push_back(feature.name);
  return out;
}

}  // namespace weir::reconcile
