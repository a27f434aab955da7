#include "net/listener.h"

#include <linux/filter.h>
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

bool drop_new_connections(int fd) {
  // A socket filter of TCP sees the segment from its header on; byte 13 holds the flags. SYN without ACK: dropped.
  constexpr std::uint32_t flags_at = 13, syn_ack = 0x12, syn = 0x02, keep_all = 0xffffffff;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_at),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, syn_ack),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, keep_all),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
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
