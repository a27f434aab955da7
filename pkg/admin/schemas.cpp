// What the Admin API says of itself and of entities in general: /schemas, /endpoints, /tags, /plugins/enabled,
// /plugins/schema.
#include "admin/body.h"
#include "admin/endpoint.h"
#include "admin/lookup.h"
#include "admin/paging.h"
#include "admin/uri.h"
#include "model/form.h"
#include "model/plugin_schemas.h"

namespace weir::admin {

namespace {

namespace json = boost::json;

Answer show_schema(const Call& call) {
  const auto* schema = model::find_schema(call.params[0]);
  if (!schema) return answer_message(404, fmt::format("No entity named '{}'", call.params[0]));
  return answer_json(200, schema->describe());
}

Answer validate(const Call& call, std::string_view entity) {
  const auto* schema = model::find_schema(entity);
  if (!schema) return answer_message(404, fmt::format("No entity named '{}'", entity));
  auto body = read_body(call.request);
  if (!body) return body.error();
  if (body->form) model::infer(*schema, body->values);
  const auto valid = schema->validate(std::move(body->values));
  return valid ? answer_message(200, "schema validation successful") : answer_problem(valid.error());
}

Answer no_plugin(const std::string& name) {
  return answer_message(404, fmt::format("No plugin named '{}'", name));
}

Answer show_plugin_schema(const Call& call) {
  const auto* plugin = model::find_plugin_schema(call.params[0]);
  return plugin ? answer_json(200, model::describe_plugin(*plugin)) : no_plugin(call.params[0]);
}

// The older form: the configuration alone.
Answer show_config_schema(const Call& call) {
  const auto* plugin = model::find_plugin_schema(call.params[0]);
  return plugin ? answer_json(200, plugin->config->describe()) : no_plugin(call.params[0]);
}

Answer list_enabled_plugins() {
  json::array names;
  for (const auto& plugin : model::plugin_schemas())
    names.emplace_back(json::string_view(plugin.name.data(), plugin.name.size()));
  return answer_json(200, Object{{"enabled_plugins", std::move(names)}});
}

Answer list_tags(const Context& context, const Call& call, const std::optional<std::string>& tag) {
  const auto query = read_page_query(call, false);
  if (!query) return answer_problem(query.error());
  const auto page = context.store.tags(tag, query->size, query->offset);
  if (!page) return answer_problem(page.error());
  json::array rows;
  for (const auto& row : page->rows)
    rows.push_back(Object{{"tag", row.tag}, {"entity_name", row.entity_name}, {"entity_id", row.entity_id}});
  const auto path = tag ? fmt::format("/tags/{}", call.raw_params[0]) : std::string("/tags");
  return answer_json(200, list_body(std::move(rows), page->next_offset, path, {}));
}

Answer list_endpoints(const Table& table) {
  json::array paths;
  for (const auto& endpoint : table.endpoints()) paths.emplace_back(endpoint.path);
  return answer_json(200, Object{{"data", std::move(paths)}});
}

// Kinds of things that this version has none of, asked for by name.
Operation none_named(std::string_view kind) {
  return {
      [kind](const Call& call) { return answer_message(404, fmt::format("No {} named '{}'", kind, call.params[0])); },
      fmt::format("The schema of a {}: there is none in this version", kind), "", ""};
}

}  // namespace

void add_schemas(Table& table, const Context& context) {
  const std::string checks = "Check an entity without storing it; references and uniqueness are not looked at";
  table.add("GET", "/schemas/{entity}", on_control({show_schema, "Fields and rules of an entity", "", ""}));
  table.add("POST", "/schemas/{entity}/validate",
            on_control({[](const Call& call) { return validate(call, call.params[0]); }, checks, "any", "message"}));
  table.add("POST", "/schemas/plugins/validate",
            on_control({[](const Call& call) { return validate(call, "plugins"); }, checks, "any", "message"}));
  table.add("GET", "/schemas/plugins/{name}",
            on_control({show_plugin_schema, "Fields and rules of a plugin's entity", "", ""}));
  table.add("GET", "/schemas/vaults/{name}", on_control(none_named("vault")));
  table.add("GET", "/plugins/schema/{name}",
            on_control({show_config_schema, "Fields and rules of a plugin's configuration (deprecated)", "", ""}));
  table.add("GET", "/plugins/enabled",
            on_control(
                {[](const Call&) { return list_enabled_plugins(); }, "Names of the plugins that may be used", "", ""}));
  table.add("GET", "/tags",
            {[&context](const Call& call) { return list_tags(context, call, std::nullopt); },
             "All tags and what carries them",
             "",
             "",
             200,
             {"size", "offset"}});
  table.add("GET", "/tags/{tags}",
            {[&context](const Call& call) { return list_tags(context, call, call.params[0]); },
             "What carries a tag",
             "",
             "",
             200,
             {"size", "offset"}});
  table.add("GET", "/endpoints",
            on_control({[&table](const Call&) { return list_endpoints(table); }, "All paths of this API", "", ""}));
}

}  // namespace weir::admin
