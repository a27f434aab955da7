// A rule over the fields of a plugin's configuration, in Kong's words.
#pragma once
#include <string>
#include <vector>

#include "model/rules.h"

namespace weir::plugin {

// Of these fields one must hold something; `exactly`: and only one may. Named as Kong does: 'config.allow'.
model::CrossRule one_given(std::vector<std::string> fields, bool exactly);

}  // namespace weir::plugin
