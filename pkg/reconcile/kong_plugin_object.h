// A KongPlugin or KongClusterPlugin read as an input of the entity "plugins". Private to this folder.
#pragma once
#include <string>

#include "reconcile/kong_object.h"

namespace weir::reconcile::kong {

struct PluginInput {
  std::string type;  // "key-auth"
  Object input;      // without id and target
  std::string instance_name;
  kong::Values values = Values::shown;  // hidden: parts of the configuration come from Secrets
  std::int64_t created_at = 0;
  bool disabled = false;
  std::string left_out;  // parts that this version does not know
};

// The configuration with what comes from Secrets. Errors say nothing of the Secrets' values.
Result<PluginInput> read_plugin(const Kind&, const Name&, const Object&, View&);

// The entity for one target ("route", "service", "consumer") or, with an empty field, for all requests.
model::Outcome<Entity> plugin_entity(const PluginInput&, const Uuid& id, std::string_view target_field,
                                     const Uuid& target);

}  // namespace weir::reconcile::kong
