#include "store/postgres_follow_events.h"

#include <algorithm>
#include <array>

#include "model/entities.h"
#include "store/cache_keys.h"

namespace weir::store {
namespace {

using model::Schema;

// Kong tells a row's key and the version it belongs to by two events, one right after the other.
constexpr auto explained_for = std::chrono::seconds(2);
constexpr std::size_t nodes_max = 1000;
// No key is longer; nothing longer is kept.
constexpr std::size_t data_max = 16 * 1024;

constexpr std::string_view core_channel = "invalidations_kong_core_db_cache";
constexpr std::string_view channel_of_others = "invalidations";

std::vector<std::string_view> parts_of(std::string_view key) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto colon = key.find(':');
    out.push_back(key.substr(0, colon));
    if (colon == std::string_view::npos) return out;
    key.remove_prefix(colon + 1);
  }
}

// Every text under which a node keeps rows that this key names.
void add_looked_up(std::set<std::string>& keys, const Schema& schema, std::string_view key) {
  const auto plain = without_workspace(key);
  keys.emplace(plain);
  auto value = plain.substr(std::min(plain.size(), schema.name().size() + 1));
  while (value.ends_with(':')) value.remove_suffix(1);
  if (value.empty()) return;
  // Keys of older versions have fewer colons.
  keys.insert(cache_key_of(schema.name(), value));
  if (schema.cache_key().empty()) return;
  // A list that the row is part of: "acls:<consumer>:::::" of "acls:<consumer>:<group>::::".
  for (const auto part : parts_of(value))
    if (!part.empty()) keys.insert(cache_key_of(schema.name(), part));
}

const Schema& targets() {
  return model::schema<model::Target>();
}

}  // namespace

std::size_t Named::size() const {
  std::size_t out = keys.size();
  for (const auto& [schema, named] : rows) out += named.size();
  return out;
}

void Named::merge(const Named& other) {
  keys.insert(other.keys.begin(), other.keys.end());
  for (const auto& [schema, named] : other.rows) {
    auto& mine = rows[schema];
    mine.ids.insert(named.ids.begin(), named.ids.end());
    mine.cache_keys.insert(named.cache_keys.begin(), named.cache_keys.end());
    mine.parents.insert(named.parents.begin(), named.parents.end());
    mine.all = mine.all || named.all;
  }
}

bool Events::take(std::string_view node, std::string_view channel, std::string_view data, Clock::time_point now) {
  if (data.empty() || data.size() > data_max) return false;
  if (channel == "balancer:upstreams") return take_upstream(data);
  if (channel == "balancer:targets") return take_targets(data);
  if (channel != core_channel && channel != channel_of_others) return false;
  if (data == "router:version" || data == "plugins_iterator:version") {
    unexplained_[data == "router:version" ? router : plugins].emplace(node);
    return true;
  }
  return take_key(node, data, now);
}

bool Events::take_key(std::string_view node, std::string_view key, Clock::time_point now) {
  const auto colon = key.find(':');
  if (colon == std::string_view::npos) return false;
  const auto* schema = model::find_schema(key.substr(0, colon));
  if (schema == nullptr) return false;
  if (!schema->core()) {
    add_looked_up(named_.keys, *schema, key);
    return true;
  }
  if (!schema->cache_key().empty()) {
    named_.rows[schema].cache_keys.emplace(key);
  } else {
    const auto rest = key.substr(colon + 1);
    const auto id = Uuid::parse(rest.substr(0, rest.find(':')));
    if (!id) return false;
    named_.rows[schema].ids.insert(*id);
  }
  const auto explains = [&](Kind kind) {
    if (explained_[kind].size() > nodes_max) explained_[kind].clear();
    explained_[kind].insert_or_assign(std::string(node), now);
  };
  if (schema->name() == "routes" || schema->name() == "services") explains(router);
  if (schema->name() == "plugins") explains(plugins);
  return true;
}

// "<operation>:<workspace>:<id>:<name>", of older versions without the workspace.
bool Events::take_upstream(std::string_view data) {
  const auto parts = parts_of(data);
  auto& rows = named_.rows[&model::schema<model::Upstream>()];
  for (std::size_t i = std::min<std::size_t>(2, parts.size() - 1); i > 0; i--)
    if (const auto id = Uuid::parse(parts[i])) {
      rows.ids.insert(*id);
      return true;
    }
  // Of all of them, without saying which.
  rows.all = true;
  return true;
}

// "<operation>:<upstream id>"; "all" of older versions.
bool Events::take_targets(std::string_view data) {
  const auto parts = parts_of(data);
  auto& rows = named_.rows[&targets()];
  if (const auto id = parts.size() > 1 ? Uuid::parse(parts[1]) : std::nullopt)
    rows.parents.insert(*id);
  else
    rows.all = true;
  return true;
}

Named Events::finish(Clock::time_point now) {
  for (const auto kind : {router, plugins}) {
    std::erase_if(explained_[kind], [&](const auto& seen) { return now - seen.second > explained_for; });
    for (const auto& node : unexplained_[kind]) {
      if (explained_[kind].contains(node)) continue;
      if (kind == plugins) {
        named_.rows[&model::schema<model::Plugin>()].all = true;
      } else {
        named_.rows[&model::schema<model::Service>()].all = true;
        named_.rows[&model::schema<model::Route>()].all = true;
      }
    }
    unexplained_[kind].clear();
  }
  return std::exchange(named_, {});
}

}  // namespace weir::store
