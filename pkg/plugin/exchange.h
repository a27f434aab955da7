// One request and its answer as plugins see them. Implemented by the proxy; belongs to its worker's thread.
//
// Edits are recorded and seen by the steps that come later; nothing is copied unless a plugin edits it. Views that are
// returned hold until the step ends, and until the next edit of the same kind.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"
#include "model/problem.h"
#include "store/lookup.h"

namespace weir::plugin {

// What a step of the phases rewrite and access says.
enum class Step : std::uint8_t {
  next,  // go on
  wait,  // something was asked for (body, lookup, ask) and is not there yet: this step is called again when it is
  done,  // the plugin has answered the request by respond() or error(); later steps of the phase do not run
};

// What a plugin or the log may know of the configured objects that a request belongs to. Views into the snapshot.
struct RouteView {
  Uuid id;
  std::string_view name;  // empty: none
};
struct ServiceView {
  Uuid id;
  std::string_view name, protocol, host, path;
  std::uint16_t port = 0;
  std::uint32_t retries = 0;
  std::uint64_t connect_timeout = 0, write_timeout = 0, read_timeout = 0;  // ms
};

// One attempt to reach an upstream.
struct Try {
  std::string ip;
  std::uint16_t port = 0;
  std::uint64_t started_ms = 0;  // Unix
  std::uint64_t latency_us = 0;
  int code = 0;  // 502, 504 when it failed; 0: it did not
};

// How an exchange ended, for the log phase.
struct Ending {
  int status = 0;           // sent to the client; 499 when it left
  int upstream_status = 0;  // 0: none
  bool from_upstream = false;
  std::uint64_t started_ms = 0;                              // Unix
  std::uint64_t total_us = 0, weir_us = 0, upstream_us = 0;  // upstream_us: waiting for the response's head
  bool upstream_asked = false;                               // false: no upstream was reached
  std::uint64_t request_bytes = 0, response_bytes = 0;       // heads and bodies
  std::span<const Try> tries;
};

// Calls back for each field until it returns true.
using EachField = std::function<bool(std::string_view name, std::string_view value)>;

class Exchange {
 public:
  virtual ~Exchange() = default;

  // --- the request as the client sent it, with the edits so far ---
  virtual std::string_view method() const = 0;
  virtual std::string_view scheme() const = 0;        // "http", "https"; of the client's connection
  virtual std::string_view http_version() const = 0;  // "1.1"
  virtual std::string_view host() const = 0;          // of the Host field, lower case, without port
  virtual std::uint16_t port() const = 0;
  virtual std::string_view path() const = 0;       // as the client sent it, without query
  virtual std::string_view raw_query() const = 0;  // without "?"; with edits
  virtual std::optional<std::string_view> header(std::string_view lower_name) const = 0;  // first value
  virtual std::size_t header_count(std::string_view lower_name) const = 0;
  virtual void each_header(const EachField&) const = 0;
  virtual std::optional<std::uint64_t> content_length() const = 0;  // as declared; nothing: chunked, or no body
  virtual bool has_body() const = 0;
  virtual bool expects_continue() const = 0;       // Expect: 100-continue
  virtual std::string_view client_ip() const = 0;  // the forwarded one when the peer is trusted (trusted_ips)
  virtual std::string_view peer_ip() const = 0;
  virtual std::uint16_t peer_port() const = 0;
  virtual std::string server_ip() const = 0;  // this node's, that the client connected to; costs a system call
  virtual std::string_view request_id() const = 0;
  virtual std::uint64_t connection_serial() const = 0;                      // of this worker's connections
  virtual std::uint64_t connection_requests() const = 0;                    // begun on this connection
  virtual std::string_view regex_capture(std::string_view name) const = 0;  // of the matched route path: "1", or a name

  // The whole body. Null: it is being read; the step must return wait. Bodies above the limit for gathering
  // (body_gather_max) give an answer with too_large set.
  struct Body {
    std::string_view bytes;
    bool too_large = false;
  };
  virtual const Body* body() = 0;
  // The body may not have more bytes than this, however it is framed; what is over it is answered `status` `message`.
  virtual void limit_body(std::uint64_t bytes, int status, std::string_view message) = 0;

  // --- edits of what goes to the upstream ---
  virtual void set_header(std::string_view name, std::string_view value) = 0;  // replaces all of that name
  virtual void add_header(std::string_view name, std::string_view value) = 0;
  virtual void remove_header(std::string_view name) = 0;
  virtual void set_method(std::string_view) = 0;
  virtual void set_upstream_path(std::string_view) = 0;  // instead of what route and service give; absolute
  virtual std::string_view upstream_path() const = 0;    // without query
  virtual void set_raw_query(std::string_view) = 0;
  virtual void set_upstream_host(std::string_view) = 0;  // the Host field
  virtual void set_body(std::string) = 0;                // Content-Length follows
  // In access: a copy of what goes to the upstream goes to this service as well, in `numerator` of `denominator` cases.
  // Its answer is dropped; it never delays or fails the request. A copy that cannot keep up is given up.
  virtual void mirror(const Uuid& service, std::uint32_t numerator, std::uint32_t denominator) = 0;

  // --- answering instead of the upstream (rewrite, access) ---
  // type: Content-Type, empty: none. Fields of the response are set by set_response_header before or after.
  virtual void respond(int status, std::string_view type, std::string_view body) = 0;
  // {"message": ...} as application/json; charset=utf-8.
  void respond_message(int status, std::string_view message);
  // Kong's response.error: the body's format follows Accept, with the request id.
  virtual void error(int status, std::string_view message) = 0;

  // --- the response ---
  // In rewrite and access these are noted and applied to whatever response there will be, before header_filter.
  virtual void set_response_header(std::string_view name, std::string_view value) = 0;
  virtual void add_response_header(std::string_view name, std::string_view value) = 0;
  virtual void remove_response_header(std::string_view name) = 0;
  // From header_filter on: as it will go to the client, with edits.
  virtual int response_status() const = 0;
  virtual void set_response_status(int) = 0;
  virtual bool from_upstream() const = 0;  // false: a plugin or Weir answers
  virtual std::optional<std::string_view> response_header(std::string_view lower_name) const = 0;
  virtual void each_response_header(const EachField&) const = 0;
  // In header_filter: gathers the response's body whole and calls this plugin's body_filter with it, once; it is sent
  // with the Content-Length that it then has. Too large a body (body_gather_max) passes unchanged.
  virtual void want_response_body() = 0;

  // --- what it belongs to ---
  virtual const RouteView* route() const = 0;  // null: none matched
  virtual const ServiceView* service() const = 0;
  // Sets who calls. consumer: null with an anonymous credential only. Chooses consumer-scoped plugins for the steps
  // that follow. The rows are kept for the exchange's life.
  virtual void authenticate(store::Row consumer, store::Row credential) = 0;
  virtual const model::Object* consumer() const = 0;
  virtual const model::Object* credential() const = 0;

  // --- things that are elsewhere ---
  // Rows from the node's cache. Null: the database is being asked; the step must return wait and asks again then. What
  // was found is kept for the exchange's life, so that asking twice gives the same.
  virtual const store::Found* lookup(const store::LookupKey&) = 0;

  using Resume = std::function<void(std::shared_ptr<const void> answer)>;
  // Something else asked of another thread. The first call runs start(resume) and gives null: the step must return
  // wait. resume may be called from any thread, once, at once or later; then this gives the answer. `who` tells several
  // asks of one exchange apart. Whoever answers must have a time limit of its own.
  virtual const void* ask(const void* who, const std::function<void(Resume)>& start) = 0;

  virtual std::uint64_t now_ms() const = 0;  // Unix time
  virtual const Ending& ending() const = 0;  // in log only
};

}  // namespace weir::plugin
