// When two values of an entity count as the same. No I/O.
#pragma once
#include <boost/json.hpp>

#include "model/schema.h"

namespace weir::store {

// As equal, but 1 and 1.0 are the same and an object's order does not matter.
bool same(const boost::json::value&, const boost::json::value&);

// True when `now` asks for nothing that `held` is not already. A declarative file seldom gives times; what it lacks was
// filled in while it was read, and would make every entity of every reload look changed. So updated_at does not count,
// and created_at only when it was given: then it differs from updated_at.
bool same_but_times(const model::Schema&, const model::Object& held, const model::Object& now);
// `now`, with the time of creation that is held unless another one was given.
model::Object with_held_times(const model::Schema&, const model::Object& held, const model::Object& now);

}  // namespace weir::store
