// Which plugins run for a request, and that a change remakes no more of them than it must.
#include <gtest/gtest.h>

#include "snapshot/plugin_test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

class PluginChains : public ::testing::Test {
 protected:
  void SetUp() override { install_test_kinds(); }

  void apply(const store::Changes& changes) { snapshot_ = compile_plugins(changes, snapshot_); }
  std::string of_route(std::uint32_t number) const {
    return numbers(snapshot_->chain(snapshot_->find_route(id(number))));
  }
  std::string of_all() const { return numbers(snapshot_->chain(nullptr)); }
  std::string of_consumer(std::uint32_t route, std::uint32_t consumer) const {
    std::vector<const PluginInstance*> out;
    snapshot_->chain_of(snapshot_->find_route(id(route)), id(consumer), out);
    return numbers(out);
  }

  // Routes 1 and 2 of service 10, route 3 without one.
  static store::Changes base() {
    return {put_service(10, R"({"host":"h"})"), put_route(1, R"({"paths":["/1"],"service":)" + reference(10) + "}"),
            put_route(2, R"({"paths":["/2"],"service":)" + reference(10) + "}"), put_route(3, R"({"paths":["/3"]})")};
  }

  SnapshotPtr snapshot_;
};

TEST_F(PluginChains, are_null_when_there_are_no_plugins) {
  apply(base());
  EXPECT_EQ(snapshot_->chain(nullptr), nullptr);
  EXPECT_EQ(snapshot_->chain(snapshot_->find_route(id(1))), nullptr);
  EXPECT_FALSE(snapshot_->has_plugins_of(id(50)));
  EXPECT_EQ(of_consumer(1, 50), "");
  EXPECT_EQ(snapshot_->plugins(), 0u);
}

TEST_F(PluginChains, run_by_falling_priority_then_by_falling_name) {
  apply(base());
  apply({put_plugin(101, "low"), put_plugin(102, "high"), put_plugin(103, "middle"), put_plugin(104, "other-middle")});
  EXPECT_EQ(of_all(), "102 104 103 101");
  EXPECT_EQ(of_route(1), "102 104 103 101");
  EXPECT_EQ(snapshot_->chain(nullptr)->phases, plugin::phase_access | plugin::phase_log | plugin::phase_rewrite);
}

TEST_F(PluginChains, have_the_most_specific_instance_of_each_kind) {
  apply(base());
  apply({put_plugin(101, "high"), put_plugin(102, "low")});
  apply({put_plugin(103, "high", {.service = 10})});
  EXPECT_EQ(of_route(1), "103 102");
  EXPECT_EQ(of_route(3), "101 102");
  apply({put_plugin(104, "high", {.route = 1})});
  EXPECT_EQ(of_route(1), "104 102");
  EXPECT_EQ(of_route(2), "103 102");
  apply({put_plugin(105, "high", {.route = 1, .service = 10})});
  EXPECT_EQ(of_route(1), "105 102");
  EXPECT_EQ(of_all(), "101 102");
}

TEST_F(PluginChains, follow_kongs_order_for_consumers) {
  apply(base());
  apply({put_plugin(101, "high"), put_plugin(102, "high", {.service = 10}), put_plugin(103, "high", {.route = 1}),
         put_plugin(104, "high", {.consumer = 50}), put_plugin(105, "high", {.route = 1, .service = 10}),
         put_plugin(106, "high", {.service = 10, .consumer = 50}),
         put_plugin(107, "high", {.route = 1, .consumer = 50}),
         put_plugin(108, "high", {.route = 1, .service = 10, .consumer = 50})});
  for (const auto* expected : {"108", "107", "106", "105", "104", "103", "102", "101"}) {
    EXPECT_EQ(of_consumer(1, 50), expected);
    apply({drop<model::Plugin>(static_cast<std::uint32_t>(std::stoi(expected)))});
  }
  EXPECT_EQ(of_consumer(1, 50), "");
}

TEST_F(PluginChains, of_a_consumer_are_those_of_the_route_and_its_own) {
  apply(base());
  apply({put_plugin(101, "low"), put_plugin(102, "high", {.consumer = 50}),
         put_plugin(103, "middle", {.service = 10, .consumer = 50}),
         put_plugin(104, "other-middle", {.consumer = 51})});
  EXPECT_TRUE(snapshot_->has_plugins_of(id(50)));
  EXPECT_FALSE(snapshot_->has_plugins_of(id(52)));
  EXPECT_EQ(of_route(1), "101");
  EXPECT_EQ(of_consumer(1, 50), "102 103 101");
  EXPECT_EQ(of_consumer(3, 50), "102 101");
  EXPECT_EQ(of_consumer(3, 51), "104 101");
  EXPECT_EQ(of_consumer(3, 52), "101");
}

TEST_F(PluginChains, do_not_apply_a_plugin_of_a_route_and_a_service_that_do_not_belong_together) {
  apply(base());
  apply({put_plugin(101, "high", {.route = 1, .service = 11}),
         put_plugin(102, "high", {.route = 1, .service = 11, .consumer = 50})});
  EXPECT_EQ(of_route(1), "");
  EXPECT_EQ(of_consumer(1, 50), "");
  apply({put_service(11, R"({"host":"h"})"), put_route(1, R"({"paths":["/1"],"service":)" + reference(11) + "}")});
  EXPECT_EQ(of_route(1), "101");
  EXPECT_EQ(of_consumer(1, 50), "102");
}

TEST_F(PluginChains, wait_for_the_route_and_the_service_that_a_plugin_names) {
  apply({put_plugin(101, "high", {.service = 10}), put_plugin(102, "low", {.route = 1})});
  apply(base());
  EXPECT_EQ(of_route(1), "101 102");
  EXPECT_EQ(of_route(2), "101");
  apply({drop<model::Route>(1)});
  apply({drop<model::Service>(10)});
  apply({put_route(4, R"({"paths":["/4"]})"), put_route(1, R"({"paths":["/1"]})")});
  EXPECT_EQ(of_route(4), "");  // has the slot that was the other's
  EXPECT_EQ(of_route(1), "102");
}

TEST_F(PluginChains, follow_a_route_that_moves_to_another_service) {
  apply(base());
  apply({put_plugin(101, "high", {.service = 11}), put_plugin(102, "low", {.route = 1})});
  EXPECT_EQ(of_route(1), "102");
  apply({put_service(11, R"({"host":"h"})"), put_route(1, R"({"paths":["/1"],"service":)" + reference(11) + "}")});
  EXPECT_EQ(of_route(1), "101 102");
  apply({put_plugin(101, "high", {.service = 10})});
  EXPECT_EQ(of_route(1), "102");
}

TEST_F(PluginChains, leave_out_disabled_plugins_and_those_of_other_protocols) {
  apply(base());
  apply({put_plugin(101, "high"), put_plugin(102, "high", {.route = 1, .extra = R"("enabled":false)"}),
         put_plugin(103, "high", {.service = 10, .extra = R"("protocols":["grpc"])"}),
         put_plugin(104, "low", {.extra = R"("protocols":["grpc","https"])"})});
  EXPECT_EQ(of_route(1), "101 104");
  EXPECT_EQ(snapshot_->plugins(), 3u);
  EXPECT_EQ(snapshot_->plugins_of_kind("high"), 2u);
  EXPECT_EQ(snapshot_->plugins_of_kind("none"), 0u);
  const auto& low = *snapshot_->chain(nullptr)->plugins.back();
  EXPECT_FALSE(low.http);
  EXPECT_TRUE(low.https);
  apply({put_plugin(101, "high", {.extra = R"("enabled":false)"})});
  EXPECT_EQ(of_route(1), "104");
  EXPECT_EQ(snapshot_->plugins_of_kind("high"), 1u);
}

TEST_F(PluginChains, make_an_instance_once_and_share_it) {
  apply(base());
  const auto change = put_plugin(101, "high");
  const int before = made();
  apply({change});
  EXPECT_EQ(made(), before + 1);
  const auto first = snapshot_->chain(nullptr)->plugins.front();
  EXPECT_EQ(first->origin.id, id(101));
  EXPECT_EQ(first->origin.kind, "plugins");
  EXPECT_NE(first->plugin, nullptr);
  apply({put_plugin(102, "low"), change, put_plugin(103, "high", {.route = 1})});
  EXPECT_EQ(made(), before + 3);
  EXPECT_EQ(snapshot_->chain(nullptr)->plugins.front(), first);
  apply({put_plugin(101, "high", {.extra = R"("config":{"word":"changed"})"})});
  EXPECT_EQ(made(), before + 4);
  EXPECT_NE(snapshot_->chain(nullptr)->plugins.front(), first);
}

TEST_F(PluginChains, keep_the_last_good_version_of_a_plugin_and_tell_what_is_wrong) {
  apply(base());
  apply({put_plugin(101, "high")});
  const auto first = snapshot_->chain(nullptr)->plugins.front();
  apply({put_plugin(101, "high", {.extra = R"("config":{"word":"bad"})"}),
         put_plugin(102, "low", {.extra = R"("config":{"word":"bad"})"}), put_plugin(103, "unknown")});
  EXPECT_EQ(of_all(), "101");
  EXPECT_EQ(snapshot_->chain(nullptr)->plugins.front(), first);
  EXPECT_EQ(faults(*snapshot_),
            "101: plugin 'high': word 'bad' cannot be used\n"
            "102: plugin 'low': word 'bad' cannot be used\n"
            "103: plugin 'unknown' is not one of this version\n");
  apply({put_plugin(101, "high"), drop<model::Plugin>(102), drop<model::Plugin>(103)});
  EXPECT_EQ(faults(*snapshot_), "");
}

TEST_F(PluginChains, are_remade_only_where_the_change_is) {
  apply(base());
  apply({put_plugin(101, "low"), put_plugin(102, "high", {.service = 10}), put_plugin(103, "middle", {.route = 1}),
         put_plugin(104, "middle", {.route = 3})});
  const auto before = snapshot_;
  const auto chain = [](const SnapshotPtr& snapshot, std::uint32_t route) {
    return snapshot->chain(snapshot->find_route(id(route)));
  };
  apply({put_plugin(103, "middle", {.route = 1, .extra = R"("config":{"word":"new"})"})});
  EXPECT_NE(chain(before, 1), chain(snapshot_, 1));
  EXPECT_EQ(chain(before, 2), chain(snapshot_, 2));
  EXPECT_EQ(chain(before, 3), chain(snapshot_, 3));
  EXPECT_EQ(before->chain(nullptr), snapshot_->chain(nullptr));
  apply({put_plugin(105, "other-middle", {.service = 10})});
  EXPECT_EQ(of_route(1), "102 105 103 101");
  EXPECT_EQ(of_route(2), "102 105 101");
  EXPECT_EQ(chain(before, 3), chain(snapshot_, 3));
  apply({drop<model::Plugin>(101)});
  EXPECT_EQ(of_route(1), "102 105 103");
  EXPECT_EQ(of_route(3), "104");
  EXPECT_EQ(of_all(), "");
  EXPECT_EQ(numbers(chain(before, 1)), "102 103 101");  // no snapshot changes
}

TEST_F(PluginChains, prefer_the_smaller_id_of_two_that_may_not_be) {
  apply(base());
  apply({put_plugin(102, "high", {.route = 1}), put_plugin(101, "high", {.route = 1})});
  EXPECT_EQ(of_route(1), "101");
  apply({drop<model::Plugin>(101)});
  EXPECT_EQ(of_route(1), "102");
}

TEST_F(PluginChains, of_a_consumer_need_no_memory_when_there_is_room) {
  apply(base());
  apply({put_plugin(101, "low"), put_plugin(102, "high", {.consumer = 50})});
  std::vector<const PluginInstance*> out;
  out.reserve(8);
  const auto* place = out.data();
  snapshot_->chain_of(snapshot_->find_route(id(1)), id(50), out);
  EXPECT_EQ(numbers(out), "102 101");
  EXPECT_EQ(out.data(), place);
}

}  // namespace
}  // namespace weir::snapshot
