#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "snapshot/test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

std::vector<std::string> addresses(const Backend* backend) {
  std::vector<std::string> out;
  if (backend)
    for (const auto& target : backend->targets)
      out.push_back(fmt::format("{}:{}={}", target->host, target->port, target->weight));
  return out;
}

const Service* service_of(const SnapshotPtr& snapshot, const Asked& asked) {
  const auto match = snapshot->match(asked.request());
  return match.route ? snapshot->service(match.route->service) : nullptr;
}

std::vector<std::string> fault_texts(const SnapshotPtr& snapshot) {
  std::vector<std::string> out;
  for (const auto& fault : snapshot->faults())
    out.push_back(fmt::format("{} {}: {}", fault.origin.kind, fault.origin.id.bytes[15], fault.message));
  return out;
}

store::Change with(store::Change change, std::string_view field, boost::json::value value) {
  (*change.now)[field] = std::move(value);
  return change;
}

TEST(Compile, leads_from_a_request_to_the_targets_of_its_upstream) {
  const auto snapshot = compile_all({
      put_upstream(1, R"({"name":"hello","host_header":"app.example","use_srv_name":true})"),
      put_target(2, 1, "127.0.0.1:3000", 100),
      put_target(3, 1, "[::1]:4000", 300),
      put_target(4, 1, "app.example", 0),
      put_service(
          5,
          R"({"name":"s","host":"Hello","port":8080,"protocol":"https","path":"/p","retries":2,"connect_timeout":1,"write_timeout":2,"read_timeout":3})"),
      put_route(
          6, R"({"name":"r","hosts":["hello.com"],"service":)" + reference(5) +
                 R"(,"strip_path":false,"preserve_host":true,"path_handling":"v1","https_redirect_status_code":301})"),
  });
  EXPECT_EQ(snapshot->revision(), 1u);
  EXPECT_EQ(snapshot->routes(), 1u);
  EXPECT_EQ(snapshot->services(), 1u);
  EXPECT_EQ(snapshot->upstreams(), 1u);
  EXPECT_TRUE(snapshot->faults().empty());

  const auto* route = snapshot->match(Asked("GET hello.com/x").request()).route;
  ASSERT_TRUE(route);
  EXPECT_EQ(route, snapshot->find_route(id(6)));
  EXPECT_EQ(route->origin.source, "test");
  EXPECT_EQ(route->origin.kind, "routes");
  EXPECT_EQ(route->origin.id, id(6));
  EXPECT_EQ(route->origin.name, "r");
  EXPECT_EQ(route->origin.generation, 1000000);
  EXPECT_FALSE(route->strip_path);
  EXPECT_TRUE(route->preserve_host);
  EXPECT_EQ(route->path_handling, PathHandling::v1);
  EXPECT_EQ(route->https_redirect_status_code, 301);

  const auto* service = snapshot->service(route->service);
  ASSERT_TRUE(service);
  EXPECT_EQ(service, snapshot->find_service(id(5)));
  EXPECT_TRUE(service->tls);
  EXPECT_EQ(service->host, "Hello");
  EXPECT_EQ(service->port, 8080);
  EXPECT_EQ(service->path, "/p");
  EXPECT_EQ(service->retries, 2u);
  EXPECT_EQ(service->connect_timeout.count(), 1);
  EXPECT_EQ(service->write_timeout.count(), 2);
  EXPECT_EQ(service->read_timeout.count(), 3);

  const auto* backend = snapshot->backend(service->backend);
  ASSERT_TRUE(backend);
  EXPECT_EQ(backend, snapshot->find_backend("HELLO"));
  EXPECT_TRUE(backend->is_upstream);
  EXPECT_EQ(backend->host_header, "app.example");
  EXPECT_TRUE(backend->use_srv_name);
  EXPECT_EQ(backend->origin.id, id(1));
  ASSERT_EQ(backend->targets.size(), 3u);
  EXPECT_TRUE(backend->targets[0]->is_ip);
  EXPECT_TRUE(backend->targets[1]->is_ip);
  EXPECT_FALSE(backend->targets[2]->is_ip);
  EXPECT_EQ(backend->targets[2]->port, 8000);
  EXPECT_EQ(backend->targets[2]->weight, 0);
}

TEST(Compile, a_service_without_an_upstream_goes_to_its_host) {
  const auto snapshot =
      compile_all({put_service(1, R"({"host":"a.example"})"), put_service(2, R"({"host":"10.0.0.1"})"),
                   put_route(3, R"({"hosts":["h"],"service":)" + reference(1) + "}")});
  const auto* service = snapshot->find_service(id(1));
  ASSERT_TRUE(service);
  const auto* backend = snapshot->backend(service->backend);
  ASSERT_TRUE(backend);
  EXPECT_FALSE(backend->is_upstream);
  EXPECT_TRUE(backend->origin.kind.empty());
  EXPECT_EQ(addresses(backend), std::vector<std::string>{"a.example:0=100"});
  EXPECT_FALSE(backend->targets[0]->is_ip);
  EXPECT_TRUE(snapshot->backend(snapshot->find_service(id(2))->backend)->targets[0]->is_ip);
  EXPECT_FALSE(snapshot->find_backend("a.example"));
}

TEST(Compile, an_upstream_that_comes_and_goes_changes_one_backend_and_nothing_else) {
  const auto plain = compile_all({put_service(1, R"({"host":"name"})"), put_service(2, R"({"host":"other"})")});
  const auto slot = plain->find_service(id(1))->backend;
  const auto balanced = compile_all({put_upstream(3, R"({"name":"name"})"), put_target(4, 3, "10.0.0.1:1")}, plain);
  EXPECT_EQ(balanced->find_service(id(1)), plain->find_service(id(1)));
  EXPECT_EQ(addresses(balanced->backend(slot)), std::vector<std::string>{"10.0.0.1:1=100"});
  EXPECT_EQ(addresses(plain->backend(slot)), std::vector<std::string>{"name:0=100"});
  EXPECT_EQ(std::vector(balanced->changed_backends().begin(), balanced->changed_backends().end()), std::vector{slot});
  const auto again = compile_all({drop<model::Target>(4), drop<model::Upstream>(3)}, balanced);
  EXPECT_FALSE(again->backend(slot)->is_upstream);
  EXPECT_EQ(again->backend(slot ^ 1), plain->backend(slot ^ 1));
}

TEST(Compile, a_changed_service_keeps_slots_and_routes) {
  const auto before = compile_all(
      {put_service(1, R"({"host":"a"})"), put_route(2, R"({"hosts":["h"],"service":)" + reference(1) + "}")});
  const auto after = compile_all({put_service(1, R"({"host":"b","port":81})")}, before);
  EXPECT_EQ(before->find_route(id(2)), after->find_route(id(2)));
  EXPECT_EQ(service_of(before, {"GET h/"})->host, "a");
  EXPECT_EQ(service_of(after, {"GET h/"})->host, "b");
  EXPECT_EQ(after->revision(), 2u);
}

TEST(Compile, targets_are_oldest_first_and_change_in_place) {
  auto snapshot = compile_all(
      {put_upstream(1, R"({"name":"u"})"), put_target(7, 1, "c:1"), put_target(3, 1, "a:1"), put_target(5, 1, "b:1")});
  EXPECT_EQ(addresses(snapshot->find_backend("u")), (std::vector<std::string>{"a:1=100", "b:1=100", "c:1=100"}));
  const auto kept = snapshot->find_backend("u")->targets[2];
  snapshot = compile_all({put_target(5, 1, "b:1", 7), drop<model::Target>(3)}, snapshot);
  EXPECT_EQ(addresses(snapshot->find_backend("u")), (std::vector<std::string>{"b:1=7", "c:1=100"}));
  EXPECT_EQ(snapshot->find_backend("u")->targets[1], kept);
}

TEST(Compile, an_upstream_can_be_renamed_and_two_can_swap_names) {
  auto snapshot = compile_all({put_upstream(1, R"({"name":"x"})"), put_target(2, 1, "a:1"),
                               put_upstream(3, R"({"name":"y"})"), put_target(4, 3, "b:1")});
  snapshot = compile_all({put_upstream(1, R"({"name":"y"})"), put_upstream(3, R"({"name":"x"})")}, snapshot);
  EXPECT_EQ(addresses(snapshot->find_backend("x")), std::vector<std::string>{"b:1=100"});
  EXPECT_EQ(addresses(snapshot->find_backend("y")), std::vector<std::string>{"a:1=100"});
  EXPECT_TRUE(snapshot->faults().empty());
  snapshot = compile_all({put_upstream(1, R"({"name":"x"})")}, snapshot);
  EXPECT_EQ(addresses(snapshot->find_backend("x")), std::vector<std::string>{"a:1=100"});
  EXPECT_EQ(fault_texts(snapshot),
            std::vector<std::string>{"upstreams 3: its name 'x' is that of upstream " + id(1).text() + " of test"});
  EXPECT_FALSE(snapshot->find_backend("y"));
  snapshot = compile_all({drop<model::Upstream>(1)}, snapshot);
  EXPECT_EQ(addresses(snapshot->find_backend("x")), std::vector<std::string>{"b:1=100"});
  // The target whose upstream went.
  EXPECT_EQ(fault_texts(snapshot), std::vector<std::string>{"targets 2: its upstream " + id(1).text() + " is missing"});
}

TEST(Compile, a_disabled_service_takes_its_routes_out_and_back) {
  const auto route = R"({"hosts":["h"],"service":)" + reference(1) + "}";
  auto snapshot = compile_all({put_service(1, R"({"host":"a"})"), put_route(2, route)});
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 2u);
  snapshot = compile_all({put_service(1, R"({"host":"a","enabled":false})")}, snapshot);
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 0u);
  snapshot = compile_all({put_route(3, route)}, snapshot);
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 0u);
  EXPECT_EQ(snapshot->routes(), 2u);
  EXPECT_TRUE(snapshot->faults().empty());
  snapshot = compile_all({drop<model::Route>(2)}, snapshot);
  snapshot = compile_all({put_service(1, R"({"host":"a"})")}, snapshot);
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 3u);
}

TEST(Compile, a_missing_parent_is_reported_until_it_is_there) {
  auto snapshot =
      compile_all({put_route(1, R"({"hosts":["h"],"service":)" + reference(9) + "}"), put_target(2, 8, "a:1")});
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 0u);
  EXPECT_EQ(fault_texts(snapshot),
            (std::vector<std::string>{"routes 1: its service " + id(9).text() + " is missing",
                                      "targets 2: its upstream " + id(8).text() + " is missing"}));
  EXPECT_EQ(snapshot->faults()[0].origin.source, "test");
  snapshot = compile_all({put_service(9, R"({"host":"u"})"), put_upstream(8, R"({"name":"u"})")}, snapshot);
  EXPECT_TRUE(snapshot->faults().empty());
  ASSERT_TRUE(service_of(snapshot, {"GET h/"}));
  EXPECT_EQ(addresses(snapshot->backend(service_of(snapshot, {"GET h/"})->backend)),
            std::vector<std::string>{"a:1=100"});
  snapshot = compile_all({drop<model::Service>(9), drop<model::Upstream>(8)}, snapshot);
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 0u);
  EXPECT_EQ(snapshot->faults().size(), 2u);
  snapshot = compile_all({drop<model::Route>(1), drop<model::Target>(2)}, snapshot);
  EXPECT_TRUE(snapshot->faults().empty());
  EXPECT_EQ(snapshot->backend_slots(), 0u);
}

TEST(Compile, a_route_without_a_service_is_found) {
  const auto snapshot = compile_all({put_route(1, R"({"hosts":["h"]})")});
  const auto match = snapshot->match(Asked("GET h/").request());
  ASSERT_TRUE(match.route);
  EXPECT_EQ(match.route->service, no_slot);
  EXPECT_FALSE(snapshot->service(no_slot));
}

// Stores refuse all of these; they come from rows that someone else wrote.
TEST(Compile, a_faulty_object_keeps_its_last_good_version_and_is_reported) {
  const auto good = put_route(1, R"({"paths":["/old"]})");
  const std::vector<std::tuple<store::Change, std::string>> faulty = {
      {with(good, "paths", {"~/("}), "routes 1: path '~/(': the regular expression does not compile: missing ): /("},
      {with(good, "hosts", {"a*b"}),
       "routes 1: host 'a*b' has an invalid wildcard: one '*' as the whole leftmost or rightmost label is possible"},
      {with(good, "hosts", {"h:x"}), "routes 1: host 'h:x' is malformed: give a host name, with :port if wanted"},
      {with(good, "headers", {{"x", {"~*["}}}),
       "routes 1: header 'x': the regular expression does not compile: missing ]: ["},
      {with(good, "protocols", {"grpc"}),
       "routes 1: protocols hold neither http nor https; this version serves no others"},
  };
  for (const auto& [change, message] : faulty) {
    SCOPED_TRACE(message);
    auto snapshot = compile_all({change, put_route(2, R"({"paths":["/other"]})")});
    EXPECT_EQ(fault_texts(snapshot), std::vector{message});
    EXPECT_EQ(taker(snapshot, {"GET h/other"}), 2u);
    EXPECT_EQ(snapshot->routes(), 1u);
    snapshot = compile_all({good}, snapshot);
    EXPECT_TRUE(snapshot->faults().empty());
    snapshot = compile_all({change}, snapshot);
    EXPECT_EQ(fault_texts(snapshot), std::vector{message});
    EXPECT_EQ(taker(snapshot, {"GET h/old"}), 1u);
    snapshot = compile_all({drop<model::Route>(1)}, snapshot);
    EXPECT_TRUE(snapshot->faults().empty());
    EXPECT_EQ(taker(snapshot, {"GET h/old"}), 0u);
  }
}

TEST(Compile, so_do_services_and_targets) {
  const auto service = put_service(1, R"({"host":"a"})");
  auto snapshot = compile_all({service, put_upstream(2, R"({"name":"u"})"), put_target(3, 2, "a:1")});
  snapshot = compile_all({with(service, "protocol", "tcp"), with(put_target(3, 2, "a:1"), "target", "a:b")}, snapshot);
  EXPECT_EQ(fault_texts(snapshot),
            (std::vector<std::string>{"services 1: protocol 'tcp' is not served by this version: use http or https",
                                      "targets 3: target 'a:b' is malformed: give host:port"}));
  EXPECT_EQ(snapshot->find_service(id(1))->host, "a");
  EXPECT_EQ(addresses(snapshot->find_backend("u")), std::vector<std::string>{"a:1=100"});
  snapshot = compile_all({drop<model::Service>(1), drop<model::Target>(3)}, snapshot);
  EXPECT_TRUE(snapshot->faults().empty());
  EXPECT_TRUE(snapshot->find_backend("u")->targets.empty());
}

TEST(Compile, only_the_last_change_of_an_object_counts) {
  const auto snapshot = compile_all({put_route(1, R"({"hosts":["a"]})"), put_route(1, R"({"hosts":["b"]})"),
                                     put_route(2, R"({"hosts":["c"]})"), drop<model::Route>(2), drop<model::Route>(3)});
  EXPECT_EQ(taker(snapshot, {"GET a/"}), 0u);
  EXPECT_EQ(taker(snapshot, {"GET b/"}), 1u);
  EXPECT_EQ(taker(snapshot, {"GET c/"}), 0u);
  EXPECT_EQ(snapshot->routes(), 1u);
}

TEST(Compile, slots_of_deleted_objects_are_used_again) {
  SnapshotPtr snapshot;
  for (std::uint32_t i = 1; i <= 50; i++) {
    snapshot = compile_all({put_service(i, fmt::format(R"({{"host":"h{}"}})", i))}, snapshot);
    if (i > 2) snapshot = compile_all({drop<model::Service>(i - 2)}, snapshot);
    EXPECT_LE(snapshot->backend_slots(), 4u);
  }
  EXPECT_EQ(snapshot->services(), 2u);
}

// For the thread sanitizer: what is shared is only read, whoever drops a snapshot last.
TEST(Compile, threads_read_and_drop_snapshots_while_the_next_is_made) {
  const auto service = put_service(1, R"({"host":"a"})");
  auto snapshot = compile_all({service});
  std::mutex mutex;
  SnapshotPtr published = snapshot;
  std::atomic<bool> stop = false;
  std::atomic<int> lost = 0;
  const auto read = [&] {
    while (!stop) {
      SnapshotPtr mine;
      {
        std::lock_guard lock(mutex);
        mine = published;
      }
      const auto match = mine->match(Asked("GET h3/x").request());
      if (mine->find_route(id(13)) && (!match.route || !mine->service(match.route->service))) lost++;
    }
  };
  {
    std::jthread first(read), second(read);
    for (std::uint32_t i = 0; i < 300; i++) {
      const auto json = fmt::format(R"({{"hosts":["h{}"],"paths":["/x"],"service":{}}})", i % 10, reference(1));
      snapshot = compile_all({put_route(10 + i % 10, json), service}, snapshot);
      std::lock_guard lock(mutex);
      published = snapshot;
    }
    stop = true;
  }
  EXPECT_EQ(lost, 0);
}

TEST(Compile, the_first_snapshot_may_be_empty) {
  EXPECT_EQ(taker(std::make_shared<const Snapshot>(), {"GET h/"}), 0u);
  const auto snapshot = compile_all({});
  EXPECT_EQ(taker(snapshot, {"GET h/"}), 0u);
  EXPECT_EQ(snapshot->backend_slots(), 0u);
  EXPECT_TRUE(snapshot->changed_backends().empty());
}

}  // namespace
}  // namespace weir::snapshot
