// Copies of requests that go to a second service, whose answers are read and dropped.
//
// A mirror never delays or fails the request it copies: it has a connection of its own, and is given up (and counted)
// when there is none to be had at once, when it cannot keep up, or when the request itself is not completed. It
// outlives the exchange that it copies from.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"
#include "proxy/backends.h"
#include "proxy/body.h"
#include "proxy/forward.h"

namespace weir::proxy {

struct Context;
class Exchange;

class Mirror {
 public:
  explicit Mirror(Context& context) : context_(context) {}

  // The next of the request's body, framed as its head says; last: the request is complete. May end it, and then it has
  // told its source (Exchange::mirror_over).
  void body(std::string_view bytes, bool last);
  // The request is not completed.
  void abandon();

  void on_upstream(std::uint32_t events);
  void on_timeout();

 private:
  friend class Mirrors;
  bool begin(const snapshot::Service&, const Candidate&, std::string_view request, Span host, bool keep_host);
  bool send(std::string_view);
  bool send_waiting();
  bool read();
  bool read_head(char* bytes, std::size_t size);
  bool read_body(char* bytes, std::size_t size);
  void watch();  // sets the timeout of what it waits for now
  bool drop();   // false, always
  void end(bool reusable);

  Context& context_;
  Upstream* upstream_ = nullptr;
  Exchange* source_ = nullptr;  // null: the request is complete
  std::string waiting_;         // to be sent once the connection is open
  std::string method_;
  Body response_;
  bool answering_ = false, keep_alive_ = false;  // of the answer: its head came; the connection outlasts it
  std::uint64_t connect_ms_ = 0, read_ms_ = 0, write_ms_ = 0;
};

class Mirrors {
 public:
  static constexpr std::size_t active_max = 256;
  static constexpr std::size_t unsent_max = 1024 * 1024;  // of one mirror

  explicit Mirrors(Context& context) : context_(context) {}

  // Whether this request of a route is one of `numerator` in `denominator`, spread evenly.
  bool is_due(const Uuid& route, const Uuid& service, std::uint32_t numerator, std::uint32_t denominator);
  // request: head and what is there of the body; host: of the Host value in it, that the mirror's own takes the place
  // of unless keep_host. complete: the request has no more. Null: given up, or nothing more is to be told to it.
  Mirror* begin(Exchange& source, const Uuid& service, std::string_view request, Span host, bool keep_host,
                std::string_view method, bool complete);
  void end_all();

 private:
  friend class Mirror;
  void free(Mirror&);

  Context& context_;
  std::vector<std::unique_ptr<Mirror>> active_, free_;
  std::unordered_map<Uuid, std::uint64_t> shares_;  // what is left over of shares, in 2^32nds, by route and service
};

}  // namespace weir::proxy
