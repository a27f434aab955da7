#include "cmd/weir/completion.h"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include "gateway/settings.h"

namespace weir::cmd {
namespace {

// What may follow each command: "config export" -> its options and sub-commands.
using Words = std::vector<std::pair<std::string, std::string>>;  // command path -> words

std::string words_of(const CLI::App& app) {
  std::string out;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) out += sub->get_name() + " ";
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) out += "--" + name + " ";
  if (!out.empty()) out.pop_back();
  return out;
}

void collect(const CLI::App& app, const std::string& path, Words& words) {
  words.emplace_back(path, words_of(app));
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), words);
}

std::string settings() {
  std::string out;
  for (const auto& setting : gateway::known_settings())
    if (setting.honoured) out += fmt::format("{}{}=", out.empty() ? "" : " ", setting.name);
  return out;
}

std::string bash(const Words& words) {
  std::string cases;
  for (const auto& [path, list] : words) cases += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, list);
  return fmt::format(
      "_weir() {{\n"
      "  local path= words= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${{COMP_WORDS[i]}} in -*) break ;; *) path=\"${{path:+$path }}${{COMP_WORDS[i]}}\" ;; esac\n"
      "  done\n"
      "  if [ \"${{COMP_WORDS[COMP_CWORD-1]}}\" = --set ]; then\n"
      "    compopt -o nospace; COMPREPLY=($(compgen -W \"{}\" -- \"${{COMP_WORDS[COMP_CWORD]}}\")); return\n"
      "  fi\n"
      "  case $path in\n{}  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -o default -F _weir weir\n",
      settings(), cases);
}

std::string fish(const Words& words) {
  std::string out = "complete -c weir -f\n";
  for (const auto& [path, list] : words) {
    std::string condition =
        path.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + path.substr(path.rfind(' ') + 1);
    out += fmt::format("complete -c weir -n '{}' -a '{}'\n", condition, list);
  }
  return out + fmt::format("complete -c weir -l set -x -a '{}'\n", settings());
}

}  // namespace

std::string completion(const CLI::App& app, std::string_view shell) {
  Words words;
  collect(app, "", words);
  if (shell == "fish") return fish(words);
  // zsh runs the bash script through its own compatibility layer.
  return shell == "zsh" ? "#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n" + bash(words) : bash(words);
}

}  // namespace weir::cmd
