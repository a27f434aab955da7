// For tests of this folder: kinds of plugins that do nothing, and plugins of them.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <iterator>
#include <string>

#include "model/plugin_schemas.h"
#include "model/schema_builder.h"
#include "plugin/plugin.h"
#include "plugin/services.h"
#include "snapshot/tables.h"
#include "snapshot/test_support.h"

namespace weir::snapshot::testing {

struct TestConfig {
  std::string word = "good";
};

inline std::atomic<int>& made() {  // how many instances were ever made
  static std::atomic<int> count = 0;
  return count;
}

template <int number>
const plugin::Kind& test_kind(std::string_view name, int priority, std::uint8_t phases) {
  static const auto declared =
      model::SchemaBuilder<TestConfig>(name).field("word", &TestConfig::word, "A word.").build();
  static const plugin::Kind kind{.name = name,
                                 .priority = priority,
                                 .phases = phases,
                                 .config = []() -> const model::Schema& { return declared.schema; },
                                 .make = [](const model::Object& config, const plugin::Scope&,
                                            plugin::Services&) -> Result<std::unique_ptr<const plugin::Plugin>> {
                                   const auto word = declared.read(config).word;
                                   if (word == "bad") return fail("word '{}' cannot be used", word);
                                   ++made();
                                   return std::make_unique<plugin::Plugin>();
                                 }};
  return kind;
}

inline std::span<const plugin::Kind* const> test_kinds() {
  static const plugin::Kind* const all[] = {
      &test_kind<0>("high", 1000, plugin::phase_access), &test_kind<1>("middle", 500, plugin::phase_rewrite),
      &test_kind<2>("other-middle", 500, plugin::phase_log), &test_kind<3>("low", 1, plugin::phase_log),
      &test_kind<4>("unknown", 0, 0)};  // has a schema, but find_test_kind does not know it
  return all;
}

inline const plugin::Kind* find_test_kind(std::string_view name) {
  for (const auto* kind : test_kinds())
    if (kind->name == name && name != "unknown") return kind;
  return nullptr;
}

inline void install_test_kinds() {
  std::vector<model::PluginSchema> schemas;
  for (const auto* kind : test_kinds()) schemas.push_back({kind->name, &kind->config(), true, kind->priority});
  model::install_plugin_schemas(std::move(schemas));
}

struct PluginScope {
  std::uint32_t route = 0, service = 0, consumer = 0;  // 0: none
  std::string extra = {};                              // further fields
};

inline store::Change put_plugin(std::uint32_t number, std::string_view name, const PluginScope& scope = {}) {
  auto json = fmt::format(R"({{"name":"{}")", name);
  const auto refer = [&](std::string_view field, std::uint32_t to) {
    if (to != 0) json += fmt::format(R"(,"{}":{})", field, reference(to));
  };
  refer("route", scope.route);
  refer("service", scope.service);
  refer("consumer", scope.consumer);
  if (!scope.extra.empty()) json += "," + scope.extra;
  return put<model::Plugin>(number, json + "}");
}

// In place of the Gateway API's filters.
inline std::unique_ptr<const plugin::Plugin> make_test_filters(const model::GatewayRoute& route) {
  return route.filters ? std::make_unique<plugin::Plugin>() : nullptr;
}

inline SnapshotPtr compile_plugins(const store::Changes& changes, const SnapshotPtr& previous = nullptr,
                                   std::span<const model::GatewayChange> gateway = {}) {
  static plugin::Services services({}, nullptr);
  static const PluginMakers makers{find_test_kind, &test_kind<5>("filters", 2000, plugin::phase_access),
                                   make_test_filters};
  return compile_with(previous, changes, "test", &services, makers, gateway);
}

inline std::uint32_t number_of(const PluginInstance& plugin) {
  std::uint32_t number = 0;
  for (std::size_t i = 12; i < 16; i++) number = number << 8 | plugin.origin.id.bytes[i];
  return number;
}
template <class List>
std::string numbers(const List& plugins) {
  std::string out;
  for (const auto& plugin : plugins) out += fmt::format("{}{}", out.empty() ? "" : " ", number_of(*plugin));
  return out;
}
inline std::string numbers(const Chain* chain) {
  return chain ? numbers(chain->plugins) : "";
}

inline std::string faults(const Snapshot& snapshot) {
  std::string out;
  for (const auto& fault : snapshot.faults()) out += fmt::format("{}: {}\n", fault.origin.id.bytes[15], fault.message);
  return out;
}

}  // namespace weir::snapshot::testing
