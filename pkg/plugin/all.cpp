// The plugins that there are. Listed by hand: no self-registration, nothing a linker can drop.
#include <algorithm>
#include <vector>

#include "plugin/plugin.h"

namespace weir::plugin {

std::span<const Kind* const> kinds() {
  static const auto all = [] {
    std::vector<const Kind*> list{&acl(),
                                  &basic_auth(),
                                  &correlation_id(),
                                  &cors(),
                                  &file_log(),
                                  &http_log(),
                                  &ip_restriction(),
                                  &key_auth(),
                                  &prometheus(),
                                  &rate_limiting(),
                                  &request_size_limiting(),
                                  &request_termination(),
                                  &request_transformer(),
                                  &response_transformer()};
    // Kong runs plugins of one priority by falling name.
    std::ranges::sort(list, [](const Kind* a, const Kind* b) {
      return a->priority != b->priority ? a->priority > b->priority : a->name > b->name;
    });
    return list;
  }();
  return all;
}

}  // namespace weir::plugin
