#include "store/postgres_events.h"

#include <unordered_set>

#include <fmt/format.h>

#include "model/rules.h"
#include "store/cache_keys.h"
#include "store/table.h"

namespace weir::store {
namespace {

constexpr auto core_channel = "invalidations_kong_core_db_cache";
constexpr auto channel = "invalidations";

std::string_view operation(const RowChange& change) {
  if (!change.now) return "delete";
  return change.before ? "update" : "create";
}

// Kong keeps its core entities in one cache and all else in another one; each has its channel.
const char* channel_of(const Schema& schema) {
  return schema.core() ? core_channel : channel;
}

class List {
 public:
  explicit List(std::string_view workspace) : workspace_(workspace) {}

  void add(std::string_view name, std::string data) {
    if (seen_.insert(fmt::format("{}\n{}", name, data)).second) events_.push_back({std::string(name), std::move(data)});
  }
  void add(const RowChange& change) {
    const auto& schema = *change.schema;
    for (const auto& key : change_of(change).keys)
      add(channel_of(schema), schema.workspaced() ? key + workspace_ : key);
    const Object& entity = change.now ? *change.now : *change.before;
    if (schema.name() == "routes" || (schema.name() == "services" && operation(change) == "update"))
      add(core_channel, "router:version");
    if (schema.name() == "plugins") add(core_channel, "plugins_iterator:version");
    if (schema.name() == "upstreams")
      add("balancer:upstreams", fmt::format("{}:{}:{}:{}", operation(change), workspace_, change.id.text(),
                                            model::text_of(model::value_of(entity, "name"))));
    if (schema.name() == "snis") {  // Kong looks them up by name
      for (const auto* row : {change.before ? &*change.before : nullptr, change.now ? &*change.now : nullptr})
        if (row)
          if (const auto name = model::text_of(model::value_of(*row, "name")); !name.empty())
            add(core_channel, fmt::format("snis:{}", name));
    }
    if (schema.name() == "targets")
      add("balancer:targets", fmt::format("{}:{}", operation(change), foreign_id(entity, "upstream")));
  }
  std::vector<ClusterEvent> take() { return std::move(events_); }

 private:
  std::string workspace_;
  std::vector<ClusterEvent> events_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

Change change_of(const RowChange& change) {
  const Object only_id{{"id", change.id.text()}};
  const Object* before = change.before ? &*change.before : change.now ? nullptr : &only_id;
  const Object* now = change.now ? &*change.now : nullptr;
  return {change.schema, change.id, change.now, cache_keys(*change.schema, before, now)};
}

std::vector<ClusterEvent> cluster_events(const std::vector<RowChange>& changes, std::string_view workspace) {
  List list(workspace);
  for (const auto& change : changes) {
    if (change.now || change.before) {
      list.add(change);
    } else {
      auto unread = change;  // deleted, and could not be read
      unread.before = Object{{"id", change.id.text()}};
      list.add(unread);
    }
  }
  return list.take();
}

}  // namespace weir::store
