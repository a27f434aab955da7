#include "reconcile/kong_plugin_object.h"

#include <charconv>

#include "model/formats.h"
#include "store/yaml.h"

namespace weir::reconcile::kong {
namespace {

namespace json = boost::json;

// A value that a secretKeyRef names, read as JSON or YAML.
Result<json::value> referred(const Object& reference, const std::string& space, View& view) {
  const auto& key = object_of(reference, {"secretKeyRef"});
  const auto field = text_of(key, "key");
  // Of a KongClusterPlugin the reference says the namespace.
  const Name name{space.empty() ? text_of(key, "namespace") : space, text_of(key, "name")};
  if (name.space.empty() || name.name.empty() || field.empty()) return fail("secretKeyRef is not complete");
  const auto secret = view.get(kinds::secret, name);
  if (!secret) return fail("there is no Secret {}", name.text());
  const auto text = secret_value(*secret, field);
  if (!text) return fail("Secret {} has no key '{}'", name.text(), model::shown(field));
  if (!*text) return fail("Secret {}: {}", name.text(), text->error().message);
  auto value = store::parse_yaml(**text);
  if (!value) return fail("Secret {}: key '{}' is neither JSON nor YAML", name.text(), model::shown(field));
  return value;
}

// JSON Patch's "add" (RFC 6902 section 4.1) at a JSON pointer; false: there is no such place.
bool add_at(json::value& whole, std::string_view pointer, json::value value) {
  auto* at = &whole;
  while (pointer.starts_with('/')) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string name;  // "~1" is a slash, "~0" a tilde
    for (std::size_t i = 0; i < end; i++) {
      const bool escape = pointer[i] == '~' && i + 1 < end && (pointer[i + 1] == '0' || pointer[i + 1] == '1');
      name += escape ? (pointer[++i] == '1' ? '/' : '~') : pointer[i];
    }
    pointer.remove_prefix(end);
    const bool last = pointer.empty();
    if (auto* object = at->if_object()) {
      if (last) {
        (*object)[name] = std::move(value);
        return true;
      }
      at = object->if_contains(name);
      if (!at) return false;
    } else if (auto* array = at->if_array()) {
      std::size_t index = array->size();
      if (name != "-") {
        const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), index);
        if (error != std::errc{} || stop != name.data() + name.size()) return false;
      }
      if (index > array->size() || (!last && index == array->size())) return false;
      if (last) {
        array->insert(array->begin() + index, std::move(value));
        return true;
      }
      at = &(*array)[index];
    } else {
      return false;
    }
  }
  return false;
}

Result<Object> read_config(const Object& plugin, const std::string& space, View& view, Values& values) {
  json::value config = object_of(plugin, {"config"});
  if (has(plugin, "configFrom")) {
    if (has(plugin, "config")) return fail("Using both config and configFrom fields is not allowed.");
    if (has(plugin, "configPatches")) return fail("Using both configFrom and configPatches fields is not allowed.");
    values = Values::hidden;
    auto found = referred(object_of(plugin, {"configFrom"}), space, view);
    if (!found) return fail("configFrom: {}", found.error().message);
    if (found->is_null()) return Object();
    if (!found->is_object()) return fail("configFrom: what the Secret holds is not an object");
    return std::move(found->get_object());
  }
  for (const auto& element : array_of(plugin, {"configPatches"})) {
    const auto& patch = object_in(element);
    const auto path = text_of(patch, "path");
    values = Values::hidden;
    auto value = referred(object_of(patch, {"valueFrom"}), space, view);
    if (!value) return fail("configPatches '{}': {}", model::shown(path), value.error().message);
    if (path.empty()) {
      config = std::move(*value);
      continue;
    }
    if (!add_at(config, path, std::move(*value)))
      return fail("configPatches: the path '{}' cannot be set", model::shown(path));
  }
  if (!config.is_object()) return fail("configPatches: the configuration is not an object afterwards");
  return std::move(config.get_object());
}

}  // namespace

Result<PluginInput> read_plugin(const Kind& kind, const Name& name, const Object& plugin, View& view) {
  PluginInput out;
  out.type = text_of(plugin, "plugin");
  if (out.type.empty()) return fail("{} {}: plugin is missing", kind.kind, name.text());
  auto config = read_config(plugin, name.space, view, out.values);
  if (!config) return fail("{} {}: {}", kind.kind, name.text(), config.error().message);
  out.disabled = flag_of(plugin, "disabled").value_or(false);
  out.input = {
      {"name", out.type}, {"config", std::move(*config)}, {"enabled", !out.disabled}, {"tags", tags(kind, plugin)}};
  if (has(plugin, "protocols")) out.input["protocols"] = plugin.at("protocols");
  out.instance_name = text_of(plugin, "instance_name");
  out.created_at = created_at(plugin);
  for (const std::string_view field : {"ordering", "consumerRef"})
    if (has(plugin, field))
      add_fault(out.left_out,
                fmt::format("{} {}: {} is left out: not supported by this version", kind.kind, name.text(), field));
  return out;
}

model::Outcome<Entity> plugin_entity(const PluginInput& plugin, const Uuid& id, std::string_view target_field,
                                     const Uuid& target) {
  auto input = plugin.input;
  if (!target_field.empty()) input[target_field] = Object{{"id", target.text()}};
  // Names of instances are unique, and one object makes an instance for each target.
  if (!plugin.instance_name.empty())
    input["instance_name"] = target_field.empty()
                                 ? plugin.instance_name
                                 : fmt::format("{}-{}", plugin.instance_name, target.text().substr(0, 8));
  return make_entity("plugins", id, std::move(input), plugin.created_at);
}

}  // namespace weir::reconcile::kong
