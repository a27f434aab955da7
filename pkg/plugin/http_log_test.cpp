#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <thread>

#include "base/text.h"
#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// An HTTP server that notes what it is sent. Answers with the next of `statuses`, the last one for ever; 0: not at all.
class Collector {
 public:
  struct Request {
    std::string head, body;
    Clock::time_point at;
  };

  explicit Collector(std::vector<int> statuses = {200}) : statuses_(std::move(statuses)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept(); });
  }
  ~Collector() {
    stopping_ = true;
    thread_.join();
    for (auto& one : connections_) one.join();
    ::close(listener_);
  }
  std::string url(std::string_view path = "/log", std::string_view user = "") const {
    return fmt::format("http://{}127.0.0.1:{}{}", user, port, path);
  }
  std::vector<Request> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    come_.wait_for(lock, std::chrono::seconds(20), [&] { return requests_.size() >= count; });
    return requests_;
  }
  std::size_t connections() const { return accepted_; }
  std::uint16_t port = 0;

 private:
  bool readable(int fd) {
    while (!stopping_) {
      pollfd polled{fd, POLLIN, 0};
      if (::poll(&polled, 1, 20) > 0) return true;
    }
    return false;
  }
  void accept() {
    while (readable(listener_)) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++accepted_;
      connections_.emplace_back([this, fd] {
        serve(fd);
        ::close(fd);
      });
    }
  }
  void serve(int fd) {
    std::string bytes;
    char buffer[4096];
    while (readable(fd)) {
      const auto got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      bytes.append(buffer, static_cast<std::size_t>(got));
      while (take(fd, bytes)) {
      }
    }
  }
  bool take(int fd, std::string& bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) return false;
    const auto head = bytes.substr(0, end);
    std::size_t length = 0;
    if (const auto at = text::lower(head).find("content-length: "); at != head.npos)
      std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
    if (bytes.size() < end + 4 + length) return false;
    int status;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back({head, bytes.substr(end + 4, length), Clock::now()});
      status = statuses_[std::min(requests_.size(), statuses_.size()) - 1];
    }
    come_.notify_all();
    bytes.erase(0, end + 4 + length);
    const auto answer = fmt::format("HTTP/1.1 {} Fine\r\nContent-Length: 2\r\n\r\nok", status);
    return status == 0 || ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) > 0;
  }

  const std::vector<int> statuses_;
  int listener_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> accepted_{0};
  std::mutex mutex_;
  std::condition_variable come_;
  std::vector<Request> requests_;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

std::unique_ptr<const Plugin> instance(Services& services, const std::string& config, Uuid id = Uuid::random()) {
  const auto complete = http_log().config().complete_config(boost::json::parse(config).as_object());
  if (!complete) throw std::runtime_error(boost::json::serialize(complete.error().fields));
  auto made = http_log().make(*complete, {id, "the-log", {}, {}, {}}, services);
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

void log(const Plugin& plugin, std::string_view id) {
  FakeExchange x;
  x.request_id_ = id;
  plugin.log(x);
}

std::string id_of(const boost::json::value& entry) {
  return std::string(entry.at("request").at("id").as_string());
}

TEST(HttpLog, has_kongs_faults) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", R"("http_endpoint":"required field missing")"},
      {R"({"http_endpoint":"no-url"})", "missing scheme in url"},
      {R"({"http_endpoint":"http:///x"})", "missing host in url"},
      {R"({"http_endpoint":"{vault://env/x}"})", "vaults"},
      {R"({"http_endpoint":"http://h","method":"GET"})", "expected one of: POST, PUT, PATCH"},
      {R"({"http_endpoint":"http://h","headers":{"host":"x"}})", "cannot contain 'Host' header"},
      {R"({"http_endpoint":"http://h","headers":{"Content-Length":"1"}})", "cannot contain 'Content-Length' header"},
      {R"({"http_endpoint":"http://h","queue":{"concurrency_limit":2}})", "expected one of: -1, 1"},
      {R"({"http_endpoint":"http://h","queue":{"max_batch_size":0}})", "value should be between 1 and 1000000"},
      {R"({"http_endpoint":"http://h","custom_fields_by_lua":{"x":"return 1"}})", "Lua"},
  };
  for (const auto& [config, fault] : cases)
    EXPECT_NE(faults_of(http_log(), config).find(fault), std::string::npos)
        << config << " " << faults_of(http_log(), config);
}

TEST(HttpLog, sends_an_object_for_each_request) {
  Collector collector;
  Services services({}, nullptr);
  const auto plugin = instance(
      services, fmt::format(R"({{"http_endpoint":"{}","method":"PUT","content_type":"application/json; charset=utf-8",
        "headers":{{"X-Token":"abc"}}}})",
                            collector.url("/log?x=1", "us%40er:pass@")));
  log(*plugin, "one");
  const auto requests = collector.wait_for(1);
  ASSERT_EQ(requests.size(), 1u);
  const auto& head = requests[0].head;
  EXPECT_TRUE(head.starts_with("PUT /log?x=1 HTTP/1.1\r\n")) << head;
  for (const std::string line :
       {"Content-Type: application/json; charset=utf-8", "X-Token: abc", "Authorization: Basic dXNAZXI6cGFzcw=="})
    EXPECT_NE(head.find("\r\n" + line), std::string::npos) << line << "\n" << head;
  EXPECT_EQ(head.find("Expect"), std::string::npos) << head;
  EXPECT_EQ(id_of(boost::json::parse(requests[0].body)), "one");
}

TEST(HttpLog, keeps_its_connection_and_the_order) {
  Collector collector;
  Services services({}, nullptr);
  const auto plugin = instance(services, fmt::format(R"({{"http_endpoint":"{}"}})", collector.url()));
  for (int i = 0; i < 50; ++i) log(*plugin, std::to_string(i));
  const auto requests = collector.wait_for(50);
  ASSERT_EQ(requests.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(id_of(boost::json::parse(requests[i].body)), std::to_string(i));
  EXPECT_EQ(collector.connections(), 1u);
}

TEST(HttpLog, sends_batches_as_arrays) {
  for (const auto sizes :
       {R"("queue":{"max_batch_size":10,"max_coalescing_delay":0.2})", R"("queue_size":10,"flush_timeout":0.2)"}) {
    Collector collector;
    Services services({}, nullptr);
    const auto plugin = instance(services, fmt::format(R"({{"http_endpoint":"{}",{}}})", collector.url(), sizes));
    for (int i = 0; i < 25; ++i) log(*plugin, std::to_string(i));
    const auto requests = collector.wait_for(3);
    ASSERT_EQ(requests.size(), 3u);
    int next = 0;
    for (const std::size_t i : {0, 1, 2}) {
      const auto batch = boost::json::parse(requests[i].body).as_array();
      EXPECT_EQ(batch.size(), i < 2 ? 10u : 5u);
      for (const auto& entry : batch) EXPECT_EQ(id_of(entry), std::to_string(next++));
    }
    EXPECT_GE(requests[2].at - requests[1].at, milliseconds(100));  // it waited for more
  }
}

TEST(HttpLog, tries_again_with_a_growing_delay_until_it_is_taken) {
  Collector collector({500, 503, 429, 201});
  Services services({}, nullptr);
  const auto plugin = instance(
      services, fmt::format(R"({{"http_endpoint":"{}","queue":{{"initial_retry_delay":0.05}}}})", collector.url()));
  log(*plugin, "one");
  log(*plugin, "two");
  const auto requests = collector.wait_for(5);
  ASSERT_EQ(requests.size(), 5u);
  for (const std::size_t i : {0, 1, 2, 3}) EXPECT_EQ(id_of(boost::json::parse(requests[i].body)), "one");
  EXPECT_EQ(id_of(boost::json::parse(requests[4].body)), "two");
  EXPECT_GE(requests[1].at - requests[0].at, milliseconds(50));
  EXPECT_GE(requests[2].at - requests[1].at, milliseconds(100));
  EXPECT_GE(requests[3].at - requests[2].at, milliseconds(200));
}

TEST(HttpLog, gives_a_batch_up_after_max_retry_time_and_goes_on) {
  Collector collector({500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 200});
  Services services({}, nullptr);
  const Uuid id = Uuid::random();
  const auto config = fmt::format(
      R"({{"http_endpoint":"{}","queue":{{"initial_retry_delay":0.02,"max_retry_delay":0.02,"max_retry_time":0.1}}}})",
      collector.url());
  const auto plugin = instance(services, config, id);
  for (int i = 0; i < 10; ++i) log(*plugin, std::to_string(i));
  const auto requests = collector.wait_for(19);
  ASSERT_GE(requests.size(), 19u);
  EXPECT_NE(id_of(boost::json::parse(requests[18].body)), "0");
}

TEST(HttpLog, keeps_the_newest_entries_when_its_queue_is_full) {
  Outbox outbox;
  Delivery delivery;
  delivery.url = "http://127.0.0.1:1/";  // nobody is there
  delivery.entries_max = 100;
  delivery.bytes_max = 1000;
  delivery.batch_max = 1000;
  delivery.coalescing = std::chrono::seconds(60);
  const auto queue = outbox.open(Uuid::random(), delivery);
  for (int i = 0; i < 150; ++i) queue->add("x");
  EXPECT_EQ(queue->dropped(), 50u);
  queue->add(std::string(950, 'y'));  // 100 entries, of 1049 bytes
  EXPECT_EQ(queue->dropped(), 50u + 1 + 49);
}

TEST(HttpLog, sends_what_is_queued_before_the_node_stops) {
  Collector collector;
  {
    Services services({}, nullptr);
    const auto plugin = instance(
        services, fmt::format(R"({{"http_endpoint":"{}","queue":{{"max_batch_size":4,"max_coalescing_delay":3600}}}})",
                              collector.url()));
    for (int i = 0; i < 6; ++i) log(*plugin, std::to_string(i));
  }
  EXPECT_EQ(collector.wait_for(2).size(), 2u);
}

TEST(HttpLog, stops_in_time_when_the_server_does_not_answer) {
  Collector collector({0});
  const auto begin = Clock::now();
  {
    Services services({}, nullptr);
    const auto plugin = instance(services, fmt::format(R"({{"http_endpoint":"{}"}})", collector.url()));
    log(*plugin, "one");
    EXPECT_EQ(collector.wait_for(1).size(), 1u);
  }
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
}

TEST(HttpLog, gives_up_a_request_after_its_timeout_and_sends_it_again) {
  Collector collector({0, 200});
  Services services({}, nullptr);
  const auto plugin = instance(services, fmt::format(R"({{"http_endpoint":"{}","timeout":100}})", collector.url()));
  log(*plugin, "one");
  const auto requests = collector.wait_for(2);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].body, requests[1].body);
  EXPECT_GE(requests[1].at - requests[0].at, milliseconds(90));
}

TEST(HttpLog, keeps_its_queue_when_its_configuration_changes) {
  Collector old_one({500}), new_one;
  Services services({}, nullptr);
  const Uuid id = Uuid::random();
  const auto first = instance(services, fmt::format(R"({{"http_endpoint":"{}"}})", old_one.url()), id);
  log(*first, "one");
  ASSERT_GE(old_one.wait_for(1).size(), 1u);
  const auto second = instance(services, fmt::format(R"({{"http_endpoint":"{}"}})", new_one.url()), id);
  const auto requests = new_one.wait_for(1);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(id_of(boost::json::parse(requests[0].body)), "one");
}

TEST(HttpLog, sends_every_entry_of_many_workers_once) {
  Collector collector;
  Services services({}, nullptr);
  const auto plugin = instance(
      services, fmt::format(R"({{"http_endpoint":"{}","queue":{{"max_batch_size":50,"max_coalescing_delay":0.05,
        "concurrency_limit":-1}}}})",
                            collector.url()));
  constexpr int threads = 4, entries = 500;
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      for (int i = 0; i < entries; ++i) log(*plugin, fmt::format("{}-{}", t, i));
    });
  for (auto& worker : workers) worker.join();
  std::multiset<std::string> seen;
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (seen.size() < threads * entries && Clock::now() < deadline) {
    seen.clear();
    for (const auto& request : collector.wait_for(40)) {
      const auto batch = boost::json::parse(request.body).as_array();
      for (const auto& entry : batch) seen.insert(id_of(entry));
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(threads * entries));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
}

}  // namespace
}  // namespace weir::plugin
