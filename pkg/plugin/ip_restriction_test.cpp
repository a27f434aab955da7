#include "plugin/addresses.h"
#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

TEST(Addresses, holds_what_its_blocks_hold) {
  struct Case {
    std::vector<std::string> list;
    std::string address;
    bool in;
  };
  const Case cases[] = {
      {{"192.0.2.1"}, "192.0.2.1", true},
      {{"192.0.2.1"}, "192.0.2.2", false},
      {{"192.0.2.0/24"}, "192.0.2.255", true},
      {{"192.0.2.0/24"}, "192.0.3.0", false},
      {{"192.0.2.77/25"}, "192.0.2.127", true},
      {{"192.0.2.77/25"}, "192.0.2.128", false},
      {{"0.0.0.0/0"}, "255.255.255.255", true},
      {{"0.0.0.0/0"}, "::1", false},
      {{"::/0"}, "192.0.2.1", false},
      {{"::/0"}, "2001:db8::1", true},
      {{"2001:db8::/33"}, "2001:db8:7fff::1", true},
      {{"2001:db8::/33"}, "2001:db8:8000::1", false},
      {{"2001:DB8::1"}, "2001:0db8:0:0::1", true},
      {{"2001:db8::1/127"}, "2001:db8::", true},
      // An IPv4 client of an IPv6 socket, and lists that are written for one.
      {{"192.0.2.1"}, "::ffff:192.0.2.1", true},
      {{"::ffff:192.0.2.0/120"}, "192.0.2.9", true},
      {{"::ffff:192.0.2.0/120"}, "192.0.3.9", false},
      // Nested and touching blocks.
      {{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"}, "10.200.0.1", true},
      {{"10.1.2.3", "10.1.0.0/16", "10.0.0.0/8"}, "10.1.2.4", true},
      {{"10.0.0.0/9", "10.128.0.0/9"}, "10.255.0.1", true},
      {{"10.0.0.1", "10.0.0.3", "10.0.0.5"}, "10.0.0.4", false},
      {{"10.0.0.1", "10.0.0.3", "10.0.0.5"}, "10.0.0.5", true},
      {{}, "10.0.0.1", false},
  };
  for (const auto& c : cases) {
    const auto set = Addresses::parse(c.list);
    ASSERT_TRUE(set);
    Address address;
    ASSERT_TRUE(parse_address(c.address, address)) << c.address;
    EXPECT_EQ(set->contains(address), c.in) << fmt::format("{} in {}", c.address, fmt::join(c.list, " "));
  }
}

TEST(Addresses, agrees_with_a_plain_comparison_of_all_short_prefixes) {
  // Every block of 4 bits below 16 addresses apart, against a mask written the plain way.
  for (unsigned bits = 24; bits <= 32; bits++) {
    for (unsigned base = 0; base < 256; base += 7) {
      const auto set = Addresses::parse({fmt::format("10.0.0.{}/{}", base, bits)});
      ASSERT_TRUE(set);
      const unsigned mask = 0xffu << (32 - bits) & 0xff;
      for (unsigned last = 0; last < 256; last++) {
        Address address;
        ASSERT_TRUE(parse_address(fmt::format("10.0.0.{}", last), address));
        EXPECT_EQ(set->contains(address), (last & mask) == (base & mask)) << base << "/" << bits << " " << last;
      }
    }
  }
}

TEST(Addresses, refuses_what_is_neither_an_address_nor_a_block) {
  for (const auto* text : {"", "x", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1",
                           "1.2.3.4/8x", "::/129", ":::", "/8", "1.2.3.4/ 8", "[::1]"})
    EXPECT_FALSE(Addresses::parse({text})) << text;
}

struct Case {
  std::string config, client;
  int answered = 0;
  std::string message = "";
};

TEST(IpRestriction, stops_by_the_client_s_address) {
  const Case cases[] = {
      {R"({"allow":["192.0.2.0/24"]})", "192.0.2.9"},
      {R"({"allow":["192.0.2.0/24"]})", "192.0.3.9", 403, "IP address not allowed: 192.0.3.9"},
      {R"({"deny":["192.0.2.0/24"]})", "192.0.3.9"},
      {R"({"deny":["192.0.2.0/24"]})", "192.0.2.9", 403, "IP address not allowed: 192.0.2.9"},
      {R"({"allow":["192.0.2.0/24"],"deny":["192.0.2.9"]})", "192.0.2.8"},
      {R"({"allow":["192.0.2.0/24"],"deny":["192.0.2.9"]})", "192.0.2.9", 403, "IP address not allowed: 192.0.2.9"},
      {R"({"allow":["2001:db8::/32"]})", "2001:db8:1::1"},
      {R"({"allow":["2001:db8::/32"]})", "2001:db9::1", 403, "IP address not allowed: 2001:db9::1"},
      {R"({"deny":["::/0"],"status":405,"message":"Go away"})", "::1", 405, "Go away"},
      {R"({"deny":["10.0.0.0/8"]})", "unix:", 403,
       "Cannot identify the client IP address, unix domain sockets are not supported."},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config + " " + c.client);
    const auto plugin = make_plugin(ip_restriction(), c.config);
    FakeExchange x;
    x.client_ip_ = c.client;
    x.peer_ip_ = "192.0.2.77";  // of a trusted proxy: does not count
    EXPECT_EQ(x.run_access(*plugin), c.answered ? Step::done : Step::next);
    EXPECT_EQ(x.answered, c.answered);
    EXPECT_EQ(x.answer, c.message);
  }
}

TEST(IpRestriction, says_what_is_wrong_with_a_configuration) {
  EXPECT_NE(faults_of(ip_restriction(), "{}")
                .find("at least one of these fields must be non-empty: 'config.allow', 'config.deny'"),
            std::string::npos);
  EXPECT_NE(faults_of(ip_restriction(), R"({"allow":["10.0.0.0/33"]})").find("invalid ip or cidr range: '10.0.0.0/33'"),
            std::string::npos);
  EXPECT_NE(faults_of(ip_restriction(), R"({"allow":["10.0.0.1"],"status":99})").find("status"), std::string::npos);
  EXPECT_TRUE(ip_restriction().consumer_scope);
}

// What the schema accepts, the plugin can be made of.
TEST(IpRestriction, is_made_of_all_that_its_schema_accepts) {
  for (const auto* text : {"1.2.3.4", "1.2.3.4/0", "001.002.003.004", "::", "::/0", "::1.2.3.4", "fe80::1/10",
                           "1.2.3.4/08", "::ffff:1.2.3.4/96", "1.2.3.4/32"}) {
    const auto config = fmt::format(R"({{"allow":["{}"]}})", text);
    if (faults_of(ip_restriction(), config).empty()) make_plugin(ip_restriction(), config);
  }
}

}  // namespace
}  // namespace weir::plugin
