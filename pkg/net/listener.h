// Listening sockets, and the socket options that every connection gets.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace weir::net {

// Binds and listens, non-blocking. reuseport: several workers may listen on the same port, and the kernel spreads
// connections over them. Errors name address, reason and remedy.
Result<int> listen_on(const std::string& ip, std::uint16_t port, int backlog, bool reuseport);
std::uint16_t local_port(int fd);
void set_nodelay(int fd);

}  // namespace weir::net
