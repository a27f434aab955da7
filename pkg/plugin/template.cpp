#include "plugin/template.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "plugin/body_args.h"
#include "plugin/request_transformer_arguments.h"

namespace weir::plugin {
namespace {

bool is_word(char c) {
  const char low = text::lower(c);
  return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// The place behind the ")" that closes the "(" at `open`; nothing when it is not closed.
std::optional<std::size_t> closing(std::string_view text, std::size_t open) {
  std::size_t depth = 0;
  for (auto at = open; at < text.size(); at++) {
    if (text[at] == '(') depth++;
    if (text[at] == ')' && --depth == 0) return at + 1;
  }
  return std::nullopt;
}

void append_first(std::string_view query, std::string_view name, std::string& out) {
  const auto all = Arguments::parse(query);
  if (const auto* value = all.first(name)) out += *value;
}

}  // namespace

// Reads what stands inside of one $( ).
class Template::Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::optional<Hole> read() {
    Hole hole;
    do {
      auto term = read_term();
      if (!term) return std::nullopt;
      hole.push_back(std::move(*term));
    } while (take_word("or"));
    blanks();
    if (!rest_.empty()) return std::nullopt;
    return hole;
  }

 private:
  void blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }
  bool take(char c) {
    blanks();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view word() {
    blanks();
    const auto end = static_cast<std::size_t>(std::ranges::find_if_not(rest_, is_word) - rest_.begin());
    const auto out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out;
  }
  bool take_word(std::string_view wanted) {
    const auto before = rest_;
    if (word() == wanted) return true;
    rest_ = before;
    return false;
  }

  std::optional<Term> read_term() {
    blanks();
    if (rest_.starts_with('"') || rest_.starts_with('\'')) {
      auto quoted = read_quoted();
      if (!quoted) return std::nullopt;
      return Term{Term::text, std::move(*quoted), {}};
    }
    const auto table = word();
    if (table == "headers") return read_name(Term::header);
    if (table == "query_params") return read_name(Term::query);
    if (table == "uri_captures") return read_name(Term::capture);
    if (table == "shared") return read_name(Term::nothing);  // of Lua plugins, which are not here
    return std::nullopt;
  }

  std::optional<Term> read_name(Term::Source source) {
    Term term{source, {}, {}};
    if (take('.')) {
      term.name = word();
      if (term.name.empty() || (term.name[0] >= '0' && term.name[0] <= '9')) return std::nullopt;
    } else if (take('[')) {
      blanks();
      if (rest_.starts_with('"') || rest_.starts_with('\'')) {
        auto quoted = read_quoted();
        if (!quoted) return std::nullopt;
        term.name = std::move(*quoted);
      } else {
        term.name = word();
        const bool is_number = std::ranges::all_of(term.name, [](char c) { return c >= '0' && c <= '9'; });
        if (source != Term::capture || term.name.empty() || !is_number) return std::nullopt;
      }
      if (!take(']')) return std::nullopt;
    } else {
      return std::nullopt;
    }
    if (source == Term::header) {
      term.name = text::lower(term.name);
      if (term.name.find('_') != term.name.npos) {
        term.dashed = term.name;
        std::ranges::replace(term.dashed, '_', '-');
      }
    }
    return term;
  }

  std::optional<std::string> read_quoted() {
    const char quote = rest_[0];
    std::string out;
    for (std::size_t at = 1; at < rest_.size(); at++) {
      if (rest_[at] == quote) {
        rest_.remove_prefix(at + 1);
        return out;
      }
      if (rest_[at] == '\\') {
        // Of Lua's escapes those that stand for themselves.
        if (++at == rest_.size() || (rest_[at] != '\\' && rest_[at] != '"' && rest_[at] != '\'')) return std::nullopt;
      }
      out += rest_[at];
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

Result<Template> Template::parse(std::string_view text) {
  Template out;
  std::size_t done = 0;
  for (auto at = text.find("$("); at != text.npos; at = text.find("$(", at)) {
    const auto end = closing(text, at + 1);
    if (!end) {  // as in Kong: not a hole
      at += 2;
      continue;
    }
    auto hole = Parser(text.substr(at + 2, *end - at - 3)).read();
    if (!hole)
      return fail(
          "'{}' is not supported: inside $( ) stand headers, query_params, uri_captures or shared with .name or "
          "[\"name\"], texts in quotes, and 'or' between them",
          text.substr(at, *end - at));
    out.parts_.push_back({std::string(text.substr(done, at - done)), std::move(*hole)});
    done = at = *end;
  }
  out.rest_ = text.substr(done);
  return out;
}

bool Template::append(const Term& term, const Exchange& x, std::string& out) {
  switch (term.source) {
    case Term::text:
      out += term.name;
      return true;
    case Term::header: {
      auto value = x.header(term.name);
      if (!value && !term.dashed.empty()) value = x.header(term.dashed);
      if (value) out += *value;
      return value.has_value();
    }
    case Term::query: {
      std::string scratch;
      const auto found = find_arg(x.raw_query(), term.name, scratch);
      if (found.state == Arg::many) {  // Lua would have a table: the first is more useful
        append_first(x.raw_query(), term.name, out);
        return true;
      }
      // Lua's value of an argument without "=".
      out += found.state == Arg::other ? std::string_view("true") : found.text;
      return found.state != Arg::absent;
    }
    case Term::capture: {
      const auto value = x.regex_capture(term.name);
      out += value;
      return !value.empty();
    }
    case Term::nothing:
      return false;
  }
  return false;
}

void Template::render(const Exchange& x, std::string& out) const {
  for (const auto& part : parts_) {
    out += part.before;
    for (const auto& term : part.hole)
      if (append(term, x, out)) break;
  }
  out += rest_;
}

}  // namespace weir::plugin
