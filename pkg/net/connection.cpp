#include "net/connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace weir::net {
namespace {

ssize_t tls_result(SSL* ssl, int result) {
  int error = SSL_get_error(ssl, result);
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
  return -1;
}

// Not an error of the connection: try again when epoll says so. ENOTCONN: it is still being opened.
bool is_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOTCONN;
}

}  // namespace

Connection::~Connection() {
  close(false);
}

void Connection::note(std::uint32_t events) {
  if (events & ~static_cast<std::uint32_t>(EPOLLOUT)) readable_ = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ended_ = true;
}

bool Connection::has_input() const {
  return readable_ || (ssl && SSL_has_pending(ssl));
}

ssize_t Connection::receive(char* to, std::size_t bytes) {
  if (ssl) {
    int r = SSL_read(ssl, to, static_cast<int>(bytes));
    return r > 0 ? r : tls_result(ssl, r);
  }
  ssize_t r;
  do r = ::recv(fd, to, bytes, 0);
  while (r < 0 && errno == EINTR);
  // Short: the socket is empty, and the next edge will tell of more. Not so at the end, which gives no further edge.
  if (r >= 0 ? static_cast<std::size_t>(r) < bytes && !ended_ : errno == EAGAIN) readable_ = false;
  return r;
}

ssize_t Connection::transmit_tls(const char* from, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {  // a record at a time
    int r = SSL_write(ssl, from + done, static_cast<int>(bytes - done));
    if (r <= 0) {
      ssize_t e = tls_result(ssl, r);
      return done ? static_cast<ssize_t>(done) : e == 0 ? (errno = EPIPE, -1) : e;
    }
    done += static_cast<std::size_t>(r);
  }
  return static_cast<ssize_t>(done);
}

ssize_t Connection::transmit(const char* from, std::size_t bytes) {
  return ssl ? transmit_tls(from, bytes) : ::send(fd, from, bytes, MSG_NOSIGNAL);
}

bool Connection::send(std::string_view first, std::string_view second) {
  if (!writable_) {  // behind what already waits
    out_.append(first).append(second);
    return true;
  }
  ssize_t r;
  if (second.empty()) {
    r = transmit(first.data(), first.size());
  } else if (ssl) {
    r = transmit_tls(first.data(), first.size());
    if (r == static_cast<ssize_t>(first.size()))
      if (ssize_t more = transmit_tls(second.data(), second.size()); more > 0) r += more;
  } else {
    iovec pieces[2] = {{const_cast<char*>(first.data()), first.size()},
                       {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    r = ::sendmsg(fd, &message, MSG_NOSIGNAL);
  }
  if (r < 0) {
    if (!is_later(errno)) return false;
    r = 0;
  }
  auto sent = static_cast<std::size_t>(r);
  if (sent == first.size() + second.size()) return true;
  if (sent < first.size()) {
    out_.append(first.substr(sent)).append(second);
  } else {
    out_.append(second.substr(sent - first.size()));
  }
  writable_ = false;
  return true;
}

bool Connection::flush() {
  if (writable_) return true;
  ssize_t r = transmit(out_.data() + out_sent_, unsent());
  if (r < 0) return is_later(errno);
  out_sent_ += static_cast<std::size_t>(r);
  if (unsent()) return true;
  std::string().swap(out_);  // the memory too: a connection that is not slow owns none
  out_sent_ = 0;
  writable_ = true;
  return true;
}

void Connection::shutdown_write() {
  if (ssl && SSL_is_init_finished(ssl)) SSL_shutdown(ssl);
  ERR_clear_error();
  if (fd >= 0) ::shutdown(fd, SHUT_WR);
}

void Connection::close(bool clean) {
  if (ssl) {
    if (clean && SSL_is_init_finished(ssl)) SSL_shutdown(ssl);
    // Without this, freeing a connection that saw no goodbye makes its session unusable for resumption.
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    ERR_clear_error();
    ssl = nullptr;
  }
  if (fd >= 0) ::close(fd);
  fd = -1;
  std::string().swap(in);
  std::string().swap(out_);
  out_sent_ = 0;
}

}  // namespace weir::net
