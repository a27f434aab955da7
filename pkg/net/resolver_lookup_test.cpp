#include "net/resolver_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum RecordType;
using State = Resolved::State;

TypeOrder order(std::vector<std::string> words = {"LAST", "SRV", "A", "AAAA"}) {
  return *TypeOrder::parse(words);
}
std::shared_ptr<const Hosts> hosts(std::string_view file = "") {
  return std::make_shared<const Hosts>(Hosts::parse(file));
}
Reply addresses(std::vector<std::string_view> ips, std::uint32_t ttl = 60) {
  Reply reply{.state = State::ok, .message = "", .ttl_seconds = ttl, .addresses = {}, .targets = {}};
  for (auto ip : ips) reply.addresses.push_back(*Address::from_ip(ip, 0));
  return reply;
}
Reply targets(std::vector<SrvTarget> list, std::uint32_t ttl = 60) {
  return {.state = State::ok, .message = "", .ttl_seconds = ttl, .addresses = {}, .targets = std::move(list)};
}
Reply without(State state, std::string message = "no") {
  return {.state = state, .message = std::move(message), .ttl_seconds = 0, .addresses = {}, .targets = {}};
}

TEST(TypeOrder, puts_the_last_successful_type_where_LAST_stands) {
  EXPECT_THAT(order().after(std::nullopt), ElementsAre(srv, a, aaaa));
  EXPECT_THAT(order().after(aaaa), ElementsAre(aaaa, srv, a));
  EXPECT_THAT(order({"srv", "last", "a", "cname", "a"}).after(aaaa), ElementsAre(srv, aaaa, a));
  EXPECT_THAT(order({"A", "LAST"}).after(a), ElementsAre(a));
}

TEST(Lookup, asks_the_first_two_types_at_once_and_the_others_when_needed) {
  Lookup lookup("web", order(), std::nullopt, hosts(), nullptr);
  EXPECT_THAT(lookup.questions(), ElementsAre(Question{"web", srv}, Question{"web", a}));
  EXPECT_THAT(lookup.questions(), IsEmpty());
  lookup.answer({"web", a}, without(State::not_found));
  EXPECT_THAT(lookup.questions(), IsEmpty());
  lookup.answer({"web", srv}, without(State::not_found));
  EXPECT_THAT(lookup.questions(), ElementsAre(Question{"web", aaaa}));
  EXPECT_FALSE(lookup.outcome());
  lookup.answer({"web", aaaa}, addresses({"fd00::1"}, 7));
  auto outcome = lookup.outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->type, aaaa);
  EXPECT_EQ(outcome->ttl_seconds, 7u);
}

TEST(Lookup, waits_for_the_type_that_comes_first_in_the_order) {
  Lookup lookup("web", order(), std::nullopt, hosts(), nullptr);
  lookup.questions();
  lookup.answer({"web", a}, addresses({"10.0.0.1"}));
  EXPECT_FALSE(lookup.outcome());
  lookup.answer({"web", srv}, targets({{"10.0.0.2", 80, 1}}));
  ASSERT_TRUE(lookup.outcome());
  EXPECT_EQ(lookup.outcome()->type, srv);
}

TEST(Lookup, ignores_replies_to_what_it_did_not_ask) {
  Lookup lookup("web", order(), std::nullopt, hosts(), nullptr);
  lookup.questions();
  lookup.answer({"other", srv}, addresses({"10.0.0.1"}));
  EXPECT_FALSE(lookup.outcome());
  lookup.answer({"web", srv}, without(State::not_found));
  lookup.answer({"web", srv}, without(State::failed));  // the second of two
  lookup.answer({"web", a}, addresses({"10.0.0.1"}));
  EXPECT_EQ(lookup.outcome()->resolved.state, State::ok);
}

TEST(Lookup, fails_rather_than_pass_over_the_type_that_used_to_answer) {
  auto previous = std::make_shared<Resolved>();
  previous->type = "SRV";
  Lookup lookup("svc", order(), srv, hosts(), previous);
  EXPECT_THAT(lookup.questions(), ElementsAre(Question{"svc", srv}));
  lookup.answer({"svc", srv}, without(State::failed, "timed out"));
  ASSERT_TRUE(lookup.outcome());
  EXPECT_EQ(lookup.outcome()->resolved.state, State::failed);
  EXPECT_THAT(lookup.outcome()->resolved.message, HasSubstr("timed out"));
  EXPECT_THAT(lookup.questions(), IsEmpty());
}

TEST(Lookup, tells_a_name_that_is_gone_from_a_server_that_is_away) {
  struct Case {
    State srv, a, aaaa, result;
  };
  for (const auto& c : {Case{State::not_found, State::not_found, State::not_found, State::not_found},
                        Case{State::not_found, State::failed, State::not_found, State::failed},
                        Case{State::failed, State::failed, State::failed, State::failed}}) {
    Lookup lookup("web", order(), std::nullopt, hosts(), nullptr);
    lookup.questions();
    lookup.answer({"web", srv}, without(c.srv));
    lookup.answer({"web", a}, without(c.a));
    lookup.answer({"web", aaaa}, without(c.aaaa));
    ASSERT_TRUE(lookup.outcome());
    EXPECT_EQ(lookup.outcome()->resolved.state, c.result);
  }
}

TEST(Lookup, asks_for_each_srv_target_once_and_takes_the_lowest_ttl) {
  Lookup lookup("svc", order(), srv, hosts("10.7.7.7 known\n"), nullptr);
  lookup.questions();
  lookup.answer({"svc", srv}, targets({{"a.test", 80, 1}, {"a.test", 81, 2}, {"known", 82, 3}, {"svc", 83, 4}}));
  EXPECT_THAT(lookup.questions(), ElementsAre(Question{"a.test", a}, Question{"svc", a}));
  lookup.answer({"a.test", a}, addresses({"10.0.0.1"}, 9));
  lookup.answer({"svc", a}, addresses({"10.0.0.2"}, 40));
  auto outcome = lookup.outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->resolved.records.size(), 4u);
  EXPECT_EQ(outcome->ttl_seconds, 9u);
  EXPECT_FALSE(outcome->in_part);
}

TEST(Lookup, leaves_out_srv_targets_that_are_no_names) {
  Lookup lookup("svc", order(), srv, hosts(), nullptr);
  lookup.questions();
  lookup.answer({"svc", srv}, targets({{"a b", 80, 1}, {"10.0.0.1", 81, 2}}));
  EXPECT_THAT(lookup.questions(), IsEmpty());
  ASSERT_TRUE(lookup.outcome());
  EXPECT_EQ(lookup.outcome()->resolved.records.size(), 1u);
}

TEST(Lookup, fails_when_no_srv_target_can_be_resolved_now) {
  Lookup lookup("svc", order({"SRV", "A"}), std::nullopt, hosts(), nullptr);
  lookup.questions();
  lookup.answer({"svc", srv}, targets({{"a.test", 80, 1}}));
  lookup.questions();
  lookup.answer({"a.test", a}, without(State::failed, "A a.test: refused"));
  ASSERT_TRUE(lookup.outcome());
  EXPECT_EQ(lookup.outcome()->resolved.state, State::failed);
  EXPECT_EQ(lookup.outcome()->resolved.message, "A a.test: refused");
}

TEST(Hosts, reads_names_and_aliases_of_both_families) {
  auto file = Hosts::parse(
      "# comment\n"
      "10.0.0.2\tweb.test  web\r\n"
      "10.0.0.1 WEB # second\n"
      "  fd00::1 web six.\n"
      "10.0.0.300 bad\n"
      "10.0.0.4\n"
      "\n"
      "10.0.0.5 last");
  auto list = [&](std::string_view name, std::vector<RecordType> types = {a, aaaa}) {
    std::string result;
    for (const auto& address : file.find(name, types).addresses) result += address.ip() + " ";
    return result;
  };
  EXPECT_EQ(list("web"), "10.0.0.1 10.0.0.2 ");
  EXPECT_EQ(list("Web."), "10.0.0.1 10.0.0.2 ");
  EXPECT_EQ(list("web", {srv, aaaa, a}), "fd00::1 ");
  EXPECT_EQ(list("web.test", {aaaa}), "");
  EXPECT_EQ(list("six"), "fd00::1 ");
  EXPECT_EQ(list("last"), "10.0.0.5 ");
  EXPECT_EQ(list("bad"), "");
  EXPECT_EQ(list("comment"), "");
  EXPECT_EQ(list("localhost"), "127.0.0.1 ");
  EXPECT_EQ(list("localhost", {aaaa}), "::1 ");
}

TEST(Hosts, lets_the_file_say_what_localhost_is) {
  auto file = Hosts::parse("127.0.0.9 localhost\n");
  EXPECT_EQ(file.find("localhost", std::vector{a}).addresses.at(0).ip(), "127.0.0.9");
  EXPECT_TRUE(Hosts::read("/nonexistent").find("web", std::vector{a}).addresses.empty());
  EXPECT_FALSE(mark_of("/nonexistent"));
  EXPECT_FALSE(mark_of(""));
}

TEST(DnsName, is_labels_of_letters_digits_hyphens_and_underscores) {
  for (std::string_view good : {"a", "a.b", "a.b.", "_http._tcp.web", "xn--bcher-kva.test", "1.test", "A-1_b"})
    EXPECT_TRUE(is_dns_name(good)) << good;
  for (std::string_view bad : {"", ".", "..", "a..b", ".a", "a b", "a/b", "*.a", "b\xc3\xbc"})
    EXPECT_FALSE(is_dns_name(bad)) << bad;
  std::string label(63, 'a');
  EXPECT_TRUE(is_dns_name(label + "." + label));
  EXPECT_FALSE(is_dns_name(label + "a"));
  std::string longest;
  while (longest.size() < 252) longest += "a.";
  EXPECT_TRUE(is_dns_name(longest + "a"));
  EXPECT_FALSE(is_dns_name(longest + "a.a"));
}

}  // namespace
}  // namespace weir::net
