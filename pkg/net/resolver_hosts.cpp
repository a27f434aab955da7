#include "net/resolver_hosts.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "base/text.h"

namespace weir::net {

namespace {

constexpr std::size_t file_bytes_max = 4 * 1024 * 1024;  // block lists of ad servers are the largest hosts files seen

std::string_view without_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

std::string_view next_word(std::string_view& line) {
  auto begin = line.find_first_not_of(" \t\r");
  if (begin == line.npos) return line = {};
  auto end = std::min(line.find_first_of(" \t\r", begin), line.size());
  auto word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

}  // namespace

Hosts Hosts::parse(std::string_view file) {
  Hosts hosts;
  while (!file.empty()) {
    auto end = std::min(file.find('\n'), file.size());
    auto line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    line = line.substr(0, line.find('#'));
    auto address = Address::from_ip(next_word(line), 0);
    if (!address) continue;
    for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
      auto& entry = hosts.entries_[text::lower(without_dot(word))];
      auto& list = address->get()->sa_family == AF_INET ? entry.v4 : entry.v6;
      if (std::ranges::find(list, *address) == list.end()) list.push_back(*address);
    }
  }
  for (auto& [name, entry] : hosts.entries_) {
    std::ranges::sort(entry.v4, before);
    std::ranges::sort(entry.v6, before);
  }
  if (!hosts.entries_.contains("localhost"))
    hosts.entries_["localhost"] = {{*Address::from_ip("127.0.0.1", 0)}, {*Address::from_ip("::1", 0)}};
  return hosts;
}

Hosts Hosts::read(const std::string& path) {
  auto mark = mark_of(path);
  if (!mark) return parse("");
  std::ifstream file(path, std::ios::binary);
  std::string text(std::min<std::size_t>(mark->size, file_bytes_max), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return parse(text);
}

Hosts::Found Hosts::find(std::string_view name, std::span<const RecordType> order) const {
  auto entry = entries_.find(text::lower(without_dot(name)));
  if (entry == entries_.end()) return {};
  for (auto type : order) {
    if (type == RecordType::a && !entry->second.v4.empty()) return {type, entry->second.v4};
    if (type == RecordType::aaaa && !entry->second.v6.empty()) return {type, entry->second.v6};
  }
  return {};
}

std::optional<FileMark> mark_of(const std::string& path) {
  struct stat info{};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileMark{info.st_ino, static_cast<std::uint64_t>(info.st_size),
                  std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

}  // namespace weir::net
