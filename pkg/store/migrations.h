// Brings a database file to the tables that this version reads, and refuses one that it does not know.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "store/sqlite_db.h"

namespace weir::store {

// Runs what schema_meta does not list yet, each step in a transaction of its own. Errors: not a database of Weir,
// written by a newer version, or SQLite's.
Result<void> migrate(Database&);
// The names of all steps, oldest first.
std::vector<std::string> migration_names();

}  // namespace weir::store
