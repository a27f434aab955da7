// The entity "consumers": who calls.
#include "model/entities.h"
#include "model/fields.h"

namespace weir::model {
namespace {

const Declared<Consumer>& declared() {
  static const auto built =
      entity<Consumer>("consumers")
          .endpoint_key("username")
          .looked_up()
          .field("username", &Consumer::username, "The consumer's name.", unique())
          .field("custom_id", &Consumer::custom_id, "What another system knows the consumer by.", unique())
          .field("tags", &Consumer::tags, tags_help, tags())
          .rule(any_of({"custom_id", "username"}))
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Consumer>() {
  return declared().schema;
}
template <>
Consumer read<Consumer>(const Object& entity) {
  return declared().read(entity);
}

}  // namespace weir::model
