#include "plugin/origins.h"

#include <algorithm>
#include <functional>

#include <re2/re2.h>

#include "model/formats.h"

namespace weir::plugin {
namespace {

// What can only be a plain origin; everything else is a regular expression. Kong's rule.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == ':' ||
           c == '/' || c == '-';
  });
}

// Kong anchors by itself; the user's own anchors are harmless.
std::string whole_match(std::string_view text) {
  if (text.starts_with('^')) text.remove_prefix(1);
  return "(?:" + model::to_re2(text) + ")";
}

}  // namespace

Origin read_origin(std::string_view text) {
  const auto colon = text.find("://");
  if (colon == text.npos || colon == 0) return {text, text};
  const auto scheme = text.substr(0, colon);
  const auto begin = colon + 3;
  const auto end = std::min(text.find_first_of("/?#", begin), text.size());
  auto authority = text.substr(begin, end - begin);
  if (authority.find('@') != authority.npos || authority.empty()) return {text, text};  // no browser sends such a one
  auto host = authority;
  if (const auto port = authority.rfind(':'); port != authority.npos && authority.find(']', port) == authority.npos) {
    host = authority.substr(0, port);
    const auto number = authority.substr(port + 1);
    if (number.empty() || (scheme == "http" && number == "80") || (scheme == "https" && number == "443"))
      authority = host;
  }
  return {text.substr(0, begin + authority.size()), host};
}

Origins::Origins(Origins&&) noexcept = default;
Origins::~Origins() = default;

Result<Origins> Origins::parse(const std::vector<std::string>& list) {
  Origins out;
  for (const auto& text : list) {
    if (text == "*") {
      out.any_ = true;
    } else if (is_plain(text)) {
      out.exact_.emplace_back(read_origin(text).whole);
      if (list.size() == 1) out.fixed_ = text;
    } else {
      auto regex = std::make_unique<re2::RE2>(whole_match(text), re2::RE2::Quiet);
      if (!regex->ok()) return fail("origins: '{}' is not a valid regex", text);
      out.patterns_.push_back({std::move(regex), text.find(':') == text.npos});
    }
  }
  std::ranges::sort(out.exact_);
  return out;
}

bool Origins::match(const Origin& origin) const {
  if (std::ranges::binary_search(exact_, origin.whole, std::less<>(),
                                 [](const auto& o) { return std::string_view(o); }))
    return true;
  return std::ranges::any_of(patterns_, [&](const Pattern& pattern) {
    const auto subject = pattern.by_host ? origin.host : origin.whole;
    return re2::RE2::FullMatch({subject.data(), subject.size()}, *pattern.regex);
  });
}

}  // namespace weir::plugin
