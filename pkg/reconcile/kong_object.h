// What the translators of Ingress and of Kong's kinds have in common: reading metadata, annotations and Secrets, and
// making entities that are complete by their schemas. Private to this folder.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reconcile/gateway_fields.h"
#include "reconcile/unit.h"

namespace weir::reconcile::kong {

// The reason of the Events that tell what could not be translated: Kong's.
inline constexpr std::string_view translation_failed = "KongConfigurationTranslationFailed";

std::optional<std::string_view> annotation(const Object&, std::string_view whole_key);
// konghq.com/<key>.
std::optional<std::string_view> kong_annotation(const Object&, std::string_view key);
std::optional<std::string_view> label(const Object&, std::string_view key);

// Tags of all entities that an object makes, as Kong's controller writes them, and those of konghq.com/tags.
boost::json::array tags(const Kind&, const Object&);

// A value of a Secret's `data`, decoded; nothing: there is no such key. Errors say nothing of the value.
std::optional<Result<std::string>> secret_value(const Object& secret, std::string_view key);

// Collects what is wrong with one unit: each sentence once, and no more than an Event can hold.
void add_fault(std::string& fault, std::string_view sentence);

// The schema's words about what is wrong with an entity; hidden: only the names of the fields, for values that came
// from a Secret.
enum class Values : bool { shown, hidden };
std::string in_words(const model::Problem&, Values = Values::shown);

// A complete entity, or the problem. created_at: its own times.
model::Outcome<Entity> make_entity(std::string_view schema, const Uuid& id, Object input, std::int64_t created_at);
// The same; fields of `optional` that the schema refuses are left out and told in `fault`, each by the name that it has
// in the map.
model::Outcome<Entity> make_without_faulty(std::string_view schema, const Uuid& id, Object input,
                                           std::int64_t created_at, const std::map<std::string, std::string>& optional,
                                           std::string_view of, std::string& fault);

// The entities of one unit, each once.
class Entities {
 public:
  explicit Entities(std::vector<Entity>& out) : out_(out) {}
  bool add(Entity entity) {  // false: it is there already
    const bool is_new = ids_.insert(entity.id).second;
    if (is_new) out_.push_back(std::move(entity));
    return is_new;
  }
  void add_all(std::vector<Entity> all) {
    for (auto& entity : all) add(std::move(entity));
  }

 private:
  std::vector<Entity>& out_;
  std::set<Uuid> ids_;
};

}  // namespace weir::reconcile::kong
