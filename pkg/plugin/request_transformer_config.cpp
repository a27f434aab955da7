#include "plugin/request_transformer_config.h"

#include <algorithm>

#include "base/text.h"
#include "plugin/template_pairs.h"

namespace weir::model {

using weir::plugin::RequestTransformerConfig;

template <>
const Members<RequestTransformerConfig::Removed>& members<RequestTransformerConfig::Removed>() {
  using Part = RequestTransformerConfig::Removed;
  static const auto all =
      Members<Part>()
          .field("body", &Part::body, "Names of arguments or JSON members.")
          .field("headers", &Part::headers, "Names of headers.", each({check(plugin::check_removed_header)}))
          .field("querystring", &Part::querystring, "Names of arguments.");
  return all;
}

template <>
const Members<RequestTransformerConfig::Renamed>& members<RequestTransformerConfig::Renamed>() {
  using Part = RequestTransformerConfig::Renamed;
  static const auto all =
      Members<Part>()
          .field("body", &Part::body, "Arguments or JSON members, old:new.", each({check(plugin::check_template)}))
          .field("headers", &Part::headers, "Headers, old:new.", each({check(plugin::check_renamed_header)}))
          .field("querystring", &Part::querystring, "Arguments, old:new.", each({check(plugin::check_template)}));
  return all;
}

template <>
const Members<RequestTransformerConfig::Values>& members<RequestTransformerConfig::Values>() {
  using Part = RequestTransformerConfig::Values;
  static const auto all =
      Members<Part>()
          .field("body", &Part::body, "Arguments or JSON members, name:value.", each({check(plugin::check_template)}))
          .field("headers", &Part::headers,
                 "Headers, name:value. Content-Length and Transfer-Encoding are always Weir's own.",
                 each({check(plugin::check_header_template)}))
          .field("querystring", &Part::querystring, "Arguments, name:value.", each({check(plugin::check_template)}));
  return all;
}

template <>
const Members<RequestTransformerConfig::Replaced>& members<RequestTransformerConfig::Replaced>() {
  using Part = RequestTransformerConfig::Replaced;
  static const auto all =
      Members<Part>()
          .field("body", &Part::body, "Arguments or JSON members, name:value.", each({check(plugin::check_template)}))
          .field("headers", &Part::headers, "Headers, name:value; the only place for Host.",
                 each({check(plugin::check_header_template)}))
          .field("querystring", &Part::querystring, "Arguments, name:value.", each({check(plugin::check_template)}))
          .field("uri", &Part::uri, "The path that goes to the upstream.", check(plugin::check_whole_template));
  return all;
}

}  // namespace weir::model

namespace weir::plugin {
namespace {

Value value_of(std::string_view text, std::vector<Template>& templates) {
  auto parsed = Template::parse(text);  // the schema has let it pass
  if (!parsed || parsed->is_constant()) return {std::string(text), std::nullopt};
  templates.push_back(std::move(*parsed));
  return {{}, templates.size() - 1};
}

std::vector<Edits::Pair> pairs_of(const std::vector<std::string>& elements, std::vector<Template>& templates) {
  std::vector<Edits::Pair> out;
  for (const auto& element : elements) {
    const auto [name, value] = split_pair(element);
    if (!name.empty() && !value.empty())
      out.push_back({std::string(name), std::string(name), value_of(value, templates)});
  }
  return out;
}

template <class Config>
Edits edits_of(const Config& config, auto list, std::vector<Template>& templates) {
  Edits out;
  for (const auto& element : list(config.remove))
    if (const auto name = split_pair(element).name; !name.empty()) out.remove.emplace_back(name);
  out.rename = pairs_of(list(config.rename), templates);
  out.replace = pairs_of(list(config.replace), templates);
  out.add = pairs_of(list(config.add), templates);
  out.append = pairs_of(list(config.append), templates);
  return out;
}

// Names as they are compared, without those that cannot be edited.
void restrict_headers(Edits& edits) {
  for (auto& name : edits.remove) name = text::lower(name);
  for (auto* pairs : {&edits.rename, &edits.replace, &edits.add, &edits.append})
    for (auto& pair : *pairs) pair.name = text::lower(pair.name);
  const auto is_fixed = [](std::string_view name) { return name == "host" || is_framing(name); };
  std::erase_if(edits.remove, is_fixed);
  std::erase_if(edits.rename,
                [&](const auto& pair) { return is_fixed(pair.name) || is_fixed(text::lower(pair.value.constant)); });
  std::erase_if(edits.replace, [](const auto& pair) { return is_framing(pair.name); });
  for (auto* pairs : {&edits.add, &edits.append})
    std::erase_if(*pairs, [&](const auto& pair) { return is_fixed(pair.name); });
}

bool mentions(const Edits& edits, std::string_view lower_name) {
  const auto names = [&](const auto& pairs) {
    return std::ranges::any_of(pairs, [&](const auto& pair) { return pair.name == lower_name; });
  };
  const bool renamed_to = std::ranges::any_of(
      edits.rename, [&](const auto& pair) { return text::equal_ignoring_case(pair.value.constant, lower_name); });
  return renamed_to || std::ranges::count(edits.remove, lower_name) > 0 || names(edits.rename) ||
         names(edits.replace) || names(edits.add) || names(edits.append);
}

}  // namespace

const model::Declared<RequestTransformerConfig>& request_transformer_config() {
  using Config = RequestTransformerConfig;
  static const auto built =
      model::SchemaBuilder<Config>("request-transformer")
          .field("http_method", &Config::http_method, "The method that goes to the upstream, in capitals.",
                 model::check(model::check_method))
          .field("remove", &Config::remove, "What is taken away.")
          .field("rename", &Config::rename, "What gets another name.")
          .field("replace", &Config::replace, "What gets another value, if it is there.")
          .field("add", &Config::add, "What is added unless it is there.")
          .field("append", &Config::append, "What is added in any case, behind what is there.")
          .build();
  return built;
}

RequestEdits::RequestEdits(const RequestTransformerConfig& config)
    : headers(edits_of(
          config, [](const auto& part) -> auto& { return part.headers; }, templates)),
      query(edits_of(
          config, [](const auto& part) -> auto& { return part.querystring; }, templates)),
      body(edits_of(
          config, [](const auto& part) -> auto& { return part.body; }, templates)),
      method(config.http_method.value_or("")) {
  restrict_headers(headers);
  if (config.replace.uri && !config.replace.uri->empty()) uri = value_of(*config.replace.uri, templates);
  method_has_no_body = method == "GET" || method == "HEAD" || method == "TRACE";
  changes_content_type = mentions(headers, "content-type");
}

}  // namespace weir::plugin
