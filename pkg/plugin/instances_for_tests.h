// For the tests of plugins: instances made as the snapshot makes them, and rows that plugins look up.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "model/entities.h"
#include "plugin/fake_exchange.h"
#include "plugin/plugin.h"
#include "plugin/services.h"

namespace weir::plugin {

inline Services& test_services() {
  static Services services({}, nullptr);
  return services;
}

// What is wrong with a configuration (JSON): the fields of Kong's error, "" when nothing is.
inline std::string faults_of(const Kind& kind, std::string_view config) {
  const auto complete = kind.config().complete_config(boost::json::parse(config).as_object());
  return complete ? "" : boost::json::serialize(complete.error().fields);
}

// A configured instance; the configuration is completed by the kind's schema.
inline std::unique_ptr<const Plugin> make_plugin(const Kind& kind, std::string_view config) {
  EXPECT_EQ(faults_of(kind, config), "") << config;
  const auto complete = kind.config().complete_config(boost::json::parse(config).as_object());
  if (!complete) return std::make_unique<Plugin>();
  auto made = kind.make(*complete, Scope{}, test_services());
  EXPECT_TRUE(made) << made.error().message;
  return made ? std::move(*made) : std::make_unique<Plugin>();
}

inline constexpr std::string_view alice_id = "11111111-1111-4111-8111-111111111111";
inline constexpr std::string_view guest_id = "22222222-2222-4222-8222-222222222222";
inline constexpr std::string_view credential_id = "33333333-3333-4333-8333-333333333333";

// Consumers alice (with a custom id) and guest.
inline void add_consumers(FakeExchange& x) {
  const auto& consumers = model::schema<model::Consumer>();
  x.add_row(consumers, {{"id", alice_id}, {"username", "alice"}, {"custom_id", "a-1"}});
  x.add_row(consumers, {{"id", guest_id}, {"username", "guest"}, {"custom_id", nullptr}});
}

// What the upstream is told of the caller: id, custom id, username, credential, anonymous.
inline std::string told(const FakeExchange& x) {
  return x.sent("x-consumer-id") + " " + x.sent("x-consumer-custom-id") + " " + x.sent("x-consumer-username") + " " +
         x.sent("x-credential-identifier") + " " + x.sent("x-anonymous-consumer");
}

}  // namespace weir::plugin
