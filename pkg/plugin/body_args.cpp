#include "plugin/body_args.h"

#include <optional>

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>

#include "base/text.h"

namespace weir::plugin {
namespace {

namespace json = boost::json;

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = text::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The next character of escaped text, which gets shorter. A broken escape stands for itself, as in nginx.
char next_decoded(std::string_view& rest) {
  const char c = rest.front();
  if (c == '%' && rest.size() >= 3 && hex(rest[1]) >= 0 && hex(rest[2]) >= 0) {
    const int byte = hex(rest[1]) * 16 + hex(rest[2]);
    rest.remove_prefix(3);
    return static_cast<char>(byte);
  }
  rest.remove_prefix(1);
  return c == '+' ? ' ' : c;
}

bool same_decoded(std::string_view encoded, std::string_view plain) {
  while (!encoded.empty()) {
    if (plain.empty() || next_decoded(encoded) != plain.front()) return false;
    plain.remove_prefix(1);
  }
  return plain.empty();
}

struct Pair {
  std::string_view whole, name;
  std::optional<std::string_view> value;
};

// Calls f for each pair of a=b&c=d.
template <class F>
void each_pair(std::string_view encoded, F f) {
  while (!encoded.empty()) {
    const auto end = std::min(encoded.find('&'), encoded.size());
    Pair pair{encoded.substr(0, end), encoded.substr(0, end), std::nullopt};
    if (const auto equals = pair.whole.find('='); equals != pair.whole.npos) {
      pair.name = pair.whole.substr(0, equals);
      pair.value = pair.whole.substr(equals + 1);
    }
    if (!pair.whole.empty()) f(pair);
    encoded.remove_prefix(std::min(end + 1, encoded.size()));
  }
}

// --- JSON ---

// Remembers what kind of value the outermost object has under `name`; keeps no other value.
struct MemberHandler {
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);

  std::string_view name;
  std::string* text = nullptr;
  Arg::State state = Arg::absent;
  std::size_t depth = 0;
  std::string key;
  bool here = false;  // the value that comes is the one

  void value(Arg::State found) {
    if (here) state = found;
    here = false;
  }
  void add_to_key(std::string_view part) {  // never more than it takes to see that it is another one
    if (key.size() <= name.size()) key.append(part.substr(0, name.size() + 1 - key.size()));
  }
  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    value(Arg::many);
    depth++;
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    depth--;
    return true;
  }
  bool on_array_begin(json::error_code&) {
    value(Arg::many);
    depth++;
    return true;
  }
  bool on_array_end(std::size_t, json::error_code&) {
    depth--;
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    if (depth == 1) add_to_key(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    if (depth != 1) return true;
    add_to_key(part);
    here = key == name;
    key.clear();
    if (here) text->clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    if (here) text->append(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    if (here) text->append(part);
    value(Arg::one);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return other(); }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return other(); }
  bool on_double(double, json::string_view, json::error_code&) { return other(); }
  bool on_bool(bool, json::error_code&) { return other(); }
  bool on_null(json::error_code&) { return other(); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
  bool other() {
    value(Arg::other);
    return true;
  }
};

Arg find_member(std::string_view body, std::string_view name, std::string& scratch) {
  json::basic_parser<MemberHandler> parser(json::parse_options{});
  parser.handler().name = name;
  parser.handler().text = &scratch;
  json::error_code error;
  const auto used = parser.write_some(false, body.data(), body.size(), error);
  if (error || used != body.size()) return {};
  const auto& seen = parser.handler();
  return {seen.state, seen.state == Arg::one ? std::string_view(scratch) : std::string_view()};
}

// Walks over JSON that is known to be well formed.
class JsonText {
 public:
  explicit JsonText(std::string_view text) : text_(text) {}
  std::size_t place() const { return at_; }
  char peek() { return at_ < text_.size() ? text_[at_] : '\0'; }
  void take() { at_ += at_ < text_.size(); }
  void blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n') at_++;
  }
  std::string_view string() {  // with its quotes
    const auto begin = at_;
    take();
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_, text_.size());
    take();
    return text_.substr(begin, at_ - begin);
  }
  void value() {
    std::size_t depth = 0;
    do {
      const char c = peek();
      if (c == '"') {
        string();
      } else if (c == '{' || c == '[') {
        depth++;
        take();
      } else if (c == '}' || c == ']') {
        depth--;
        take();
      } else if (depth == 0) {
        at_ = std::min(text_.find_first_of(",}] \t\r\n", at_), text_.size());
      } else {
        take();
      }
    } while (depth > 0 && at_ < text_.size());
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

bool is_key(std::string_view quoted, std::string_view name) {
  if (quoted.find('\\') == quoted.npos) return quoted.substr(1, quoted.size() - 2) == name;
  json::error_code error;
  const auto value = json::parse(json::string_view(quoted.data(), quoted.size()), error);
  return !error && value.is_string() && value.get_string() == name;
}

bool cut_member(std::string_view body, std::string_view name, std::string& out) {
  std::string scratch;
  if (find_member(body, name, scratch).state == Arg::absent) return false;
  JsonText text(body);
  text.blanks();
  if (text.peek() != '{') return false;
  text.take();
  out = body.substr(0, text.place());
  bool first = true;
  for (;;) {
    const auto begin = text.place();
    text.blanks();
    if (text.peek() != '"') {  // the end of the object
      out += body.substr(begin);
      return true;
    }
    const auto key = text.string();
    text.blanks();
    text.take();  // ":"
    text.blanks();
    text.value();
    const auto end = text.place();
    text.blanks();
    const bool more = text.peek() == ',';
    if (!is_key(key, name)) {
      out.append(first ? "" : ",").append(body.substr(begin, end - begin));
      first = false;
    }
    if (more) text.take();
  }
}

// --- multipart (RFC 7578) ---

struct Part {
  std::size_t begin = 0, end = 0;  // from its delimiter to the next one's
  std::string_view head, content;
};

std::string_view without_crlf(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

// The next delimiter line at or after `from`: at the beginning of a line, followed by "--" or the line's end.
std::size_t find_delimiter(std::string_view body, std::string_view boundary, std::size_t from) {
  for (auto at = body.find("--", from); at != body.npos; at = body.find("--", at + 1)) {
    if (at > 0 && body[at - 1] != '\n') continue;
    const auto rest = body.substr(at + 2);
    if (!rest.starts_with(boundary)) continue;
    const auto after = rest.substr(boundary.size());
    if (after.empty() || after.starts_with("--") || after.find_first_of(" \t\r\n") == 0) return at;
  }
  return body.npos;
}

// Calls f for each part; a body without its closing delimiter has the parts that are closed.
template <class F>
void each_part(std::string_view body, std::string_view boundary, F f) {
  auto at = find_delimiter(body, boundary, 0);
  while (at != body.npos) {
    auto rest = body.substr(at + 2 + boundary.size());
    const auto line = rest.find('\n');
    if (rest.starts_with("--") || line == rest.npos) return;
    const auto inside = at + 2 + boundary.size() + line + 1;
    const auto next = find_delimiter(body, boundary, inside);
    if (next == body.npos) return;
    const auto whole = body.substr(inside, next - inside);
    auto split = whole.find("\r\n\r\n");
    std::size_t gap = 4;
    if (split == whole.npos) {
      split = whole.find("\n\n");
      gap = 2;
    }
    if (split != whole.npos)
      f(Part{at, next, whole.substr(0, split), without_crlf(whole.substr(std::min(split + gap, whole.size())))});
    at = next;
  }
}

// A parameter of a field's value: name="x" or name=x. Nothing when it is not there.
std::optional<std::string_view> parameter(std::string_view value, std::string_view name) {
  auto semicolon = value.find(';');
  while (semicolon != value.npos) {
    value.remove_prefix(semicolon + 1);
    value = text::trim(value);
    const auto equals = value.find('=');
    if (equals == value.npos) return std::nullopt;
    const auto key = text::trim(value.substr(0, equals));
    value.remove_prefix(equals + 1);
    std::string_view content;
    if (value.starts_with('"')) {
      const auto end = std::min(value.find('"', 1), value.size());
      content = value.substr(1, end - 1);
      value.remove_prefix(std::min(end + 1, value.size()));
      semicolon = value.find(';');
    } else {
      semicolon = value.find(';');
      content = text::trim(value.substr(0, semicolon));
    }
    if (text::equal_ignoring_case(key, name)) return content;
  }
  return std::nullopt;
}

bool is_named(const Part& part, std::string_view name) {
  auto head = part.head;
  while (!head.empty()) {
    const auto end = std::min(head.find('\n'), head.size());
    const auto line = head.substr(0, end);
    head.remove_prefix(std::min(end + 1, head.size()));
    const auto colon = line.find(':');
    if (colon == line.npos || !text::equal_ignoring_case(text::trim(line.substr(0, colon)), "content-disposition"))
      continue;
    return parameter(line.substr(colon + 1), "name") == name;
  }
  return false;
}

}  // namespace

Arg find_arg(std::string_view encoded, std::string_view name, std::string& scratch) {
  Arg out;
  each_pair(encoded, [&](const Pair& pair) {
    if (!same_decoded(pair.name, name)) return;
    if (out.state != Arg::absent)
      out = {Arg::many, {}};
    else
      out = {pair.value ? Arg::one : Arg::other, pair.value.value_or("")};
  });
  if (out.state != Arg::one || out.text.find_first_of("%+") == out.text.npos) return out;
  scratch.clear();
  for (auto rest = out.text; !rest.empty();) scratch += next_decoded(rest);
  return {Arg::one, scratch};
}

void each_arg(std::string_view encoded,
              const std::function<void(std::string_view, std::optional<std::string_view>)>& f) {
  std::string name, value;
  each_pair(encoded, [&](const Pair& pair) {
    name.clear();
    value.clear();
    for (auto rest = pair.name; !rest.empty();) name += next_decoded(rest);
    for (auto rest = pair.value.value_or(""); !rest.empty();) value += next_decoded(rest);
    f(name, pair.value ? std::optional<std::string_view>(value) : std::nullopt);
  });
}

bool cut_arg(std::string_view encoded, std::string_view name, std::string& out) {
  bool there = false;
  each_pair(encoded, [&](const Pair& pair) { there = there || same_decoded(pair.name, name); });
  if (!there) return false;
  out.clear();
  each_pair(encoded, [&](const Pair& pair) {
    if (same_decoded(pair.name, name)) return;
    if (!out.empty()) out += '&';
    out += pair.whole;
  });
  return true;
}

BodyForm body_form(std::string_view content_type) {
  const auto type = text::trim(content_type.substr(0, content_type.find(';')));
  if (text::equal_ignoring_case(type, "application/x-www-form-urlencoded")) return {BodyForm::form, {}};
  if (text::equal_ignoring_case(type, "application/json")) return {BodyForm::json, {}};
  if (!text::equal_ignoring_case(type, "multipart/form-data")) return {};
  const auto boundary = parameter(content_type, "boundary").value_or("");
  // RFC 2046 section 5.1.1: 1 to 70 characters.
  if (boundary.empty() || boundary.size() > 70) return {};
  return {BodyForm::multipart, boundary};
}

Arg find_in_body(const BodyForm& form, std::string_view body, std::string_view name, std::string& scratch) {
  if (form.kind == BodyForm::form) return find_arg(body, name, scratch);
  if (form.kind == BodyForm::json) return find_member(body, name, scratch);
  Arg out;
  if (form.kind == BodyForm::multipart) {
    each_part(body, form.boundary, [&](const Part& part) {
      if (!is_named(part, name)) return;
      out = out.state == Arg::absent ? Arg{Arg::one, part.content} : Arg{Arg::many, {}};
    });
  }
  return out;
}

bool cut_from_body(const BodyForm& form, std::string_view body, std::string_view name, std::string& out) {
  if (form.kind == BodyForm::form) return cut_arg(body, name, out);
  if (form.kind == BodyForm::json) return cut_member(body, name, out);
  if (form.kind != BodyForm::multipart) return false;
  std::size_t kept = 0;
  bool there = false;
  each_part(body, form.boundary, [&](const Part& part) {
    if (!is_named(part, name)) return;
    if (!there) out.clear();
    there = true;
    out += body.substr(kept, part.begin - kept);
    kept = part.end;
  });
  if (there) out += body.substr(kept);
  return there;
}

}  // namespace weir::plugin
