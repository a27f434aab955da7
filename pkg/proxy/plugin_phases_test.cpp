// Phases: in which order plugins run, what they see, what they answer, and which ones run.
#include "proxy/plugin_test_support.h"

namespace weir::proxy::testing {
namespace {

// Notes every phase under a name.
Script noting(Notes& notes, const std::string& name) {
  return {
      .rewrite = [&notes, name](View&) { return notes.add(name + ".rewrite"), Step::next; },
      .access = [&notes, name](View&) { return notes.add(name + ".access"), Step::next; },
      .header_filter =
          [&notes, name](View& x) {
            notes.add(name + ".header");
            x.want_response_body();
          },
      .log = [&notes, name](View& x) { notes.add(fmt::format("{}.log:{}", name, x.ending().status)); },
      .body_filter = [&notes, name](View&, std::string&) { notes.add(name + ".body"); },
  };
}

TEST(Phases, run_in_order_for_every_plugin_of_the_chain) {
  Notes notes;
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("second", noting(notes, "b"));
  gate.add("first", noting(notes, "a"));
  auto client = gate.client();
  client.send(get);
  auto upstream = origin.accept();
  upstream.head();
  upstream.send(ok);
  EXPECT_EQ(read_reply(client).body, "hi");
  EXPECT_EQ(notes.wait_for(10),
            "a.rewrite b.rewrite a.access b.access a.header b.header a.body b.body a.log:200 b.log:200");
}

TEST(Phases, of_global_plugins_run_for_a_404_but_access) {
  Notes notes;
  PluginGate gate;
  gate.publish({});
  gate.add("first", noting(notes, "a"));
  auto client = gate.client();
  client.send(get);
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.field("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(reply.field("Server"), "weir/0.1.0");
  EXPECT_FALSE(reply.field("X-Kong-Response-Latency").empty());
  EXPECT_EQ(reply.field("X-Kong-Request-Id").size(), 32u);
  EXPECT_EQ(notes.wait_for(4), "a.rewrite a.header a.body a.log:404");
}

TEST(Phases, run_for_answers_of_weir_as_for_the_upstreams) {
  struct Case {
    std::string name, route, expected;
    int status;
  };
  const Case cases[] = {
      {"no service", R"({"hosts":["a.test"]})", "a.access a.header a.log:503", 503},
      {"https only", R"({"hosts":["a.test"],"protocols":["https"]})", "a.header a.log:426", 426},
  };
  for (const auto& c : cases) {
    Notes notes;
    PluginGate gate;
    auto script = noting(notes, "a");
    script.rewrite = nullptr;
    script.header_filter = [&](View& x) {
      EXPECT_FALSE(x.from_upstream());
      notes.add("a.header");
      x.set_response_header("X-Seen", "yes");
    };
    gate.publish({put_route(1, c.route)});
    gate.add("first", script);
    auto client = gate.client();
    client.send(get);
    auto reply = read_reply(client);
    EXPECT_EQ(reply.status, c.status) << c.name;
    EXPECT_EQ(reply.field("X-Seen"), "yes");
    EXPECT_EQ(notes.wait_for(c.status == 503 ? 3 : 2), c.expected) << c.name;
    client.send(get);
    EXPECT_EQ(read_reply(client).status, c.status) << "the connection goes on";
  }
}

TEST(Phases, see_a_lost_upstream_as_an_answer_of_weir_with_its_tries) {
  Notes notes;
  PluginGate gate;
  Origin gone;
  const auto port = gone.port();
  gone.close();
  gate.serve({"127.0.0.1:" + std::to_string(port)}, R"("retries":2)");
  gate.add("first", {.log = [&](View& x) {
             const auto& e = x.ending();
             std::string tries;
             for (const auto& t : e.tries) tries += fmt::format("{}:{}={},", t.ip, t.port == port, t.code);
             notes.add(fmt::format("{} {} {}", e.status, e.from_upstream, tries));
           }});
  auto client = gate.client();
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 502);
  EXPECT_EQ(notes.wait_for(1), "502 false 127.0.0.1:true=502,127.0.0.1:true=502,127.0.0.1:true=502,");
}

TEST(Log, tells_how_it_ended) {
  Notes notes;
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.log = [&](View& x) {
             const auto& e = x.ending();
             EXPECT_TRUE(e.upstream_asked && e.from_upstream);
             EXPECT_EQ(e.tries.size(), 1u);
             EXPECT_GT(e.started_ms, 1'600'000'000'000u);
             EXPECT_LE(e.started_ms, x.now_ms());
             EXPECT_GE(e.total_us, e.upstream_us);
             EXPECT_EQ(x.response_header("content-length"), "2");
             EXPECT_EQ(x.response_header("x-kong-request-id"), x.request_id());
             EXPECT_EQ(x.header("x-mine"), "yes");
             EXPECT_EQ(x.upstream_path(), "/api");
             EXPECT_EQ(x.route()->name, "all");
             EXPECT_EQ(x.service()->name, "web");
             EXPECT_EQ(x.service()->host, "pool");
             notes.add(fmt::format("{} {} {}", e.upstream_status, e.request_bytes, e.response_bytes));
           }});
  auto client = gate.client();
  const auto head = "POST /api HTTP/1.1\r\nHost: a.test\r\nX-Mine: yes\r\nContent-Length: 3\r\n\r\n"s;
  client.send(head + "abc");
  auto upstream = origin.accept();
  upstream.head();
  upstream.send(ok);
  auto reply = read_reply(client);
  EXPECT_EQ(notes.wait_for(1), fmt::format("200 {} {}", head.size() + 3, reply.head.size() + 2));
}

TEST(Log, is_written_with_499_when_the_client_leaves) {
  Notes notes;
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.log = [&](View& x) { notes.add(fmt::format("{}{}", x.ending().status, x.path())); }});
  auto client = gate.client();
  client.send("GET /gone HTTP/1.1\r\nHost: a.test\r\n\r\n");
  auto upstream = origin.accept();
  upstream.head();
  client.reset();
  EXPECT_EQ(notes.wait_for(1), "499/gone");
}

TEST(Answers, of_plugins_end_access_and_are_filtered) {
  Notes notes;
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  gate.add("first", {.access =
                         [&](View& x) {
                           if (x.path() == "/error") {
                             x.error(401, "Say \"who\"");
                           } else {
                             x.respond(x.path() == "/empty" ? 204 : 418, "text/x", "tea");
                           }
                           x.set_response_header("WWW-Authenticate", "Key");
                           return Step::done;
                         },
                     .header_filter =
                         [&](View& x) { x.add_response_header("X-Status", fmt::format("{}", x.response_status())); }});
  gate.add("second", {.access = [&](View&) { return notes.add("access"), Step::next; },
                      .header_filter = [](View& x) { x.want_response_body(); },
                      .log = [&](View& x) { notes.add(fmt::format("log:{}", x.ending().status)); },
                      .body_filter = [](View&, std::string& body) { body += " and milk"; }});
  auto client = gate.client();
  client.send(get);
  auto reply = read_reply(client);
  EXPECT_EQ(reply.status, 418);
  EXPECT_EQ(reply.field("Content-Type"), "text/x");
  EXPECT_EQ(reply.field("WWW-Authenticate"), "Key");
  EXPECT_EQ(reply.field("X-Status"), "418");
  EXPECT_EQ(reply.body, "tea and milk");
  EXPECT_EQ(notes.wait_for(1), "log:418");

  client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\nGET /empty HTTP/1.1\r\nHost: a.test\r\n\r\n");
  reply = read_reply(client, true);
  EXPECT_EQ(reply.field("Content-Length"), "12");
  reply = read_reply(client);
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.field("Content-Length"), "");
  client.send("POST /error HTTP/1.1\r\nHost: a.test\r\nAccept: application/json\r\nContent-Length: 3\r\n\r\nabc");
  reply = read_reply(client);
  EXPECT_EQ(reply.status, 401);
  EXPECT_NE(reply.body.find(R"("message":"Say \"who\"")"), std::string::npos) << reply.body;
  client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
  reply = read_reply(client);
  EXPECT_EQ(reply.body, "tea and milk");
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(origin.asked());
}

TEST(Chains, hold_only_plugins_of_the_connections_scheme) {
  Notes notes;
  PluginGate gate;
  gate.publish({put_route(1, R"({"hosts":["a.test"]})"),
                gate.plugin(1, "first", {.access = [&](View&) { return notes.add("https"), Step::next; }},
                            R"("protocols":["https"],)"),
                gate.plugin(2, "second", {.access = [&](View&) { return notes.add("http"), Step::next; }},
                            R"("protocols":["http"],)")});
  auto client = gate.client();
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 503);
  EXPECT_EQ(notes.text(), "http");
}

TEST(Chains, are_chosen_anew_behind_the_plugin_that_knows_the_caller) {
  Notes notes;
  PluginGate gate;
  const auto note = [&](std::string name) {
    return Script{.access = [&notes, name](View&) { return notes.add(name), Step::next; },
                  .log = [&notes, name](View&) { notes.add(name + ".log"); }};
  };
  const auto consumer = std::make_shared<const model::Object>(model::Object{{"id", id(9).text()}, {"username", "u"}});
  auto knows = note("knows");
  knows.access = [&](View& x) {
    notes.add("knows");
    x.authenticate(consumer, nullptr);
    EXPECT_EQ(x.consumer(), consumer.get());
    return Step::next;
  };
  gate.publish({put_route(1, R"({"hosts":["a.test"]})"), gate.plugin(1, "first", note("first")),
                gate.plugin(2, "second", knows), gate.plugin(3, "third", note("third")),
                gate.plugin(4, "third", note("hers"), fmt::format(R"("consumer":{},)", reference(9))),
                gate.plugin(5, "first", note("late"), fmt::format(R"("consumer":{},)", reference(9)))});
  auto client = gate.client();
  client.send(get);
  EXPECT_EQ(read_reply(client).status, 503);
  EXPECT_EQ(notes.wait_for(6), "first knows hers late.log knows.log hers.log");
}

}  // namespace
}  // namespace weir::proxy::testing
