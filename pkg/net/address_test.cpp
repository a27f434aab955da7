#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "net/resolver.h"

namespace weir::net {
namespace {

TEST(Address, reads_and_prints_ip_addresses_of_both_families) {
  struct Case {
    std::string_view text, printed;
    int family;
  };
  for (const auto& [text, printed, family] : {
           Case{"127.0.0.1", "127.0.0.1", AF_INET},
           Case{"255.255.255.255", "255.255.255.255", AF_INET},
           Case{"::1", "::1", AF_INET6},
           Case{"[::1]", "::1", AF_INET6},
           Case{"2001:DB8:0:0::5", "2001:db8::5", AF_INET6},
           Case{"::ffff:1.2.3.4", "::ffff:1.2.3.4", AF_INET6},
       }) {
    auto address = Address::from_ip(text, 8080);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ip(), printed);
    EXPECT_EQ(address->port(), 8080);
    EXPECT_EQ(address->get()->sa_family, family);
    EXPECT_EQ(address->size(), family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  }
}

TEST(Address, refuses_what_is_no_ip_address) {
  for (std::string_view text : {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "[127.0.0.1]", "[::1",
                                "::g", "[]", "[", "0x7f.1", "1234567890123456789012345678901234567890123456789"})
    EXPECT_FALSE(Address::from_ip(text, 1)) << text;
  EXPECT_FALSE(Address::from_ip(std::string_view("127.0.0.1\0x", 11), 1));
}

TEST(Address, compares_family_address_and_port) {
  auto address = [](std::string_view ip, std::uint16_t port) { return *Address::from_ip(ip, port); };
  EXPECT_EQ(address("10.0.0.1", 80), address("10.0.0.1", 80));
  EXPECT_EQ(address("::1", 80), address("0:0::1", 80));
  EXPECT_FALSE(address("10.0.0.1", 80) == address("10.0.0.1", 81));
  EXPECT_FALSE(address("10.0.0.1", 80) == address("10.0.0.2", 80));
  EXPECT_FALSE(address("::1", 80) == address("::2", 80));
  EXPECT_FALSE(address("::ffff:10.0.0.1", 80) == address("10.0.0.1", 80));
  EXPECT_FALSE(Address{} == address("0.0.0.0", 0));
  EXPECT_EQ(Address{}, Address{});
  EXPECT_EQ(Address{}.ip(), "");
  EXPECT_EQ(Address{}.port(), 0);
}

}  // namespace
}  // namespace weir::net
