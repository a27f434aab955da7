#include "store/plugin_protocols.h"

#include <algorithm>

#include "model/entities.h"
#include "store/table.h"

namespace weir::store {
namespace {

namespace json = boost::json;

bool have_one_in_common(const Object& plugin, const Object& route) {
  const auto *mine = plugin.if_contains("protocols"), *theirs = route.if_contains("protocols");
  if (mine == nullptr || theirs == nullptr || !mine->is_array() || !theirs->is_array()) return true;
  return std::ranges::any_of(mine->get_array(), [&](const auto& protocol) {
    return std::ranges::find(theirs->get_array(), protocol) != theirs->get_array().end();
  });
}

std::unexpected<model::Problem> refused(std::string_view message) {
  return std::unexpected(model::schema_violation(Object{{"protocols", message}}));
}

}  // namespace

Outcome<void> check_plugin_protocols(Store& store, const Schema& schema, const Object& entity) {
  if (&schema != &model::schema<model::Plugin>()) return {};
  const auto& routes = model::schema<model::Route>();
  if (const auto route_id = Uuid::parse(foreign_id(entity, "route"))) {
    const auto route = store.find(routes, *route_id);
    if (!route) return std::unexpected(route.error());
    // A route that is not there is told by the reference.
    if (*route && !have_one_in_common(entity, **route)) return refused("must match the associated route's protocols");
    return {};
  }
  const auto service_id = foreign_id(entity, "service");
  if (service_id.empty()) return {};
  const auto children = store.find_all(routes, "service", service_id);
  if (!children) return std::unexpected(children.error());
  if (children->empty() || std::ranges::any_of(*children, [&](const auto& r) { return have_one_in_common(entity, r); }))
    return {};
  return refused("must match the protocols of at least one route pointing to this Plugin's service");
}

}  // namespace weir::store
