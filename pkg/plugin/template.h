// Values with holes that a request fills: "user $(headers["x-user"] or "nobody")", as request-transformer has them.
//
// Kong evaluates Lua in there. This is the part of it that needs no Lua: inside $( ) stand headers, query_params,
// uri_captures or shared, each with .name or ["name"] (uri_captures also with [1]), text in quotes, and "or" between
// them. What is not there is nothing; a hole that comes to nothing is empty. All else is refused when it is configured.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plugin/exchange.h"

namespace weir::plugin {

class Template {
 public:
  static Result<Template> parse(std::string_view);

  bool is_constant() const { return parts_.empty(); }
  // Appends the value to `out`. The request must not have been edited yet.
  void render(const Exchange&, std::string& out) const;

 private:
  struct Term {
    enum Source : std::uint8_t { text, header, query, capture, nothing } source = text;
    std::string name;    // text: itself
    std::string dashed;  // header: the other spelling of a name with "_"; empty when there is none
  };
  using Hole = std::vector<Term>;  // the first that is there counts
  struct Part {
    std::string before;
    Hole hole;
  };
  class Parser;
  static bool append(const Term&, const Exchange&, std::string& out);

  std::vector<Part> parts_;
  std::string rest_;
};

}  // namespace weir::plugin
