#include "store/offset.h"

#include <cstdint>
#include <optional>

#include <fmt/format.h>

namespace weir::store {
namespace {

namespace json = boost::json;

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string encode(std::string_view bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) out += alphabet[bits >> (held - 6) & 63];
  }
  if (held > 0) out += alphabet[bits << (6 - held) & 63];
  return out;
}

std::optional<std::string> decode(std::string_view text) {
  for (int padding = 0; padding < 2 && text.ends_with('='); padding++) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = digit(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if ((held += 6) < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 255);
  }
  return out;
}

}  // namespace

model::Problem bad_offset(std::string_view text, std::string_view why) {
  model::Problem problem;
  problem.code = model::Problem::invalid_offset;
  problem.message = fmt::format("'{}' is not a valid offset: {}", text, why);
  return problem;
}

std::string print_offset(const json::array& key) {
  return encode(json::serialize(key));
}

model::Outcome<json::array> parse_offset(std::string_view text, std::string_view types) {
  const auto decoded = decode(text);
  if (!decoded) return std::unexpected(bad_offset(text, "bad base64 encoding"));
  json::error_code failed;
  auto value = json::parse(*decoded, failed);
  auto* array = value.if_array();
  bool good = !failed && array != nullptr && array->size() == types.size();
  for (std::size_t i = 0; good && i < types.size(); i++)
    good = types[i] == 's' ? (*array)[i].is_string() : (*array)[i].is_int64();
  if (!good) return std::unexpected(bad_offset(text, "bad json encoding"));
  return std::move(*array);
}

}  // namespace weir::store
