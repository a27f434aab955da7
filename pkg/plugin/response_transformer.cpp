// Changes responses before they go to the client. Kong plugin "response-transformer".
#include <string>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "base/text.h"
#include "model/schema_builder.h"
#include "plugin/plugin.h"
#include "plugin/response_transformer_json.h"
#include "plugin/template_pairs.h"

namespace weir::plugin {
namespace {

struct Removed {
  std::vector<std::string> json, headers;
};
struct Renamed {
  std::vector<std::string> json, headers;
};
struct Values {
  std::vector<std::string> json, json_types, headers;
};
struct Config {
  Removed remove;
  Renamed rename;
  Values replace, add, append;
};

}  // namespace
}  // namespace weir::plugin

namespace weir::model {

template <>
const Members<plugin::Removed>& members<plugin::Removed>() {
  using Part = plugin::Removed;
  static const auto all =
      Members<Part>()
          .field("json", &Part::json, "Names of members of the outermost JSON object.")
          .field("headers", &Part::headers, "Names of headers; a :value behind one is let pass and says nothing.");
  return all;
}

template <>
const Members<plugin::Renamed>& members<plugin::Renamed>() {
  using Part = plugin::Renamed;
  static const auto all =
      Members<Part>()
          .field("json", &Part::json, "Members of the outermost JSON object, old:new.",
                 each({check(plugin::check_pair)}))
          .field("headers", &Part::headers, "Headers, old:new.", each({check(plugin::check_renamed_header)}));
  return all;
}

template <>
const Members<plugin::Values>& members<plugin::Values>() {
  using Part = plugin::Values;
  static const auto all =
      Members<Part>()
          .field("json", &Part::json, "Members of the outermost JSON object, name:value.",
                 each({check(plugin::check_pair)}))
          .field("json_types", &Part::json_types, "Their types, by place; string for those without.",
                 each({one_of({"boolean", "number", "string"})}))
          .field("headers", &Part::headers,
                 "Headers, name:value. Content-Length and Transfer-Encoding are always Weir's own.",
                 each({check(plugin::check_header_pair)}));
  return all;
}

}  // namespace weir::model

namespace weir::plugin {
namespace {

const model::Declared<Config>& declared() {
  static const auto built = model::SchemaBuilder<Config>("response-transformer")
                                .field("remove", &Config::remove, "What is taken away.")
                                .field("rename", &Config::rename, "What gets another name.")
                                .field("replace", &Config::replace, "What gets another value, if it is there.")
                                .field("add", &Config::add, "What is added unless it is there.")
                                .field("append", &Config::append, "What is added in any case, behind what is there.")
                                .build();
  return built;
}

struct HeaderPair {
  std::string name, lower_name, value;
};

std::vector<HeaderPair> pairs_of(const std::vector<std::string>& elements) {
  std::vector<HeaderPair> out;
  for (const auto& element : elements) {
    const auto [name, value] = split_pair(element);
    auto lower_name = text::lower(name);
    if (!name.empty() && !value.empty() && !is_framing(lower_name))
      out.push_back({std::string(name), std::move(lower_name), std::string(value)});
  }
  return out;
}

JsonEdits json_edits(const Config& config) {
  JsonEdits out;
  for (const auto& element : config.remove.json) out.remove.emplace_back(split_pair(element).name);
  for (const auto& element : config.rename.json)
    if (const auto [name, value] = split_pair(element); !value.empty()) out.rename.emplace_back(name, value);
  out.replace = json_members(config.replace.json, config.replace.json_types);
  out.add = json_members(config.add.json, config.add.json_types);
  out.append = json_members(config.append.json, config.append.json_types);
  return out;
}

class ResponseTransformer : public Plugin {
 public:
  explicit ResponseTransformer(const Config& config)
      : rename_(pairs_of(config.rename.headers)),
        replace_(pairs_of(config.replace.headers)),
        add_(pairs_of(config.add.headers)),
        append_(pairs_of(config.append.headers)),
        json_(json_edits(config)) {
    for (const auto& element : config.remove.headers)
      if (auto name = text::lower(split_pair(element).name); !name.empty() && !is_framing(name))
        remove_.push_back(std::move(name));
  }

  void header_filter(Exchange& x) const override {
    edit_headers(x);
    if (!json_.empty() && is_json(x.response_header("content-type").value_or(""))) x.want_response_body();
  }

  void body_filter(Exchange&, std::string& body) const override {
    if (auto edited = edited_json(body, json_)) body = std::move(*edited);
  }

 private:
  // Each condition is about the response as it came, whatever the steps before did: Kong looks at a copy.
  void edit_headers(Exchange& x) const {
    boost::container::small_vector<bool, 32> was_there;
    for (const auto* pairs : {&replace_, &add_})
      for (const auto& pair : *pairs) was_there.push_back(x.response_header(pair.lower_name).has_value());
    std::vector<std::vector<std::string>> renamed(rename_.size());
    for (std::size_t i = 0; i < rename_.size(); i++) renamed[i] = values_of(x, rename_[i].lower_name);

    for (const auto& name : remove_) x.remove_response_header(name);
    for (std::size_t i = 0; i < rename_.size(); i++) {
      if (renamed[i].empty()) continue;
      x.remove_response_header(rename_[i].lower_name);
      x.remove_response_header(rename_[i].value);
      for (const auto& value : renamed[i]) x.add_response_header(rename_[i].value, value);
    }
    auto there = was_there.begin();
    for (const auto& pair : replace_)
      if (*there++) x.set_response_header(pair.name, pair.value);
    for (const auto& pair : add_)
      if (!*there++) x.set_response_header(pair.name, pair.value);
    for (const auto& pair : append_) x.add_response_header(pair.name, pair.value);
  }

  static std::vector<std::string> values_of(const Exchange& x, std::string_view lower_name) {
    std::vector<std::string> out;
    if (!x.response_header(lower_name)) return out;
    x.each_response_header([&](std::string_view name, std::string_view value) {
      if (text::equal_ignoring_case(name, lower_name)) out.emplace_back(value);
      return false;
    });
    return out;
  }

  std::vector<std::string> remove_;  // in lower case
  std::vector<HeaderPair> rename_, replace_, add_, append_;
  JsonEdits json_;
};

Result<std::unique_ptr<const Plugin>> make(const model::Object& config, const Scope&, Services&) {
  return std::make_unique<ResponseTransformer>(declared().read(config));
}

}  // namespace

const Kind& response_transformer() {
  static const Kind kind{.name = "response-transformer",
                         .priority = 800,
                         .phases = phase_header_filter | phase_body_filter,
                         .config = []() -> const model::Schema& { return declared().schema; },
                         .make = make};
  return kind;
}

}  // namespace weir::plugin
