#include "kube/client.h"

#include "kube/test_support.h"

namespace weir::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(Client, sends_what_it_is_asked_to_and_hands_back_the_answer) {
  ScriptedServer server([](const auto&, auto& reply) { reply.answer(201, R"({"a":1})"); });
  auto access = ClientForTests::access_to(server.url() + "/prefix/");
  access.token = "t0ken";
  ClientForTests kube(access);
  const auto answer = kube.request("PATCH", "/api/v1/x?a=b", "body", "application/merge-patch+json");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, R"({"a":1})");
  const auto sent = server.requests().at(0);
  EXPECT_EQ(sent.method, "PATCH");
  EXPECT_EQ(sent.target, "/prefix/api/v1/x?a=b");
  EXPECT_EQ(sent.body, "body");
  EXPECT_EQ(sent.headers.at("content-type"), "application/merge-patch+json");
  EXPECT_EQ(sent.headers.at("authorization"), "Bearer t0ken");
  EXPECT_EQ(sent.headers.at("user-agent"), "weir");
}

TEST(Client, tells_the_reason_of_a_refusal_and_how_long_to_wait) {
  ScriptedServer server([](const auto& request, auto& reply) {
    if (request.target == "/a")
      reply.answer(429, R"({"kind":"Status","message":"too many"})", "Retry-After: 7\r\n");
    else
      reply.answer(500, "<html>");
  });
  ClientForTests kube(server.url());
  const auto busy = kube.request("GET", "/a");
  ASSERT_TRUE(busy);
  EXPECT_FALSE(busy->ok());
  EXPECT_EQ(busy->reason(), "too many");
  EXPECT_EQ(busy->retry_after, std::chrono::seconds(7));
  const auto broken = kube.request("GET", "/b");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->reason(), "HTTP status 500");
}

TEST(Client, gives_an_error_when_nobody_answers) {
  std::uint16_t port = 0;
  {
    port = ScriptedServer([](const auto&, auto&) {}).port;
  }
  ClientForTests kube(fmt::format("http://127.0.0.1:{}", port));
  const auto answer = kube.request("GET", "/");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("connect"), std::string::npos) << answer.error().message;
}

TEST(Client, gives_up_a_request_that_takes_too_long) {
  ScriptedServer server([](const auto&, auto& reply) { reply.silence(); });
  Client::Options options;
  options.timeout = milliseconds(150);
  ClientForTests kube(ClientForTests::access_to(server.url()), options);
  const auto began = steady_clock::now();
  EXPECT_FALSE(kube.request("GET", "/"));
  EXPECT_LT(steady_clock::now() - began, milliseconds(2000));
}

TEST(Client, does_not_follow_a_redirect_with_the_token) {
  ScriptedServer other([](const auto&, auto& reply) { reply.answer(200, "{}"); });
  ScriptedServer server(
      [&](const auto&, auto& reply) { reply.answer(302, "", "Location: " + other.url() + "/x\r\n"); });
  auto access = ClientForTests::access_to(server.url());
  access.token = "t0ken";
  ClientForTests kube(access);
  const auto answer = kube.request("GET", "/");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 302);
  EXPECT_TRUE(other.requests().empty());
}

TEST(Client, reads_a_rotated_token_again_when_the_old_one_is_refused) {
  ScriptedServer server([](const auto& request, auto& reply) {
    reply.answer(request.headers.at("authorization") == "Bearer new" ? 200 : 401, "{}");
  });
  TemporaryFolder folder;
  auto access = ClientForTests::access_to(server.url());
  access.token_file = folder.write("token", "old\n");
  ClientForTests kube(access);
  EXPECT_EQ(kube.request("GET", "/").value().status, 401);
  EXPECT_EQ(server.requests().size(), 1u) << "the same token is not tried twice";
  folder.write("token", "new\n");
  EXPECT_EQ(kube.request("GET", "/").value().status, 200);
  EXPECT_EQ(kube.request("POST", "/", "{}").value().status, 200);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(Client, needs_its_files_at_the_start) {
  auto access = ClientForTests::access_to("https://127.0.0.1:1");
  access.ca_file = "/nowhere/ca.crt";
  const auto started = Client::start(access, {});
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("/nowhere/ca.crt"), std::string::npos);
  EXPECT_FALSE(Client::start(ClientForTests::access_to("ftp://x"), {}));
  EXPECT_FALSE(Client::start(ClientForTests::access_to("https://user@x"), {}));
  EXPECT_FALSE(Client::start(ClientForTests::access_to("https://"), {}));
}

TEST(Client, runs_timers_in_order_and_posts_at_once) {
  ClientForTests kube("http://127.0.0.1:1");
  std::promise<std::string> done;
  std::string order;
  kube.client->post([&] {
    kube.client->after(milliseconds(30), [&] { done.set_value(order + "c"); });
    kube.client->after(milliseconds(10), [&] { order += "b"; });
    kube.client->after(milliseconds(0), [&] { order += "a"; });
    kube.client->after(milliseconds(10), [&] { order += "B"; });
  });
  EXPECT_EQ(done.get_future().get(), "abBc");
}

class ClientStream : public testing::Test {
 protected:
  void open(Client::Options options = {}) {
    kube = std::make_unique<ClientForTests>(ClientForTests::access_to(server.url()), options);
    kube->on_thread([&] {
      stream = kube->client->stream(
          "/w?watch=true",
          [&](std::string_view line) {
            std::lock_guard lock(mutex);
            lines.emplace_back(line);
            if (line == "drop") stream.reset();
          },
          [&](Result<Answer> answer) { ended.set_value(std::move(answer)); });
    });
  }
  std::vector<std::string> seen() {
    std::lock_guard lock(mutex);
    return lines;
  }
  void TearDown() override {
    if (kube) kube->on_thread([&] { stream.reset(); });
  }

  ScriptedServer server{[](const auto& request, auto& reply) {
    if (request.target.find("denied") == std::string::npos) reply.stream();
  }};
  std::unique_ptr<ClientForTests> kube;
  std::unique_ptr<Client::Stream> stream;
  std::mutex mutex;
  std::vector<std::string> lines;
  std::promise<Result<Answer>> ended;
};

TEST_F(ClientStream, hands_over_lines_however_they_are_cut) {
  open();
  ASSERT_TRUE(eventually([&] { return server.streams() == 1; }));
  for (const char c : std::string("one\r\n\ntwo")) server.bytes(std::string(1, c));
  server.bytes("\nthree\nfour");
  ASSERT_TRUE(eventually([&] { return seen().size() == 3; }));
  EXPECT_EQ(seen(), (std::vector<std::string>{"one", "two", "three"}));
  server.end();
  const auto end = ended.get_future().get();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->status, 200);
}

TEST_F(ClientStream, says_nothing_more_once_it_is_dropped_even_from_inside) {
  open();
  ASSERT_TRUE(eventually([&] { return server.streams() == 1; }));
  server.bytes("one\ndrop\nafter\n");
  ASSERT_TRUE(eventually([&] { return seen().size() == 2; }));
  server.bytes("later\n");
  server.end();
  kube->on_thread([] {});
  EXPECT_EQ(seen(), (std::vector<std::string>{"one", "drop"}));
  EXPECT_EQ(ended.get_future().wait_for(milliseconds(20)), std::future_status::timeout);
}

TEST_F(ClientStream, ends_with_an_error_when_it_is_cut) {
  open();
  ASSERT_TRUE(eventually([&] { return server.streams() == 1; }));
  server.cut();
  EXPECT_FALSE(ended.get_future().get());
}

TEST_F(ClientStream, ends_with_an_error_when_nothing_comes_for_too_long) {
  Client::Options options;
  options.silence = milliseconds(200);
  open(options);
  const auto end = ended.get_future().get();
  ASSERT_FALSE(end);
  EXPECT_NE(end.error().message.find("nothing came"), std::string::npos);
}

TEST_F(ClientStream, ends_with_an_error_when_a_line_has_no_end) {
  open();
  ASSERT_TRUE(eventually([&] { return server.streams() == 1; }));
  const std::string much(1024 * 1024, 'x');
  for (int i = 0; i < 17; i++) server.bytes(much);
  const auto end = ended.get_future().get();
  ASSERT_FALSE(end);
  EXPECT_NE(end.error().message.find("16 MiB"), std::string::npos) << end.error().message;
}

TEST(Client, ends_promptly_whatever_is_on_its_way) {
  ScriptedServer server([](const auto& request, auto& reply) {
    if (request.is_watch())
      reply.stream();
    else
      reply.silence();
  });
  auto kube = std::make_unique<ClientForTests>(server.url());
  std::unique_ptr<Client::Stream> stream;
  std::atomic<int> called = 0;
  kube->on_thread([&] {
    stream = kube->client->stream("/w?watch=true", [](auto) {}, [&](auto) { called++; });
    kube->client->request("GET", "/a", {}, {}, [&](auto) { called++; });
    kube->client->request("PUT", "/b", "{}", {}, [&](auto) { called++; });
  });
  ASSERT_TRUE(eventually([&] { return server.streams() == 3; }));
  const auto began = steady_clock::now();
  kube.reset();
  EXPECT_LT(steady_clock::now() - began, milliseconds(1000));
  EXPECT_EQ(called, 0);
  stream.reset();  // after the client: nothing happens
}

TEST(Client, lets_a_last_write_out) {
  ScriptedServer server([](const auto&, auto& reply) { reply.answer(200, "{}"); });
  auto kube = std::make_unique<ClientForTests>(server.url());
  auto& client = *kube->client;
  client.post([&client] { client.request("PUT", "/last", "bye", {}, [](auto) {}); });
  kube.reset();
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].body, "bye");
}

class ClientExec : public testing::Test {
 protected:
  // A plugin that notes each of its runs.
  Access access(const std::string& then) {
    auto out = ClientForTests::access_to(server.url());
    const auto script = folder.write("plugin", "#!/bin/sh\necho run >>" + folder.path + "/runs\n" + then + "\n");
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    out.exec = Access::Exec{script, "client.authentication.k8s.io/v1", {"arg"}, {{"GREETING", "hello"}}};
    return out;
  }
  std::size_t runs() const {
    std::ifstream file(folder.path + "/runs");
    std::size_t out = 0;
    for (std::string line; std::getline(file, line);) out++;
    return out;
  }
  TemporaryFolder folder;
  ScriptedServer server{[](const auto& request, auto& reply) {
    const auto at = request.headers.find("authorization");
    reply.answer(at != request.headers.end() && at->second == "Bearer hello-arg-v1" ? 200 : 401, "{}");
  }};
  static constexpr const char* good =
      R"(case "$KUBERNETES_EXEC_INFO" in *client.authentication.k8s.io/v1*) v=v1;; esac
echo "{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"$GREETING-$1-$v\",\"expirationTimestamp\":\"$EXPIRES\"}}")";
};

TEST_F(ClientExec, runs_the_plugin_once_for_all_requests_until_it_runs_out) {
  auto one = access(good);
  one.exec->env["EXPIRES"] = "2999-01-01T00:00:00Z";
  {
    ClientForTests kube(one);
    EXPECT_EQ(kube.request("GET", "/").value().status, 200);
    EXPECT_EQ(kube.request("GET", "/").value().status, 200);
    EXPECT_EQ(runs(), 1u);
  }
  one.exec->env["EXPIRES"] = "2001-01-01T00:00:00Z";
  ClientForTests kube(one);
  EXPECT_EQ(kube.request("GET", "/").value().status, 200);
  EXPECT_EQ(kube.request("GET", "/").value().status, 200);
  EXPECT_EQ(runs(), 2u) << "one that is over when it comes is used for a moment";
  EXPECT_TRUE(eventually([&] { return kube.request("GET", "/").value().ok() && runs() == 3; }));
}

TEST_F(ClientExec, asks_the_plugin_again_after_a_401_but_not_for_ever) {
  ClientForTests kube(access(R"(echo '{"kind":"ExecCredential","status":{"token":"wrong"}}')"));
  EXPECT_EQ(kube.request("GET", "/").value().status, 401);
  EXPECT_EQ(runs(), 2u);
}

TEST_F(ClientExec, tells_what_is_wrong_with_a_plugin) {
  struct {
    const char* script;
    const char* fault;
  } const table[] = {
      {"exit 3", "ended with status 3"},
      {"kill -9 $$", "ended with signal 9"},
      {"echo nonsense", "is not an ExecCredential"},
      {R"(echo '{"kind":"ExecCredential"}')", "has no status"},
      {R"(echo '{"kind":"ExecCredential","status":{}}')", "neither token nor certificate"},
      {R"(echo '{"kind":"ExecCredential","status":{"clientKeyData":"x"}}')", "but not both"},
      {R"(echo '{"kind":"ExecCredential","status":{"token":"s3cret","expirationTimestamp":"x"}}')", "malformed"},
      {"yes s3cret", "printed more than"},
  };
  for (const auto& row : table) {
    ClientForTests kube(access(row.script));
    const auto answer = kube.request("GET", "/");
    ASSERT_FALSE(answer) << row.script;
    EXPECT_NE(answer.error().message.find(row.fault), std::string::npos) << answer.error().message;
    EXPECT_EQ(answer.error().message.find("s3cret"), std::string::npos);
  }
  auto missing = ClientForTests::access_to(server.url());
  missing.exec = Access::Exec{"/nowhere/plugin", "client.authentication.k8s.io/v1", {}, {}};
  EXPECT_FALSE(Client::start(missing, {}));
}

TEST_F(ClientExec, goes_on_working_while_a_plugin_runs_and_ends_it_at_the_end) {
  auto kube = std::make_unique<ClientForTests>(access("cd " + folder.path + "; echo $$ >new; mv new pid; sleep 100"));
  kube->on_thread([&] { kube->client->request("GET", "/", {}, {}, [](auto) {}); });
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(folder.path + "/pid"); }));
  EXPECT_EQ(kube->on_thread([] { return 7; }), 7);
  const auto began = steady_clock::now();
  kube.reset();
  EXPECT_LT(steady_clock::now() - began, milliseconds(1000));
  pid_t pid = 0;
  std::ifstream(folder.path + "/pid") >> pid;
  ASSERT_GT(pid, 0);
  EXPECT_NE(::kill(pid, 0), 0);
}

}  // namespace
}  // namespace weir::kube
