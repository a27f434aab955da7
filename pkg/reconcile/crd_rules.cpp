#include "reconcile/crd_rules.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using model::Field;
using model::Type;
using Words = std::vector<std::string>;

constexpr std::string_view invalid = "FieldValueInvalid", missing = "FieldValueRequired",
                           forbidden = "FieldValueForbidden";

Words words_of(const json::value& list) {
  Words out;
  for (const auto& word : list.as_array()) out.emplace_back(word.as_string());
  return out;
}

std::string quoted(std::string_view word) {
  return fmt::format("'{}'", word);
}

// Words of declarations hold neither quotes nor backslashes.
std::string list_text(const Words& words) {
  Words out;
  for (const auto& word : words) out.push_back(quoted(word));
  return fmt::format("[{}]", fmt::join(out, ", "));
}

std::string literal(const json::value& value) {
  if (const auto* text = value.if_string()) return quoted(*text);
  if (const auto* list = value.if_array()) return list_text(words_of(*list));
  return json::serialize(value);
}

// A record whose fields are looked at in CEL, as `self`.
class Writer {
 public:
  Writer(const Field& record, const Object& properties) : record_(record), properties_(properties) {}

  bool offers(std::string_view field) const { return properties_.contains(field) && declared(field); }
  bool offers_all(const Words& fields) const {
    return std::all_of(fields.begin(), fields.end(), [&](const auto& field) { return offers(field); });
  }

  // The words that the API server lets pass for this text, or the elements of this list; nothing: any.
  std::optional<Words> possible(std::string_view field) const {
    const auto* schema = &properties_.at(field).as_object();
    if (const auto* items = schema->if_contains("items")) schema = &items->as_object();
    const auto* words = schema->if_contains("enum");
    if (!words || words->as_array().empty() || !words->as_array().front().is_string()) return {};
    return words_of(*words);
  }
  Words only_possible(std::string_view field, const Words& words) const {
    const auto may_be = possible(field);
    if (!may_be) return words;
    Words out;
    for (const auto& word : words)
      if (std::find(may_be->begin(), may_be->end(), word) != may_be->end()) out.push_back(word);
    return out;
  }

  std::string is_set(std::string_view field) const { return fmt::format("has(self.{})", field); }
  // Neither absent nor empty.
  std::string given(std::string_view field) const {
    const auto type = declared(field)->type;
    const bool sized = type == Type::string || type == Type::array || type == Type::set || type == Type::map;
    return sized ? fmt::format("(has(self.{0}) && size(self.{0}) > 0)", field) : is_set(field);
  }
  std::string any_given(const Words& fields) const {
    Words out;
    for (const auto& field : fields) out.push_back(given(field));
    return fmt::format("{}", fmt::join(out, " || "));
  }
  std::string count_given(const Words& fields) const {
    Words out;
    for (const auto& field : fields) out.push_back(fmt::format("({} ? 1 : 0)", given(field)));
    return fmt::format("{}", fmt::join(out, " + "));
  }
  // What it amounts to: its default when it is not set.
  std::string value(std::string_view field) const {
    const auto& initial = declared(field)->initial;
    const bool list = declared(field)->type == Type::array || declared(field)->type == Type::set;
    const auto otherwise = !initial.is_null() ? literal(initial) : list ? "[]" : "''";
    return fmt::format("(has(self.{0}) ? self.{0} : {1})", field, otherwise);
  }
  bool has_default(std::string_view field) const { return !declared(field)->initial.is_null(); }

 private:
  const Field* declared(std::string_view name) const {
    for (const auto& field : record_.fields)
      if (field.name == name) return &field;
    return nullptr;
  }

  const Field& record_;
  const Object& properties_;
};

// When a rule applies: CEL and words; nothing when it never does.
struct Condition {
  std::string cel, words;
};

std::optional<Condition> condition_of(const Writer& writer, const std::string& field, const Object& match) {
  const auto value = writer.value(field);
  if (const auto* pattern = match.if_contains("match")) {  // ^word$
    const std::string_view text = pattern->as_string();
    const auto words = writer.only_possible(field, {std::string(text.substr(1, text.size() - 2))});
    if (words.empty()) return {};
    return Condition{fmt::format("{} == {}", value, quoted(words.front())), fmt::format("is {}", words.front())};
  }
  if (const auto* list = match.if_contains("one_of")) {
    const auto words = writer.only_possible(field, words_of(*list));
    if (words.empty()) return {};
    return Condition{fmt::format("{} in {}", value, list_text(words)), fmt::format("is {}", fmt::join(words, " or "))};
  }
  if (const auto* list = match.if_contains("not_one_of")) {
    const auto words = writer.only_possible(field, words_of(*list));
    const auto may_be = writer.possible(field);
    if (may_be && words.size() == may_be->size()) return {};
    if (words.empty()) return Condition{"true", "is what it is"};
    return Condition{fmt::format("!({} in {})", value, list_text(words)),
                     fmt::format("is not {}", fmt::join(words, " or "))};
  }
  if (const auto* elements = match.if_contains("elements")) {
    const auto words = writer.only_possible(field, words_of(elements->at("not_one_of")));
    if (words.empty()) return Condition{"true", "is what it is"};
    return Condition{fmt::format("!{}.exists(x, x in {})", value, list_text(words)),
                     fmt::format("has none of {}", fmt::join(words, ", "))};
  }
  return {};
}

// A condition on one field asks something of another one.
std::optional<Object> conditional(const Writer& writer, const Object& rule) {
  const std::string field(rule.at("if_field").as_string()), then(rule.at("then_field").as_string());
  if (!writer.offers(field) || !writer.offers(then)) return {};
  const auto when = condition_of(writer, field, rule.at("if_match").as_object());
  if (!when) return {};
  const auto& match = rule.at("then_match").as_object();
  const auto* text = rule.if_contains("then_err");
  const auto make = [&](std::string wanted, std::string_view verb, std::string_view reason) {
    auto message =
        text ? std::string(text->as_string()) : fmt::format("'{}' {} when '{}' {}", then, verb, field, when->words);
    return cel_rule(fmt::format("!({}) || {}", when->cel, wanted), std::move(message), then, reason);
  };
  if (match.contains("required")) return make(writer.is_set(then), "must be set", missing);
  if (match.contains("eq")) return make("!" + writer.is_set(then), "must not be set", forbidden);
  if (match.contains("len_eq")) return make("!" + writer.given(then), "must be empty", forbidden);
  if (const auto* list = match.if_contains("one_of")) {
    const auto words = writer.only_possible(then, words_of(*list));
    const auto may_be = writer.possible(then);
    if (may_be && words.size() == may_be->size()) return {};
    auto wanted = fmt::format("{} in {}", writer.value(then), list_text(words));
    if (!writer.has_default(then)) wanted = fmt::format("(!{} || {})", writer.is_set(then), wanted);
    return make(std::move(wanted), fmt::format("must be one of {}", fmt::join(words, ", ")), invalid);
  }
  return {};
}

// A list that contains a word asks for one of several fields: routes must match something.
std::optional<Object> something_given(const Writer& writer, const Object& rule) {
  const std::string field(rule.at("if_field").as_string());
  const auto names = words_of(rule.at("then_at_least_one_of"));
  if (!writer.offers(field) || !writer.offers_all(names)) return {};
  const auto words = writer.only_possible(field, words_of(rule.at("if_match").at("contains")));
  if (words.empty()) return {};
  auto when = fmt::format("{}.exists(x, x in {})", writer.value(field), list_text(words));
  // A list with http and https has more to choose from: the rule for https is the one that counts.
  if (words.size() == 1)
    if (const auto secure = writer.only_possible(field, {words.front() + "s"}); !secure.empty())
      when += fmt::format(" && !{}.exists(x, x == '{}')", writer.value(field), secure.front());
  return cel_rule(fmt::format("!({}) || {}", when, writer.any_given(names)),
                  std::string(rule.at("then_err").as_string()), {}, missing);
}

std::optional<Object> counted(const Writer& writer, std::string_view kind, const Words& names) {
  if (!writer.offers_all(names)) return {};
  const auto list = fmt::format("'{}'", fmt::join(names, "', '"));
  const auto make = [&](std::string rule, std::string_view text, std::string_view reason) {
    return cel_rule(std::move(rule), fmt::format("{}: {}", text, list), {}, reason);
  };
  if (kind == "at_least_one_of")
    return make(writer.any_given(names), "at least one of these fields must be non-empty", missing);
  const auto count = writer.count_given(names);
  if (kind == "only_one_of") return make(count + " == 1", "exactly one of these fields must be non-empty", invalid);
  if (kind == "mutually_exclusive")
    return make(count + " < 2", "only one or none of these fields must be set", invalid);
  if (kind == "mutually_required")
    return make(fmt::format("({0}) == 0 || ({0}) == {1}", count, names.size()),
                "all or none of these fields must be set", invalid);
  if (kind == "distinct")
    return make(fmt::format("!has(self.{0}) || !has(self.{1}) || self.{0} != self.{1}", names[0], names[1]),
                "values of these fields must be distinct", invalid);
  return {};
}

}  // namespace

Object cel_rule(std::string rule, std::string message, std::string_view field, std::string_view reason) {
  Object out{{"rule", std::move(rule)}, {"message", std::move(message)}, {"reason", reason}};
  if (!field.empty()) out["fieldPath"] = fmt::format(".{}", field);
  return out;
}

json::array cel_rules(const Field& record, const Object& properties) {
  const Writer writer(record, properties);
  json::array out;
  const auto add = [&](std::optional<Object> rule) {
    if (rule) out.push_back(std::move(*rule));
  };
  for (const auto& shown : record.described_checks)
    for (const auto& pair : shown) {
      if (pair.key() == "conditional")
        add(conditional(writer, pair.value().as_object()));
      else if (pair.key() == "conditional_at_least_one_of")
        add(something_given(writer, pair.value().as_object()));
      else
        add(counted(writer, pair.key(), words_of(pair.value())));
    }
  if (!record.at_least_one_of.empty()) add(counted(writer, "at_least_one_of", record.at_least_one_of));
  return out;
}

}  // namespace weir::reconcile
