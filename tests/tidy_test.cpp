// Checks the tree itself: what review would otherwise have to look for in every change.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/schema.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

// A folder includes only folders of lower layers; folders of one layer do not know each other.
const std::map<std::string, int, std::less<>> layers{
    {"base", 1},   {"model", 2}, {"http", 2},     {"net", 2},   {"balance", 2}, {"metrics", 2}, {"store", 3},
    {"plugin", 4}, {"kube", 2},  {"snapshot", 5}, {"proxy", 6}, {"admin", 6},   {"gateway", 7},   {"reconcile", 4},
};
constexpr int command_layer = 8;  // cmd/weir: the command line stands above all
constexpr std::size_t lines_max = 600;

struct Source {
  std::string path;    // from the top of the tree
  std::string folder;  // of pkg; empty outside it
  std::vector<std::string> lines;

  bool header() const { return path.ends_with(".h"); }
  std::string at(std::size_t line) const { return path + ":" + std::to_string(line + 1); }
};

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// Everything that people write and a machine reads.
const std::vector<Source>& sources() {
  static const auto all = [] {
    const fs::path top = WEIR_SOURCE_DIR;
    const std::set<std::string> kinds{".h", ".cpp", ".cc", ".py", ".sh", ".cmake"}, skipped{"node_modules", "build"};
    std::vector<Source> found;
    for (const char* part : {"pkg", "cmd", "tests", "bench", "scripts", "cmake"}) {
      if (!fs::exists(top / part)) continue;
      for (auto entry = fs::recursive_directory_iterator(top / part); entry != fs::end(entry); ++entry) {
        const auto name = entry->path().filename().string();
        if (entry->is_directory() && (skipped.contains(name) || name.starts_with('.')))
          entry.disable_recursion_pending();
        if (!entry->is_regular_file() || !kinds.contains(entry->path().extension())) continue;
        const auto path = fs::relative(entry->path(), top);
        auto second = *std::next(path.begin());
        bool in_pkg = *path.begin() == "pkg" && second != path.filename();
        found.push_back({path.string(), in_pkg ? second.string() : "", lines_of(entry->path())});
      }
    }
    return found;
  }();
  return all;
}

std::vector<const Source*> programs() {
  std::vector<const Source*> found;
  for (const auto& source : sources())
    if (source.path.starts_with("pkg/") || source.path.starts_with("cmd/")) found.push_back(&source);
  return found;
}

// "net" of: #include "net/resolver.h"; empty for anything else.
std::string_view included_folder(std::string_view line) {
  constexpr std::string_view start = "#include \"";
  if (!line.starts_with(start)) return {};
  line.remove_prefix(start.size());
  auto slash = line.find('/');
  return slash == line.npos ? std::string_view{} : line.substr(0, slash);
}

TEST(Tidy, finds_the_tree) {
  EXPECT_GT(programs().size(), 50u);
  EXPECT_EQ(included_folder("#include \"net/resolver.h\""), "net");
  EXPECT_EQ(included_folder("#include <vector>"), "");
}

TEST(Tidy, each_folder_has_its_layer) {
  for (const auto* source : programs()) {
    EXPECT_TRUE(source->folder.empty() || layers.contains(source->folder)) << source->path;
  }
}

TEST(Tidy, folders_include_only_lower_layers) {
  for (const auto* source : programs()) {
    auto own = layers.find(source->folder);
    int layer = own == layers.end() ? command_layer : own->second;
    for (std::size_t i = 0; i < source->lines.size(); ++i) {
      auto folder = included_folder(source->lines[i]);
      if (folder.empty() || folder == source->folder || (layer == command_layer && folder == "cmd")) continue;
      auto other = layers.find(folder);
      ASSERT_NE(other, layers.end()) << source->at(i) << ": no such folder: " << folder;
      EXPECT_LT(other->second, layer) << source->at(i) << ": " << source->folder << " must not know " << folder;
    }
  }
}

TEST(Tidy, each_header_begins_with_its_purpose) {
  for (const auto& source : sources()) {
    if (!source.header()) continue;
    ASSERT_FALSE(source.lines.empty()) << source.path;
    EXPECT_TRUE(source.lines[0].starts_with("// ") && source.lines[0].size() > 20) << source.path;
    EXPECT_TRUE(std::ranges::count(source.lines, "#pragma once") == 1) << source.path << " lacks #pragma once";
  }
}

TEST(Tidy, no_file_is_too_long_to_read) {
  for (const auto& source : sources()) EXPECT_LE(source.lines.size(), lines_max) << source.path;
}

TEST(Tidy, nothing_is_left_for_later) {
  for (const auto* source : programs())
    for (std::size_t i = 0; i < source->lines.size(); ++i)
      for (std::string_view word : {"TODO", "FIXME", "not implemented"})
        EXPECT_EQ(source->lines[i].find(word), std::string::npos) << source->at(i) << ": " << source->lines[i];
}

// It backtracks, so a pattern of a user could stop the process; RE2 does not.
TEST(Tidy, no_std_regex) {
  for (const auto* source : programs())
    for (std::size_t i = 0; i < source->lines.size(); ++i)
      for (std::string_view word : {"std::regex", "#include <regex>"})
        EXPECT_EQ(source->lines[i].find(word), std::string::npos) << source->at(i);
}

TEST(Tidy, no_file_is_left_empty) {
  for (const auto* source : programs()) {
    EXPECT_FALSE(source->path.ends_with("/placeholder.cpp")) << source->path;
    EXPECT_FALSE(source->lines.empty()) << source->path;
  }
}

void expect_help(const std::string& path, const model::Field& field) {
  EXPECT_GT(field.help.size(), 5u) << path << " has no help text";
  EXPECT_TRUE(field.help.empty() || field.help.ends_with('.')) << path << ": not a sentence: " << field.help;
  for (const auto& part : field.fields) expect_help(path + "." + part.name, part);
}

TEST(Tidy, each_field_of_each_entity_has_help_text) {
  EXPECT_GE(model::schemas().size(), 4u);
  for (const auto* schema : model::schemas())
    for (const auto& field : schema->fields()) expect_help(std::string(schema->name()) + "." + field.name, field);
}

}  // namespace
}  // namespace weir
