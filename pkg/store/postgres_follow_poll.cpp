// Reading: which events are new, what the database holds for what they name, and everything.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/log.h"
#include "store/cache_keys.h"
#include "store/postgres_follow.h"
#include "store/postgres_table.h"
#include "store/table.h"

namespace weir::store {
namespace {

constexpr int events_at_once = 1000;
constexpr int rows_at_once = 5000;
// Kept ids of events. Beyond (one transaction has been open for very long) they are forgotten; what is lost by it is
// the second look at events of savepoints.
constexpr std::size_t seen_max = 100'000;
constexpr std::size_t later_max = 10'000;
constexpr double later_seconds_max = 3600;  // nobody waits longer: by then the event has expired
constexpr std::size_t faults_max = 1000;

// xmin has 32 bits; age() passes over most rows, which are long known, at little cost. Of the others: which of the many
// transactions of that number it is follows from the snapshot, since no visible one is newer than it.
constexpr const char* new_events_sql =
    "SELECT m.snapshot, m.now, e.id, e.transaction, e.node_id, e.channel, e.data, e.at, e.at_text, e.nbf FROM "
    "(SELECT txid_current_snapshot()::text AS snapshot, EXTRACT(EPOCH FROM clock_timestamp()) AS now) AS m "
    "LEFT JOIN LATERAL ("
    "SELECT * FROM (SELECT c.id, c.node_id, c.channel, c.data, EXTRACT(EPOCH FROM c.at) AS at, c.at::text AS at_text, "
    "EXTRACT(EPOCH FROM c.nbf) AS nbf, c.at AS at_time, "
    "CASE WHEN (t.top & -4294967296::bigint) + c.xmin::text::bigint >= t.top "
    "THEN (t.top & -4294967296::bigint) + c.xmin::text::bigint - 4294967296::bigint "
    "ELSE (t.top & -4294967296::bigint) + c.xmin::text::bigint END AS transaction "
    "FROM cluster_events AS c, (SELECT txid_snapshot_xmax(txid_current_snapshot()) AS top) AS t "
    "WHERE age(c.xmin) <= age($5::xid) AND {}) AS v "
    "WHERE (v.at_time, v.id) > ($3::timestamptz, $4::uuid) AND {} ORDER BY v.at_time, v.id LIMIT {}) AS e ON true";
constexpr const char* not_seen_sql =
    "(v.transaction >= txid_snapshot_xmin($1::txid_snapshot) AND NOT txid_visible_in_snapshot(v.transaction, "
    "$1::txid_snapshot))";
constexpr const char* first_at = "-infinity";
constexpr const char* first_id = "00000000-0000-0000-0000-000000000000";

template <class Number>
Number number(std::string_view text) {
  Number out{};
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}
std::int64_t oldest_of(std::string_view snapshot) {
  return number<std::int64_t>(snapshot);  // up to the colon
}
std::int64_t end_of(std::string_view snapshot) {
  return number<std::int64_t>(snapshot.substr(snapshot.find(':') + 1));
}

std::string array_of(const std::set<Uuid>& ids) {
  std::string out = "{";
  for (const auto& id : ids) {
    if (out.size() > 1) out += ',';
    out += id.text();
  }
  return out + '}';
}

// The foreign field by which rows are deleted with their parent, as events name it.
const model::Field* parent_field(const Schema& schema) {
  for (const auto& field : schema.fields())
    if (field.type == model::Type::foreign && field.cascade && field.required) return &field;
  return nullptr;
}

}  // namespace

Pg<> PostgresFollow::begin() {
  auto begun = connection_.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  if (!begun) return std::unexpected(std::move(begun.error()));
  return {};
}

Pg<PostgresFollow::Moment> PostgresFollow::read_moment() {
  auto row = connection_.query("SELECT txid_current_snapshot()::text, EXTRACT(EPOCH FROM clock_timestamp())");
  if (!row) return std::unexpected(std::move(row.error()));
  return Moment{std::string(row->text(0, 0)), number<double>(row->text(0, 1))};
}

// ---- events ---------------------------------------------------------------------------------------------------------

Pg<PostgresFollow::Moment> PostgresFollow::read_events(Reach reach, std::vector<Event>& events) {
  // $2: a time, or a transaction
  const auto sql = reach == Reach::recent
                       ? fmt::format(fmt::runtime(new_events_sql), "c.at > to_timestamp($2::float8) - interval '60 s'",
                                     not_seen_sql, events_at_once)
                       : fmt::format(fmt::runtime(new_events_sql), "true",
                                     fmt::format("(v.transaction >= $2::bigint OR {})", not_seen_sql), events_at_once);
  const auto second = reach == Reach::recent ? fmt::format("{:.6f}", moment_.now) : std::to_string(whole_from_);
  const auto oldest =
      reach == Reach::recent ? oldest_of(moment_.snapshot) : std::min(whole_from_, oldest_of(moment_.snapshot));
  const auto oldest_xid = std::to_string(static_cast<std::uint32_t>(oldest));
  std::string after_at = first_at, after_id = first_id;
  for (;;) {
    auto rows = connection_.query(sql, {moment_.snapshot, second, after_at, after_id, oldest_xid});
    if (!rows) return std::unexpected(std::move(rows.error()));
    for (int row = 0; row < rows->rows() && !rows->null(row, 2); row++) {
      after_id = rows->text(row, 2);
      after_at = rows->text(row, 8);
      Event event;
      event.id = Uuid::parse(after_id).value_or(Uuid{});
      event.transaction = number<std::int64_t>(rows->text(row, 3));
      if (seen_.contains(event.id)) continue;
      event.node = rows->text(row, 4);
      event.channel = rows->text(row, 5);
      event.data = rows->text(row, 6);
      event.at = number<double>(rows->text(row, 7));
      if (!rows->null(row, 9)) event.nbf = number<double>(rows->text(row, 9));
      events.push_back(std::move(event));
    }
    if (rows->rows() < events_at_once) return Moment{std::string(rows->text(0, 0)), number<double>(rows->text(0, 1))};
  }
}

void PostgresFollow::remember(Reach reach, const Moment& moment, const std::vector<Event>& events) {
  moment_ = moment;
  for (const auto& event : events)
    if (event.transaction >= whole_from_) seen_.emplace(event.id, event.transaction);
  // Snapshots name no savepoints' transactions: an event that was made in one looks as if an older snapshot had seen
  // it. So the wide polls look at every event of what was running or came later, and tell known ones apart by id.
  if (reach == Reach::whole) {
    whole_from_ = oldest_of(moment.snapshot);
    std::erase_if(seen_, [&](const auto& one) { return one.second < whole_from_; });
  }
  if (seen_.size() > seen_max) {
    seen_.clear();
    whole_from_ = end_of(moment.snapshot);
  }
}

void PostgresFollow::take(const Event& event, Followed& out, Time now) {
  if (!events_.take(event.node, event.channel, event.data, now))
    log::debug("an event says nothing to this node", {{"channel", event.channel}, {"data", event.data}});
  if (event.node != options_.node_id.text()) out.committed_at.push_back(event.at);
  if (!event.nbf || *event.nbf <= out.database_now || later_.size() >= later_max) return;
  // It is applied now, since this is the server that holds it; and once more when it was meant to be.
  const auto left = std::chrono::duration<double>(std::min(*event.nbf - out.database_now, later_seconds_max));
  later_.push({now + std::chrono::duration_cast<Clock::duration>(left), event});
}

// Events of this node are taken like others: what its own writes did was applied already, and shows no difference; but
// a write whose answer was lost may have been done.
Pg<> PostgresFollow::poll_events(Reach reach, Followed& out, Time now) {
  std::vector<Event> events;
  auto moment = read_events(reach, events);
  if (!moment) return std::unexpected(std::move(moment.error()));
  out.database_now = moment->now;
  for (const auto& event : events) take(event, out, now);
  while (!later_.empty() && later_.top().due <= now) {
    const auto& event = later_.top().event;
    events_.take(event.node, event.channel, event.data, now);
    later_.pop();
  }
  auto named = events_.finish(now);
  out.keys.assign(named.keys.begin(), named.keys.end());
  if (auto read = read_named(named, out.changes); !read) return read;  // the next poll reads the same events
  remember(reach, *moment, events);
  return {};
}

// ---- rows -----------------------------------------------------------------------------------------------------------

Pg<> PostgresFollow::read_rows(const Schema& schema, const std::string& condition,
                               const std::vector<PostgresValue>& values, const TakeRow& take) {
  const auto& table = postgres_table_of(schema);
  auto rows = connection_.query(table.select() + " " + condition, values);
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (int row = 0; row < rows->rows(); row++) {
    const auto id_text = std::string(rows->text(row, table.id_column()));
    const auto id = Uuid::parse(id_text).value_or(Uuid{});
    auto entity = table.read(*rows, row);
    std::string wrong;
    if (!entity)
      wrong = std::move(entity.error().message);
    else if (auto good = schema.check(*entity); !good)
      wrong = std::move(good.error().message);
    if (!wrong.empty()) {
      set_fault(schema, id_text, std::move(wrong));
      applied_.keep(schema, id);  // what was good before goes on
      take(id, nullptr);
      continue;
    }
    if (!faults_.empty()) faults_.erase({std::string(schema.name()), id_text});
    take(id, &*entity);
  }
  return {};
}

Pg<> PostgresFollow::read_all(const Schema& schema, const TakeRow& take) {
  applied_.begin(schema);
  std::erase_if(faults_, [&](const auto& fault) { return fault.first.first == schema.name(); });
  std::string after = first_id;
  for (int seen = rows_at_once; seen == rows_at_once;) {
    seen = 0;
    auto read = read_rows(schema, fmt::format("WHERE id > $1::uuid ORDER BY id LIMIT {}", rows_at_once), {after},
                          [&](const Uuid& id, Object* entity) {
                            seen++;
                            after = id.text();
                            take(id, entity);
                          });
    if (!read) return read;
  }
  return {};
}

void PostgresFollow::differs(const Schema& schema, const Uuid& id, Object* entity, Changes& changes) {
  if (entity == nullptr || !applied_.put(schema, id, *entity)) return;
  if (mirror_) mirror_->note(schema, id, entity);
  changes.push_back({&schema, id, std::move(*entity)});
}

// children: what may be gone with it, without an event of its own.
void PostgresFollow::gone(const Schema& schema, const Uuid& id, Changes& deleted, Named& children) {
  faults_.erase({std::string(schema.name()), id.text()});
  if (!applied_.remove(schema, id)) return;
  if (mirror_) mirror_->note(schema, id, nullptr);
  deleted.push_back({&schema, id, std::nullopt});
  for (const auto* child : model::schemas()) {
    if (!child->core()) continue;
    for (const auto& field : child->fields())
      if (field.type == model::Type::foreign && field.cascade && field.reference == schema.name())
        for (const auto& one : applied_.by_parent(*child, field.name, id)) children.rows[child].ids.insert(one);
  }
}

// What was read is handed on even when the rest cannot be: each of it is what the database held.
Pg<> PostgresFollow::read_named(Named& named, Changes& changes) {
  Changes deleted;
  Pg<> read;
  for (const auto* schema : model::schemas()) {  // parents first: what goes with one is looked at after it
    const auto at = named.rows.find(schema);
    if (at == named.rows.end() || at->second.empty()) continue;
    auto& rows = at->second;
    if (rows.all) {
      read = read_all(*schema, [&](const Uuid& id, Object* entity) { differs(*schema, id, entity, changes); });
      if (!read) break;
      for (const auto& id : applied_.missing(*schema)) gone(*schema, id, deleted, named);
      continue;
    }
    const auto* parent = parent_field(*schema);
    auto left = rows.ids;
    for (const auto& key : rows.cache_keys)
      for (const auto& id : applied_.by_key(*schema, without_workspace(key))) left.insert(id);
    if (parent != nullptr)
      for (const auto& one : rows.parents)
        for (const auto& id : applied_.by_parent(*schema, parent->name, one)) left.insert(id);
    std::string condition = "WHERE id = ANY($1::uuid[])";
    std::vector<PostgresValue> values{array_of(left)};
    if (!rows.cache_keys.empty()) {
      values.emplace_back(postgres_array(std::vector(rows.cache_keys.begin(), rows.cache_keys.end())));
      condition += fmt::format(" OR cache_key = ANY(${}::text[])", values.size());
    }
    if (parent != nullptr && !rows.parents.empty()) {
      values.emplace_back(array_of(rows.parents));
      condition += fmt::format(" OR {}_id = ANY(${}::uuid[])", parent->name, values.size());
    }
    read = read_rows(*schema, condition, values, [&](const Uuid& id, Object* entity) {
      left.erase(id);
      differs(*schema, id, entity, changes);
    });
    if (!read) break;
    for (const auto& id : left) gone(*schema, id, deleted, named);
  }
  std::ranges::move(deleted.rbegin(), deleted.rend(), std::back_inserter(changes));
  return read;
}

Pg<> PostgresFollow::resync(Followed& out) {
  auto moment = read_moment();
  if (!moment) return std::unexpected(std::move(moment.error()));
  out.database_now = moment->now;
  Named everything;
  for (const auto* schema : model::schemas())
    if (schema->core()) everything.rows[schema].all = true;
  if (auto read = read_named(everything, out.changes); !read) return read;
  start_from(*moment);
  out.all_stale = true;
  return {};
}

void PostgresFollow::start_from(const Moment& moment) {
  moment_ = moment;
  seen_.clear();
  whole_from_ = oldest_of(moment_.snapshot);
  generation_ = connection_.generation();
}

void PostgresFollow::set_fault(const Schema& schema, const std::string& id, std::string message) {
  if (faults_.size() < faults_max) faults_.insert_or_assign({std::string(schema.name()), id}, std::move(message));
}

}  // namespace weir::store
