// Kong 3.9's tables as SQL, and the names of the migrations that made them: a database that Weir makes is one that
// Kong accepts. Only text; postgres_migrations.h runs it.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::store {

// One row of schema_meta.
struct PostgresSubsystem {
  std::string_view name;
  std::vector<std::string_view> executed;  // in the order in which Kong ran them
  bool needed = false;                     // Weir itself relies on what they did
};
std::span<const PostgresSubsystem> postgres_subsystems();
// Core migrations of Kong versions above 3.9 whose tables this version knows, too.
std::span<const std::string_view> postgres_known_newer();
// The last core migration of Kong 3.4: from there on `up` knows the way.
inline constexpr std::string_view postgres_oldest_core = "020_330_to_340";

// Makes every table, function, index and trigger that is not there, and the rows that Kong makes with them. Run in one
// transaction with the right search_path.
std::string postgres_schema_sql();
// What databases of Kong 3.4 to 3.8 lack beside whole tables.
std::string postgres_upgrade_sql();

}  // namespace weir::store
