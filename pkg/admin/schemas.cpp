// What the Admin API says of itself and of entities in general: /schemas, /endpoints, /tags, /plugins/enabled.
#include "admin/body.h"
#include "admin/endpoint.h"
#include "admin/lookup.h"
#include "admin/paging.h"
#include "admin/uri.h"
#include "model/form.h"

namespace weir::admin {

namespace {

namespace json = boost::json;

Answer show_schema(const Call& call) {
  const auto* schema = model::find_schema(call.params[0]);
  if (!schema) return answer_message(404, fmt::format("No entity named '{}'", call.params[0]));
  return answer_json(200, schema->describe());
}

Answer validate(const Context&, const Call& call) {
  const auto* schema = model::find_schema(call.params[0]);
  if (!schema) return answer_message(404, fmt::format("No entity named '{}'", call.params[0]));
  auto body = read_body(call.request);
  if (!body) return body.error();
  if (body->form) model::infer(*schema, body->values);
  const auto valid = schema->validate(std::move(body->values));
  return valid ? answer_message(200, "schema validation successful") : answer_problem(valid.error());
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
  table.add("GET", "/schemas/{entity}", {show_schema, "Fields and rules of an entity", "", ""});
  table.add("POST", "/schemas/{entity}/validate",
            {[&context](const Call& call) { return validate(context, call); },
             "Check an entity without storing it; references and uniqueness are not looked at", "any", "message"});
  table.add("GET", "/schemas/plugins/{name}", none_named("plugin"));
  table.add("GET", "/schemas/vaults/{name}", none_named("vault"));
  table.add("GET", "/plugins/enabled",
            {[](const Call&) { return answer_json(200, Object{{"enabled_plugins", json::array{}}}); },
             "Names of the plugins that may be used", "", ""});
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
            {[&table](const Call&) { return list_endpoints(table); }, "All paths of this API", "", ""});
}

}  // namespace weir::admin
