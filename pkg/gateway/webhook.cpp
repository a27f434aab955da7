#include "gateway/webhook.h"

#include <boost/json.hpp>

namespace weir::gateway {
namespace {

admin::Response answer(unsigned status, const boost::json::object& body) {
  return {status, {{"Content-Type", "application/json"}}, boost::json::serialize(body)};
}

}  // namespace

admin::Response answer_webhook(const admin::Request& request, const reconcile::Sidecar& sidecar) {
  if (request.path != "/inject") return answer(404, {{"message", "Not found: the webhook is POST /inject"}});
  if (request.method != "POST") return answer(405, {{"message", "Method not allowed: the webhook is POST /inject"}});
  boost::system::error_code malformed;
  const auto review = boost::json::parse(request.body, malformed);
  if (malformed || !review.is_object())
    return answer(400, {{"message", "the body is no AdmissionReview: it must be a JSON object"}});
  return answer(200, reconcile::inject_review(review.get_object(), sidecar));
}

}  // namespace weir::gateway
