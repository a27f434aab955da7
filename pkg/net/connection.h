// A non-blocking stream socket, plain or TLS, with what is known of it from edge-triggered events.
//
// receive() is only worth a call while has_input(): a short read means empty, so no read ever just says EAGAIN. It owns
// bytes only while part of a head (`in`) or a slow reader (`out`) forces it to.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/loop.h"

struct ssl_st;

namespace weir::net {

class Connection : public Handle {
 public:
  ~Connection() override;

  // Bytes read (> 0), 0 at the end of the stream, -1 with errno: EAGAIN when there is nothing now.
  ssize_t receive(char* to, std::size_t bytes);
  // Bytes written (maybe fewer than given), -1 with errno: EAGAIN when nothing can be written now.
  ssize_t transmit(const char* from, std::size_t bytes);

  // Sends what the socket takes now; the rest waits in `out` and writable() becomes false. False: the connection broke.
  bool send(std::string_view first, std::string_view second = {});
  // After EPOLLOUT: sends on from `out`. False: the connection broke.
  bool flush();

  // Notes what epoll told. Call before anything else in on_events.
  void note(std::uint32_t events);

  bool has_input() const;                      // a receive() has something to say
  bool writable() const { return writable_; }  // nothing waits in `out`
  bool ended() const { return ended_; }        // the other side will send no more, or the connection broke
  std::size_t unsent() const { return out_.size() - out_sent_; }

  // clean: says goodbye in TLS, so that the other side can tell the end from a cut.
  void close(bool clean);
  void shutdown_write();  // no more from us; reading goes on

  std::string in;  // received, not yet used
  ssl_st* ssl = nullptr;

 private:
  friend struct EdgeBio;
  ssize_t transmit_tls(const char* from, std::size_t bytes);

  std::string out_;
  std::size_t out_sent_ = 0;
  bool readable_ = false;
  bool writable_ = true;
  bool ended_ = false;
};

}  // namespace weir::net
