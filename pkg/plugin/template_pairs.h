// Elements "name:value" of the lists that both transformers are configured by, and Kong's rules for them.
#pragma once
#include <string>
#include <string_view>

#include "model/formats.h"

namespace weir::plugin {

// The name is what stands before the first colon, the value what follows the last of adjoining ones; it may be empty.
struct NameValue {
  std::string_view name, value;
};
NameValue split_pair(std::string_view element);

// Of one element; Kong's words where it has some.
model::Wrong check_removed_header(std::string_view);   // a header's name
model::Wrong check_renamed_header(std::string_view);   // two of them
model::Wrong check_header_pair(std::string_view);      // header and value
model::Wrong check_header_template(std::string_view);  // the same, the value with holes
model::Wrong check_pair(std::string_view);             // anything and a value, which may be empty
model::Wrong check_template(std::string_view);         // anything and a value with holes, which is not empty
model::Wrong check_whole_template(std::string_view);   // a value with holes

// Headers that say where a message ends, which Weir writes itself: edits of them have no effect.
bool is_framing(std::string_view lower_name);

}  // namespace weir::plugin
