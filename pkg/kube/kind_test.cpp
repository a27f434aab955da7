#include <gtest/gtest.h>

#include "kube/informer.h"

namespace weir::kube {
namespace {

constexpr Kind service{"", "v1", "Service", "services"};
constexpr Kind gateway_class{"gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", false};

TEST(Kind, knows_the_paths_of_collections_and_objects) {
  EXPECT_EQ(service.path(), "/api/v1/services");
  EXPECT_EQ(service.path("default"), "/api/v1/namespaces/default/services");
  EXPECT_EQ(service.path("default", "web"), "/api/v1/namespaces/default/services/web");
  EXPECT_EQ(gateway_class.path("default", "x"), "/apis/gateway.networking.k8s.io/v1/gatewayclasses/x");
}

}  // namespace
}  // namespace weir::kube
