// The feed of one node on PostgreSQL: what other nodes change becomes Changes here.
//
// cluster_events says where to look; what is applied is what the database then holds, and only where that differs from
// what was applied before. Which events are new is decided by their visibility, not by time: an event is one whose
// transaction the snapshot of the last complete poll did not see. So an event that commits late, behind newer ones, is
// read by the first poll that can see it. NOTIFY wakes a poll at once; the one every update_frequency is the guarantee.
//
// Belongs to the desk's thread (desk.h). Reads over a connection of its own in one transaction a poll. After that
// connection was lost everything is read and compared, because events may be gone by then, and a server that was
// switched over or restored may lack what was seen.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/mirror.h"
#include "store/postgres.h"
#include "store/postgres_connection.h"
#include "store/postgres_follow_applied.h"
#include "store/postgres_follow_events.h"

namespace weir::store {

class PostgresFollow final : public Postgres {
 public:
  explicit PostgresFollow(const PostgresOptions&);
  ~PostgresFollow() override;

  Store& store() override;
  Result<Loaded> load(const std::function<void(const Schema&, Object)>& each,
                      const std::function<void(Fault)>& faulty) override;
  Followed follow() override;
  int fd() const override { return listen_.fd(); }
  std::chrono::steady_clock::time_point due() const override;
  bool reachable() const override { return reachable_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  // The moment up to which everything was read, in the database's terms.
  struct Moment {
    std::string snapshot;  // txid_current_snapshot(): xmin:xmax:running
    double now = 0;        // the database's clock
  };
  struct Event {
    Uuid id;
    std::int64_t transaction = 0;  // that made it, 64 bits
    std::string node, channel, data;
    double at = 0;
    std::optional<double> nbf;
  };
  struct Later {  // an event that is to be looked at once more
    Time due;
    Event event;
    bool operator>(const Later& other) const { return due > other.due; }
  };
  enum class Reach : std::uint8_t {
    recent,  // events of the last minute: what NOTIFY wakes for
    whole    // all of them, also those of transactions that took longer
  };

  // postgres_follow.cpp
  Pg<> load_database(const std::function<void(const Schema&, Object)>& each);
  bool load_mirror(const std::function<void(const Schema&, Object)>& each);
  // False: the database is away.
  Result<bool> check_migrations();
  void take_notices(Time now);
  void listen(Time now);
  void write_mirror(Time now);
  void poll(Followed&, Time now);
  void failed(const PostgresError&);
  void wrote(const Changes&);
  void write_failed();

  // postgres_follow_poll.cpp
  Pg<> begin();  // a transaction that sees one moment
  Pg<> poll_events(Reach, Followed&, Time now);
  Pg<> resync(Followed&);
  Pg<Moment> read_moment();
  void start_from(const Moment&);  // everything up to it was read over this connection
  Pg<Moment> read_events(Reach, std::vector<Event>&);
  void take(const Event&, Followed&, Time now);
  void remember(Reach, const Moment&, const std::vector<Event>&);
  Pg<> read_named(Named&, Changes&);
  // entity: null when the row does not satisfy its schema.
  using TakeRow = std::function<void(const Uuid&, Object* entity)>;
  Pg<> read_rows(const Schema&, const std::string& condition, const std::vector<PostgresValue>& values,
                 const TakeRow& take);
  Pg<> read_all(const Schema&, const TakeRow& take);
  void differs(const Schema&, const Uuid&, Object* entity, Changes&);
  void gone(const Schema&, const Uuid&, Changes& deleted, Named& children);

  void set_fault(const Schema&, const std::string& id, std::string message);

  PostgresOptions options_;
  std::unique_ptr<Store> store_;
  std::atomic<bool> reachable_{false};

  PostgresConnection connection_, listen_;
  std::uint64_t generation_ = 0;  // of the connection that moment_ was read over; 0: nothing was read yet
  Moment moment_;
  std::int64_t whole_from_ = 0;                  // the oldest transaction that Reach::whole looks at
  std::unordered_map<Uuid, std::int64_t> seen_;  // events of those, by transaction

  Applied applied_;
  Events events_;
  std::priority_queue<Later, std::vector<Later>, std::greater<>> later_;
  std::map<std::pair<std::string, std::string>, std::string> faults_;  // by schema and id

  std::unique_ptr<Mirror> mirror_;
  Time mirror_due_{};  // after it could not be written
  Time poll_due_{}, whole_due_{}, listen_due_{};
  bool woken_ = false, away_told_ = false, deaf_told_ = false;
};

}  // namespace weir::store
