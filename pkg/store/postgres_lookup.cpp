// Looking rows up: what many ask for is gathered while the last question is under way, and asked by one statement for
// each pair of schema and field.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "model/rules.h"
#include "store/lookup.h"
#include "store/postgres_lookup_batches.h"
#include "store/postgres_table.h"
#include "store/table.h"

namespace weir::store {
namespace {

constexpr std::size_t waiting_max = 100'000;
constexpr std::size_t values_at_once = 1000;  // of one statement

struct Task {
  const Schema* schema = nullptr;
  const model::Field* field = nullptr;
  std::string value;
  std::function<void(Found, double)> done;
};

bool is_uuid(const model::Field& field) {
  return field.type == model::Type::foreign || field.automatic == model::Auto::uuid || field.uuid;
}

std::string_view value_in(const Object& row, const model::Field& field) {
  if (field.type == model::Type::foreign) return foreign_id(row, field.name);
  const auto* value = row.if_contains(field.name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What there is of each value.
struct Answers {
  struct One {
    Found found;
    double expires_at = 0;
  };
  std::map<std::string, One, std::less<>> by_value;

  void take(const Schema& schema, const model::Field& field, Object row, double now) {
    const auto at = by_value.find(value_in(row, field));
    if (at == by_value.end()) return;
    if (auto good = schema.check(row); !good)
      return log::warn("a row that does not satisfy its schema is left out",
                       {{"entity", schema.name()}, {"id", id_of(row)}, {"error", good.error().message}});
    if (const auto* left = row.if_contains(model::ttl_field); left != nullptr && left->is_number()) {
      const double until = now + left->to_number<double>();
      auto& expires_at = at->second.expires_at;
      expires_at = expires_at == 0 ? until : std::min(expires_at, until);
    }
    at->second.found.rows.push_back(std::make_shared<const Object>(std::move(row)));
  }
};

using Group = std::vector<Task*>;  // of one schema and field

Pg<> ask(PostgresConnection& connection, const Group& group, Answers& answers) {
  const auto& schema = *group.front()->schema;
  const auto& field = *group.front()->field;
  const auto& table = postgres_table_of(schema);
  std::vector<std::string> values;
  for (const auto* task : group) {
    // What the column cannot hold is in no row.
    if (is_uuid(field) ? Uuid::parse(task->value).has_value() : task->value.find('\0') == std::string::npos)
      values.push_back(task->value);
    answers.by_value.try_emplace(task->value);
  }
  if (values.empty()) return {};
  // The index of a unique text begins with the workspace.
  const auto sql = fmt::format("{} WHERE \"{}\" = ANY($1::{}[]) AND {}{} ORDER BY id", table.select(),
                               table.column_of(field), is_uuid(field) ? "uuid" : "text", table.live(),
                               is_uuid(field) ? "" : " AND ws_id = (SELECT id FROM workspaces WHERE name = 'default')");
  const double now = unix_now();
  auto rows = connection.query(sql, {postgres_array(values)});
  // A connection that was cut, as when the server restarted: the next one may be good.
  if (!rows && rows.error().away && !connection.connected()) rows = connection.query(sql, {postgres_array(values)});
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (int row = 0; row < rows->rows(); row++) {
    if (auto entity = table.read(*rows, row))
      answers.take(schema, field, std::move(*entity), now);
    else
      log::warn("a row that cannot be read is left out",
                {{"entity", schema.name()}, {"error", entity.error().message}});
  }
  return {};
}

void refuse(Task& task, const std::string&) {
  if (task.done) std::exchange(task.done, nullptr)(Found{true, {}}, 0);
}

Pg<> answer_group(PostgresConnection& connection, const Group& group) {
  Answers answers;
  if (auto asked = ask(connection, group, answers); !asked) {
    if (asked.error().away) return asked;
    // The statement is at fault (a table that lacks a column): the server is there.
    log::error("rows cannot be looked up",
               {{"entity", group.front()->schema->name()}, {"error", asked.error().message}});
    for (auto* task : group) refuse(*task, {});
    return {};
  }
  for (auto* task : group) {
    const auto& one = answers.by_value.find(task->value)->second;
    std::exchange(task->done, nullptr)(one.found, one.expires_at);
  }
  return {};
}

Pg<> answer(PostgresConnection& connection, std::vector<Task>& batch) {
  std::map<std::pair<const Schema*, const model::Field*>, Group> groups;
  for (auto& task : batch) groups[{task.schema, task.field}].push_back(&task);
  for (const auto& [of, group] : groups)
    for (std::size_t at = 0; at < group.size(); at += values_at_once) {
      const auto end = std::min(group.size(), at + values_at_once);
      const Group part(group.begin() + static_cast<std::ptrdiff_t>(at),
                       group.begin() + static_cast<std::ptrdiff_t>(end));
      // Those that were answered have no `done` any more; the rest is refused.
      if (auto answered = answer_group(connection, part); !answered) return answered;
    }
  batch.clear();
  return {};
}

class PostgresLookup final : public Lookup {
 public:
  explicit PostgresLookup(const PostgresServer& server) : batches_("lookups", server, waiting_max, answer, refuse) {}

  void find(const LookupKey& key, std::function<void(Found, double)> done) override {
    const auto* field = key.schema->field(key.field);
    WEIR_ASSERT(field != nullptr);
    std::string value(key.value);
    if (is_uuid(*field))
      if (const auto id = Uuid::parse(value)) value = id->text();
    batches_.ask({key.schema, field, std::move(value), std::move(done)});
  }

 private:
  PostgresBatches<Task> batches_;
};

}  // namespace

std::unique_ptr<Lookup> postgres_lookup(const PostgresServer& server) {
  return std::make_unique<PostgresLookup>(server);
}

}  // namespace weir::store
