#include "net/listener.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/resolver.h"

namespace weir::net {

Result<int> listen_on(const std::string& ip, std::uint16_t port, int backlog, bool reuseport) {
  auto address = Address::from_ip(ip, port);
  if (!address) return fail("cannot listen on {}:{}: not an IP address", ip, port);
  int fd = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("cannot listen on {}:{}: {}", ip, port, std::strerror(errno));
  int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (reuseport) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (address->storage.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (::bind(fd, address->get(), address->size()) != 0 || ::listen(fd, backlog) != 0) {
    int error = errno;
    ::close(fd);
    if (error == EADDRINUSE)
      return fail(
          "cannot listen on {}:{}: the port is in use by another program; stop it or choose another port "
          "(proxy_listen)",
          ip, port);
    if (error == EACCES)
      return fail("cannot listen on {}:{}: not permitted; choose a port above 1023 or grant CAP_NET_BIND_SERVICE", ip,
                  port);
    if (error == EADDRNOTAVAIL) return fail("cannot listen on {}:{}: this machine has no such address", ip, port);
    return fail("cannot listen on {}:{}: {}", ip, port, std::strerror(error));
  }
  return fd;
}

std::uint16_t local_port(int fd) {
  Address a;
  socklen_t bytes = sizeof a.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &bytes) != 0) return 0;
  return a.port();
}

void set_nodelay(int fd) {
  int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

}  // namespace weir::net
