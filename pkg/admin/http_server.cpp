#include "admin/http_server.h"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <ctime>
#include <list>
#include <optional>
#include <unordered_set>

#include "admin/stream.h"
#include "base/log.h"
#include "base/text.h"

namespace weir::admin {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Executor = Stream::executor_type;
using Tcp = asio::ip::tcp;
using Socket = Stream::Socket;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (text::equal_ignoring_case(key, name)) return value;
  return {};
}

namespace {

constexpr std::size_t read_bytes = 16 * 1024;
constexpr auto linger_time = std::chrono::seconds(5);          // how long a refused client may go on sending
constexpr std::size_t linger_bytes_max = 16 * 1024 * 1024;     // and how much; then it sees a reset
constexpr auto accept_pause = std::chrono::milliseconds(100);  // after EMFILE and the like

class Session;

// What sessions share with their server; outlives it as long as one of them does.
struct Core {
  asio::io_context& io;
  HttpServer::Options options;
  Handler handler;
  bool closing = false;
  std::unordered_set<Session*> sessions{};
};

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char out[40];
  return {out, std::strftime(out, sizeof out, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// A header value from elsewhere must not be able to begin a new line.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
  out.append("\r\n");
}

std::string print(const Response& response, bool head, bool keep_alive, bool http_1_0) {
  const auto status = static_cast<http::status>(response.status);
  const std::string_view reason(http::obsolete_reason(status).data(), http::obsolete_reason(status).size());
  const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason);
  append_field(out, "Date", http_date());
  for (const auto& [name, value] : response.headers) append_field(out, name, value);
  if (!bodiless) append_field(out, "Content-Length", std::to_string(response.body.size()));
  if (!keep_alive)
    append_field(out, "Connection", "close");
  else if (http_1_0)
    append_field(out, "Connection", "keep-alive");
  out.append("\r\n");
  if (!head && !bodiless) out.append(response.body);
  return out;
}

Response plain_answer(unsigned status, std::string_view message) {
  return {status, {{"Content-Type", "application/json; charset=utf-8"}}, fmt::format(R"({{"message":"{}"}})", message)};
}

// One connection: reads a request, hands it over, writes the answer, and so on. It reads nothing while an answer is
// due, so pipelined requests are answered in order and a client that does not read is not read from either.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Core> core, Socket socket, asio::ssl::context* tls, std::string peer)
      : core_(std::move(core)), stream_(std::move(socket), tls), timer_(core_->io), peer_(std::move(peer)) {
    core_->sessions.insert(this);
  }
  ~Session() { core_->sessions.erase(this); }

  void start() {
    if (!stream_.is_tls()) return await_request();
    arm(core_->options.request_timeout);
    stream_.async_handshake([self = shared_from_this()](error_code failed) {
      if (self->state_ != State::idle) return;
      failed ? self->close() : self->await_request();
    });
  }
  bool idle() const { return state_ == State::idle; }
  bool in_flight() const { return state_ == State::handling || state_ == State::writing; }
  Clock::time_point idle_since() const { return idle_since_; }

  void close() {
    state_ = State::closed;
    timer_.cancel();
    stream_.close();
  }

 private:
  enum class State { idle, reading, handling, writing, lingering, closed };
  using Parser = http::request_parser<http::string_body>;

  void await_request() {
    state_ = State::idle;
    idle_since_ = Clock::now();
    parser_.reset();
    head_seen_ = false;
    if (!in_.empty()) return parse();
    arm(core_->options.idle_timeout);
    read_more();
  }

  void read_more() {
    const std::size_t used = in_.size();
    in_.resize(used + read_bytes);
    stream_.async_read_some(asio::buffer(in_.data() + used, read_bytes),
                            [self = shared_from_this(), used](error_code failed, std::size_t bytes) {
                              self->in_.resize(used + bytes);
                              self->on_read(failed);
                            });
  }

  void on_read(error_code failed) {
    if (state_ == State::lingering) {
      lingered_ += in_.size();
      in_.clear();
      return failed || lingered_ > linger_bytes_max ? close() : read_more();
    }
    if (state_ != State::idle && state_ != State::reading) return;  // timed out while this was on its way
    if (failed) return close();
    parse();
  }

  void begin() {
    state_ = State::reading;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(core_->options.header_bytes_max));
    parser_->body_limit(core_->options.body_bytes_max);
    arm(core_->options.request_timeout);
  }

  void parse() {
    if (!parser_) begin();
    while (!in_.empty()) {
      error_code failed;
      const std::size_t taken = parser_->put(asio::buffer(in_), failed);
      in_.erase(0, taken);
      if (failed && failed != http::error::need_more) return refuse(failed);
      if (parser_->is_header_done() && !head_seen_) {
        head_seen_ = true;
        parser_->eager(true);
        if (const auto refusal = check_head()) return answer(*refusal, false);
        if (!parser_->is_done() && in_.empty() && expects_continue()) return send_continue();
      }
      if (parser_->is_done()) return dispatch();
      if (failed && taken == 0) break;  // a line is not complete yet
    }
    // A chunk's line has no limit in the parser; header fields have (header_limit).
    if (in_.size() > core_->options.header_bytes_max + read_bytes)
      return answer(plain_answer(400, "Bad request"), false);
    read_more();
  }

  void refuse(error_code failed) {
    if (failed == http::error::body_limit) return answer(plain_answer(413, "Payload too large"), false);
    if (failed == http::error::header_limit || failed == http::error::buffer_overflow)
      return answer(plain_answer(431, "Request header or cookie too large"), false);
    answer(plain_answer(400, "Bad request"), false);
  }

  bool expects_continue() const {
    const auto expect = parser_->get()[http::field::expect];
    return text::equal_ignoring_case({expect.data(), expect.size()}, "100-continue") && parser_->get().version() >= 11;
  }

  // What the parser lets pass, but is refused here.
  std::optional<Response> check_head() const {
    const auto& head = parser_->get();
    const auto count = static_cast<std::size_t>(std::distance(head.begin(), head.end()));
    if (count > core_->options.headers_max) return plain_answer(431, "Request header or cookie too large");
    // RFC 9112 section 3.2: exactly one Host.
    const auto hosts = head.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && head.version() >= 11)) return plain_answer(400, "Bad request");
    if (head.count(http::field::expect) > 0 && head.version() >= 11 && !expects_continue())
      return plain_answer(417, "Expectation failed");
    const auto target = head.target();
    const bool asterisk = target == "*" && head.method() == http::verb::options;
    if (!target.starts_with('/') && !target.starts_with("http://") && !asterisk)
      return plain_answer(400, "Bad request");
    return std::nullopt;
  }

  void send_continue() {
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(text.data(), text.size()),
                      [self = shared_from_this()](error_code failed, std::size_t) {
                        if (self->state_ != State::reading) return;
                        if (failed) return self->close();
                        self->read_more();
                      });
  }

  Request take_request() {
    auto message = parser_->release();
    Request request;
    request.method = std::string(message.method_string());
    std::string target(message.target());
    for (const auto& field : message)
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    // Absolute form: its authority counts, not the Host field (RFC 9112 section 3.2.2).
    constexpr std::string_view scheme = "http://";
    if (target.starts_with(scheme)) {
      const auto slash = target.find_first_of("/?", scheme.size());
      std::string authority = target.substr(scheme.size(), slash - scheme.size());
      target = slash == std::string::npos ? "/" : target.substr(slash);
      if (target.starts_with('?')) target.insert(0, "/");
      std::erase_if(request.headers, [](const auto& h) { return text::equal_ignoring_case(h.first, "host"); });
      request.headers.emplace_back("Host", std::move(authority));
    }
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = target.substr(question + 1);
    request.body = std::move(message.body());
    request.peer = peer_;
    request.after = [&io = core_->io](std::chrono::milliseconds delay,
                                      std::move_only_function<void()> work) -> std::shared_ptr<void> {
      auto timer = std::make_shared<Timer>(io);
      timer->expires_after(delay);
      timer->async_wait([work = std::move(work)](error_code cancelled) mutable {
        if (!cancelled) work();
      });
      return timer;
    };
    return request;
  }

  void dispatch() {
    state_ = State::handling;
    timer_.cancel();
    keep_alive_ = parser_->keep_alive() && !core_->closing;
    http_1_0_ = parser_->get().version() < 11;
    head_request_ = parser_->get().method() == http::verb::head;
    core_->handler(take_request(), [self = shared_from_this()](Response response) {
      if (self->state_ == State::handling) self->answer(response, self->keep_alive_ && !self->core_->closing);
    });
  }

  void answer(const Response& response, bool keep_alive) {
    if (state_ == State::reading || state_ == State::idle) {  // an answer of our own: what was asked is not known fully
      stream_.cancel();
      head_request_ = http_1_0_ = false;
    }
    state_ = State::writing;
    out_ = print(response, head_request_, keep_alive, http_1_0_);
    arm(core_->options.request_timeout);
    asio::async_write(stream_, asio::buffer(out_),
                      [self = shared_from_this(), keep_alive](error_code failed, std::size_t) {
                        if (self->state_ != State::writing) return;
                        self->out_ = {};
                        if (failed) return self->close();
                        if (keep_alive && !self->core_->closing) return self->await_request();
                        self->linger();
                      });
  }

  // Closing at once with unread bytes would reset the connection, and the client could lose the answer.
  void linger() {
    state_ = State::lingering;
    error_code failed;
    stream_.shutdown_send(failed);
    if (failed) return close();
    in_.clear();
    arm(linger_time);
    read_more();
  }

  void arm(Clock::duration delay) {
    timer_.expires_after(delay);
    timer_.async_wait([self = shared_from_this()](error_code cancelled) {
      if (cancelled || self->timer_.expiry() > Clock::now()) return;
      self->on_timeout();
    });
  }

  void on_timeout() {
    if (state_ == State::reading) return answer(plain_answer(408, "Request timeout"), false);
    if (state_ != State::handling) close();
  }

  std::shared_ptr<Core> core_;
  Stream stream_;
  Timer timer_;
  std::string peer_;
  State state_ = State::idle;
  Clock::time_point idle_since_{};
  std::string in_, out_;
  std::optional<Parser> parser_;
  bool head_seen_ = false, keep_alive_ = false, http_1_0_ = false, head_request_ = false;
  std::size_t lingered_ = 0;
};

class Server final : public HttpServer {
 public:
  Server(asio::io_context& io, Options options, Handler handler)
      : core_(std::make_shared<Core>(io, std::move(options), std::move(handler))) {}

  ~Server() override {
    close();
    core_->handler = [](Request, Respond) {};
    // close() of a session may free it, and with it its place in the set.
    for (auto& session : live_sessions()) session->close();
  }

  Result<std::uint16_t> listen(const std::string& ip, std::uint16_t port, ssl_ctx_st* tls) override {
    const std::string where =
        ip.find(':') == std::string::npos ? fmt::format("{}:{}", ip, port) : fmt::format("[{}]:{}", ip, port);
    error_code failed;
    const auto address = asio::ip::make_address(ip, failed);
    if (failed) return fail("cannot listen on {}: not an IP address; set {}", where, core_->options.setting);
    const Tcp::endpoint endpoint(address, port);
    auto listener = std::make_shared<Listener>(core_->io);
    if (tls) {
      SSL_CTX_up_ref(tls);  // asio's context gives its reference back
      listener->tls.emplace(tls);
    }
    auto& acceptor = listener->acceptor;
    acceptor.open(endpoint.protocol(), failed);
    if (!failed) acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    if (!failed && address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), failed);
    if (!failed) acceptor.bind(endpoint, failed);
    if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (failed) return fail("cannot listen on {}: {}", where, explain(failed));
    const auto bound = acceptor.local_endpoint(failed);
    if (failed) return fail("cannot listen on {}: {}", where, failed.message());
    listeners_.push_back(listener);
    accept(core_, listener);
    return bound.port();
  }

  void close() override {
    core_->closing = true;
    error_code ignored;
    for (auto& listener : listeners_) {
      listener->pause.cancel();
      listener->acceptor.close(ignored);
    }
    listeners_.clear();
    for (auto& session : live_sessions())
      if (session->idle()) session->close();
  }

  std::size_t in_flight() const override {
    return static_cast<std::size_t>(
        std::ranges::count_if(core_->sessions, [](const Session* session) { return session->in_flight(); }));
  }

 private:
  struct Listener {
    explicit Listener(asio::io_context& io) : acceptor(io), pause(io) {}
    Acceptor acceptor;
    Timer pause;
    std::optional<asio::ssl::context> tls;
  };

  std::string explain(const error_code& failed) const {
    const auto& setting = core_->options.setting;
    if (failed == asio::error::address_in_use)
      return fmt::format("address already in use; stop the other program or set {}", setting);
    if (failed == asio::error::access_denied)
      return fmt::format("permission denied; set {} to a port above 1023 or give the program CAP_NET_BIND_SERVICE",
                         setting);
    if (failed == boost::system::errc::address_not_available)
      return fmt::format("this machine has no such address; set {} to one that it has", setting);
    return fmt::format("{}; set {}", failed.message(), setting);
  }

  std::vector<std::shared_ptr<Session>> live_sessions() const {
    std::vector<std::shared_ptr<Session>> out;
    for (auto* session : core_->sessions)
      if (auto alive = session->weak_from_this().lock()) out.push_back(std::move(alive));
    return out;
  }

  // Full: the connection that has been idle longest makes room. False when none is idle.
  static bool make_room(Core& core) {
    if (core.sessions.size() < core.options.connections_max) return true;
    Session* oldest = nullptr;
    for (auto* session : core.sessions)
      if (session->idle() && (!oldest || session->idle_since() < oldest->idle_since())) oldest = session;
    if (!oldest) return false;
    oldest->close();
    return true;
  }

  static void accept(const std::shared_ptr<Core>& core, const std::shared_ptr<Listener>& listener) {
    listener->acceptor.async_accept([core, listener](error_code failed, Socket socket) {
      if (core->closing || !listener->acceptor.is_open()) return;
      if (failed) {
        if (failed == asio::error::operation_aborted) return;
        log::warn("cannot accept a connection to the Admin API", {{"error", failed.message()}});
        listener->pause.expires_after(accept_pause);
        listener->pause.async_wait([core, listener](error_code cancelled) {
          if (!cancelled) accept(core, listener);
        });
        return;
      }
      error_code unknown;
      const auto peer = socket.remote_endpoint(unknown);
      if (!unknown && make_room(*core)) {
        socket.set_option(Tcp::no_delay(true), unknown);
        auto* tls = listener->tls ? &*listener->tls : nullptr;
        std::make_shared<Session>(core, std::move(socket), tls, peer.address().to_string())->start();
      }
      accept(core, listener);
    });
  }

  std::shared_ptr<Core> core_;
  std::list<std::shared_ptr<Listener>> listeners_;
};

}  // namespace

std::unique_ptr<HttpServer> HttpServer::make(asio::io_context& io, Options options, Handler handler) {
  return std::make_unique<Server>(io, std::move(options), std::move(handler));
}

}  // namespace weir::admin
