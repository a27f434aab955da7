#include "plugin/cluster_counters.h"

#include <charconv>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/uuid.h"
#include "store/postgres_lookup_batches.h"

namespace weir::plugin {
namespace {

using store::Pg;
using store::PostgresConnection;
using store::PostgresValue;

// Requests that wait at a time; each worker's connections are bounded far below it.
constexpr std::size_t waiting_max = 50'000;
// A request waits for its count: better none than a late one.
constexpr std::chrono::milliseconds timeout_max{2000};
constexpr int attempts = 3;  // of a statement that got in another one's way

// Rows are locked in the order of the arrays, which all nodes sort alike: so they never wait for each other in a
// circle.
constexpr const char* add_sql =
    "INSERT INTO ratelimiting_metrics (identifier, period, period_date, service_id, route_id, value, ttl) "
    "SELECT u.identifier, u.period, to_timestamp(u.start), u.service_id, u.route_id, u.amount, "
    "CURRENT_TIMESTAMP + u.seconds * interval '1 s' FROM unnest($1::text[], $2::text[], $3::float8[], $4::uuid[], "
    "$5::uuid[], $6::int[], $7::float8[]) AS u(identifier, period, start, service_id, route_id, amount, seconds) "
    "ON CONFLICT (identifier, period, period_date, service_id, route_id) DO UPDATE "
    "SET value = ratelimiting_metrics.value + excluded.value "
    "RETURNING identifier, period, (EXTRACT(EPOCH FROM period_date) * 1000)::bigint, service_id, route_id, value";

struct Task {
  std::vector<Window> windows;
  std::uint64_t amount = 0;
  std::function<void(std::shared_ptr<const Counted>)> done;
};

using Key = std::tuple<std::string, std::string, std::uint64_t, std::string, std::string>;
struct Sum {
  std::uint64_t added = 0;  // by the whole batch, then by those who were told already
  std::uint32_t seconds = 0;
  std::uint64_t before = 0;  // what the row held
};
using Sums = std::map<Key, Sum>;

std::string uuid_text(const std::string& text) {
  return Uuid::parse(text).value_or(Uuid{}).text();
}
Key key_of(const Window& window) {
  return {window.identifier, window.period, window.start_ms, uuid_text(window.service_id), uuid_text(window.route_id)};
}

std::uint64_t number(std::string_view text) {
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

void append(std::string& array, std::string_view text) {
  array += array.empty() ? "{\"" : ",\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') array += '\\';
    array += c;
  }
  array += '"';
}

std::vector<PostgresValue> values_of(const Sums& sums) {
  std::string identifiers, periods, starts, services, routes, amounts, seconds;
  for (const auto& [key, sum] : sums) {
    const auto& [identifier, period, start_ms, service, route] = key;
    append(identifiers, identifier);
    append(periods, period);
    append(starts, fmt::format("{}.{:03}", start_ms / 1000, start_ms % 1000));
    append(services, service);
    append(routes, route);
    append(amounts, std::to_string(sum.added));
    append(seconds, std::to_string(sum.seconds));
  }
  std::vector<PostgresValue> out;
  for (auto* array : {&identifiers, &periods, &starts, &services, &routes, &amounts, &seconds})
    out.emplace_back(std::move(*array) + '}');
  return out;
}

Pg<> count(PostgresConnection& connection, Sums& sums) {
  const auto values = values_of(sums);
  for (int attempt = 1;; attempt++) {
    auto rows = connection.query(add_sql, values);
    if (!rows && rows.error().retriable() && attempt < attempts) continue;
    if (!rows) return std::unexpected(std::move(rows.error()));
    for (int row = 0; row < rows->rows(); row++) {
      const auto text = [&](int column) { return std::string(rows->text(row, column)); };
      const auto sum = sums.find({text(0), text(1), number(rows->text(row, 2)), text(3), text(4)});
      if (sum != sums.end()) sum->second.before = number(rows->text(row, 5)) - sum->second.added;
    }
    return {};
  }
}

void fail(Task& task, const std::string& why) {
  task.done(std::make_shared<const Counted>(Counted{false, why, {}}));
}

Pg<> answer(PostgresConnection& connection, std::vector<Task>& batch) {
  Sums sums;
  for (const auto& task : batch)
    for (const auto& window : task.windows) {
      auto& sum = sums[key_of(window)];
      sum.added += task.amount;
      sum.seconds = window.seconds;
    }
  if (auto counted = count(connection, sums); !counted) {
    if (counted.error().away) return counted;
    // The statement is at fault (a damaged table, a value too large): the server is there.
    for (auto& task : batch) fail(task, counted.error().message);
    batch.clear();
    return {};
  }
  for (auto& [key, sum] : sums) sum.added = 0;
  for (auto& task : batch) {
    auto counted = std::make_shared<Counted>();
    counted->ok = true;
    for (const auto& window : task.windows) {
      auto& sum = sums[key_of(window)];
      counted->before.push_back(sum.before + sum.added);
      sum.added += task.amount;
    }
    task.done(std::move(counted));
  }
  batch.clear();
  return {};
}

class ClusterCounters final : public Counters {
 public:
  explicit ClusterCounters(store::PostgresServer server)
      : batches_("rate limits", std::move(server), waiting_max, answer, fail) {}

  void add(std::vector<Window> windows, std::uint64_t amount,
           std::function<void(std::shared_ptr<const Counted>)> done) override {
    // NUL cannot be stored; without it here, so that what is returned is found again.
    for (auto& window : windows) std::erase(window.identifier, '\0');
    batches_.ask({std::move(windows), amount, std::move(done)});
  }

 private:
  store::PostgresBatches<Task> batches_;
};

}  // namespace

std::unique_ptr<Counters> cluster_counters(const store::PostgresServer& server) {
  auto own = server;
  own.timeout = std::min(own.timeout, timeout_max);
  return std::make_unique<ClusterCounters>(std::move(own));
}

}  // namespace weir::plugin
