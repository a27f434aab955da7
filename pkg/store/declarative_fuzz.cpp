// What parses is stored, exported and read again as the same entities, whatever the text was.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "store/same.h"
#include "store/store.h"
#include "store/table.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
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
  for (const auto& [schema, entity] : second->entities) {
    const auto id = Uuid::parse(store::id_of(entity));
    WEIR_ASSERT(id.has_value());
    const auto row = held->find(*schema, *id);
    WEIR_ASSERT(row && *row && store::same(**row, entity));
  }
  // Read again at another time, nothing differs.
  const auto same = held->replace_all(second->entities);
  WEIR_ASSERT(same && same->empty());
  return 0;
}
