// The configurations that the entity `plugins` may have: told by the folder of plugins, which stands above.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "model/schema.h"

namespace weir::model {

struct PluginSchema {
  std::string_view name;           // "key-auth"
  const Schema* config = nullptr;  // named like the plugin
  bool consumer_scope = true;      // false: `consumer` must be null
  int priority = 0;
};

// Once, before threads. The ones that are not listed are refused: "plugin 'x' not enabled; add it to the 'plugins'
// configuration property".
void install_plugin_schemas(std::vector<PluginSchema>);
std::span<const PluginSchema> plugin_schemas();
const PluginSchema* find_plugin_schema(std::string_view name);

// GET /schemas/plugins/{name}: the entity's fields as they are for this plugin, `config` with the plugin's own.
Object describe_plugin(const PluginSchema&);

}  // namespace weir::model
