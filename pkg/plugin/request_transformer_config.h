// The configuration of request-transformer, and the form of it that requests are edited by.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/schema_builder.h"
#include "plugin/template.h"

namespace weir::plugin {

struct RequestTransformerConfig {
  struct Removed {
    std::vector<std::string> body, headers, querystring;
  };
  struct Renamed {
    std::vector<std::string> body, headers, querystring;
  };
  struct Replaced {
    std::vector<std::string> body, headers, querystring;
    std::optional<std::string> uri;
  };
  struct Values {
    std::vector<std::string> body, headers, querystring;
  };
  std::optional<std::string> http_method;
  Removed remove;
  Renamed rename;
  Replaced replace;
  Values add, append;
};
const model::Declared<RequestTransformerConfig>& request_transformer_config();

// The values of all templates for one request.
using Rendered = std::vector<std::string>;

// A value that is the same for all requests, or one of Rendered.
struct Value {
  std::string constant;
  std::optional<std::size_t> place;
  std::string_view in(const Rendered& values) const {
    return place ? std::string_view(values[*place]) : std::string_view(constant);
  }
};

// What is done to headers, to a query or to a body, in this order.
struct Edits {
  struct Pair {
    std::string name, spelled;  // spelled: as configured
    Value value;
  };
  std::vector<std::string> remove;
  std::vector<Pair> rename, replace, add, append;
  bool empty() const { return remove.empty() && rename.empty() && replace.empty() && add.empty() && append.empty(); }
};

struct RequestEdits {
  explicit RequestEdits(const RequestTransformerConfig&);

  std::vector<Template> templates;  // first: the others refer to it
  Edits headers, query, body;       // names of headers in lower case, without Host but to replace
  std::optional<Value> uri;
  std::string method;               // empty: as it is
  bool method_has_no_body = false;  // a form's arguments go to the query, too
  bool changes_content_type = false;
};

}  // namespace weir::plugin
