#include "admin/attachment.h"

#include <algorithm>

#include "admin/lookup.h"
#include "model/entities.h"
#include "model/pem.h"
#include "model/rules.h"

namespace weir::admin {

namespace {

using model::Outcome;
using model::Schema;

// What is no list (a faulty or an unset value) is somebody else's to refuse.
bool have_common(const Object& plugin, const Object& route) {
  const auto *mine = plugin.if_contains("protocols"), *theirs = route.if_contains("protocols");
  if (!mine || !theirs || !mine->is_array() || !theirs->is_array()) return true;
  const auto& others = theirs->get_array();
  return std::ranges::any_of(mine->get_array(),
                             [&](const auto& one) { return std::ranges::find(others, one) != others.end(); });
}

Outcome<> mismatch(std::string_view what) {
  return std::unexpected(model::schema_violation(Object{{"protocols", what}}));
}

Outcome<> check_service(const Context& context, const Object& plugin, const Uuid& service) {
  store::PageQuery query;
  query.size = 1000;
  query.parent_field = "service";
  query.parent = service;
  bool any = false;
  while (true) {
    const auto page = context.store.page(model::schema<model::Route>(), query);
    if (!page) return std::unexpected(page.error());
    for (const auto& route : page->rows)
      if (have_common(plugin, route)) return {};
    any = any || !page->rows.empty();
    if (!page->next_offset) break;
    query.offset = *page->next_offset;
  }
  return any ? mismatch("must match the protocols of at least one route pointing to this Plugin's service")
             : Outcome<>();
}

// Only when it is written: one that runs out later stays what it is.
Outcome<> check_validity(const Object& authority) {
  if (!model::has_expired(model::text_of(model::value_of(authority, "cert")))) return {};
  return std::unexpected(
      model::schema_violation(Object{{"cert", "certificate expired, \"Not After\" time is in the past"}}));
}

}  // namespace

Outcome<> check_attachment(const Context& context, const Schema& schema, const Object& entity) {
  if (schema.name() == "ca_certificates") return check_validity(entity);
  if (schema.name() != "plugins") return {};
  if (const auto id = foreign_id(entity, "route")) {
    const auto route = context.store.find(model::schema<model::Route>(), *id);
    if (!route) return std::unexpected(route.error());
    if (*route && !have_common(entity, **route)) return mismatch("must match the associated route's protocols");
    return {};
  }
  const auto service = foreign_id(entity, "service");
  return service ? check_service(context, entity, *service) : Outcome<>();
}

}  // namespace weir::admin
