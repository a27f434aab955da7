// GET /openapi.json: an OpenAPI 3.1 document made from the table of endpoints and the entities' declarations.
#include "admin/api_object.h"
#include "admin/endpoint.h"
#include "base/text.h"
#include "model/plugin_schemas.h"
#include "model/schema.h"

namespace weir::admin {

namespace {

namespace json = boost::json;

Object reference(std::string_view component) {
  return {{"$ref", fmt::format("#/components/schemas/{}", component)}};
}

Object content(std::string_view type, const Object& schema) {
  return {{type, Object{{"schema", schema}}}};
}

Object query_parameter(const std::string& name) {
  static const std::map<std::string_view, Object> shapes{
      {"size", {{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}, {"default", 100}}},
      {"scale", {{"type", "integer"}, {"minimum", 0}, {"maximum", 10}, {"default", 2}}},
      {"unit", {{"type", "string"}, {"enum", json::array{"b", "k", "m", "g"}}, {"default", "m"}}}};
  static const std::map<std::string_view, std::string_view> helps{
      {"size", "How many entries a page has."},
      {"offset", "Where the page begins: the offset of the page before."},
      {"tags", "Only entities with these tags: a,b for all of them, a/b for any."},
      {"balancer_health", "1: the balancer as a whole instead of its targets."},
      {"unit", "Unit of sizes."},
      {"scale", "Decimals of sizes."},
      {"custom_id", "Only the consumer that has this id elsewhere."},
      {"timeout", "Seconds until the level before is back; 0: it stays."}};
  const auto shape = shapes.find(name);
  const auto help = helps.find(name);
  return {{"name", name},
          {"in", "query"},
          {"description", help == helps.end() ? std::string_view() : help->second},
          {"schema", shape == shapes.end() ? Object{{"type", "string"}} : shape->second}};
}

// "GET /services/{services}/routes" -> "get_services_by_services_routes"
std::string operation_id(std::string_view method, const Endpoint& endpoint) {
  std::string out = text::lower(method);
  for (const auto& segment : endpoint.segments) {
    const bool brace = segment.starts_with('{');
    out += brace ? "_by_" + segment.substr(1, segment.size() - 2) : "_" + segment;
  }
  std::ranges::replace_if(out, [](char c) { return c == '.' || c == '-'; }, '_');
  return out;
}

Object describe_answer(const Operation& operation) {
  if (operation.status == 204) return {{"description", "Done."}};
  if (operation.gives == "text")
    return {{"description", "Done."}, {"content", content("text/plain", {{"type", "string"}})}};
  const auto schema = operation.gives.empty() ? Object{{"type", "object"}} : reference(operation.gives);
  return {{"description", "Done."}, {"content", content("application/json", schema)}};
}

Object describe(std::string_view method, const Endpoint& endpoint, const Operation& operation) {
  json::array parameters;
  for (const auto& name : operation.query) parameters.push_back(query_parameter(name));
  Object responses{{std::to_string(operation.status), describe_answer(operation)},
                   {"default", Object{{"description", "Refused: what is wrong."},
                                      {"content", content("application/json", reference("error"))}}}};
  if (method == "PUT" && endpoint.path == "/apis") responses["201"] = describe_answer(operation);
  Object out{{"summary", operation.summary}, {"operationId", operation_id(method, endpoint)}};
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (!operation.takes.empty()) {
    // PATCH takes any part of an entity, so nothing is required there.
    const auto schema = reference(method == "PATCH" ? operation.takes + "_part" : operation.takes);
    Object types;
    for (const char* type : {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"})
      types[type] = Object{{"schema", schema}};
    out["requestBody"] = Object{{"required", method != "PATCH"}, {"content", std::move(types)}};
  }
  out["responses"] = std::move(responses);
  return out;
}

json::array path_parameters(const Endpoint& endpoint) {
  json::array out;
  for (const auto& segment : endpoint.segments) {
    if (!segment.starts_with('{')) continue;
    const auto name = segment.substr(1, segment.size() - 2);
    const bool entity = model::find_schema(name) || name == "apis";
    out.push_back(Object{{"name", name},
                         {"in", "path"},
                         {"required", true},
                         {"description", entity ? "Its id, or its name." : "A name."},
                         {"schema", Object{{"type", "string"}}}});
  }
  return out;
}

Object list_of(std::string_view name) {
  return {{"type", "object"},
          {"properties", Object{{"data", Object{{"type", "array"}, {"items", reference(name)}}},
                                {"next", Object{{"type", json::array{"string", "null"}}}},
                                {"offset", Object{{"type", "string"}}}}},
          {"required", json::array{"data", "next"}}};
}

void add_component(Object& out, const std::string& name, Object schema) {
  Object part = schema;
  part.erase("required");
  out[name] = std::move(schema);
  out[name + "_part"] = std::move(part);
}

// The configuration of each plugin, and that a plugin has one of them.
void describe_configurations(Object& components) {
  json::array any;
  for (const auto& plugin : model::plugin_schemas()) {
    const auto name = fmt::format("{}_config", plugin.name);
    components[name] = plugin.config->json_schema();
    any.push_back(reference(name));
  }
  if (any.empty()) return;
  for (const char* name : {"plugins", "plugins_part"})
    if (auto* entity = components.if_contains(name))
      if (auto* properties = entity->get_object().if_contains("properties"))
        properties->get_object()["config"] =
            Object{{"description", "What the plugin that `name` says is configured with."}, {"anyOf", any}};
}

Object components() {
  Object out;
  for (const auto* schema : model::schemas()) {
    const std::string name(schema->name());
    add_component(out, name, schema->json_schema());
    out[name + "_list"] = list_of(name);
  }
  describe_configurations(out);
  add_component(out, "apis", api_json_schema());
  out["apis_list"] = Object{{"type", "object"},
                            {"properties", Object{{"total", Object{{"type", "integer"}}},
                                                  {"data", Object{{"type", "array"}, {"items", reference("apis")}}},
                                                  {"next", Object{{"type", "string"}}},
                                                  {"offset", Object{{"type", "string"}}}}},
                            {"required", json::array{"total", "data"}}};
  out["any"] = Object{{"type", "object"}};
  out["message"] = Object{{"type", "object"}, {"properties", Object{{"message", Object{{"type", "string"}}}}}};
  out["error"] = Object{
      {"type", "object"},
      {"properties",
       Object{{"message", Object{{"type", "string"}}},
              {"code", Object{{"type", "integer"}, {"description", "Kong's number of the kind of error."}}},
              {"name", Object{{"type", "string"}}},
              {"fields", Object{{"type", "object"}, {"description", "What is wrong, by field."}}},
              {"options", Object{{"type", "object"}, {"description", "What is wrong, by query argument (code 11)."}}}}},
      {"description", "An error. /apis answers in the way of Kong 0.10: what is wrong, by field."}};
  return out;
}

Answer show_document(const Table& table, const Context& context) {
  Object paths;
  for (const auto& endpoint : table.endpoints()) {
    Object item;
    if (auto parameters = path_parameters(endpoint); !parameters.empty()) item["parameters"] = std::move(parameters);
    for (const auto& [method, operation] : endpoint.operations)
      item[text::lower(method)] = describe(method, endpoint, operation);
    paths[endpoint.path] = std::move(item);
  }
  return answer_json(
      200, Object{{"openapi", "3.1.0"},
                  {"info", Object{{"title", "Weir Admin API"},
                                  {"version", context.options.weir_version},
                                  {"description", fmt::format("Compatible with Kong {}. HEAD is served wherever "
                                                              "GET is, OPTIONS everywhere.",
                                                              context.options.version)}}},
                  {"paths", std::move(paths)},
                  {"components", Object{{"schemas", components()}}}});
}

}  // namespace

void add_openapi(Table& table, const Context& context) {
  table.add(
      "GET", "/openapi.json",
      on_control({[&table, &context](const Call&) { return show_document(table, context); }, "This document", "", ""}));
}

}  // namespace weir::admin
