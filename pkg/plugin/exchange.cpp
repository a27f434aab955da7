#include "plugin/exchange.h"

#include <boost/json.hpp>

namespace weir::plugin {

void Exchange::respond_message(int status, std::string_view message) {
  respond(status, "application/json; charset=utf-8", boost::json::serialize(model::Object{{"message", message}}));
}

}  // namespace weir::plugin
