// One request and its response, from the scanned head to the last byte, as states that events move forward.
//
//   deciding    plugins run, before routing or before the request goes out; one may wait for something
//   resolving   waits for a host name's first answer
//   connecting  an upstream connection opens
//   awaiting    the request is on its way; no final response head yet
//   responding  the response's body flows
//   tunnel      after 101: bytes both ways until both sides end
//
// Request and response flow independently: an upstream may answer before it has read the whole request. Each side is
// read only while the other takes what was read before, so nothing gathers. Functions that return false have ended
// the exchange or started another attempt: the caller must return at once.
//
// Exchanges are reused by their worker; their strings keep their memory, so a request allocates nothing.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/backends.h"
#include "proxy/body.h"
#include "proxy/client.h"
#include "proxy/context.h"
#include "proxy/forward.h"
#include "proxy/mirror.h"
#include "proxy/plugin_host.h"

namespace weir::proxy {

class Exchange;

// The timer of a route's timeouts, beside those of the two connections.
class Deadline final : public net::Handle {
 public:
  explicit Deadline(Exchange& exchange) : exchange_(exchange) {}
  void on_events(std::uint32_t) override {}
  void on_timeout() override;

 private:
  Exchange& exchange_;
};

class Exchange {
 public:
  explicit Exchange(Context& context) : context_(context) {}
  ~Exchange();

  // The context's request_head holds the scanned head; `behind` is what was received behind it, in the same buffer.
  void start(Client&, char* behind, std::size_t bytes);

  void on_client(std::uint32_t events);
  void on_client_timeout();
  void on_client_gone();
  void on_upstream(std::uint32_t events);
  void on_upstream_timeout();
  void on_names();
  void on_deadline();
  void mirror_over(Mirror&);  // it takes no more of the body

 private:
  friend class PluginHost;  // runs and sees it
  enum class State : std::uint8_t { deciding, resolving, connecting, awaiting, responding, tunnel };
  enum class Loss : std::uint8_t { connect, connect_timeout, broken, read_timeout };

  // exchange_start.cpp: what to do with a request
  void reset(Client&);
  bool is_acceptable();
  void route();
  bool locate();
  bool choose();
  bool allows_scheme();
  bool redirect_to_https(std::string_view host);
  const snapshot::Service* service_of_route() const;
  void hold_balancer();
  void forward();
  bool find_balancer();
  void upstream_path(std::string& out) const;
  void print_upstream_request();
  bool take_first_piece();
  void append_gathered();
  void begin_mirrors();
  void copy_to_mirrors(std::string_view body);

  // exchange.cpp: its way to an upstream
  bool connect();
  void no_peer(Balancer::Answer);
  bool attempt(const Candidate&);
  bool begin_sending();
  bool send_request();
  bool pump_request();
  bool forward_request_body(char* bytes, std::size_t size);
  bool too_slow(std::size_t received);
  void await_response();
  bool lost(Loss);

  // exchange_response.cpp: the way back
  bool pump_response();
  bool read_response_head(char* bytes, std::size_t size);
  bool malformed_response();
  bool forward_interim();
  bool start_response(char* behind, std::size_t bytes);
  std::size_t print_response_head();
  bool forward_response_body(char* bytes, std::size_t size, std::size_t head_bytes);
  bool gather_response(char* bytes, std::size_t size);
  bool send_gathered();
  bool pass_on_gathered(std::string_view last_piece);
  bool response_stream_ended();
  bool begin_tunnel(char* behind, std::size_t bytes);
  bool relay(net::Connection& from, net::Connection& to, bool& ended);
  bool pump_tunnel();

  // exchange_end.cpp: answers of our own, and the end
  void settle();
  bool answer(int status, std::string_view message, bool by_router, std::string_view extra_fields = {});
  // When the request's head is no longer in the buffer.
  bool answer_later(int status, std::string_view message);
  bool answer_later(int status);
  bool answer_too_large();
  void find_head_again();
  bool answer_with(int status, std::string_view type, std::string_view body, std::string_view extra_fields);
  bool complete(Client::Then);
  void watch_deadline();
  bool expire();
  void let_go_of_upstream(bool reusable);
  void count(std::uint64_t now_us);
  void log_access(std::uint64_t now_us);

  std::string_view method() const { return {request_.data(), method_bytes_}; }
  std::string_view id() const { return {id_.data(), id_.size()}; }
  bool send_to_client(std::string_view first, std::string_view second = {});
  std::uint64_t ms(std::chrono::milliseconds d) const { return static_cast<std::uint64_t>(d.count()); }

  Context& context_;
  Client* client_ = nullptr;
  Upstream* upstream_ = nullptr;
  Epoch* epoch_ = nullptr;
  const snapshot::Route* route_ = nullptr;
  const snapshot::Service* service_ = nullptr;
  const UpstreamTlsPtr* peer_ = &any_peer;           // whom the service must be; of the route
  snapshot::Slot service_slot_ = snapshot::no_slot;  // the route's, or the one of its services whose turn it was
  Balancer* balancer_ = nullptr;
  PluginHost* plugins_ = nullptr;  // null: there are none for this request
  State state_ = State::resolving;

  // Of the request's head, for as long as it is in the buffer: as the router compares them.
  std::array<char, 257> host_buffer_;
  std::string_view host_name_, path_;
  std::uint16_t host_port_ = 0;
  std::size_t prefix_bytes_ = 0;  // of the path, that the route matched

  std::string request_;  // the head, and the first piece of the body: what another attempt sends again
  std::size_t request_sent_ = 0;
  std::size_t method_bytes_ = 0;
  char* behind_ = nullptr;  // what was received behind the head, until take_first_piece
  std::size_t behind_bytes_ = 0;
  Span host_;  // of the Host value in request_
  Body request_body_, response_body_;
  BulkHold upstream_hold_;
  std::vector<const Endpoint*> tried_;
  std::vector<Mirror*> mirrors_;  // that still take of the body
  std::uint32_t attempts_left_ = 0;
  std::size_t interims_ = 0;
  int status_ = 0, upstream_status_ = 0;

  bool head_only_ = false;  // answers to HEAD have no body
  bool http10_ = false, keep_alive_ = true, idempotent_ = false, expects_continue_ = false, te_trailers_ = false;
  bool debug_ = false, upgrade_asked_ = false, preserve_host_ = false;
  bool reused_ = false, fresh_retry_used_ = false;
  bool replayable_ = true;       // all that was sent of the request is in request_
  bool write_broken_ = false;    // the upstream takes no more; its answer may still come
  bool answer_bytes_ = false;    // something of an answer came on this connection
  bool response_begun_ = false;  // its final head went to the client
  bool chunked_out_ = false, upstream_keep_alive_ = false;
  bool client_ended_ = false, upstream_ended_ = false;  // tunnel
  bool own_answer_ = false;

  std::uint64_t started_us_ = 0, sent_us_ = 0, answered_us_ = 0, ended_us_ = 0;
  std::uint64_t tunnel_idle_ms_ = 0;
  // Of a Gateway API route, on the loop's clock: of the whole exchange, of this attempt. 0: none.
  std::uint64_t request_deadline_ms_ = 0, attempt_deadline_ms_ = 0;
  std::unique_ptr<Deadline> deadline_;  // null until a route had one
  std::uint64_t body_watched_ms_ = 0, body_watched_bytes_ = 0;
  std::uint64_t response_bytes_ = 0, sent_bytes_ = 0;  // of the body; of all to the client
  std::uint64_t body_max_ = 0;                         // of the request
  std::array<char, 32> id_;
  std::string access_line_;  // method and path, for the access log
};

std::array<char, 32> request_id(Random&);

// Prints a whole answer of our own into context.answer. response_latency: ms, for X-Kong-Response-Latency.
void print_answer(Context&, int status, std::string_view type, std::string_view body, std::string_view request_id,
                  bool keep_alive, std::string_view extra_fields, std::uint64_t response_latency,
                  bool head_only = false, bool http10 = false);

}  // namespace weir::proxy
