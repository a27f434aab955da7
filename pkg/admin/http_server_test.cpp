#include "admin/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <thread>

namespace weir::admin {
namespace {

// A plain blocking client, so that the test decides each byte.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;

  void send(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server may close in the middle of what it refuses
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void finish() { ::shutdown(socket_, SHUT_WR); }
  // Reads until the text occurs; all that came.
  std::string read_until(std::string_view wanted) {
    while (got_.find(wanted) == std::string::npos && read_some()) {
    }
    return got_;
  }
  std::string read_to_end() {
    while (read_some()) {
    }
    return got_;
  }

 private:
  bool read_some() {
    char buffer[4096];
    const auto bytes = ::recv(socket_, buffer, sizeof buffer, 0);
    if (bytes > 0) got_.append(buffer, static_cast<std::size_t>(bytes));
    return bytes > 0;
  }

  int socket_;
  std::string got_;
};

class Server : public testing::Test {
 protected:
  Server() { options.body_bytes_max = 1000; }
  ~Server() override { stop(); }

  std::uint16_t start() {
    server = HttpServer::make(io, options, [this](Request request, Respond respond) {
      if (request.path == "/later") {
        waiting = std::move(respond);
        held.store(true);
        held.notify_one();
        return;
      }
      Response response{200, {{"X-Path", request.path}}, {}};
      response.body = fmt::format("{} {} {} {}", request.method, request.path, request.query, request.body);
      if (request.path == "/host") response.body = request.header("host");
      if (request.path == "/inject") response.headers.emplace_back("X", "a\r\nSet-Cookie: b");
      if (request.path == "/none") response = {204, {}, {}};
      if (request.path == "/big") response.body.assign(8 << 20, 'b');
      respond(std::move(response));
    });
    const auto port = server->listen("127.0.0.1", 0);
    EXPECT_TRUE(port);
    thread = std::thread([this] { io.run(); });
    return *port;
  }
  void on_loop(std::function<void()> work) {
    std::promise<void> done;
    boost::asio::post(io, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void stop() {
    if (!thread.joinable()) return;
    on_loop([this] { server.reset(); });
    guard.reset();
    io.stop();
    thread.join();
  }

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard = boost::asio::make_work_guard(io);
  HttpServer::Options options;
  std::unique_ptr<HttpServer> server;
  std::thread thread;
  Respond waiting;
  std::atomic<bool> held = false;
};

bool is_status(const std::string& answer, unsigned status) {
  return answer.starts_with(fmt::format("HTTP/1.1 {} ", status));
}

TEST_F(Server, answers_pipelined_requests_in_order) {
  Client client(start());
  client.send(
      "GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz"
      "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto all = client.read_to_end();
  const auto a = all.find("GET /a x=1 "), b = all.find("POST /b  xyz"), c = all.find("GET /c  ");
  ASSERT_NE(c, std::string::npos) << all;
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
  EXPECT_NE(all.find("Date: "), std::string::npos);
}

TEST_F(Server, answers_head_without_a_body_and_204_without_a_length) {
  Client client(start());
  client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto all = client.read_to_end();
  EXPECT_NE(all.find("Content-Length: 9"), std::string::npos) << all;
  EXPECT_EQ(all.find("HEAD /a"), std::string::npos);
  EXPECT_EQ(all.find("Content-Length", all.find(" 204 ")), std::string::npos);
}

TEST_F(Server, reads_chunked_bodies_byte_by_byte) {
  Client client(start());
  for (const char c : std::string_view(
           "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
    client.send({&c, 1});
  EXPECT_TRUE(client.read_until("POST /b  abcde").ends_with("abcde"));
}

TEST_F(Server, asks_for_a_body_that_the_client_holds_back) {
  Client client(start());
  client.send("POST /b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("xyz");
  EXPECT_NE(client.read_until("POST /b  xyz").find("200 OK"), std::string::npos);
}

TEST_F(Server, refuses_what_is_malformed_or_too_large) {
  const auto port = start();
  struct Case {
    std::string what, sent;
    unsigned status;
  };
  std::string many;
  for (int i = 0; i < 100; ++i) many += fmt::format("X-{}: 1\r\n", i);
  for (const auto& c : std::vector<Case>{
           {"no request line", "nonsense\r\n\r\n", 400},
           {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), 400},
           {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
           {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
           {"both lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400},
           {"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
           {"bad length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
           {"bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
           {"bad target", "GET @evil/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
           {"space in name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n", 400},
           {"declared body too large", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
           {"1 GiB", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n", 413},
           {"chunked body too large",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x') + "\r\n",
            413},
           {"one header too many", "GET / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n", 431},
           {"header too large", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n", 431},
           {"endless header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(200'000, 'x'), 431},
           {"endless chunk extension",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(200'000, 'x'), 400},
           {"unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417},
       }) {
    Client client(port);
    client.send(c.sent);
    client.finish();
    const auto answer = client.read_to_end();
    EXPECT_TRUE(is_status(answer, c.status)) << c.what << ": " << answer.substr(0, 100);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << c.what;
  }
}

TEST_F(Server, accepts_what_is_just_within_its_limits) {
  options.headers_max = 100;
  Client client(start());
  std::string many;
  for (int i = 0; i < 98; ++i) many += fmt::format("X-{}: 1\r\n", i);
  client.send("POST /b HTTP/1.1\r\nHost: a\r\n" + many + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x') +
              "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const auto all = client.read_to_end();
  EXPECT_TRUE(is_status(all, 200));
  EXPECT_NE(all.find("GET /end"), std::string::npos);
}

TEST_F(Server, lets_the_authority_of_an_absolute_target_win_over_host) {
  Client client(start());
  client.send("GET http://evil.example/host HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.read_to_end().ends_with("\r\n\r\nevil.example"));
}

TEST_F(Server, never_lets_a_header_value_begin_a_line) {
  Client client(start());
  client.send("GET /inject HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_to_end().find("\r\nSet-Cookie"), std::string::npos);
}

TEST_F(Server, speaks_http_1_0) {
  const auto port = start();
  Client client(port);
  client.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_NE(client.read_to_end().find("Connection: close"), std::string::npos);
  Client kept(port);
  kept.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(kept.read_until("GET /a  ").find("Connection: keep-alive"), std::string::npos);
  kept.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_NE(kept.read_to_end().find("GET /b"), std::string::npos);
}

TEST_F(Server, ends_slow_requests_and_idle_connections) {
  options.request_timeout = std::chrono::milliseconds(50);
  options.idle_timeout = std::chrono::milliseconds(50);
  const auto port = start();
  Client idle(port);
  EXPECT_EQ(idle.read_to_end(), "");
  Client slow_head(port);
  slow_head.send("GET / HT");
  EXPECT_TRUE(is_status(slow_head.read_until("}"), 408));
  Client slow_body(port);
  slow_body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_TRUE(is_status(slow_body.read_until("}"), 408));
  Client unread(port);  // asks for more than the socket buffers hold, and does not read
  for (int i = 0; i < 8; ++i) unread.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  Client after(port);
  after.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(after.read_until("GET /a").find("200 OK"), std::string::npos);
}

TEST_F(Server, makes_room_by_closing_the_longest_idle_connection) {
  options.connections_max = 2;
  const auto port = start();
  Client first(port), second(port);
  for (auto* client : {&first, &second}) {
    client->send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    client->read_until("GET /a  ");
  }
  Client third(port);
  third.send("GET /c HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(third.read_until("GET /c  ").find("200 OK"), std::string::npos);
  EXPECT_EQ(first.read_to_end().find("GET /c"), std::string::npos);
}

TEST_F(Server, finishes_answers_in_flight_when_it_closes) {
  const auto port = start();
  Client idle(port), busy(port);
  idle.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  idle.read_until("GET /a  ");
  busy.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  held.wait(false);
  on_loop([this] { server->close(); });
  EXPECT_NE(idle.read_to_end(), "");
  on_loop([this] { waiting({200, {}, "at last"}); });
  const auto answer = busy.read_to_end();
  EXPECT_TRUE(answer.ends_with("at last")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST_F(Server, closes_a_connection_whose_request_is_dropped) {
  Client client(start());
  client.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  held.wait(false);
  on_loop([this] { waiting = nullptr; });
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(Server, survives_an_answer_after_its_end) {
  Client client(start());
  client.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  held.wait(false);
  on_loop([this] {
    server.reset();
    waiting({200, {}, "too late"});
    waiting = nullptr;
  });
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(Server, names_address_and_remedy_when_it_cannot_listen) {
  const auto port = start();
  on_loop([&] {
    const auto used = server->listen("127.0.0.1", port);
    ASSERT_FALSE(used);
    EXPECT_EQ(
        used.error().message,
        fmt::format("cannot listen on 127.0.0.1:{}: address already in use; stop the other program or set admin_listen",
                    port));
    const auto foreign = server->listen("192.0.2.1", 0);
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().message,
              "cannot listen on 192.0.2.1:0: this machine has no such address; set admin_listen to one that it has");
    const auto wrong = server->listen("nonsense", 1);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message, "cannot listen on nonsense:1: not an IP address; set admin_listen");
  });
}

TEST_F(Server, runs_work_later_unless_its_token_is_dropped) {
  std::shared_ptr<void> dropped, kept;
  bool ran = false;
  server = HttpServer::make(io, options, [&](Request request, Respond respond) {
    auto shared = std::make_shared<Respond>(std::move(respond));
    dropped = request.after(std::chrono::milliseconds(1), [&ran] { ran = true; });
    dropped.reset();
    kept = request.after(std::chrono::milliseconds(20), [shared] { (*shared)({200, {}, "later"}); });
  });
  const auto port = server->listen("127.0.0.1", 0);
  ASSERT_TRUE(port);
  thread = std::thread([this] { io.run(); });
  Client client(*port);
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.read_to_end().ends_with("later"));
  stop();  // the handler works with this function's variables
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace weir::admin
