// The Services that a route's backendRefs mean, as entities.
#pragma once
#include <memory>
#include <set>
#include <string>

#include "base/uuid.h"

#include "reconcile/unit.h"

namespace weir::reconcile {

class RouteBackends {
 public:
  // Adds to the entities and backends of `out`.
  RouteBackends(const Name& route, View& view, Output& out) : route_(route), view_(view), out_(out) {}

  // The entity "services" for a reference; nil when it cannot be used: its requests are answered 500. tls: set when a
  // BackendTLSPolicy applies; null: the caller cannot obey one, such a Service is of no use to it then.
  Uuid resolve(const Object& reference, std::shared_ptr<const model::BackendTls>* tls);

  // The first thing that was wrong: reason and message of the condition ResolvedRefs. Empty: nothing.
  const std::string& reason() const { return reason_; }
  const std::string& message() const { return message_; }
  void fail(std::string_view reason, std::string message);
  // BackendTLSPolicies that name Services of the route.
  const std::set<Name>& policies() const { return policies_; }

 private:
  bool usable(const Name& service, const Object& object, std::int64_t port);
  bool secure(const Name& service, const Object& object, std::int64_t port,
              std::shared_ptr<const model::BackendTls>* tls);
  Uuid add(const Name& service, const Object& object, std::uint16_t port);

  const Name& route_;
  View& view_;
  Output& out_;
  std::string reason_, message_;
  std::set<Name> policies_;
  std::set<Uuid> added_;
};

}  // namespace weir::reconcile
