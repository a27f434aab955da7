#include "gateway/webhook.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace weir::gateway {
namespace {

admin::Request post(std::string body) {
  return {.method = "POST",
          .path = "/inject",
          .query = {},
          .headers = {},
          .body = std::move(body),
          .peer = {},
          .after = {}};
}

TEST(Webhook, adds_a_sidecar_to_a_pod_that_asks_for_it) {
  const auto answer =
      answer_webhook(post(R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1",
        "kind":{"group":"","version":"v1","kind":"Pod"},"object":{
        "apiVersion":"v1","kind":"Pod","metadata":{"name":"p","annotations":{"weir.dev/inject":"true"}},
        "spec":{"containers":[{"name":"app","image":"app","ports":[{"containerPort":8080}]}]}}}})"),
                     {.image = "example.com/weir:1"});
  ASSERT_EQ(answer.status, 200u) << answer.body;
  const auto review = boost::json::parse(answer.body);
  const auto& response = review.at("response").as_object();
  EXPECT_EQ(response.at("uid"), "u-1");
  EXPECT_EQ(response.at("allowed"), true);
  EXPECT_EQ(response.at("patchType"), "JSONPatch");
}

TEST(Webhook, refuses_what_is_no_review) {
  EXPECT_EQ(answer_webhook(post("{"), {}).status, 400u);
  EXPECT_EQ(answer_webhook(post("[]"), {}).status, 400u);
  auto elsewhere = post("{}");
  elsewhere.path = "/";
  EXPECT_EQ(answer_webhook(elsewhere, {}).status, 404u);
  auto get = post("");
  get.method = "GET";
  EXPECT_EQ(answer_webhook(get, {}).status, 405u);
}

}  // namespace
}  // namespace weir::gateway
