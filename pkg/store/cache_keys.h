// Kong's cache keys, by which nodes tell each other what a change made stale:
// <schema>:<k1>:<k2>:<k3>:<k4>:<k5>:<workspace>, empty where nothing is.
//
// Inside a node they end behind the last colon, without the workspace: there is only one. Rows of cluster_events and
// the cache_key columns have it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/schema.h"

namespace weir::store {

// The row's own key: of its cache_key fields where the schema has some, else of its id.
std::string cache_key(const model::Schema&, const model::Object& entity);
// Every key under which a node may have kept what this change makes stale: the row's own, that of its unique fields
// (credentials by key, consumers by username) and of lists it is part of (acls of a consumer), as it was and as it is.
// before, after: null when it was made, deleted.
std::vector<std::string> cache_keys(const model::Schema&, const model::Object* before, const model::Object* after);
std::string cache_key_of(std::string_view schema, std::string_view value);  // "<schema>:<value>:::::"
std::string_view without_workspace(std::string_view key);                   // up to and with the last colon

}  // namespace weir::store
