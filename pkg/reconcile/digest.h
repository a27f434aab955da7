// What tells whether something that was handed out before is still the same, in 16 bytes: the table of units keeps
// these instead of the things themselves.
#pragma once
#include <string_view>

#include "reconcile/unit.h"

namespace weir::reconcile {

using Digest = Uuid;  // 122 bits of SHA-1; nil: of nothing

Digest digest_of(std::string_view text);
// created_at and updated_at do not count: they say when, not what.
Digest digest_of_entity(const Object& entity);
// Generations do not count: what is the same stays as it is in the snapshot.
Digest digest_of(const model::Entry&);
Digest digest_of(const model::GatewayRoute&);
// What translations may read of a watched object of a unit's kind: all but status, resourceVersion and managedFields.
Digest digest_of_content(const Object& object);

}  // namespace weir::reconcile
