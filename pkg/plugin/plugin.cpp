#include "plugin/plugin.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"
#include "model/plugin_schemas.h"

namespace weir::plugin {
namespace {

std::string known_names() {
  std::vector<std::string_view> names;
  for (const auto* kind : kinds()) names.push_back(kind->name);
  std::ranges::sort(names);
  std::string out;
  for (const auto name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

}  // namespace

const Kind* find_kind(std::string_view name) {
  for (const auto* kind : kinds())
    if (kind->name == name) return kind;
  return nullptr;
}

Result<std::vector<const Kind*>> enabled_kinds(std::string_view enabled) {
  const auto words = text::split(enabled);
  std::vector<const Kind*> out;
  if (words.size() == 1 && words.front() == "off") return out;
  const auto wanted = [&](std::string_view name) { return std::ranges::find(words, name) != words.end(); };
  for (const auto word : words)
    if (word != "bundled" && !find_kind(word))
      return fail("setting 'plugins': there is no plugin '{}'; known are {}, and the words bundled and off (alone)",
                  word, known_names());
  for (const auto* kind : kinds())
    if (wanted("bundled") || wanted(kind->name)) out.push_back(kind);
  return out;
}

Result<> install(std::string_view enabled) {
  const auto chosen = enabled_kinds(enabled);
  if (!chosen) return std::unexpected(chosen.error());
  std::vector<model::PluginSchema> schemas;
  for (const auto* kind : *chosen)
    schemas.push_back({kind->name, &kind->config(), kind->consumer_scope, kind->priority});
  model::install_plugin_schemas(std::move(schemas));
  return {};
}

}  // namespace weir::plugin
