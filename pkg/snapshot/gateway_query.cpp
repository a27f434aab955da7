#include "snapshot/gateway_query.h"

#include <re2/re2.h>

namespace weir::snapshot {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The next character of the escaped text; a broken escape stands for itself.
char take_decoded(std::string_view& text) {
  const char c = text.front();
  text.remove_prefix(1);
  if (c == '+') return ' ';
  if (c != '%' || text.size() < 2) return c;
  const int high = hex_digit(text[0]), low = hex_digit(text[1]);
  if (high < 0 || low < 0) return c;
  text.remove_prefix(2);
  return static_cast<char>(high * 16 + low);
}

bool decodes_to(std::string_view escaped, std::string_view plain) {
  for (const char wanted : plain)
    if (escaped.empty() || take_decoded(escaped) != wanted) return false;
  return escaped.empty();
}

bool value_matches(const CompiledGatewayRoute::Condition& wanted, std::string_view escaped) {
  if (!wanted.regex) return decodes_to(escaped, wanted.value);
  std::string decoded;  // stays in the string itself for short values
  while (!escaped.empty()) decoded += take_decoded(escaped);
  return re2::RE2::FullMatch(decoded, *wanted.regex);
}

}  // namespace

bool query_matches(const CompiledGatewayRoute::Condition& wanted, std::string_view query) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const auto equals = pair.find('=');
    if (!decodes_to(pair.substr(0, equals), wanted.name)) continue;
    return value_matches(wanted, equals == pair.npos ? std::string_view() : pair.substr(equals + 1));
  }
  return false;
}

}  // namespace weir::snapshot
