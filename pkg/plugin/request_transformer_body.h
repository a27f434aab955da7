// Edits of bodies for request-transformer: forms, JSON and multipart.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "plugin/body_args.h"
#include "plugin/request_transformer_arguments.h"
#include "plugin/request_transformer_config.h"

namespace weir::plugin {

// Does `edits` to the arguments in their order.
void edit_arguments(Arguments&, const Edits&, const Rendered&);

// The body that goes to the upstream; nothing: as it came. A malformed body is left as it is.
std::optional<std::string> edited_body(const BodyForm&, std::string_view body, const Edits&, const Rendered&);

}  // namespace weir::plugin
