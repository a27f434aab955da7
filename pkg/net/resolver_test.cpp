#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "net/resolver_stub_server.h"

namespace weir::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using State = Resolved::State;

// "ip:port/weight name" of each record.
std::vector<std::string> records(const ResolvedPtr& resolved) {
  std::vector<std::string> result;
  for (const auto& record : resolved->records)
    result.push_back(
        fmt::format("{}:{}/{} {}", record.address.ip(), record.address.port(), record.weight, record.name));
  return result;
}

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    ::setenv("LOCALDOMAIN", "", 1);  // the machine's own search list stays out of it
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-resolver-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    options_.servers = {dns_.server()};
    options_.hosts_file = folder_ / "hosts";
    options_.timeout = 50ms;
    options_.attempts = 2;
    options_.error_ttl = 0s;
    options_.not_found_ttl = 0s;
  }
  ~ResolverTest() override {
    resolver_.reset();
    std::filesystem::remove_all(folder_);
  }

  Resolver& resolver() {
    if (!resolver_) {
      auto started = Resolver::start(options_, [this](const std::string& name, ResolvedPtr resolved) {
        std::lock_guard lock(mutex_);
        changes_.emplace_back(name, std::move(resolved));
        changed_.notify_all();
      });
      if (!started) throw std::runtime_error(started.error().message);
      resolver_ = std::move(*started);
    }
    return *resolver_;
  }

  // The next change of this name that was not looked at yet.
  ResolvedPtr next_change(const std::string& name) {
    std::unique_lock lock(mutex_);
    for (auto deadline = std::chrono::steady_clock::now() + 20s;;) {
      auto found = std::ranges::find(changes_, name, &std::pair<std::string, ResolvedPtr>::first);
      if (found != changes_.end()) {
        auto resolved = found->second;
        changes_.erase(found);
        return resolved;
      }
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
        ADD_FAILURE() << "no change of " << name;
        return std::make_shared<Resolved>(
            Resolved{.state = State::failed, .type = "none", .message = "", .records = {}});
      }
    }
  }
  std::size_t changes_waiting() {
    std::lock_guard lock(mutex_);
    return changes_.size();
  }
  ResolvedPtr first_answer(const std::string& name) {
    auto resolved = resolver().watch(name);
    return resolved ? resolved : next_change(name);
  }
  // Until the server was asked `more` times again.
  void wait_for_queries(const std::string& name, int type, std::size_t more) {
    auto goal = dns_.asked(name, type) + more;
    for (auto deadline = std::chrono::steady_clock::now() + 20s; dns_.asked(name, type) < goal;) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << name << " is not asked for";
      std::this_thread::yield();
    }
  }
  void write_hosts(std::string_view text) {
    auto next = folder_ / "hosts.next";
    std::ofstream(next) << text;
    std::filesystem::rename(next, folder_ / "hosts");
  }

  StubServer dns_;
  std::filesystem::path folder_;
  Resolver::Options options_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::string, ResolvedPtr>> changes_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, answers_an_ip_address_at_once_without_a_query) {
  auto v4 = resolver().watch("10.1.2.3");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->type, "A");
  EXPECT_THAT(records(v4), ElementsAre("10.1.2.3:0/0 10.1.2.3"));
  auto v6 = resolver().watch("[fd00::1]");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->type, "AAAA");
  EXPECT_THAT(records(v6), ElementsAre("fd00::1:0/0 [fd00::1]"));
  EXPECT_EQ(dns_.asked(), 0u);
}

TEST_F(ResolverTest, answers_localhost_at_once_without_a_query) {
  auto resolved = resolver().watch("localhost");
  ASSERT_TRUE(resolved);
  EXPECT_THAT(records(resolved), ElementsAre("127.0.0.1:0/0 localhost"));
  EXPECT_EQ(dns_.asked(), 0u);
}

TEST_F(ResolverTest, refuses_a_name_that_dns_cannot_have_without_a_query) {
  for (const std::string& name :
       std::vector<std::string>{"", "a b", "a..b", ".", "-.!", std::string(64, 'a'), "ho\nst"}) {
    auto resolved = resolver().watch(name);
    ASSERT_TRUE(resolved) << name;
    EXPECT_EQ(resolved->state, State::failed) << name;
    EXPECT_THAT(resolved->message, HasSubstr("not a valid host name"));
  }
  EXPECT_EQ(dns_.asked(), 0u);
}

TEST_F(ResolverTest, sorts_the_addresses_of_a_name_and_names_each_once) {
  dns_.a("web.test", {"10.0.0.9", "10.0.0.1", "10.0.0.9", "9.255.0.1"});
  auto resolved = first_answer("web.test");
  EXPECT_EQ(resolved->state, State::ok);
  EXPECT_EQ(resolved->type, "A");
  EXPECT_FALSE(resolved->stale);
  EXPECT_THAT(records(resolved),
              ElementsAre("9.255.0.1:0/0 web.test", "10.0.0.1:0/0 web.test", "10.0.0.9:0/0 web.test"));
  EXPECT_EQ(resolver().find("web.test"), resolved);
}

TEST_F(ResolverTest, takes_aaaa_when_there_is_no_a) {
  dns_.aaaa("six.test", {"fd00::2", "fd00::1"});
  auto resolved = first_answer("six.test");
  EXPECT_EQ(resolved->type, "AAAA");
  EXPECT_THAT(records(resolved), ElementsAre("fd00::1:0/0 six.test", "fd00::2:0/0 six.test"));
}

TEST_F(ResolverTest, obeys_the_order_of_types) {
  options_.order = {"AAAA", "A"};
  dns_.a("both.test", {"10.0.0.1"});
  dns_.aaaa("both.test", {"fd00::1"});
  dns_.srv("both.test", {{0, 0, 80, "both.test"}});
  EXPECT_EQ(first_answer("both.test")->type, "AAAA");
  EXPECT_EQ(dns_.asked("both.test", ns_t_srv), 0u);
}

TEST_F(ResolverTest, follows_an_alias) {
  dns_.cname("alias.test", "web.test");
  dns_.a("web.test", {"10.0.0.7"});
  EXPECT_THAT(records(first_answer("alias.test")), ElementsAre("10.0.0.7:0/0 alias.test"));
}

TEST_F(ResolverTest, tries_the_search_list) {
  ::setenv("LOCALDOMAIN", "cluster.test", 1);
  dns_.a("web.cluster.test", {"10.0.0.8"});
  EXPECT_THAT(records(first_answer("web")), ElementsAre("10.0.0.8:0/0 web"));
}

TEST_F(ResolverTest, takes_the_srv_records_of_lowest_priority_and_resolves_their_targets) {
  dns_.srv("_http._tcp.test",
           {{5, 10, 8081, "b.test"}, {5, 0, 8080, "a.test"}, {9, 99, 9000, "spare.test"}, {5, 3, 80, "10.9.9.9"}});
  dns_.a("a.test", {"10.0.0.2", "10.0.0.1"});
  dns_.aaaa("b.test", {"fd00::b"});
  auto resolved = first_answer("_http._tcp.test");
  EXPECT_EQ(resolved->type, "SRV");
  EXPECT_THAT(records(resolved), ElementsAre("10.9.9.9:80/3 10.9.9.9", "10.0.0.1:8080/1 a.test",
                                             "10.0.0.2:8080/1 a.test", "fd00::b:8081/10 b.test"));
  EXPECT_EQ(dns_.asked("spare.test", ns_t_a), 0u);
}

TEST_F(ResolverTest, leaves_out_srv_targets_without_an_address) {
  dns_.srv("part.test", {{0, 1, 80, "gone.test"}, {0, 1, 81, "here.test"}});
  dns_.a("here.test", {"10.0.0.1"});
  EXPECT_THAT(records(first_answer("part.test")), ElementsAre("10.0.0.1:81/1 here.test"));
  dns_.srv("none.test", {{0, 1, 80, "gone.test"}});
  auto none = first_answer("none.test");
  EXPECT_EQ(none->state, State::not_found);
  EXPECT_THAT(none->message, HasSubstr("no target has an address"));
}

TEST_F(ResolverTest, says_why_a_name_has_no_address) {
  EXPECT_EQ(first_answer("gone.test")->state, State::not_found);
  dns_.fail("broken.test", ns_t_a, ns_r_servfail);
  dns_.fail("broken.test", ns_t_srv, ns_r_servfail);
  dns_.fail("broken.test", ns_t_aaaa, ns_r_servfail);
  auto broken = first_answer("broken.test");
  EXPECT_EQ(broken->state, State::failed);
  EXPECT_THAT(broken->message, HasSubstr("broken.test"));
  EXPECT_THAT(records(broken), IsEmpty());
  EXPECT_GT(resolver().counts().failures, 0u);
}

TEST_F(ResolverTest, does_without_srv_when_only_that_query_fails) {
  dns_.fail("old.test", ns_t_srv, ns_r_notimpl);
  dns_.a("old.test", {"10.0.0.1"});
  EXPECT_THAT(records(first_answer("old.test")), ElementsAre("10.0.0.1:0/0 old.test"));
}

TEST_F(ResolverTest, asks_again_when_a_query_is_lost) {
  options_.attempts = 100;
  options_.order = {"A"};
  dns_.silence("slow.test", ns_t_a);
  EXPECT_FALSE(resolver().watch("slow.test"));
  wait_for_queries("slow.test", ns_t_a, 2);
  dns_.a("slow.test", {"10.0.0.1"});
  EXPECT_EQ(next_change("slow.test")->state, State::ok);
  EXPECT_EQ(resolver().counts().failures, 0u);
}

TEST_F(ResolverTest, gives_up_after_its_attempts_and_comes_back) {
  dns_.silence_all();
  auto resolved = first_answer("web.test");
  EXPECT_EQ(resolved->state, State::failed);
  EXPECT_THAT(resolved->message, HasSubstr("Timeout"));
  dns_.recover();
  dns_.a("web.test", {"10.0.0.1"});
  EXPECT_EQ(next_change("web.test")->state, State::ok);
}

TEST_F(ResolverTest, asks_again_when_the_time_to_live_is_over_and_tells_of_differences_only) {
  options_.valid_ttl = 10ms;
  dns_.a("web.test", {"10.0.0.1", "10.0.0.2"});
  EXPECT_THAT(records(first_answer("web.test")), ElementsAre("10.0.0.1:0/0 web.test", "10.0.0.2:0/0 web.test"));
  wait_for_queries("web.test", ns_t_a, 5);
  dns_.a("web.test", {"10.0.0.2", "10.0.0.1"});  // the same in another order
  wait_for_queries("web.test", ns_t_a, 5);
  EXPECT_EQ(changes_waiting(), 0u);
  dns_.a("web.test", {"10.0.0.3"});
  EXPECT_THAT(records(next_change("web.test")), ElementsAre("10.0.0.3:0/0 web.test"));
}

TEST_F(ResolverTest, keeps_an_answer_for_its_time_to_live) {
  dns_.a("long.test", {"10.0.0.1"}, 600);
  dns_.a("short.test", {"10.0.0.1"}, 0);
  first_answer("long.test");
  first_answer("short.test");
  auto began = std::chrono::steady_clock::now();
  wait_for_queries("short.test", ns_t_a, 1);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 900ms);  // TTL 0 counts as a second
  EXPECT_EQ(dns_.asked("long.test", ns_t_a), 1u);
}

TEST_F(ResolverTest, takes_the_time_to_live_of_srv_records_from_the_packet) {
  dns_.srv("brief.test", {{0, 1, 80, "web.test"}}, 1);
  dns_.srv("lasting.test", {{0, 1, 80, "web.test"}}, 600);
  dns_.a("web.test", {"10.0.0.1"}, 600);
  first_answer("lasting.test");
  first_answer("brief.test");
  wait_for_queries("brief.test", ns_t_srv, 1);
  EXPECT_EQ(dns_.asked("lasting.test", ns_t_srv), 1u);
}

TEST_F(ResolverTest, asks_for_the_type_that_answered_last) {
  options_.valid_ttl = 10ms;
  dns_.a("web.test", {"10.0.0.1"});
  first_answer("web.test");
  wait_for_queries("web.test", ns_t_a, 4);
  EXPECT_EQ(dns_.asked("web.test", ns_t_srv), 1u);
  EXPECT_EQ(dns_.asked("web.test", ns_t_aaaa), 0u);
  // When that type is gone, the others are asked again.
  dns_.forget("web.test", ns_t_a);
  dns_.aaaa("web.test", {"fd00::1"});
  EXPECT_EQ(next_change("web.test")->type, "AAAA");
}

TEST_F(ResolverTest, serves_the_last_good_answer_while_dns_is_away) {
  options_.valid_ttl = 10ms;
  dns_.a("web.test", {"10.0.0.1"});
  first_answer("web.test");
  dns_.fail_all(ns_r_servfail);
  wait_for_queries("web.test", ns_t_a, 3);
  auto stale = resolver().find("web.test");
  EXPECT_TRUE(stale->stale);
  EXPECT_EQ(stale->state, State::ok);
  EXPECT_THAT(records(stale), ElementsAre("10.0.0.1:0/0 web.test"));
  EXPECT_GT(resolver().counts().stale_answers, 0u);
  EXPECT_EQ(changes_waiting(), 0u);
  dns_.recover();
  dns_.a("web.test", {"10.0.0.2"});
  auto fresh = next_change("web.test");
  EXPECT_FALSE(fresh->stale);
  EXPECT_THAT(records(fresh), ElementsAre("10.0.0.2:0/0 web.test"));
}

TEST_F(ResolverTest, gives_a_stale_answer_up_after_its_time) {
  options_.valid_ttl = 10ms;
  options_.stale_ttl = 1s;
  dns_.a("web.test", {"10.0.0.1"});
  first_answer("web.test");
  dns_.fail_all(ns_r_refused);
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(next_change("web.test")->state, State::failed);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 500ms);
}

TEST_F(ResolverTest, believes_dns_that_a_name_is_gone) {
  options_.valid_ttl = 10ms;
  dns_.a("web.test", {"10.0.0.1"});
  first_answer("web.test");
  dns_.forget("web.test", ns_t_a);
  EXPECT_EQ(next_change("web.test")->state, State::not_found);
  dns_.a("web.test", {"10.0.0.1"});
  EXPECT_EQ(next_change("web.test")->state, State::ok);
}

TEST_F(ResolverTest, keeps_the_addresses_of_an_srv_target_that_cannot_be_resolved_now) {
  options_.valid_ttl = 10ms;
  dns_.srv("svc.test", {{0, 1, 80, "a.test"}, {0, 1, 81, "b.test"}});
  dns_.a("a.test", {"10.0.0.1"});
  dns_.a("b.test", {"10.0.0.2"});
  first_answer("svc.test");
  dns_.fail("b.test", ns_t_a, ns_r_servfail);
  dns_.fail("b.test", ns_t_aaaa, ns_r_servfail);
  dns_.a("a.test", {"10.0.0.9"});
  EXPECT_THAT(records(next_change("svc.test")), ElementsAre("10.0.0.9:80/1 a.test", "10.0.0.2:81/1 b.test"));
}

TEST_F(ResolverTest, obeys_the_hosts_file_and_its_changes) {
  options_.valid_ttl = 10ms;
  write_hosts("10.5.5.5 web.test alias # comment\n");
  dns_.a("web.test", {"10.0.0.1"});
  auto resolved = resolver().watch("Web.Test");
  ASSERT_TRUE(resolved);
  EXPECT_THAT(records(resolved), ElementsAre("10.5.5.5:0/0 Web.Test"));
  EXPECT_EQ(dns_.asked(), 0u);
  write_hosts("10.6.6.6 web.test\n");
  EXPECT_THAT(records(next_change("Web.Test")), ElementsAre("10.6.6.6:0/0 Web.Test"));
  write_hosts("\n");
  EXPECT_THAT(records(next_change("Web.Test")), ElementsAre("10.0.0.1:0/0 Web.Test"));
}

TEST_F(ResolverTest, forgets_a_name_with_its_last_unwatch) {
  options_.valid_ttl = 10ms;
  dns_.a("web.test", {"10.0.0.1"});
  auto resolved = first_answer("web.test");
  EXPECT_EQ(resolver().watch("web.test"), resolved);
  resolver().unwatch("web.test");
  wait_for_queries("web.test", ns_t_a, 2);
  resolver().unwatch("web.test");
  EXPECT_FALSE(resolver().find("web.test"));
  // What is asked after a later name was resolved would be asked for ever.
  dns_.a("other.test", {"10.0.0.2"});
  first_answer("other.test");
  auto before = dns_.asked("web.test", ns_t_a);
  wait_for_queries("other.test", ns_t_a, 5);
  EXPECT_LE(dns_.asked("web.test", ns_t_a), before + 1);
  // Watched again, it is resolved anew.
  EXPECT_THAT(records(first_answer("web.test")), ElementsAre("10.0.0.1:0/0 web.test"));
  resolver().unwatch("never.watched");
}

TEST_F(ResolverTest, resolves_thousands_of_names) {
  constexpr int names = 2000;
  auto name = [](int i) { return fmt::format("n{}.test", i); };
  for (int i = 0; i < names; ++i) dns_.a(name(i), {fmt::format("10.0.{}.{}", i / 250, i % 250)});
  for (int i = 0; i < names; ++i) resolver().watch(name(i));
  for (int i = 0; i < names; ++i) EXPECT_EQ(next_change(name(i))->state, State::ok) << name(i);
  EXPECT_GE(resolver().counts().queries, std::uint64_t{names});
}

TEST_F(ResolverTest, stops_with_queries_in_flight) {
  dns_.silence_all();
  for (int i = 0; i < 500; ++i) resolver().watch(fmt::format("n{}.test", i));
  wait_for_queries("n0.test", ns_t_a, 0);
}

TEST_F(ResolverTest, may_be_called_by_several_threads) {
  options_.valid_ttl = 10ms;
  dns_.a("web.test", {"10.0.0.1"});
  auto& shared = resolver();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&shared] {
      for (int i = 0; i < 500; ++i) {
        shared.watch("web.test");
        auto resolved = shared.find("web.test");
        EXPECT_TRUE(!resolved || resolved->state == State::ok);
        shared.unwatch("web.test");
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(shared.find("web.test"));
}

TEST(ResolverStart, names_the_setting_that_is_wrong) {
  struct Case {
    std::vector<std::string> servers, order;
    std::string_view complaint;
  };
  for (const auto& [servers, order, complaint] : {
           Case{{"dns.example"}, {"A"}, "dns_resolver: \"dns.example\" is not an IP address"},
           Case{{"127.0.0.1:x"}, {"A"}, "dns_resolver: \"127.0.0.1:x\""},
           Case{{}, {"A", "MX"}, "dns_order: \"MX\" is no record type"},
           Case{{}, {"LAST", "SRV"}, "dns_order: without A or AAAA"},
           Case{{}, {}, "dns_order: without A or AAAA"},
       }) {
    Resolver::Options options;
    options.servers = servers;
    options.order = order;
    auto started = Resolver::start(options, nullptr);
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message, HasSubstr(std::string(complaint)));
  }
}

}  // namespace
}  // namespace weir::net
