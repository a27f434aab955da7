#include "model/plugin_schemas.h"

namespace weir::model {
namespace {

std::vector<PluginSchema>& installed() {
  static std::vector<PluginSchema> all;
  return all;
}

}  // namespace

void install_plugin_schemas(std::vector<PluginSchema> all) {
  installed() = std::move(all);
}

std::span<const PluginSchema> plugin_schemas() {
  return installed();
}

const PluginSchema* find_plugin_schema(std::string_view name) {
  for (const auto& plugin : installed())
    if (plugin.name == name) return &plugin;
  return nullptr;
}

}  // namespace weir::model
