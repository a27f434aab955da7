// The entity "plugins". Its `config` is declared by the plugin that `name` names (plugin_schemas.h).
#include <fmt/format.h>

#include "model/entities.h"
#include "model/fields.h"
#include "model/plugin_schemas.h"

namespace weir::model {
namespace {

namespace json = boost::json;

const std::vector<std::string> protocols{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"};

Wrong check_plugin_name(std::string_view name) {
  if (find_plugin_schema(name)) return {};
  return fmt::format("plugin '{}' not enabled; add it to the 'plugins' configuration property", shown(name));
}

const Field* config_of(std::string_view name) {
  const auto* plugin = find_plugin_schema(name);
  return plugin ? &plugin->config->as_record() : nullptr;
}

// What decides who calls cannot depend on who calls.
CrossRule consumer_where_allowed() {
  return {{}, [](const Object& entity, Object& faults, std::vector<std::string>&) {
            const auto* plugin = find_plugin_schema(text_of(value_of(entity, "name")));
            if (plugin && !plugin->consumer_scope && !value_of(entity, "consumer").is_null())
              faults["consumer"] = "value must be null";
          }};
}

const Declared<Plugin>& declared() {
  static const auto built =
      entity<Plugin>("plugins")
          .endpoint_key("instance_name")
          .cache_key({"name", "route", "service", "consumer"})
          .field("name", &Plugin::name, "Which plugin.", check(check_plugin_name))
          .field("instance_name", &Plugin::instance_name, "The name of this configuration of it.", unique(),
                 check(check_name))
          .field("route", &Plugin::route, "Only requests of this route.", foreign("routes"), cascade())
          .field("service", &Plugin::service, "Only requests to this service.", foreign("services"), cascade())
          .field("consumer", &Plugin::consumer, "Only requests by this consumer.", foreign("consumers"), cascade())
          .field("config", &Plugin::config, "What the plugin is to do.", shown_as("abstract", true))
          .field("protocols", &Plugin::protocols, "By which protocols requests may come that it runs for.", as_set(),
                 each({one_of(protocols)}))
          .field("enabled", &Plugin::enabled, "Whether it runs.")
          .field("tags", &Plugin::tags, tags_help, tags())
          .chosen("config", "name", config_of)
          .rule(consumer_where_allowed())
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Plugin>() {
  return declared().schema;
}
template <>
Plugin read<Plugin>(const Object& entity) {
  return declared().read(entity);
}

}  // namespace weir::model
