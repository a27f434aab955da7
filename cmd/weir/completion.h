// Completion scripts for shells, made from the command line's own table of sub-commands and options.
#pragma once
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace weir::cmd {

// shell: "bash", "zsh" or "fish".
std::string completion(const CLI::App& app, std::string_view shell);

}  // namespace weir::cmd
