// What plugins change of requests and responses.
#include "proxy/edits.h"
#include "proxy/plugin_test_support.h"

namespace weir::proxy::testing {
namespace {

TEST(FieldEdits, are_seen_in_order) {
  FieldEdits edits(1000);
  http::RequestHead head;
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n";
  ASSERT_EQ(http::scan_request(head, text, {}), http::Scan::done);
  const auto all = [&] {
    std::string out;
    each_field(head, edits, [&](std::string_view name, std::string_view value) {
      out.append(name).append("=").append(value).append(" ");
      return false;
    });
    return out;
  };
  EXPECT_EQ(all(), "Host=h A=1 B=2 a=3 ");
  EXPECT_TRUE(edits.set("A", "4"));
  EXPECT_EQ(all(), "Host=h B=2 A=4 ");
  EXPECT_TRUE(edits.add("a", "5"));
  EXPECT_EQ(all(), "Host=h B=2 A=4 a=5 ");
  const auto mark = edits.mark();
  EXPECT_TRUE(edits.set("a", *first_value(head, edits, "a")));  // a view of the texts themselves
  EXPECT_EQ(all(), "Host=h B=2 a=4 ");
  EXPECT_TRUE(edits.remove("b"));
  EXPECT_EQ(first_value(head, edits, "b"), std::nullopt);
  edits.back_to(mark);
  EXPECT_EQ(all(), "Host=h B=2 A=4 a=5 ");
  EXPECT_FALSE(edits.set("x", "line\r\nbreak"));
  EXPECT_FALSE(edits.set("x", std::string("nul\0", 4)));
  EXPECT_FALSE(edits.set("no token", "x"));
  EXPECT_FALSE(edits.add("x", std::string(1000, 'x')));
  EXPECT_EQ(all(), "Host=h B=2 A=4 a=5 ");
}

TEST(RequestEdits, reach_the_upstream_and_later_plugins) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = [](View& x) {
             x.set_header("X-One", "1");
             x.add_header("x-one", "2");
             x.set_header("Cookie", "new");
             x.remove_header("X-Drop");
             x.set_header("Connection", "close");         // Weir's own
             x.set_header("Content-Length", "7");         // likewise
             x.set_header("X-Forwarded-For", "6.6.6.6");  // likewise
             x.set_header("X-Bad", "a\r\nb: c");
             x.set_header("Host", "other.test:81");
             x.set_method("PUT");
             x.set_upstream_path("/a b/?c");
             x.set_raw_query("k=v&w");
             x.set_raw_query("x y");  // cannot be
             return Step::next;
           }});
  gate.add("second", {.access = [](View& x) {
             EXPECT_EQ(x.header("x-one"), "1");
             EXPECT_EQ(x.header_count("x-one"), 2u);
             EXPECT_EQ(x.header("x-drop"), std::nullopt);
             EXPECT_EQ(x.header("cookie"), "new");
             EXPECT_EQ(x.method(), "PUT");
             EXPECT_EQ(x.raw_query(), "k=v&w");
             EXPECT_EQ(x.upstream_path(), "/a%20b/%3Fc");
             EXPECT_EQ(x.path(), "/p%41th");
             EXPECT_EQ(x.host(), "a.test");
             EXPECT_EQ(x.scheme(), "http");
             EXPECT_EQ(x.http_version(), "1.1");
             EXPECT_EQ(x.connection_requests(), 1u);
             EXPECT_EQ(x.client_ip(), "127.0.0.1");
             EXPECT_GT(x.peer_port(), 0u);
             return Step::next;
           }});
  auto client = gate.client();
  client.send(
      "GET /p%41th?q=1 HTTP/1.1\r\nHost: A.test\r\nX-Drop: 1\r\nCookie: old\r\nCookie: older\r\nX-Kept: k\r\n\r\n");
  auto upstream = origin.accept();
  const auto head = upstream.head();
  EXPECT_TRUE(head.starts_with("PUT /a%20b/%3Fc?k=v&w HTTP/1.1\r\nHost: other.test:81\r\n")) << head;
  EXPECT_NE(head.find("X-One: 1\r\nx-one: 2\r\nCookie: new\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("old"), std::string::npos);
  EXPECT_EQ(head.find("X-Drop"), std::string::npos);
  EXPECT_EQ(head.find("X-Bad"), std::string::npos);
  EXPECT_EQ(field(head, "X-Kept"), "k");
  EXPECT_EQ(field(head, "Connection"), "keep-alive");
  EXPECT_EQ(field(head, "Content-Length"), "");
  EXPECT_EQ(field(head, "X-Forwarded-For"), "127.0.0.1");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
  EXPECT_TRUE(becomes(gate.worker->counters().edits_refused, 5));
}

TEST(RequestEdits, of_rewrite_count_for_routing) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("retries":1)", R"("headers":{"x-tenant":["blue"]})");
  gate.add("first", {.rewrite = [](View& x) { return x.set_header("X-Tenant", "blue"), Step::next; }});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  EXPECT_EQ(field(upstream.head(), "X-Tenant"), "blue");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(RequestEdits, of_the_method_do_not_confuse_where_answers_end) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first",
           {.access = [](View& x) { return x.set_method(x.method() == "HEAD" ? "GET" : "HEAD"), Step::next; }});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  EXPECT_TRUE(upstream.head().starts_with("HEAD "));
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(read_reply(client).field("Content-Length"), "0");
  client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_TRUE(upstream.head().starts_with("GET "));
  upstream.send(ok);
  EXPECT_EQ(read_reply(client, true).field("Content-Length"), "2");
  client.send(get);
  auto next = origin.accept();  // the body that nobody read ended the other connection
  next.head();
  next.send("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(read_reply(client).status, 200);
}

TEST(ClientIp, is_the_forwarded_one_when_the_peer_is_trusted) {
  struct Case {
    std::string fields, expected;
  };
  const Case cases[] = {
      {"X-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.8\r\n", "192.0.2.7"},
      {"X-Forwarded-For: 192.0.2.1, 192.0.2.8, 127.0.0.1\r\n", "192.0.2.8"},
      {"X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
      {"X-Real-IP: nonsense\r\n", "127.0.0.1"},
      {"", "127.0.0.1"},
  };
  for (const bool trusted : {true, false}) {
    Options options;
    if (trusted) options.trusted_ips = {"127.0.0.0/8"};
    PluginGate gate(options);
    gate.publish({put_route(1, R"({"hosts":["a.test"]})")});
    gate.add("first", {.access = [](View& x) { return x.respond(200, "", x.client_ip()), Step::done; }});
    auto client = gate.client();
    for (const auto& c : cases) {
      client.send("GET / HTTP/1.1\r\nHost: a.test\r\n" + c.fields + "\r\n");
      EXPECT_EQ(read_reply(client).body, trusted ? c.expected : "127.0.0.1") << c.fields;
    }
  }
}

TEST(Captures, are_those_of_the_matched_path) {
  PluginGate gate;
  gate.publish({put_route(1, R"j({"hosts":["a.test"],"paths":["~/u/(?<user>[a-z]+)/(\\d+)"]})j")});
  gate.add("first", {.access = [](View& x) {
             std::string out;
             for (const auto* name : {"user", "1", "2", "3", "none"}) out.append(x.regex_capture(name)).append("|");
             return x.respond(200, "", out), Step::done;
           }});
  auto client = gate.client();
  client.send("GET /u/ann/12/more HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(read_reply(client).body, "ann|ann|12|||");
}

TEST(ResponseEdits, reach_the_client) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = [](View& x) { return x.set_response_header("X-Noted", "early"), Step::next; },
                     .header_filter =
                         [](View& x) {
                           EXPECT_TRUE(x.from_upstream());
                           EXPECT_EQ(x.response_header("x-noted"), "early");
                           EXPECT_EQ(x.response_header("x-up"), "1");
                           EXPECT_EQ(x.response_status(), 200);
                           x.remove_response_header("X-Up");
                           x.set_response_header("Server", "mine");
                           x.add_response_header("Set-Cookie", "b");
                           x.set_response_header("Transfer-Encoding", "chunked");
                           x.set_response_header("X-Bad", "\n");
                           x.set_response_status(202);
                           x.set_response_status(304);
                         }});
  gate.add("second", {.header_filter = [](View& x) {
             EXPECT_EQ(x.response_header("x-up"), std::nullopt);
             std::string names;
             x.each_response_header([&](std::string_view name, std::string_view) {
               names.append(name).append(" ");
               return false;
             });
             EXPECT_EQ(names, "Content-Length Set-Cookie X-Noted Server Set-Cookie ");
           }});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\nServer: theirs\r\nContent-Length: 2\r\nX-Up: 1\r\nSet-Cookie: a\r\n\r\nhi");
  auto reply = read_reply(client);
  EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 202 Accepted\r\n")) << reply.head;
  EXPECT_EQ(reply.field("Server"), "mine");
  EXPECT_EQ(reply.head.find("theirs"), std::string::npos);
  EXPECT_EQ(reply.field("X-Up"), "");
  EXPECT_EQ(reply.field("X-Bad"), "");
  EXPECT_EQ(reply.field("Transfer-Encoding"), "");
  EXPECT_NE(reply.head.find("Set-Cookie: a\r\nX-Noted: early\r\n"), std::string::npos) << reply.head;
  EXPECT_NE(reply.head.find("Set-Cookie: b\r\n"), std::string::npos);
  EXPECT_EQ(reply.body, "hi");
}

TEST(ResponseEdits, of_an_answer_that_is_not_sent_are_taken_back) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()}, R"("retries":0)");
  gate.add("first", {.access = [](View& x) { return x.set_response_header("X-Noted", "1"), Step::next; },
                     .header_filter =
                         [](View& x) {
                           x.add_response_header("X-Source", x.from_upstream() ? "upstream" : "weir");
                           x.want_response_body();
                         }});
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  upstream.close();
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 502);
  EXPECT_EQ(reply.field("X-Source"), "weir");
  EXPECT_EQ(reply.head.find("upstream"), std::string::npos);
  EXPECT_EQ(reply.field("X-Noted"), "1");
}

TEST(ResponseBodies, are_gathered_and_changed_whatever_their_framing) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  const auto filter = [](std::string text) {
    return Script{.header_filter = [](View& x) { x.want_response_body(); },
                  .body_filter = [text](View&, std::string& body) { body = "(" + body + text + ")"; }};
  };
  gate.add("first", filter("1"));
  gate.add("second", filter("2"));
  const std::vector<std::vector<std::string>> responses = {
      {ok},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "h", "i"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n", "1\r\ni\r\n0\r\nX-Trailer: t\r\n\r\n"},
      {"HTTP/1.0 200 OK\r\n\r\nhi"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
  };
  for (const std::string version : {"1.1", "1.0"}) {
    for (const auto& response : responses) {
      auto client = gate.client();
      client.send("GET / HTTP/" + version + "\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
      auto upstream = origin.accept();
      upstream.head();
      for (const auto& piece : response) upstream.send(piece);
      upstream.close();
      auto reply = read_reply(client);
      const bool is_empty = response[0].find("Length: 0") != std::string::npos;
      EXPECT_EQ(reply.body, is_empty ? "((1)2)" : "((hi1)2)") << response[0];
      EXPECT_EQ(reply.field("Content-Length"), std::to_string(reply.body.size()));
      EXPECT_EQ(reply.field("Transfer-Encoding"), "");
      client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
      auto again = origin.accept();
      again.head();
      again.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
      EXPECT_EQ(read_reply(client, true).field("Content-Length"), "") << "it would be another one's";
      again.close();
    }
  }
}

TEST(ResponseBodies, that_are_too_large_pass_unchanged) {
  Options options;
  options.body_gather_max = 1000;
  PluginGate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.header_filter = [](View& x) { x.want_response_body(); },
                     .body_filter = [](View&, std::string& body) { body = "changed"; }});
  const std::string large(3000, 'x'), half(600, 'x');
  const std::vector<std::vector<std::string>> responses = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + large},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n258\r\n" + half + "\r\n",
       "bb8\r\n" + large + "\r\n258\r\n" + half + "\r\n0\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\n\r\n" + half, half, half},
  };
  for (const auto& response : responses) {
    auto client = gate.client();
    client.send(get);
    auto upstream = origin.accept();
    upstream.head();
    for (const auto& piece : response) upstream.send(piece);
    upstream.close();
    auto reply = read_reply(client);
    EXPECT_EQ(reply.body.find_first_not_of('x'), std::string::npos);
    EXPECT_EQ(reply.body.size(), response.size() == 1 ? 3000u : response.size() == 2 ? 4200u : 1800u);
  }
}

}  // namespace
}  // namespace weir::proxy::testing
