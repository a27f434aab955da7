#include "net/resolver_reply.h"

#include <gtest/gtest.h>

#include <ares.h>

namespace weir::net {
namespace {

using State = Resolved::State;

// A packet by hand: header, the question "x" of the type, then records owned by a pointer to it.
class Packet {
 public:
  explicit Packet(int type)
      : bytes_{0, 1, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 0, static_cast<std::uint8_t>(type), 0, 1} {}
  Packet& record(int type, std::uint32_t ttl, std::vector<std::uint8_t> data) {
    ++bytes_[7];
    for (unsigned n : {0xc0u, 12u, 0u, static_cast<unsigned>(type), 0u, 1u, ttl >> 24, ttl >> 16, ttl >> 8, ttl, 0u,
                       static_cast<unsigned>(data.size())})
      bytes_.push_back(static_cast<std::uint8_t>(n));
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return *this;
  }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

const Question srv_of_x{"x", RecordType::srv}, a_of_x{"x", RecordType::a};

TEST(Reply, takes_the_lowest_ttl_of_srv_records) {
  Packet packet(33);
  packet.record(33, 300, {0, 1, 0, 5, 0, 80, 1, 'B', 0}).record(33, 20, {0, 1, 0, 0, 0, 81, 1, 'a', 0});
  auto reply = read_reply(srv_of_x, ARES_SUCCESS, packet.bytes());
  ASSERT_EQ(reply.state, State::ok) << reply.message;
  EXPECT_EQ(reply.ttl_seconds, 20u);
  EXPECT_EQ(reply.targets, (std::vector<SrvTarget>{{"a", 81, 1}, {"b", 80, 5}}));
}

TEST(Reply, counts_a_ttl_with_the_highest_bit_as_zero) {
  Packet packet(33);
  packet.record(33, 0xffffffff, {0, 1, 0, 5, 0, 80, 1, 'b', 0});
  EXPECT_EQ(read_reply(srv_of_x, ARES_SUCCESS, packet.bytes()).ttl_seconds, 0u);
}

TEST(Reply, knows_that_a_dot_as_target_means_no_service) {
  Packet packet(33);
  packet.record(33, 60, {0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(read_reply(srv_of_x, ARES_SUCCESS, packet.bytes()).state, State::not_found);
}

TEST(Reply, maps_the_resolver_s_status) {
  struct Case {
    int status;
    State state;
  };
  for (const auto& [status, state] : {Case{ARES_ENOTFOUND, State::not_found}, Case{ARES_ENODATA, State::not_found},
                                      Case{ARES_ESERVFAIL, State::failed}, Case{ARES_ETIMEOUT, State::failed},
                                      Case{ARES_EREFUSED, State::failed}, Case{ARES_ECONNREFUSED, State::failed}}) {
    auto reply = read_reply(a_of_x, status, {});
    EXPECT_EQ(reply.state, state);
    EXPECT_TRUE(reply.message.starts_with("A x: ")) << reply.message;
  }
}

TEST(Reply, survives_every_cut_of_a_packet) {
  Packet packet(33);
  packet.record(33, 300, {0, 1, 0, 5, 0, 80, 1, 'b', 0}).record(33, 20, {0, 1, 0, 0, 0, 81, 1, 'a', 0});
  for (std::size_t size = 0; size < packet.bytes().size(); ++size)
    for (auto type : {RecordType::a, RecordType::aaaa, RecordType::srv}) {
      std::vector<std::uint8_t> cut(packet.bytes().begin(), packet.bytes().begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_NE(read_reply({"x", type}, ARES_SUCCESS, cut).state, State::ok) << size;
    }
}

TEST(RecordType, has_a_name_in_any_case) {
  EXPECT_EQ(parse_record_type("srv"), RecordType::srv);
  EXPECT_EQ(parse_record_type("Aaaa"), RecordType::aaaa);
  EXPECT_FALSE(parse_record_type("CNAME"));
  EXPECT_EQ(name(RecordType::a), "A");
}

}  // namespace
}  // namespace weir::net
