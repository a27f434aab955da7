// The HTTP server behind the Admin API and the status listener: Beast on the control thread's io_context.
//
// Not for traffic. Bounded: body, header count and size, time for a request, connections. A handler answers when it
// likes, on the control thread.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace boost::asio {
class io_context;
}
struct ssl_ctx_st;

namespace weir::admin {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method, path, query;  // path still percent-encoded; query without "?"
  Headers headers;
  std::string body;
  std::string peer;  // client address
  // Runs work on the control thread after a delay, unless the token it returns is dropped before. Set by HttpServer.
  std::function<std::shared_ptr<void>(std::chrono::milliseconds, std::move_only_function<void()>)> after;

  // First value of a header, ASCII case ignored; empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct Response {
  unsigned status = 200;
  Headers headers;
  std::string body;
};

using Respond = std::move_only_function<void(Response)>;
using Handler = std::function<void(Request, Respond)>;

class HttpServer {
 public:
  struct Options {
    std::size_t body_bytes_max = 10 * 1024 * 1024;  // client_max_body_size; more: 413
    std::size_t header_bytes_max = 64 * 1024;
    std::size_t headers_max = 100;  // more: 431
    std::size_t connections_max = 512;
    // A request must have arrived, and an answer must be taken, within request_timeout.
    std::chrono::milliseconds request_timeout{60'000}, idle_timeout{75'000};
    std::string setting = "admin_listen";  // the setting that errors of listen() name
  };
  static std::unique_ptr<HttpServer> make(boost::asio::io_context&, Options, Handler);
  virtual ~HttpServer() = default;
  // Errors name the address and the remedy (port in use, no permission).
  // Returns the bound port. tls: a server context (net/tls.h) for https; not owned, must outlive the server.
  virtual Result<std::uint16_t> listen(const std::string& ip, std::uint16_t port, ssl_ctx_st* tls = nullptr) = 0;
  virtual void close() = 0;  // stops accepting, closes idle connections; answers in flight still go out
  virtual std::size_t in_flight() const = 0;  // requests that have arrived and whose answer is not out
};

}  // namespace weir::admin
