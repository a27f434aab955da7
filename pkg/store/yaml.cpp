#include "store/yaml.h"

#include <charconv>
#include <cmath>
#include <exception>
#include <sstream>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace weir::store {
namespace {

namespace json = boost::json;

// Leaves yaml-cpp's parser at once; caught in parse_yaml.
struct Refused {
  std::string message;
};

[[noreturn]] void refuse(const YAML::Mark& mark, std::string_view why) {
  throw Refused{fmt::format("{} at line {}, column {}", why, mark.line + 1, mark.column + 1)};
}

bool all(std::string_view text, bool (*good)(char)) {
  for (const char c : text)
    if (!good(c)) return false;
  return !text.empty();
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_octal(char c) {
  return c >= '0' && c <= '7';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? without the sign.
bool is_float(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const auto start = at;
    while (at < text.size() && is_digit(text[at])) at++;
    return at - start;
  };
  const auto whole = digits();
  if (at < text.size() && text[at] == '.') {
    at++;
    if (digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    at++;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) at++;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

// YAML 1.2.2 section 10.3.2; .inf and .nan stay texts, since JSON has no such numbers.
json::value core_scalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;

  const bool negative = text.front() == '-';
  const auto digits = negative || text.front() == '+' ? text.substr(1) : text;
  const auto whole = [&](std::string_view from, int base) -> std::optional<json::value> {
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(from.data(), from.data() + from.size(), number, base);
    if (failed != std::errc{} || end != from.data() + from.size()) return std::nullopt;
    return json::value(number);
  };
  if (all(digits, is_digit))
    if (auto number = whole(negative ? text : digits, 10)) return *number;
  if (text.starts_with("0o") && all(text.substr(2), is_octal))
    if (auto number = whole(text.substr(2), 8)) return *number;
  if (text.starts_with("0x") && all(text.substr(2), is_hex))
    if (auto number = whole(text.substr(2), 16)) return *number;
  if (is_float(digits)) {
    double number = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failed == std::errc{} && end == digits.data() + digits.size() && std::isfinite(number))
      return negative ? -number : number;
  }
  return json::value(text);
}

json::value typed(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
  constexpr std::string_view core = "tag:yaml.org,2002:";
  if (tag.empty() || tag == "?") return core_scalar(text);
  if (tag == "!") return json::value(text);
  if (tag.starts_with(core)) {
    const auto kind = std::string_view(tag).substr(core.size());
    if (kind == "str") return json::value(text);
    if (kind == "int" || kind == "float" || kind == "bool" || kind == "null") return core_scalar(text);
  }
  refuse(mark, fmt::format("unknown tag '{}'", tag));
}

class Builder final : public YAML::EventHandler {
 public:
  json::value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { scalar(mark, anchor, nullptr); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (wants_key()) {
      keep(mark, anchor, {json::value(text), 1 + text.size() / 32, 0});
      take_key(mark, text);
      return;
    }
    scalar(mark, anchor, typed(mark, tag, text));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto held = anchors_.find(anchor);
    if (held == anchors_.end()) refuse(mark, "an alias inside of what it names");
    if (wants_key()) {
      if (!held->second.value.is_string()) refuse(mark, "a key that is no text");
      take_key(mark, std::string(held->second.value.get_string()));
      return;
    }
    count_copy(mark, held->second.cost);
    if (open_.size() + held->second.height > document_depth_max) refuse(mark, "nested too deep");
    place(mark, {held->second.value, held->second.cost, held->second.height});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, json::array{});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, json::object{});
  }
  void OnMapEnd() override { close(); }

 private:
  struct Node {
    json::value value;
    std::size_t cost = 1;    // of the value with all below it
    std::size_t height = 0;  // levels below it
  };
  struct Open {
    Node node;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::optional<std::string> key;  // a map waits for this key's value
    std::vector<json::value> merges;
  };

  bool wants_key() const { return !open_.empty() && open_.back().node.value.is_object() && !open_.back().key; }

  void take_key(const YAML::Mark& mark, const std::string& key) {
    open_.back().node.cost += 1 + key.size() / 32;
    if (open_.back().node.value.get_object().contains(key))
      refuse(mark, fmt::format("the key '{}' is given twice", key));
    open_.back().key = key;
  }

  void count_copy(const YAML::Mark& mark, std::size_t cost) {
    copied_ += cost;
    if (copied_ > document_copies_max) refuse(mark, "aliases expand to too much");
  }

  void keep(const YAML::Mark& mark, YAML::anchor_t anchor, const Node& node) {
    if (anchor == 0) return;
    count_copy(mark, node.cost);
    anchors_[anchor] = node;
  }

  void scalar(const YAML::Mark& mark, YAML::anchor_t anchor, json::value value) {
    if (wants_key()) refuse(mark, "a key that is no text");
    Node node{std::move(value), 1, 0};
    if (const auto* text = node.value.if_string()) node.cost += text->size() / 32;
    keep(mark, anchor, node);
    place(mark, std::move(node));
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, json::value empty) {
    if (wants_key()) refuse(mark, "a key that is no text");
    if (open_.size() >= document_depth_max) refuse(mark, "nested too deep");
    open_.push_back({{std::move(empty), 1, 0}, mark, anchor, {}, {}});
  }

  void close() {
    auto done = std::move(open_.back());
    open_.pop_back();
    for (const auto& merge : done.merges)
      for (const auto& [name, value] : merge.get_object())
        done.node.value.get_object().emplace(name, value);  // what is there stays
    keep(done.mark, done.anchor, done.node);
    place(done.mark, std::move(done.node));
  }

  void place(const YAML::Mark& mark, Node node) {
    if (open_.empty()) {
      root_ = std::move(node.value);
      return;
    }
    auto& into = open_.back();
    into.node.cost += node.cost;
    into.node.height = std::max(into.node.height, node.height + 1);
    if (auto* list = into.node.value.if_array()) {
      list->push_back(std::move(node.value));
      return;
    }
    const std::string key = std::move(*into.key);
    into.key.reset();
    if (key == "<<")
      merge(mark, into, std::move(node.value));
    else
      into.node.value.get_object().emplace(key, std::move(node.value));
  }

  static void merge(const YAML::Mark& mark, Open& into, json::value from) {
    if (from.is_object()) {
      into.merges.push_back(std::move(from));
      return;
    }
    if (!from.is_array()) refuse(mark, "'<<' wants a map");
    for (auto& one : from.get_array()) {
      if (!one.is_object()) refuse(mark, "'<<' wants maps");
      into.merges.push_back(std::move(one));
    }
  }

  json::value root_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Node> anchors_;
  std::size_t copied_ = 0;
};

// Not plain: what the core schema reads as another type, and what has a meaning for YAML. Only the harmless is plain.
bool is_plain(std::string_view text) {
  const auto harmless = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/' || c == '.' ||
           c == '-';
  };
  if (!all(text, harmless) || text.front() == '-' || text == "..." || text == "<<") return false;
  // Other readers still use YAML 1.1, where these are booleans.
  for (const auto word :
       {"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "y", "Y", "n", "N"})
    if (text == word) return false;
  return !is_digit(text.front()) && text.front() != '.' && core_scalar(text).is_string();
}

void print_text(std::string& out, std::string_view text) {
  if (is_plain(text)) {
    out += text;
    return;
  }
  out += '"';
  for (std::size_t i = 0; i < text.size(); i++) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", text[i]);
    else if (c == '\n')
      out += "\\n";
    else if (c < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", c);
    else if (text.substr(i).starts_with("\xef\xbb\xbf"))
      out += "\\ufeff", i += 2;  // a byte order mark would be dropped
    else if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));  // further control characters
    else
      out += text[i];
  }
  out += '"';
}

void print_scalar(std::string& out, const json::value& value) {
  if (const auto* text = value.if_string())
    print_text(out, *text);
  else if (const auto* number = value.if_double()) {
    auto printed = fmt::format("{}", *number);
    if (printed.find_first_of(".e") == std::string::npos) printed += ".0";
    out += printed;
  } else if (value.is_array())
    out += "[]";
  else if (value.is_object())
    out += "{}";
  else
    out += json::serialize(value);
}

bool is_block(const json::value& value) {
  if (const auto* list = value.if_array()) return !list->empty();
  if (const auto* object = value.if_object()) return !object->empty();
  return false;
}

}  // namespace

Result<json::value> parse_yaml(std::string_view text) {
  if (text.size() > document_bytes_max) return fail("larger than {} MiB", document_bytes_max >> 20);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    if (!parser.HandleNextDocument(builder)) return json::value(nullptr);
    auto value = builder.take();
    Builder second;
    if (parser.HandleNextDocument(second)) return fail("more than one document");
    return value;
  } catch (const Refused& refused) {
    return fail("{}", refused.message);
  } catch (const YAML::Exception& e) {
    return fail("{} at line {}, column {}", e.msg, e.mark.line + 1, e.mark.column + 1);
  } catch (const std::exception& e) {
    return fail("{}", e.what());
  }
}

void print_yaml(std::string& out, const json::value& value, int indent) {
  const auto line = [&](int by) { out.append(static_cast<std::size_t>(by), ' '); };
  if (!is_block(value)) {
    line(indent);
    print_scalar(out, value);
    out += '\n';
  } else if (const auto* list = value.if_array()) {
    for (const auto& element : *list) {
      line(indent);
      out += '-';
      if (!is_block(element)) {
        out += ' ';
        print_scalar(out, element);
        out += '\n';
        continue;
      }
      // The first line of a nested block stands behind the dash: its indent is one shorter than what was written.
      std::string block;
      print_yaml(block, element, indent + 2);
      out += std::string_view(block).substr(static_cast<std::size_t>(indent) + 1);
    }
  } else {
    for (const auto& [name, element] : value.get_object()) {
      line(indent);
      print_text(out, name);
      out += ':';
      if (is_block(element)) {
        out += '\n';
        print_yaml(out, element, indent + 2);
      } else {
        out += ' ';
        print_scalar(out, element);
        out += '\n';
      }
    }
  }
}

}  // namespace weir::store
