// Edits of JSON bodies for response-transformer.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

namespace weir::plugin {

struct JsonEdits {
  struct Member {
    std::string name;
    boost::json::value value;
  };
  std::vector<std::string> remove;
  std::vector<std::pair<std::string, std::string>> rename;
  std::vector<Member> replace, add, append;
  bool empty() const { return remove.empty() && rename.empty() && replace.empty() && add.empty() && append.empty(); }
};

// Members of a list "name:value"; types: "boolean", "number" or "string" of the elements at the same places, string for
// those beyond. What is no number although it should be is left out, as in Kong.
std::vector<JsonEdits::Member> json_members(const std::vector<std::string>& elements,
                                            const std::vector<std::string>& types);

// Nothing when the body is not a JSON object: it stays as it is.
std::optional<std::string> edited_json(std::string_view body, const JsonEdits&);

// Whether a Content-Type (or a list of them) names JSON.
bool is_json(std::string_view content_type);

}  // namespace weir::plugin
