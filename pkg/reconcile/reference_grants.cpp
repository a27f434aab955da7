#include "reconcile/reference_grants.h"

#include <algorithm>

#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

bool allows(const Object& grant, const Kind& from, std::string_view from_space, const Kind& to_kind, const Name& to) {
  const auto& froms = array_of(grant, {"spec", "from"});
  const auto& tos = array_of(grant, {"spec", "to"});
  return std::any_of(froms.begin(), froms.end(),
                     [&](const auto& value) {
                       const auto& entry = object_in(value);
                       return text_of(entry, "group") == from.group && text_of(entry, "kind") == from.kind &&
                              text_of(entry, "namespace") == from_space;
                     }) &&
         std::any_of(tos.begin(), tos.end(), [&](const auto& value) {
           const auto& entry = object_in(value);
           const auto name = text_of(entry, "name");
           return text_of(entry, "group") == to_kind.group && text_of(entry, "kind") == to_kind.kind &&
                  (name.empty() || name == to.name);
         });
}

}  // namespace

bool granted(View& view, const Kind& from, std::string_view from_space, const Kind& to_kind, const Name& to) {
  if (from_space == to.space) return true;
  bool found = false;
  view.each(kinds::reference_grant, to.space,
            [&](const Name&, const Object& grant) { found = found || allows(grant, from, from_space, to_kind, to); });
  return found;
}

}  // namespace weir::reconcile
