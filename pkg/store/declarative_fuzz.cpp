// What parses is stored, exported and read again as the same entities, whatever the text was.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "store/same.h"
#include "store/store.h"
#include "store/table.h"

using namespace weir;

namespace weir::store {
namespace {

struct Config {
  std::vector<std::string> names{"a"};
  std::optional<std::int64_t> minute;
  std::optional<std::map<std::string, std::string>> headers;
};

void install_fuzz_plugins() {
  static const auto declared = model::SchemaBuilder<Config>("limit")
                                   .field("names", &Config::names, "Names.")
                                   .field("minute", &Config::minute, "Per minute.", model::greater_than(0))
                                   .field("headers", &Config::headers, "Headers.")
                                   .deprecated("per_minute", {"minute"})
                                   .build();
  model::install_plugin_schemas({{"limit", &declared.schema, true, 1}});
}

Object without_ttl(Object entity) {
  entity.erase("ttl");
  return entity;
}

}  // namespace
}  // namespace weir::store

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const bool installed = (store::install_fuzz_plugins(), true);
  (void)installed;
  auto first = store::parse_declarative(text, 1700000000.5);
  if (!first) {
    WEIR_ASSERT(first.error().code == model::Problem::declarative_invalid && !first.error().fields.empty());
    return 0;
  }
  static const auto held = std::move(store::open_sqlite(":memory:").value());
  const auto replaced = held->replace_all(first->entities);
  WEIR_ASSERT(replaced.has_value());
  const auto printed = store::print_declarative(*held);
  WEIR_ASSERT(printed.has_value());
  const auto second = store::parse_declarative(*printed, 1800000000.5);
  WEIR_ASSERT(second.has_value());
  WEIR_ASSERT(second->entities.size() == first->entities.size());
  bool runs_out = false;  // what is left of its time is less by now
  for (const auto& [schema, entity] : second->entities) {
    const auto id = Uuid::parse(store::id_of(entity));
    WEIR_ASSERT(id.has_value());
    const auto row = held->find(*schema, *id);
    WEIR_ASSERT(row && *row && store::same(store::without_ttl(**row), store::without_ttl(entity)));
    runs_out = runs_out || (entity.contains("ttl") && !entity.at("ttl").is_null());
  }
  // Read again at another time, nothing differs.
  const auto same = held->replace_all(second->entities);
  WEIR_ASSERT(same && (runs_out || same->empty()));
  return 0;
}
