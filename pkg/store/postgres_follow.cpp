#include "store/postgres_follow.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "store/postgres_store.h"
#include "store/table.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

constexpr auto retry_after = 1s;         // while the database is away
constexpr auto mirror_retry_after = 5s;  // while the mirror's disk is full

std::string joined(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 5;
  std::string out;
  for (std::size_t i = 0; i < std::min(shown, names.size()); i++) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > shown ? fmt::format("{} and {} more", out, names.size() - shown) : out;
}

}  // namespace

std::unique_ptr<Postgres> Postgres::make(const PostgresOptions& options) {
  return std::make_unique<PostgresFollow>(options);
}

PostgresFollow::PostgresFollow(const PostgresOptions& options)
    : options_(options), connection_(options.server), listen_(options.server) {
  store_ = std::make_unique<PostgresStore>(
      options, PostgresHooks{[this](const Changes& changes) { wrote(changes); }, [this] { write_failed(); }});
  if (!options_.mirror_path.empty()) mirror_ = Mirror::open(options_.mirror_path);
}

PostgresFollow::~PostgresFollow() {
  // What was handed over and is not in the mirror yet.
  while (mirror_ && mirror_->pending() && mirror_->flush()) continue;
}

Store& PostgresFollow::store() {
  return *store_;
}

// ---- start ----------------------------------------------------------------------------------------------------------

Result<bool> PostgresFollow::check_migrations() {
  auto state = migration_state(options_.server);
  if (!state) return std::unexpected(std::move(state.error()));
  if (!state->reachable) return false;
  const auto where =
      fmt::format("the database '{}' on {}:{}", options_.server.database, options_.server.host, options_.server.port);
  if (!state->bootstrapped) return fail("{} is not set up; run `weir migrations bootstrap`", where);
  if (!state->newer.empty())
    return fail("{} was changed by a newer version (it has seen the migrations {}); run that version of Weir", where,
                joined(state->newer));
  if (!state->missing.empty())
    return fail("{} is behind this version (it lacks the migrations {}); run `weir migrations up`", where,
                joined(state->missing));
  if (!state->pending.empty())
    log::warn("the database has migrations to be finished; run `weir migrations finish` once no older node runs",
              {{"pending", joined(state->pending)}});
  return true;
}

Result<Postgres::Loaded> PostgresFollow::load(const std::function<void(const Schema&, Object)>& each,
                                              const std::function<void(Fault)>& faulty) {
  poll_due_ = whole_due_ = listen_due_ = Clock::now();
  auto there = check_migrations();
  if (!there) return std::unexpected(std::move(there.error()));
  bool loaded = false;
  if (*there) {
    auto done = load_database(each);
    if (!done && !done.error().away) return fail("the configuration cannot be loaded: {}", done.error().message);
    if (!done) failed(done.error());
    loaded = done.has_value();
  } else {
    log::warn("the database cannot be reached; it is tried again",
              {{"host", options_.server.host}, {"port", options_.server.port}});
    away_told_ = true;
  }
  reachable_ = loaded;
  Loaded out;
  if (!loaded) {
    out.from_mirror = mirror_ && load_mirror(each);
    out.empty = applied_.size() == 0;
  }
  for (const auto& [where, message] : faults_) faulty({where.first, where.second, message});
  return out;
}

// The mirror is told what it lacks; it is written later, between other things.
Pg<> PostgresFollow::load_database(const std::function<void(const Schema&, Object)>& each) {
  if (auto begun = begin(); !begun) return begun;
  auto moment = read_moment();
  if (!moment) return std::unexpected(std::move(moment.error()));
  auto mirrored = mirror_ ? mirror_->digests() : Mirror::Digests{};
  for (const auto* schema : model::schemas()) {
    if (!schema->core()) continue;
    auto& held = mirrored[schema];
    auto read = read_all(*schema, [&](const Uuid& id, Object* entity) {
      const auto at = held.find(id);
      if (entity != nullptr && applied_.put(*schema, id, *entity)) {
        if (mirror_ && (at == held.end() || at->second != *applied_.digest(*schema, id)))
          mirror_->note(*schema, id, entity);
        each(*schema, std::move(*entity));
      }
      if (at != held.end()) held.erase(at);
    });
    if (!read) return read;
    for (const auto& [id, digest] : held) mirror_->note(*schema, id, nullptr);
  }
  if (auto done = connection_.query("COMMIT"); !done) return std::unexpected(std::move(done.error()));
  start_from(*moment);
  return {};
}

bool PostgresFollow::load_mirror(const std::function<void(const Schema&, Object)>& each) {
  return mirror_->load([&](const Schema& schema, Object entity) {
    const auto id = Uuid::parse(id_of(entity)).value_or(Uuid{});
    if (applied_.has(schema, id)) return;  // the database said something before it went away
    if (auto good = schema.check(entity); !good) return set_fault(schema, id.text(), std::move(good.error().message));
    applied_.put(schema, id, entity);
    each(schema, std::move(entity));
  });
}

// ---- following ------------------------------------------------------------------------------------------------------

PostgresFollow::Time PostgresFollow::due() const {
  auto out = std::min(poll_due_, whole_due_);
  if (reachable_) {
    if (woken_) return Time{};
    if (!later_.empty()) out = std::min(out, later_.top().due);
    if (options_.listen && !listen_.connected()) out = std::min(out, listen_due_);
  }
  return mirror_ && mirror_->pending() ? std::min(out, mirror_due_) : out;
}

void PostgresFollow::take_notices(Time now) {
  if (!listen_.connected()) return;
  auto notices = listen_.notices();
  if (notices) {
    woken_ = woken_ || !notices->empty();
    return;
  }
  listen_.close();
  listen_due_ = now;
  woken_ = true;  // the server may be gone altogether
}

void PostgresFollow::listen(Time now) {
  if (!options_.listen || !reachable_ || listen_.connected() || now < listen_due_) return;
  listen_due_ = now + retry_after;
  if (auto done = listen_.query("LISTEN weir_cluster_events"); !done) {
    listen_.close();
    if (!std::exchange(deaf_told_, true))
      log::warn("changes of other nodes are not heard at once but polled for; it is tried again",
                {{"error", done.error().message}});
    return;
  }
  deaf_told_ = false;
  whole_due_ = now;  // what was told while nobody listened
}

void PostgresFollow::write_mirror(Time now) {
  if (!mirror_ || !mirror_->pending() || now < mirror_due_) return;
  mirror_due_ = mirror_->flush() ? Time{} : now + mirror_retry_after;
}

Followed PostgresFollow::follow() {
  Followed out;
  const auto now = Clock::now();
  take_notices(now);
  write_mirror(now);  // what earlier calls gave
  listen(now);
  const bool later = !later_.empty() && later_.top().due <= now;
  if (woken_ || later || now >= std::min(poll_due_, whole_due_)) poll(out, now);
  for (const auto& [where, message] : faults_) out.faults.push_back({where.first, where.second, message});
  return out;
}

void PostgresFollow::poll(Followed& out, Time now) {
  // While the database is away only the clock asks it, not everyone who writes.
  woken_ = false;
  if (!reachable_ && now < poll_due_) return;
  auto done = begin();
  if (done) {
    const auto reach = now >= whole_due_ ? Reach::whole : Reach::recent;
    const bool anew = generation_ == 0 || connection_.generation() != generation_;
    done = anew ? resync(out) : poll_events(reach, out, now);
    if (done && (anew || reach == Reach::whole)) whole_due_ = now + options_.update_frequency;
  }
  if (done)
    if (auto ended = connection_.query("COMMIT"); !ended) done = std::unexpected(std::move(ended.error()));
  if (!done) return failed(done.error());
  poll_due_ = whole_due_;
  if (!reachable_.exchange(true)) {
    listen_due_ = Clock::now();
    if (std::exchange(away_told_, false)) log::notice("the database is there again", {{"changes", out.changes.size()}});
  }
}

void PostgresFollow::failed(const PostgresError& error) {
  if (connection_.in_transaction() && !connection_.query("ROLLBACK")) connection_.close();
  reachable_ = false;
  woken_ = false;
  poll_due_ = whole_due_ = Clock::now() + retry_after;
  if (!std::exchange(away_told_, true))
    log::warn("the database cannot be followed; this node goes on with what it has", {{"error", error.message}});
}

// ---- own writes -----------------------------------------------------------------------------------------------------

// So that it is not taken for a difference later.
void PostgresFollow::wrote(const Changes& changes) {
  for (const auto& change : changes) {
    if (!change.schema->core()) continue;
    faults_.erase({std::string(change.schema->name()), change.id.text()});
    const bool differs =
        change.now ? applied_.put(*change.schema, change.id, *change.now) : applied_.remove(*change.schema, change.id);
    if (differs && mirror_) mirror_->note(*change.schema, change.id, change.now ? &*change.now : nullptr);
  }
}

// Nobody knows whether it was done: the next poll shows it.
void PostgresFollow::write_failed() {
  woken_ = true;
}

}  // namespace weir::store
