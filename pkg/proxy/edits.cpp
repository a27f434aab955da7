#include "proxy/edits.h"

#include "base/text.h"
#include "http/print.h"

namespace weir::proxy {
namespace {

// What a reused list may keep of its memory.
constexpr std::size_t kept_bytes = 4 * 1024;

bool is_hop_by_hop(http::Name name) {
  switch (name) {
    case http::Name::connection:
    case http::Name::keep_alive:
    case http::Name::proxy_connection:
    case http::Name::te:
    case http::Name::trailer:
    case http::Name::transfer_encoding:
    case http::Name::content_length:
    case http::Name::upgrade:
      return true;
    default:
      return false;
  }
}

}  // namespace

void FieldEdits::clear() {
  edits_.clear();
  if (texts_.capacity() > kept_bytes) std::string().swap(texts_);
  texts_.clear();
}

bool FieldEdits::note(Kind kind, std::string_view name, std::string_view value) {
  const auto more = name.size() + value.size();
  if (!http::is_token(name) || !http::is_field_value(value) || texts_.size() + more > bytes_max_) return false;
  const auto at = texts_.size();
  if (at + more > texts_.capacity()) {  // name and value may lie in the texts themselves
    std::string larger;
    larger.reserve(std::max(2 * texts_.capacity(), at + more));
    larger.append(texts_).append(name).append(value);
    texts_.swap(larger);
  } else {
    texts_.append(name).append(value);
  }
  edits_.push_back({kind, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(name.size()),
                    static_cast<std::uint32_t>(value.size())});
  return true;
}

// Whether an edit from `from` on takes out what was there under this name before it.
bool FieldEdits::ends(std::string_view wanted, std::size_t from) const {
  for (; from < edits_.size(); from++)
    if (edits_[from].kind != Kind::add && text::equal_ignoring_case(name(edits_[from]), wanted)) return true;
  return false;
}

void FieldEdits::drop_replaced(http::Head& head) const {
  if (edits_.empty()) return;
  for (std::size_t i = 0; i < head.count; i++)
    if (!head.field[i].drop && replaces(head.field[i].name)) head.field[i].drop = true;
}

char* FieldEdits::put_added(char* out) const {
  each_added([&](std::string_view name, std::string_view value) {
    out = http::put(http::put(http::put(http::put(out, name), ": "), value), "\r\n");
    return false;
  });
  return out;
}

bool is_own_request_field(std::string_view name) {
  const auto token = http::name_of(name);
  switch (token) {
    case http::Name::host:
    case http::Name::expect:
    case http::Name::proxy:
    case http::Name::via:
    case http::Name::x_forwarded_for:
    case http::Name::x_forwarded_proto:
    case http::Name::x_forwarded_host:
    case http::Name::x_forwarded_port:
    case http::Name::x_forwarded_path:
    case http::Name::x_forwarded_prefix:
    case http::Name::x_real_ip:
    case http::Name::x_kong_request_id:
      return true;
    default:
      return is_hop_by_hop(token);
  }
}

bool is_own_response_field(std::string_view name) {
  const auto token = http::name_of(name);
  return token == http::Name::via || token == http::Name::x_kong_request_id || is_hop_by_hop(token);
}

std::optional<std::string_view> first_value(const http::Head& head, const FieldEdits& edits, std::string_view name) {
  if (edits.empty() || !edits.replaces(name))
    for (const auto& field : head.fields())
      if (text::equal_ignoring_case(field.name, name)) return field.value;
  std::optional<std::string_view> found;
  edits.each_added([&](std::string_view added, std::string_view value) {
    if (text::equal_ignoring_case(added, name)) found = value;
    return found.has_value();
  });
  return found;
}

void each_field(const http::Head& head, const FieldEdits& edits, const plugin::EachField& visit) {
  for (const auto& field : head.fields())
    if ((edits.empty() || !edits.replaces(field.name)) && visit(field.name, field.value)) return;
  edits.each_added(visit);
}

}  // namespace weir::proxy
