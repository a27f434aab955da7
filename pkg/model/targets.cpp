// The entity "targets": the addresses of an upstream.
#include "model/entities.h"
#include "model/fields.h"

namespace weir::model {
namespace {

const Declared<Target>& declared() {
  static const auto built =
      entity<Target>("targets", true)
          .endpoint_key("target")
          .cache_key({"upstream", "target"})
          .field("upstream", &Target::upstream, "The upstream that it belongs to.", foreign("upstreams"), cascade())
          .field("target", &Target::target, "Host name or address with a port, 8000 when left out.",
                 check(check_target), normalised(normal_target))
          .field("weight", &Target::weight, "Share of traffic inside the upstream; 0 gets none.", nullable(),
                 between(0, 65535))
          .field("tags", &Target::tags, tags_help, tags())
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Target>() {
  return declared().schema;
}
template <>
Target read<Target>(const Object& entity) {
  return declared().read(entity);
}

}  // namespace weir::model
