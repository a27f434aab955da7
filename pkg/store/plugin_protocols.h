// Kong's rule that a plugin and what it is attached to have a protocol in common; needs rows, so stores ask it.
#pragma once
#include "store/store.h"

namespace weir::store {

// entity: about to be written. Other schemas than `plugins` are always fine.
Outcome<void> check_plugin_protocols(Store&, const Schema&, const Object& entity);

}  // namespace weir::store
