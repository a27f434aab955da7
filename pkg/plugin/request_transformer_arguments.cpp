#include "plugin/request_transformer_arguments.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace weir::plugin {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = text::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); at++) {
    const char c = text[at];
    if (c == '%' && at + 2 < text.size() && hex(text[at + 1]) >= 0 && hex(text[at + 2]) >= 0) {
      out += static_cast<char>(hex(text[at + 1]) * 16 + hex(text[at + 2]));
      at += 2;
    } else {
      out += c == '+' ? ' ' : c;
    }
  }
  return out;
}

void encode(std::string_view text, std::string& out) {
  constexpr std::string_view digits = "0123456789ABCDEF", plain = "-._~!*'()";
  for (const char c : text) {
    const char low = text::lower(c);
    if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || plain.find(c) != plain.npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
  }
}

}  // namespace

Arguments Arguments::parse(std::string_view encoded) {
  Arguments out;
  while (!encoded.empty()) {
    const auto end = std::min(encoded.find('&'), encoded.size());
    const auto pair = encoded.substr(0, end);
    const auto equals = std::min(pair.find('='), pair.size());
    if (equals > 0) {
      auto& argument = out.list_.emplace_back();
      argument.name = decoded(pair.substr(0, equals));
      if (equals < pair.size()) argument.value = decoded(pair.substr(equals + 1));
    }
    encoded.remove_prefix(std::min(end + 1, encoded.size()));
  }
  return out;
}

std::string Arguments::print() const {
  std::string out;
  for (const auto& [name, value] : list_) {
    if (!out.empty()) out += '&';
    encode(name, out);
    if (!value) continue;
    out += '=';
    encode(*value, out);
  }
  return out;
}

bool Arguments::has(std::string_view name) const {
  return std::ranges::any_of(list_, [&](const auto& argument) { return argument.name == name; });
}

const std::string* Arguments::first(std::string_view name) const {
  for (const auto& argument : list_)
    if (argument.name == name && argument.value) return &*argument.value;
  return nullptr;
}

bool Arguments::remove(std::string_view name) {
  return std::erase_if(list_, [&](const auto& argument) { return argument.name == name; }) > 0;
}

bool Arguments::rename(std::string_view old_name, std::string_view new_name) {
  if (!has(old_name)) return false;
  if (old_name != new_name) remove(new_name);
  for (auto& argument : list_)
    if (argument.name == old_name) argument.name = new_name;
  return true;
}

void Arguments::set(std::string_view name, std::string_view value) {
  bool first = true;
  std::erase_if(list_, [&](auto& argument) {
    if (argument.name != name) return false;
    if (!std::exchange(first, false)) return true;
    argument.value = value;
    return false;
  });
  if (first) list_.push_back({std::string(name), std::string(value)});
}

void Arguments::append(std::string_view name, std::optional<std::string_view> value) {
  auto place = list_.end();
  for (auto at = list_.begin(); at != list_.end(); ++at)
    if (at->name == name) place = at + 1;
  Argument argument{std::string(name), std::nullopt};
  if (value) argument.value = *value;
  list_.insert(place, std::move(argument));
}

void Arguments::append_all(const Arguments& more) {
  for (const auto& [name, value] : more.list_) append(name, value);
}

}  // namespace weir::plugin
