#include "admin/paging.h"

#include <charconv>

#include "admin/uri.h"
#include "model/formats.h"

namespace weir::admin {

using model::Outcome;
using model::Problem;

namespace {

constexpr std::size_t page_size_max = 1000;
constexpr std::size_t query_tags_max = 5;

Outcome<std::size_t> read_size(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed == std::errc::result_out_of_range)
    value = 0;
  else if (failed != std::errc() || end != text.data() + text.size())
    return std::unexpected(Problem{Problem::invalid_size, "size must be a number", {}, {}});
  if (!(value >= 1 && value <= page_size_max) || value != static_cast<double>(static_cast<std::size_t>(value)))
    return std::unexpected(Problem{Problem::invalid_size, "size must be an integer between 1 and 1000", {}, {}});
  return static_cast<std::size_t>(value);
}

Problem bad_tags(std::string_view why) {
  return {Problem::invalid_options, fmt::format("invalid option (tags: {})", why), Object{{"tags", why}}, {}};
}

// Printable ASCII, or anything of UTF-8 beyond it.
bool is_tag_char(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
}

Outcome<> read_tags(std::string_view text, store::PageQuery& out) {
  if (text.empty()) return std::unexpected(bad_tags("cannot be null"));
  const bool all = text.find(',') != std::string_view::npos;
  out.any_tag = text.find('/') != std::string_view::npos;
  if ((all && out.any_tag) || !std::ranges::all_of(text, is_tag_char))
    return std::unexpected(bad_tags("invalid filter syntax"));
  const char separator = out.any_tag ? '/' : ',';
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find(separator, start), text.size());
    if (end == start) return std::unexpected(bad_tags("invalid filter syntax"));
    out.tags.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  if (out.tags.size() > query_tags_max) return std::unexpected(bad_tags("cannot query more than 5 tags"));
  return {};
}

}  // namespace

Outcome<store::PageQuery> read_page_query(const Call& call, bool filter) {
  store::PageQuery out;
  if (const auto* size = call.arg("size")) {
    const auto read = read_size(*size);
    if (!read) return std::unexpected(read.error());
    out.size = *read;
  }
  if (const auto* offset = call.arg("offset")) {
    if (!model::is_text(*offset)) {
      const auto message = fmt::format("'{}' is not a valid offset: bad base64 encoding", model::shown(*offset));
      return std::unexpected(Problem{Problem::invalid_offset, message, {}, {}});
    }
    out.offset = *offset;
  }
  if (const auto* tags = call.arg("tags"); tags && filter)
    if (auto read = read_tags(*tags, out); !read) return std::unexpected(read.error());
  return out;
}

Object list_body(boost::json::array rows, const std::optional<std::string>& next_offset, const std::string& path,
                 const Query& keep) {
  Object out{{"data", std::move(rows)}, {"next", nullptr}};
  if (!next_offset) return out;
  std::string next = fmt::format("{}?offset={}", path, percent_encode(*next_offset));
  for (const auto& [name, value] : keep) next += fmt::format("&{}={}", name, percent_encode(value));
  out["next"] = next;
  out["offset"] = *next_offset;
  return out;
}

Query kept_args(const Call& call) {
  Query out;
  for (const char* name : {"tags", "size"})
    if (const auto* value = call.arg(name)) out.emplace_back(name, *value);
  return out;
}

}  // namespace weir::admin
