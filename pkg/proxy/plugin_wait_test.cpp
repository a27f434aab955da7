// Steps that wait: for bodies, rows and other threads' answers, while clients go on or leave.
#include "proxy/plugin_test_support.h"

namespace weir::proxy::testing {
namespace {

struct Framed {
  std::string head, body;
};
const std::vector<Framed> framings = {
    {"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", ""},
    {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\n", "foobar"},
    {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
     "3\r\nfoo\r\n3\r\nbar\r\n0\r\nX-Trailer: t\r\n\r\n"},
    {"POST / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\nContent-Length: 6\r\n\r\n", "foobar"},
};

// The body of a request that an upstream got.
std::string read_body(Socket& upstream, const std::string& head) {
  if (field(head, "Transfer-Encoding") == "chunked") return upstream.until("\r\n\r\n");  // with trailers or without
  return upstream.exactly(std::strtoull(field(head, "Content-Length").c_str(), nullptr, 10));
}

TEST(Waiting, keeps_head_and_body_and_the_requests_behind_them) {
  Asker asker;
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = asker.step()});
  for (const auto& framed : framings) {
    for (const bool at_once : {true, false}) {
      auto client = gate.client();
      // What comes later stays in the socket; what came with the head is kept.
      client.send(framed.head);
      if (at_once) client.send(framed.body + get);
      asker.wait_for(1);
      if (!at_once) client.send(framed.body + get);
      asker.answer();
      auto upstream = origin.accept();
      auto head = upstream.head();
      EXPECT_EQ(field(head, "Host"), origin.target());
      const auto body = read_body(upstream, head);
      EXPECT_TRUE(body.empty() == framed.body.empty());
      EXPECT_TRUE(body.empty() || body.find("bar") != body.npos) << body;
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
      asker.wait_for(1);
      asker.answer();
      EXPECT_TRUE(upstream.head().starts_with("GET / ")) << "the connection is used again";
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
    }
  }
}

TEST(Waiting, of_many_at_once_is_answered_for_each) {
  Asker asker;
  PluginGate gate;
  gate.publish({put_route(1, R"({"hosts":["a.test"]})")});
  gate.add("first", {.access = asker.step()});
  gate.add("second", {.access = [](View& x) { return x.respond(200, "", x.raw_query()), Step::done; }});
  std::vector<Socket> clients;
  for (int i = 0; i < 20; i++) {
    clients.push_back(gate.client());
    clients.back().send(fmt::format("GET /?{} HTTP/1.1\r\nHost: a.test\r\n\r\n", i));
  }
  asker.wait_for(20);
  asker.answer();
  for (int i = 0; i < 20; i++) EXPECT_EQ(read_reply(clients[static_cast<std::size_t>(i)]).body, std::to_string(i));
}

TEST(Waiting, ends_when_the_client_leaves_and_late_answers_find_nobody) {
  Asker asker;
  Notes notes;
  PluginGate gate;
  gate.publish({put_route(1, R"({"hosts":["a.test"]})")});
  gate.add("first", {.access = asker.step(),
                     .log = [&](View& x) { notes.add(fmt::format("{}{}", x.ending().status, x.path())); }});
  auto client = gate.client();
  client.send("GET /gone HTTP/1.1\r\nHost: a.test\r\n\r\n");
  asker.wait_for(1);
  client.reset();
  EXPECT_EQ(notes.wait_for(1), "499/gone");
  // The host is used again, by one that must not take the answer for its own.
  auto next = gate.client();
  next.send("GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
  asker.wait_for(2);
  asker.answer();  // both: the first one is nobody's
  EXPECT_EQ(read_reply(next).status, 503);
  EXPECT_EQ(notes.wait_for(2), "499/gone 503/next");
}

TEST(Waiting, outlived_by_its_answer_does_no_harm) {
  Asker asker;
  {
    PluginGate gate;
    gate.publish({put_route(1, R"({"hosts":["a.test"]})")});
    gate.add("first", {.access = asker.step()});
    auto client = gate.client();
    client.send(get);
    asker.wait_for(1);
  }
  asker.answer();
}

TEST(Waiting, goes_on_with_the_plugins_and_the_upstream_it_began_with) {
  Asker asker;
  PluginGate gate;
  Origin old_origin, new_origin;
  gate.serve({old_origin.target()});
  gate.add("first", {.access = asker.step()});
  auto client = gate.client();
  client.send(get);
  asker.wait_for(1);
  gate.publish({drop<model::Target>(10), drop<model::Route>(1), drop<model::Service>(1), drop<model::Upstream>(1)});
  gate.publish({put_upstream(2, R"({"name":"new"})"), put_target(20, 2, new_origin.target()),
                put_service(2, R"({"host":"new"})"),
                put_route(2, fmt::format(R"({{"hosts":["b.test"],"service":{}}})", reference(2)))});
  asker.answer();
  auto upstream = old_origin.accept();  // its slot may stand for another one by now
  upstream.head();
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).body, "hi");
  EXPECT_FALSE(new_origin.asked());
}

TEST(Waiting, in_rewrite_is_routed_by_the_newest_snapshot) {
  Asker asker;
  PluginGate gate;
  Origin origin;
  gate.publish({});
  auto step = asker.step();
  gate.add("first", {.rewrite = step});
  auto client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nab");
  asker.wait_for(1);
  gate.serve({origin.target()});
  asker.answer();
  auto upstream = origin.accept();
  upstream.head();
  EXPECT_EQ(upstream.exactly(2), "ab");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).body, "hi");
}

TEST(Rows, are_looked_up_once_and_kept) {
  PluginGate gate;
  const auto& schema = model::schema<model::Service>();
  gate.lookup.rows[store::LookupKey{&schema, "name", "web"}.text()] =
      std::make_shared<const model::Object>(model::Object{{"name", "web"}, {"id", id(1).text()}});
  gate.publish({put_route(1, R"({"hosts":["a.test"]})")});
  gate.add("first", {.access = [&](View& x) {
             const auto* found = x.lookup({&schema, "name", "web"});
             const auto* none = x.lookup({&schema, "name", "none"});
             if (!found || !none) return Step::wait;
             EXPECT_EQ(x.lookup({&schema, "name", "web"}), found);
             x.respond(200, "", fmt::format("{} {} {}", found->rows.size(), none->rows.size(), found->failed));
             return Step::done;
           }});
  auto client = gate.client();
  for (int i = 0; i < 3; i++) {
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_EQ(read_reply(client).body, "1 0 false");
  }
  EXPECT_EQ(gate.lookup.asked, 2u);
  EXPECT_EQ(gate.worker->cache_counts().misses.load(), 2u);
  EXPECT_EQ(gate.worker->cache_counts().hits.load(), 2u);

  const auto key = store::LookupKey{&schema, "name", "web"}.text();
  const auto peek = [&] {
    std::promise<std::shared_ptr<const store::Found>> found;
    gate.worker->peek(key, [&](auto entry) { found.set_value(std::move(entry)); });
    return found.get_future().get();
  };
  ASSERT_TRUE(peek());
  EXPECT_EQ(peek()->rows.size(), 1u);
  gate.worker->invalidate(std::vector{key});
  EXPECT_FALSE(peek());
  client.send(get);
  EXPECT_EQ(read_reply(client).body, "1 0 false");
  EXPECT_EQ(gate.lookup.asked, 3u);
  gate.worker->invalidate(std::nullopt);
  EXPECT_FALSE(peek());
}

TEST(Rows, that_come_after_the_client_has_gone_are_dropped) {
  Notes notes;
  PluginGate gate;
  const auto& schema = model::schema<model::Service>();
  gate.lookup.held = true;
  gate.publish({put_route(1, R"({"hosts":["a.test"]})")});
  gate.add("first", {.access =
                         [&](View& x) {
                           if (!x.lookup({&schema, "name", "web"})) return notes.add("asked"), Step::wait;
                           return x.respond(200, "", "known"), Step::done;
                         },
                     .log = [&](View& x) { notes.add(std::to_string(x.ending().status)); }});
  auto client = gate.client();
  client.send(get);
  notes.wait_for(1);
  client.reset();
  EXPECT_EQ(notes.wait_for(2), "asked 499");
  gate.lookup.release();
  auto next = gate.client();
  next.send(get);
  EXPECT_EQ(read_reply(next).body, "known");
}

TEST(Bodies, are_gathered_and_sent_with_their_length) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = [](View& x) {
             const auto* body = x.body();
             if (!body) return Step::wait;
             x.set_header("X-Body", body->bytes);
             return Step::next;
           }});
  for (const auto& framed : framings) {
    for (const bool at_once : {true, false}) {
      auto client = gate.client();
      client.send(framed.head);
      if (at_once) {
        client.send(framed.body + get);
      } else {
        for (const char c : framed.body + get) client.send({&c, 1});
      }
      auto upstream = origin.accept();
      const auto head = upstream.head();
      const auto whole = framed.body.empty() ? "" : "foobar"s;
      EXPECT_EQ(field(head, "X-Body"), whole);
      EXPECT_EQ(field(head, "Content-Length"), whole.empty() ? "" : "6");
      EXPECT_EQ(field(head, "Transfer-Encoding"), "");
      EXPECT_EQ(upstream.exactly(whole.size()), whole);
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
      EXPECT_TRUE(upstream.head().starts_with("GET / "));
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
    }
  }
}

TEST(Bodies, that_were_gathered_are_sent_again_to_the_next_upstream) {
  PluginGate gate;
  Origin bad, good;
  gate.serve({bad.target(), good.target()}, R"("retries":1)");
  gate.add("first", {.access = [](View& x) { return x.body() ? Step::next : Step::wait; },
                     .log =
                         [](View& x) {
                           EXPECT_EQ(x.ending().tries.size(), 2u);
                           EXPECT_EQ(x.ending().tries[0].code, 502);
                           EXPECT_EQ(x.ending().tries[1].code, 0);
                         }});
  const std::string large(300'000, 'x');
  auto client = gate.client();
  client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n" + large);
  // Whoever is asked first breaks.
  const bool bad_first = bad.asked(2000);
  auto& first = bad_first ? bad : good;
  auto& second = bad_first ? good : bad;
  {
    auto upstream = first.accept();
    upstream.head();
    EXPECT_EQ(upstream.exactly(large.size()), large);
    upstream.reset();
  }
  auto upstream = second.accept();
  upstream.head();
  EXPECT_EQ(upstream.exactly(large.size()), large);
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).body, "hi");
}

TEST(Bodies, may_be_replaced_with_or_without_being_read) {
  for (const bool reads : {true, false}) {
    PluginGate gate;
    Origin origin;
    gate.serve({origin.target()});
    gate.add("first", {.access = [reads](View& x) {
               if (reads && !x.body()) return Step::wait;
               x.set_body("replaced");
               EXPECT_EQ(x.body()->bytes, "replaced");
               return Step::next;
             }});
    for (const auto& framed : framings) {
      auto client = gate.client();
      client.send(framed.head);
      client.send(framed.body + get);
      auto upstream = origin.accept();
      const auto head = upstream.head();
      EXPECT_EQ(field(head, "Content-Length"), "8");
      EXPECT_EQ(upstream.exactly(8), "replaced");
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
      EXPECT_TRUE(upstream.head().starts_with("GET / ")) << "the client's own body was taken off the connection";
      EXPECT_EQ(upstream.exactly(8), "replaced");
      upstream.send(ok);
      EXPECT_EQ(read_reply(client).body, "hi");
    }
  }
}

TEST(Bodies, that_are_too_large_to_gather_are_told_so_and_pass) {
  Options options;
  options.body_gather_max = 1000;
  PluginGate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = [](View& x) {
             const auto* body = x.body();
             if (!body) return Step::wait;
             EXPECT_TRUE(body->too_large);
             EXPECT_EQ(body->bytes, "");
             return Step::next;
           }});
  const std::string large(100'000, 'x');
  for (const bool chunked : {false, true}) {
    auto client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\n"s +
                (chunked ? "Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + large + "\r\n0\r\n\r\n"
                         : "Content-Length: 100000\r\n\r\n" + large));
    auto upstream = origin.accept();
    const auto head = upstream.head();
    EXPECT_EQ(field(head, "Transfer-Encoding"), chunked ? "chunked" : "");
    auto body = read_body(upstream, head);
    if (chunked) {
      std::string whole;
      while (!body.empty()) {
        const auto end = body.find("\r\n");
        const auto size = std::strtoull(body.c_str(), nullptr, 16);
        whole += body.substr(end + 2, size);
        body.erase(0, end + 2 + size + 2);
      }
      body = whole;
    }
    EXPECT_EQ(body, large);
    upstream.send(ok);
    EXPECT_EQ(read_reply(client).body, "hi");
  }
}

TEST(Bodies, are_asked_for_with_100_continue_before_they_are_gathered) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = [](View& x) {
             EXPECT_TRUE(x.expects_continue());
             return x.body() ? Step::next : Step::wait;
           }});
  auto client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_FALSE(origin.asked());
  client.send("abc");
  auto upstream = origin.accept();
  EXPECT_EQ(field(upstream.head(), "Expect"), "");
  EXPECT_EQ(upstream.exactly(3), "abc");
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).body, "hi");
}

TEST(Bodies, over_a_plugins_limit_get_its_answer) {
  for (const bool gathers : {false, true}) {
    PluginGate gate;
    Origin origin;
    gate.serve({origin.target()});
    gate.add("first",
             {.access = [](View& x) { return x.limit_body(10, 413, "Request size limit exceeded"), Step::next; }});
    gate.add("second", {.access = [gathers](View& x) { return !gathers || x.body() ? Step::next : Step::wait; }});
    for (const auto* rest : {"Content-Length: 11\r\n\r\n", "Content-Length: 11\r\n\r\n12345678901",
                             "Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"}) {
      auto client = gate.client();
      client.send("POST / HTTP/1.1\r\nHost: a.test\r\nAccept: application/json\r\n"s + rest);
      auto reply = read_reply(client);
      EXPECT_EQ(reply.status, 413) << rest;
      EXPECT_NE(reply.body.find("Request size limit exceeded"), reply.body.npos) << reply.body;
    }
    auto client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n");
    Socket upstream;
    if (!gathers) {
      upstream = origin.accept();
      upstream.head();
    }
    client.send("9\r\n345678901\r\n");
    EXPECT_EQ(read_reply(client).status, 413) << "while it streams";
  }
}

TEST(Bodies, that_stop_or_break_while_they_are_gathered_end_the_request) {
  Options options;
  options.client_body_timeout = std::chrono::milliseconds(50);
  Notes notes;
  PluginGate gate(options);
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access = [](View& x) { return x.body() ? Step::next : Step::wait; },
                     .log = [&](View& x) { notes.add(std::to_string(x.ending().status)); }});
  auto client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\na");
  EXPECT_EQ(read_reply(client).status, 408);
  client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_EQ(read_reply(client).status, 400);
  EXPECT_EQ(notes.wait_for(2), "408 400");
  client = gate.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\na");
  client.finish();
  EXPECT_EQ(notes.wait_for(3), "408 400 499");
  EXPECT_FALSE(origin.asked());
}

TEST(Tunnels, are_filtered_when_they_open_and_logged_when_they_end) {
  Notes notes;
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.header_filter = [](View& x) { x.set_response_header("X-Seen", "1"); },
                     .log = [&](View& x) { notes.add(fmt::format("{} {}", x.ending().status, x.route()->name)); }});
  auto client = gate.client();
  client.send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(field(client.head(), "X-Seen"), "1");
  gate.publish({drop<model::Route>(1)});  // it lives on
  client.send("ping");
  EXPECT_EQ(upstream.exactly(4), "ping");
  EXPECT_EQ(notes.text(), "");
  upstream.finish();
  client.finish();
  EXPECT_EQ(notes.wait_for(1), "101 all");
}

}  // namespace
}  // namespace weir::proxy::testing
