// What a listening socket and the connections that came in by it have in common. Belongs to the worker's thread.
#pragma once
#include <cstdint>

#include "base/uuid.h"

namespace weir::proxy {

struct Entrance {
  Uuid entry;              // of a Gateway; nil: proxy_listen
  std::uint16_t port = 0;  // that clients know
  bool tls = false;
  bool closing = false;  // accepts no more: connections end after their answer
};

}  // namespace weir::proxy
