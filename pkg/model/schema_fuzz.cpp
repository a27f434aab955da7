// Any JSON as a new entity of every schema: what is accepted satisfies check(), reads into its struct, and an empty
// update changes nothing but updated_at; what is refused says why in valid UTF-8.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "model/entities.h"
#include "model/formats.h"

namespace {

namespace json = boost::json;
using namespace weir::model;

constexpr double now = 1700000000.25;

void refused(const Problem& problem) {
  WEIR_ASSERT(problem.code == Problem::schema_violation && !problem.fields.empty());
  WEIR_ASSERT(is_text(json::serialize(problem.body())));
}

void accepted(const Schema& schema, const Object& entity) {
  WEIR_ASSERT(schema.check(entity));
  WEIR_ASSERT(schema.validate(entity));
  auto place = entity.begin();
  for (const auto& field : schema.fields()) {  // every declared field, in its order, and nothing else
    WEIR_ASSERT(place != entity.end() && place->key() == field.name);
    ++place;
  }
  WEIR_ASSERT(place == entity.end());
  const auto updated = schema.update(entity, {}, now + 5);
  WEIR_ASSERT(updated);
  auto same = *updated;
  if (schema.field("updated_at")) same["updated_at"] = entity.at("updated_at");
  WEIR_ASSERT(same == entity);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // forms bring such strings, too
  json::error_code error;
  const auto input = json::parse({reinterpret_cast<const char*>(data), size}, error, {}, options);
  if (error || !input.is_object()) return 0;
  for (const auto* schema : schemas()) {
    const auto made = schema->insert(input.get_object(), now);
    made ? accepted(*schema, *made) : refused(made.error());
    if (const auto valid = schema->validate(input.get_object()); !valid) refused(valid.error());
    if (!made) continue;
    if (schema->name() == "services") (void)read<Service>(*made);
    if (schema->name() == "routes") (void)read<Route>(*made);
    if (schema->name() == "upstreams") (void)read<Upstream>(*made);
    if (schema->name() == "targets") (void)read<Target>(*made);
  }
  return 0;
}
