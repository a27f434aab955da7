// Listening sockets, and the socket options that every connection gets.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace weir::net {

// Binds and listens, non-blocking. reuseport: several workers may listen on the same port, and the kernel spreads
// connections over them. Errors name address, reason and remedy.
Result<int> listen_on(const std::string& ip, std::uint16_t port, int backlog, bool reuseport);
// Lets the kernel drop the first packet of every further connection, while handshakes that have begun still end in the
// accept queue: closing a listener resets whoever is between the two. A client that is dropped tries again after about
// a second, and then finds the listener gone or another one in its place. False where the kernel cannot.
bool drop_new_connections(int fd);
std::uint16_t local_port(int fd);
void set_nodelay(int fd);

}  // namespace weir::net
