// The plugins that an object's annotation konghq.com/plugins names, as entities.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/unit.h"

namespace weir::reconcile {

// annotated: the whole object that has the annotation (Ingress, HTTPRoute, Service, KongConsumer ...); kind, name: its
// own. target: the entity that the plugins shall be attached to: a service for kind "Service", a consumer for
// "KongConsumer", a route for all others. A name means the KongPlugin of the same namespace, else the
// KongClusterPlugin; "namespace:name" another namespace's KongPlugin that a ReferenceGrant allows. What is invalid or
// missing is left out and told in `fault` (appended; several are separated by "; ").
std::vector<Entity> plugins_of(const Object& annotated, std::string_view kind, const Name&, const Uuid& target, View&,
                               std::string& fault);

}  // namespace weir::reconcile
