#include "kube/informer.h"

#include <malloc.h>

#include "kube/test_support.h"

namespace weir::kube {
namespace {

using std::chrono::milliseconds;
using Changes = std::vector<std::string>;

constexpr Kind service{"", "v1", "Service", "services"};
constexpr Kind secret{"", "v1", "Secret", "secrets"};
constexpr Kind route{"weir.dev", "v1", "WeirRoute", "weirroutes"};
constexpr Kind crd{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false};

std::string object(std::string_view name, int revision, std::string_view spec = "1") {
  return fmt::format(R"({{"metadata":{{"name":"{}","namespace":"s","resourceVersion":"{}"}},"spec":"{}"}})", name,
                     revision, spec);
}
std::string event(std::string_view type, std::string_view object) {
  return fmt::format(R"({{"type":"{}","object":{}}})", type, object);
}
std::string bookmark(int revision) {
  return fmt::format(R"({{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"{}"}}}}}})", revision);
}
std::string status(int code, std::string_view message) {
  return fmt::format(R"({{"kind":"Status","code":{},"message":"{}"}})", code, message);
}

// An API server with one list for all kinds, which tests change; watches are streams.
class Informer : public testing::Test {
 protected:
  void serve(const ScriptedServer::Request& request, ScriptedServer::Reply& reply) {
    std::lock_guard lock(mutex_);
    if (special_ && special_(request, reply)) return;
    if (request.is_watch()) return reply.stream();
    std::string items;
    for (const auto& item : items_) items += (items.empty() ? "" : ",") + item;
    reply.answer(200, fmt::format(R"({{"metadata":{{"resourceVersion":"{}"}},"items":[{}]}})", revision_, items));
  }
  void set(int revision, std::vector<std::string> items) {
    std::lock_guard lock(mutex_);
    revision_ = revision;
    items_ = std::move(items);
  }
  // True: it has answered.
  void special(std::function<bool(const ScriptedServer::Request&, ScriptedServer::Reply&)> answer) {
    std::lock_guard lock(mutex_);
    special_ = std::move(answer);
  }
  void SetUp() override { start_server(0); }
  void start_server(std::uint16_t port) {
    server =
        std::make_unique<ScriptedServer>([this](const auto& request, auto& reply) { serve(request, reply); }, port);
  }
  void start(const Kind& kind = service, Informers::Options options = {}) {
    kube = std::make_unique<ClientForTests>(server->url());
    informers = std::make_unique<InformersForTests>(*kube);
    informers->watch(kind, std::move(options));
  }
  bool streams(std::size_t count) {
    return eventually([&] { return server->streams() == count; });
  }
  // What the handler was told, once it has been told that much.
  Changes changes(std::size_t count) {
    Changes out;
    eventually([&] {
      for (auto& change : informers->take_changes()) out.push_back(change);
      return out.size() >= count;
    });
    return out;
  }
  std::size_t lists() {
    std::size_t out = 0;
    for (const auto& request : server->requests())
      if (request.target.find("limit=500") != std::string::npos) out++;
    return out;
  }

  std::unique_ptr<ScriptedServer> server;
  std::unique_ptr<ClientForTests> kube;
  std::unique_ptr<InformersForTests> informers;

 private:
  std::mutex mutex_;
  int revision_ = 10;
  std::vector<std::string> items_;
  std::function<bool(const ScriptedServer::Request&, ScriptedServer::Reply&)> special_;

  void TearDown() override {
    informers.reset();
    kube.reset();
    server->stop();
  }
};

TEST_F(Informer, lists_page_by_page_and_then_watches_from_there) {
  special([](const auto& request, auto& reply) {
    if (request.is_watch()) return false;
    const bool second = request.target.find("continue=a%2Fb") != std::string::npos;
    reply.answer(200, fmt::format(R"({{"metadata":{{"resourceVersion":"20"{}}},"items":[{}]}})",
                                  second ? "" : R"(,"continue":"a/b")", object(second ? "b" : "a", second ? 7 : 8)));
    return true;
  });
  start(service, {"shop", "app=x", ""});
  ASSERT_TRUE(streams(1));
  EXPECT_TRUE(informers->synced());
  EXPECT_EQ(informers->names(service), (Changes{"s/a", "s/b"}));
  EXPECT_EQ(informers->names(service, "s"), (Changes{"s/a", "s/b"}));
  EXPECT_EQ(informers->names(service, "t"), Changes{});
  EXPECT_EQ(informers->revision(service), 20u);
  const auto requests = server->requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].target, "/api/v1/namespaces/shop/services?limit=500&labelSelector=app%3Dx");
  EXPECT_TRUE(requests[2].target.starts_with(
      "/api/v1/namespaces/shop/services?watch=true&allowWatchBookmarks=true&resourceVersion=20&timeoutSeconds="))
      << requests[2].target;
  const auto counts = informers->counts("services");
  EXPECT_EQ(counts.objects, 2u);
  EXPECT_TRUE(counts.synced);
  EXPECT_EQ(counts.fault, "");
}

TEST_F(Informer, tells_of_each_change_and_then_that_it_is_quiet) {
  start();
  ASSERT_TRUE(streams(1));
  ASSERT_TRUE(eventually([&] { return informers->idles() >= 1; })) << "also when there is nothing";
  std::string burst;
  for (int i = 0; i < 100; i++) burst += event("ADDED", object(fmt::format("n{}", i), 11 + i)) + "\n";
  server->bytes(burst + event("MODIFIED", object("n0", 200, "2")) + "\n" + event("DELETED", object("n1", 201)) + "\n");
  ASSERT_TRUE(eventually([&] { return informers->revision(service) == 201; }));
  ASSERT_TRUE(eventually([&] { return informers->changes().size() >= 103; }));
  const auto told = informers->changes();
  EXPECT_EQ(told.size(), 103u) << "one idle for all of them";
  EXPECT_EQ(told.back(), "idle");
  EXPECT_EQ(told[100], "services:s/n0");
  EXPECT_EQ(told[101], "services:s/n1");
  EXPECT_EQ(informers->names(service).size(), 99u);
  EXPECT_NE(informers->text(service, {"s", "n0"}).find(R"("spec":"2")"), std::string::npos);
  EXPECT_EQ(informers->counts("services").events, 102u);
}

TEST_F(Informer, does_not_tell_of_a_new_revision_alone_but_keeps_it) {
  set(10, {object("a", 5)});
  start();
  ASSERT_TRUE(streams(1));
  EXPECT_EQ(changes(1), Changes{"services:s/a"});
  server->line(event("MODIFIED", object("a", 11)));
  server->line(bookmark(17));
  ASSERT_TRUE(eventually([&] { return informers->revision(service) == 17; }));
  EXPECT_EQ(informers->take_changes(), Changes{});
  EXPECT_NE(informers->text(service, {"s", "a"}).find(R"("resourceVersion":"11")"), std::string::npos);
}

TEST_F(Informer, lists_again_after_410_and_tells_what_differs_only) {
  set(10, {object("a", 5), object("b", 6), object("c", 7)});
  start();
  ASSERT_TRUE(streams(1));
  EXPECT_EQ(changes(3).size(), 3u);
  set(40, {object("a", 5), object("b", 30, "2"), object("d", 31)});
  server->line(event("ERROR", status(410, "too old resource version")));
  EXPECT_EQ(changes(3), (Changes{"services:s/b", "services:s/d", "services:s/c"}));
  ASSERT_TRUE(eventually([&] { return server->count("resourceVersion=40") == 1; }));
  EXPECT_EQ(lists(), 2u);
  EXPECT_EQ(informers->counts("services").faults, 0u) << "this is routine";
  // Again and again it is not.
  for (int i = 0; i < 3; i++) {
    ASSERT_TRUE(streams(static_cast<std::size_t>(2 + i))) << "those before are closed by the client only";
    server->line(event("ERROR", status(410, "too old resource version")));
  }
  ASSERT_TRUE(eventually([&] { return lists() == 5; }));
  EXPECT_EQ(informers->counts("services").faults, 3u);
}

TEST_F(Informer, goes_on_where_it_was_when_the_stream_is_cut) {
  set(10, {object("a", 5)});
  start();
  ASSERT_TRUE(streams(1));
  server->line(bookmark(12));
  // Half a character of half a line is not an event.
  server->bytes("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\xc3");
  ASSERT_TRUE(eventually([&] { return informers->revision(service) == 12; }));
  set(13, {object("a", 5)});
  server->cut();
  ASSERT_TRUE(streams(1));
  server->line(event("ADDED", object("b", 13)));
  ASSERT_TRUE(eventually([&] { return informers->names(service).size() == 2; }));
  EXPECT_EQ(server->count("resourceVersion=12"), 1u);
  EXPECT_EQ(server->count("limit=1"), 1u) << "one object, to see whether time went back";
  EXPECT_EQ(lists(), 1u);
  EXPECT_EQ(informers->counts("services").fault, "");
}

TEST_F(Informer, watches_again_at_once_and_ever_slower_when_streams_end_at_once) {
  start();
  ASSERT_TRUE(streams(1));
  special([](const auto& request, auto& reply) {
    if (request.is_watch()) reply.answer(200, "");
    return request.is_watch();
  });
  server->end();
  ASSERT_TRUE(eventually([&] { return server->count("watch=true") >= 5; }));
  std::vector<std::chrono::steady_clock::time_point> at;
  for (const auto& request : server->requests())
    if (request.is_watch()) at.push_back(request.at);
  EXPECT_GE(at[4] - at[3], milliseconds(350)) << "the fourth wait is 400 to 800 ms";
  EXPECT_EQ(lists(), 1u);
}

TEST_F(Informer, follows_a_server_whose_revision_went_back) {
  set(1000, {object("a", 900), object("gone", 950)});
  start();
  ASSERT_TRUE(streams(1));
  EXPECT_EQ(changes(2).size(), 2u);
  set(500, {object("a", 300, "old")});
  server->cut();
  EXPECT_EQ(changes(2), (Changes{"services:s/a", "services:s/gone"}));
  ASSERT_TRUE(streams(1));
  EXPECT_EQ(informers->revision(service), 500u);
  server->line(event("MODIFIED", object("a", 501, "new")));
  EXPECT_EQ(changes(1), Changes{"services:s/a"});
}

TEST_F(Informer, lists_again_when_the_server_was_away) {
  set(10, {object("a", 5), object("b", 6)});
  start();
  ASSERT_TRUE(streams(1));
  EXPECT_EQ(changes(2).size(), 2u);
  const auto port = server->port;
  server->stop();
  ASSERT_TRUE(eventually([&] { return informers->counts("services").faults >= 2; }));
  EXPECT_NE(informers->counts("services").fault, "");
  EXPECT_EQ(informers->names(service).size(), 2u) << "what was known stays";
  set(20, {object("a", 5)});  // its history is another one, though the number grew
  start_server(port);
  EXPECT_EQ(changes(1), Changes{"services:s/b"});
  EXPECT_EQ(lists(), 1u);
  ASSERT_TRUE(streams(1));
  EXPECT_EQ(informers->counts("services").fault, "");
}

TEST_F(Informer, waits_as_long_as_it_is_told) {
  special([turned_away = 0](const auto&, auto& reply) mutable {
    if (turned_away++ > 0) return false;
    reply.answer(429, status(429, "busy"), "Retry-After: 1\r\n");
    return true;
  });
  start();
  ASSERT_TRUE(streams(1));
  const auto requests = server->requests();
  EXPECT_GE(requests[1].at - requests[0].at, milliseconds(999));
}

TEST_F(Informer, counts_what_is_denied_as_empty_and_says_so) {
  special([](const auto&, auto& reply) {
    reply.answer(403, status(403, "secrets is forbidden"));
    return true;
  });
  start(secret);
  ASSERT_TRUE(eventually([&] { return informers->synced(); }));
  ASSERT_TRUE(eventually([&] { return informers->idles() == 1; }));
  EXPECT_EQ(informers->counts("secrets").fault, "cannot list secrets in group \"\": secrets is forbidden");
  EXPECT_EQ(informers->names(secret), Changes{});
}

TEST_F(Informer, asks_for_a_kind_again_once_it_is_installed) {
  const auto installed = std::make_shared<std::atomic<bool>>(false);  // outlives the test's function
  special([installed](const auto& request, auto& reply) {
    if (*installed || request.target.find("weirroutes") == std::string::npos) return false;
    reply.answer(404, "404 page not found");
    return true;
  });
  start(route);
  informers->watch(crd);
  ASSERT_TRUE(eventually([&] { return informers->synced(); }));
  EXPECT_TRUE(informers->counts("weirroutes.weir.dev").absent);
  ASSERT_TRUE(streams(1));
  set(10, {object("a", 5)});
  *installed = true;
  server->line(event("ADDED", object("other.weir.dev", 11)));
  server->line(event("ADDED", object("weirroutes.weir.dev", 12)));
  ASSERT_TRUE(eventually([&] { return informers->names(route).size() == 1; }, milliseconds(3000)));
  EXPECT_FALSE(informers->counts("weirroutes.weir.dev").absent);
}

TEST_F(Informer, lists_again_after_a_line_that_makes_no_sense) {
  start();
  for (const auto* line : {"garbage", R"({"type":"ADDED","object":{}})", R"({"type":"SINGING","object":{}})"}) {
    ASSERT_TRUE(streams(1)) << line;
    const auto before = lists();
    server->line(line);
    ASSERT_TRUE(eventually([&] { return lists() > before; })) << line;
    server->cut();
  }
  ASSERT_TRUE(streams(1));
  EXPECT_GE(informers->counts("services").faults, 3u);
}

TEST_F(Informer, holds_what_was_put_until_the_watch_knows_it) {
  set(10, {object("a", 5)});
  start();
  ASSERT_TRUE(streams(1));
  changes(1);
  const auto put = [&](std::string_view text) {
    kube->on_thread([&] { informers->informers->put(service, boost::json::parse(text).get_object()); });
  };
  put(object("a", 20, "mine"));
  EXPECT_NE(informers->text(service, {"s", "a"}).find("mine"), std::string::npos);
  EXPECT_EQ(informers->revision(service), 10u) << "the watch is not there yet";
  EXPECT_EQ(changes(1), Changes{"services:s/a"});
  server->line(event("MODIFIED", object("a", 15, "before")));
  server->line(event("DELETED", object("a", 16)));
  server->line(event("ADDED", object("a", 20, "mine")));
  ASSERT_TRUE(eventually([&] { return informers->revision(service) == 20; }));
  EXPECT_EQ(informers->take_changes(), Changes{}) << "nothing went back in between";
  put(object("a", 19, "old"));
  EXPECT_NE(informers->text(service, {"s", "a"}).find("mine"), std::string::npos);
  server->line(event("DELETED", object("a", 21)));
  EXPECT_EQ(changes(1), Changes{"services:s/a"});
  EXPECT_EQ(informers->text(service, {"s", "a"}), "");
}

TEST_F(Informer, follows_single_objects_while_they_are_asked_for) {
  special([](const auto& request, auto& reply) {
    const bool missing = request.target.find("metadata.name%3Dmissing") != std::string::npos;
    const bool denied = request.target.find("metadata.name%3Ddenied") != std::string::npos;
    if (denied) reply.answer(403, status(403, "no"));
    if (denied || request.is_watch()) return denied;
    reply.answer(
        200, fmt::format(R"({{"metadata":{{"resourceVersion":"10"}},"items":[{}]}})", missing ? "" : object("tls", 5)));
    return true;
  });
  kube = std::make_unique<ClientForTests>(server->url());
  informers = std::make_unique<InformersForTests>(*kube);
  const auto follow = [&](const char* name) {
    kube->on_thread([&] { informers->informers->watch_object(secret, {"s", name}); });
  };
  const auto known = [&](const char* name) {
    return kube->on_thread([&] { return informers->informers->known(secret, {"s", name}); });
  };
  for (const auto* name : {"tls", "missing", "denied", "tls"}) follow(name);
  EXPECT_TRUE(informers->synced());
  for (const auto* name : {"tls", "missing", "denied"}) {
    EXPECT_TRUE(eventually([&] { return known(name); })) << name;
    EXPECT_TRUE(eventually([&] {
      const auto told = informers->changes();
      return std::ranges::count(told, fmt::format("secrets:s/{}", name)) > 0;
    })) << name;
  }
  ASSERT_TRUE(streams(2));
  EXPECT_EQ(server->count("fieldSelector=metadata.name%3Dtls"), 2u) << "asked for twice, followed once";
  EXPECT_NE(informers->text(secret, {"s", "tls"}), "");
  EXPECT_EQ(informers->text(secret, {"s", "missing"}), "");
  server->line(event("MODIFIED", object("tls", 11, "2")));
  ASSERT_TRUE(eventually([&] { return informers->text(secret, {"s", "tls"}).find(R"("2")") != std::string::npos; }));
  kube->on_thread([&] { informers->informers->forget_object(secret, {"s", "tls"}); });
  EXPECT_EQ(informers->text(secret, {"s", "tls"}), "");
  EXPECT_FALSE(known("tls"));
  EXPECT_EQ(informers->counts("secrets").fault, "cannot list secrets in group \"\": no");
}

TEST_F(Informer, hands_an_event_over_within_a_millisecond_or_so) {
  start();
  ASSERT_TRUE(streams(1));
  std::vector<std::chrono::steady_clock::duration> took;
  for (int i = 0; i < 50; i++) {
    informers->take_changes();
    const auto began = std::chrono::steady_clock::now();
    server->line(event("ADDED", object("n", 11 + i, std::to_string(i))));
    while (informers->changes().empty() && std::chrono::steady_clock::now() - began < std::chrono::seconds(5))
      std::this_thread::yield();
    took.push_back(std::chrono::steady_clock::now() - began);
  }
  std::ranges::sort(took);
  EXPECT_LT(took[took.size() / 2], milliseconds(20)) << "a poll that waits would be far above";
  RecordProperty("median_us", static_cast<int>(took[took.size() / 2] / std::chrono::microseconds(1)));
  RecordProperty("longest_us", static_cast<int>(took.back() / std::chrono::microseconds(1)));
}

TEST_F(Informer, keeps_five_thousand_objects_in_a_few_megabytes) {
  special([](const auto& request, auto& reply) {
    if (request.is_watch()) return false;
    const auto at = request.target.find("continue=");
    const int page = at == std::string::npos ? 0 : std::stoi(request.target.substr(at + 9));
    std::string items;
    for (int i = 0; i < 500; i++)
      items += (i ? "," : "") + object(fmt::format("object-{}-{}", page, i), 5, std::string(900, 'x'));
    reply.answer(200, fmt::format(R"({{"metadata":{{"resourceVersion":"10","continue":"{}"}},"items":[{}]}})",
                                  page < 9 ? std::to_string(page + 1) : "", items));
    return true;
  });
  const auto before = mallinfo2().uordblks;
  start();
  ASSERT_TRUE(streams(1));
  ASSERT_EQ(informers->names(service).size(), 5000u);
  const auto used = mallinfo2().uordblks - before;
  if (before == 0) GTEST_SKIP() << "this allocator does not tell what is in use";
  RecordProperty("bytes", static_cast<int>(used));
  EXPECT_LT(used, 7'500'000u);
  EXPECT_GT(used, 4'500'000u) << "less is not possible: it is not measured";
}

}  // namespace
}  // namespace weir::kube
