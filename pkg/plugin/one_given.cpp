#include "plugin/one_given.h"

namespace weir::plugin {

model::CrossRule one_given(std::vector<std::string> fields, bool exactly) {
  std::vector<std::string> full;  // as Kong names them
  boost::json::array shown;
  for (const auto& field : fields) shown.emplace_back(full.emplace_back("config." + field));
  const auto names = model::quoted_list(full);
  model::CrossRule rule;
  rule.described = {{exactly ? "only_one_of" : "at_least_one_of", std::move(shown)}};
  rule.check = [fields, names, exactly](const model::Object& config, model::Object&, std::vector<std::string>& wrong) {
    std::size_t given = 0;
    for (const auto& field : fields) given += model::is_given(model::value_of(config, field));
    if (exactly && given != 1) wrong.push_back("exactly one of these fields must be non-empty: " + names);
    if (given == 0) wrong.push_back("at least one of these fields must be non-empty: " + names);
  };
  return rule;
}

}  // namespace weir::plugin
