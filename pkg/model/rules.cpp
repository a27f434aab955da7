#include "model/rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/result.h"

namespace weir::model {
namespace {

namespace json = boost::json;

void apply(std::vector<Field>& to, const std::vector<Rule>& rules) {
  if (to.empty()) to.emplace_back();
  for (const auto& rule : rules) rule(to.front());
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

json::array words_json(const std::vector<std::string>& words) {
  return json::array(words.begin(), words.end());
}

std::string value_text(const json::value& value) {
  if (const auto* text = value.if_string()) return fmt::format("'{}'", shown(*text));
  return shown(json::serialize(value));
}

CrossRule conditional(std::string field, std::function<bool(std::string_view)> applies, Object if_match,
                      std::string then, std::function<Wrong(const json::value&)> wrong, Object then_match) {
  Object described{{"conditional", Object{{"if_field", field},
                                          {"if_match", std::move(if_match)},
                                          {"then_field", then},
                                          {"then_match", std::move(then_match)}}}};
  auto check = [field, applies = std::move(applies), then, wrong = std::move(wrong)](
                   const Object& entity, Object& faults, std::vector<std::string>& messages) {
    if (faults.contains(field) || faults.contains(then) || !applies(text_of(value_of(entity, field)))) return;
    auto fault = wrong(value_of(entity, then));
    if (!fault) return;
    faults[then] = std::move(*fault);
    messages.push_back(fmt::format("failed conditional validation given value of field '{}'", field));
  };
  return {std::move(described), std::move(check)};
}

Wrong must_be_null(const json::value& value) {
  if (value.is_null()) return {};
  return "value must be null";
}

}  // namespace

Rule required() {
  return [](Field& f) { f.required = true; };
}
Rule nullable() {
  return [](Field& f) { f.required = false; };
}
Rule unique() {
  return [](Field& f) { f.unique = true; };
}
Rule between(double low, double high) {
  return [=](Field& f) { f.between = {low, high}; };
}
Rule greater_than(double low) {
  return [=](Field& f) { f.greater_than = low; };
}
Rule one_of(std::vector<std::string> words) {
  return [words = std::move(words)](Field& f) { f.one_of = words; };
}
Rule len_min(std::size_t length) {
  return [=](Field& f) { f.len_min = length; };
}
Rule len_max(std::size_t length) {
  return [=](Field& f) { f.len_max = length; };
}
Rule initial(json::value value) {
  return [value = std::move(value)](Field& f) { f.initial = value; };
}
Rule no_default() {
  return initial(nullptr);
}
Rule automatic(Auto what, bool milliseconds) {
  return [=](Field& f) {
    f.automatic = what;
    f.milliseconds = milliseconds;
    f.required = false;  // the schema fills it in
    f.initial = nullptr;
  };
}
Rule uuid_form() {
  return [](Field& f) { f.uuid = true; };
}
Rule foreign(std::string reference) {
  return [reference = std::move(reference)](Field& f) {
    f.type = Type::foreign;
    f.uuid = false;
    f.reference = reference;
  };
}
Rule cascade() {
  return [](Field& f) { f.cascade = true; };
}
Rule as_set() {
  return [](Field& f) { f.type = Type::set; };
}
Rule check(Wrong (*wrong)(std::string_view)) {
  return [wrong](Field& f) {
    f.checks.emplace_back([wrong](const json::value& value) { return wrong(value.get_string()); });
  };
}
Rule check_value(std::function<Wrong(const json::value&)> wrong) {
  return [wrong = std::move(wrong)](Field& f) { f.checks.push_back(wrong); };
}
Rule normalised(std::string (*rewrite)(std::string_view)) {
  return [rewrite](Field& f) {
    f.normalise = [rewrite](const json::value& value) { return json::value(rewrite(value.get_string())); };
  };
}
Rule each(std::vector<Rule> rules) {
  return [rules = std::move(rules)](Field& f) { apply(f.elements, rules); };
}
Rule keys(std::vector<Rule> rules) {
  return [rules = std::move(rules)](Field& f) { apply(f.keys, rules); };
}
Rule values(std::vector<Rule> rules) {
  return [rules = std::move(rules)](Field& f) { apply(f.values, rules); };
}
Rule list_of(Type element, std::vector<Rule> rules) {
  return [element, rules = std::move(rules)](Field& f) {
    f.type = Type::array;
    f.elements.assign(1, Field{});
    f.elements.front().type = element;
    apply(f.elements, rules);
  };
}
Rule lists_by_name() {
  return [](Field& f) {
    f.type = Type::map;
    f.keys.assign(1, Field{});
    f.values.assign(1, Field{});
    list_of(Type::string)(f.values.front());
  };
}
Rule record(std::vector<Field> fields) {
  return [fields = std::move(fields)](Field& f) {
    f.type = Type::record;
    f.fields = fields;
    Object whole;
    for (const auto& part : fields)
      if (!part.initial.is_null()) whole[part.name] = part.initial;
    f.initial = std::move(whole);
  };
}
Rule at_least_one_of(std::vector<std::string> names) {
  return [names = std::move(names)](Field& f) { f.at_least_one_of = names; };
}
Rule shown_as(std::string_view attribute, json::value value) {
  return [attribute = std::string(attribute), value = std::move(value)](Field& f) { f.shown[attribute] = value; };
}

Rule referenceable() {
  return shown_as("referenceable", true);
}
Rule encrypted() {
  return shown_as("encrypted", true);
}

Rule mutually_exclusive(std::vector<std::vector<std::string>> sets) {
  return [sets = std::move(sets)](Field& f) {
    json::array shown;
    for (const auto& set : sets) shown.push_back(words_json(set));
    f.shown["mutually_exclusive_subsets"] = std::move(shown);
    f.checks.emplace_back([sets](const json::value& value) -> Wrong {
      std::vector<const std::vector<std::string>*> found;  // in the order of the values
      for (const auto& word : value.get_array())
        for (const auto& set : sets)
          if (contains(set, text_of(word)) && std::find(found.begin(), found.end(), &set) == found.end())
            found.push_back(&set);
      if (found.size() < 2) return {};
      std::string list;
      for (const auto* set : found) list += fmt::format("{}('{}')", list.empty() ? "" : ", ", fmt::join(*set, "', '"));
      return "these sets are mutually exclusive: " + list;
    });
  };
}

Rule supports_only(std::vector<json::value> values, std::string remedy) {
  return [values = std::move(values), remedy = std::move(remedy)](Field& f) {
    f.unsupported = [values, remedy](const json::value& value) -> Wrong {
      if (std::find(values.begin(), values.end(), value) != values.end()) return {};
      return fmt::format("value {} is not supported by this version of Weir; {}", value_text(value), remedy);
    };
  };
}

Field declare(std::string name, Type type, std::string help, std::initializer_list<Rule> rules) {
  Field f;
  f.name = std::move(name);
  f.help = std::move(help);
  f.type = type;
  for (const auto& rule : rules) rule(f);
  return f;
}

CrossRule null_when(std::string field, std::vector<std::string> words, std::string then) {
  Object if_match{{"one_of", words_json(words)}};
  return conditional(
      std::move(field), [words = std::move(words)](std::string_view word) { return contains(words, word); },
      std::move(if_match), std::move(then), must_be_null, Object{{"eq", nullptr}});
}

CrossRule null_unless(std::string field, std::vector<std::string> words, std::string then) {
  Object if_match{{"not_one_of", words_json(words)}};
  return conditional(
      std::move(field), [words = std::move(words)](std::string_view word) { return !contains(words, word); },
      std::move(if_match), std::move(then), must_be_null, Object{{"eq", nullptr}});
}

CrossRule required_when(std::string field, std::string word, std::string then) {
  Object if_match{{"match", fmt::format("^{}$", word)}};
  return conditional(
      std::move(field), [word = std::move(word)](std::string_view given) { return given == word; }, std::move(if_match),
      std::move(then),
      [](const json::value& value) -> Wrong {
        if (value.is_null()) return "required field missing";
        return {};
      },
      Object{{"required", true}});
}

CrossRule one_of_when(std::string field, std::string word, std::string then, std::vector<std::string> words) {
  Object if_match{{"match", fmt::format("^{}$", word)}};
  Object then_match{{"one_of", words_json(words)}};
  return conditional(
      std::move(field), [word = std::move(word)](std::string_view given) { return given == word; }, std::move(if_match),
      std::move(then),
      [words = std::move(words)](const json::value& value) -> Wrong {
        if (value.is_null() || contains(words, text_of(value))) return {};
        return fmt::format("expected one of: {}", fmt::join(words, ", "));
      },
      std::move(then_match));
}

CrossRule distinct(std::string a, std::string b) {
  Object described{{"distinct", json::array{json::value(a), json::value(b)}}};
  auto check = [a, b](const Object& entity, Object&, std::vector<std::string>& messages) {
    const auto &first = value_of(entity, a), &second = value_of(entity, b);
    if (!first.is_null() && first == second)
      messages.push_back(fmt::format("values of these fields must be distinct: {}", quoted_list({a, b})));
  };
  return {std::move(described), std::move(check)};
}

namespace {

// good: by how many of the fields are given.
CrossRule counted(std::string_view kind, std::vector<std::string> names, std::string text,
                  bool (*good)(std::size_t given, std::size_t all)) {
  Object described{{kind, words_json(names)}};
  auto message = fmt::format("{}: {}", text, quoted_list(names));
  auto check = [names = std::move(names), message = std::move(message), good](const Object& entity, Object& faults,
                                                                              std::vector<std::string>& messages) {
    std::size_t given = 0;
    for (const auto& name : names) {
      if (faults.contains(name)) return;  // that fault is enough
      given += is_given(value_of(entity, name));
    }
    if (!good(given, names.size())) messages.push_back(message);
  };
  return {std::move(described), std::move(check)};
}

}  // namespace

CrossRule any_of(std::vector<std::string> names) {
  return counted("at_least_one_of", std::move(names), "at least one of these fields must be non-empty",
                 [](std::size_t given, std::size_t) { return given > 0; });
}
CrossRule exactly_one_of(std::vector<std::string> names) {
  return counted("only_one_of", std::move(names), "exactly one of these fields must be non-empty",
                 [](std::size_t given, std::size_t) { return given == 1; });
}
CrossRule at_most_one_of(std::vector<std::string> names) {
  return counted("mutually_exclusive", std::move(names), "only one or none of these fields must be set",
                 [](std::size_t given, std::size_t) { return given < 2; });
}
CrossRule all_or_none_of(std::vector<std::string> names) {
  return counted("mutually_required", std::move(names), "all or none of these fields must be set",
                 [](std::size_t given, std::size_t all) { return given == 0 || given == all; });
}

Field old_field(const std::vector<Field>& fields, std::string_view old_name, std::vector<std::string> path) {
  const auto* level = &fields;
  Field out;
  for (const auto& name : path) {
    const auto found = std::find_if(level->begin(), level->end(), [&](const auto& f) { return f.name == name; });
    WEIR_ASSERT(found != level->end());
    out = *found;
    level = &found->fields;
  }
  out.name = old_name;
  out.required = false;
  out.initial = nullptr;
  out.shown["deprecation"] =
      Object{{"message", fmt::format("'{}' is deprecated, please use '{}' instead", old_name, fmt::join(path, "."))},
             {"removal_in_version", "4.0"}};
  out.replaced_by = std::move(path);
  return out;
}

const json::value& value_of(const Object& entity, std::string_view field) {
  static const json::value null;
  const auto* value = entity.if_contains(field);
  return value ? *value : null;
}

bool is_given(const json::value& value) {
  if (const auto* text = value.if_string()) return !text->empty();
  if (const auto* array = value.if_array()) return !array->empty();
  if (const auto* object = value.if_object()) return !object->empty();
  return !value.is_null();
}

std::string_view text_of(const json::value& value) {
  const auto* text = value.if_string();
  return text ? std::string_view(*text) : std::string_view();
}

std::string quoted_list(const std::vector<std::string>& names) {
  return fmt::format("'{}'", fmt::join(names, "', '"));
}

}  // namespace weir::model
