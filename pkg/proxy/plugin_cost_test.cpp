// What plugins cost in memory: nothing where there are none, and nothing per request once it has run a while.
#include <cstdlib>
#include <new>

#include "proxy/gateway_test_support.h"
#include "proxy/plugin_test_support.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
thread_local std::uint64_t allocations = 0;  // of this thread

void* counted(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes);
}
void* operator new[](std::size_t bytes) {
  return counted(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace weir::proxy::testing {
namespace {

// Allocations of the worker's thread for 200 requests over one connection, after as many that do not count.
std::uint64_t allocations_of(Gate& gate, Origin& origin, const std::string& request) {
  auto client = gate.client();
  Socket upstream;
  const auto ask = [&] {
    client.send(request);
    if (upstream.fd() < 0) upstream = origin.accept();
    upstream.head();
    upstream.send(ok);
    EXPECT_EQ(read_reply(client).status, 200);
  };
  const auto now = [&] {
    std::promise<std::uint64_t> count;
    gate.worker->peek("", [&](const auto&) {
      ::operator delete(::operator new(1));  // which is seen, so others would be
      count.set_value(allocations);
    });
    return count.get_future().get();
  };
  for (int i = 0; i < 200; i++) ask();
  const auto before = now();
  for (int i = 0; i < 200; i++) ask();
  const auto spent = now() - before;
  EXPECT_GT(spent, 0u) << "the test's own one is not counted";
  return spent;
}

// The same where upstreams answer by themselves.
std::uint64_t allocations_of(Gate& gate, std::uint16_t port, const std::string& request) {
  auto client = Socket::connect(port);
  const auto ask = [&] {
    client.send(request);
    EXPECT_EQ(read_reply(client).status, 200);
  };
  const auto now = [&] {
    std::promise<std::uint64_t> count;
    gate.worker->peek("", [&](const auto&) { count.set_value(allocations); });
    return count.get_future().get();
  };
  for (int i = 0; i < 200; i++) ask();
  const auto before = now();
  for (int i = 0; i < 200; i++) ask();
  return now() - before;
}

constexpr std::uint64_t of_asking = 10;  // the test's own question

TEST(Cost, of_a_request_without_plugins_is_no_allocation) {
  Gate gate;
  Origin origin;
  gate.serve({origin.target()});
  EXPECT_LE(allocations_of(gate, origin, get), of_asking);
}

TEST(Cost, of_a_gateway_route_with_weights_timeouts_and_filters_is_no_allocation) {
  GatewayGate gate;
  Answerer one, two;
  model::Filters filters;
  filters.rewrite =
      model::Rewrite{"inner.test.with.a.long.name", {model::PathModifier::Kind::prefix, "/a/long/prefix"}};
  filters.request.set = {{"X-A-Header-With-Some-Length", "and a value that is longer than others"}};
  filters.response.add = {{"X-A-Header-With-Some-Length", "and a value that is longer than others"}};
  auto route = with_filters(route_to({{1, 70}, {2, 30}}), filters);
  route.path = "/old";
  route.request_timeout = route.backend_timeout = std::chrono::seconds(10);
  gate.serve({gate.backend(1, one.port()), gate.backend(2, two.port())}, route);
  EXPECT_LE(allocations_of(gate, gate.open(), "GET /old/and/some/more HTTP/1.1\r\nHost: a.test\r\n\r\n"), of_asking);
}

TEST(Cost, of_plugins_that_edit_and_log_is_no_allocation) {
  PluginGate gate;
  Origin origin;
  gate.serve({origin.target()});
  const auto& schema = model::schema<model::Service>();
  gate.add("first", {.access =
                         [&](View& x) {
                           if (!x.lookup({&schema, "name", "web"})) return Step::wait;
                           x.set_header("X-A-Header-With-Some-Length", "and a value that is longer than others");
                           x.set_raw_query("a=b");
                           return Step::next;
                         },
                     .header_filter = [](View& x) { x.set_response_header("X-Answer", "42"); },
                     .log = [](View& x) { EXPECT_EQ(x.header("host"), "a.test"); }});
  EXPECT_LE(allocations_of(gate, origin, get), of_asking);
}

}  // namespace
}  // namespace weir::proxy::testing

#endif
