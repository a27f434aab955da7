// What happens on the kube thread: events of the informers become batches, adopted batches become status.
//
// Needs a client only for time and for writes, so that tests can drive it without a thread or a server.
#pragma once
#include <deque>

#include "kube/lease.h"
#include "reconcile/applied_objects.h"
#include "reconcile/events.h"
#include "reconcile/statuses.h"

namespace weir::reconcile {

std::vector<UnitKind> all_units();
// Kinds that are kept object by object, while units refer to them.
std::vector<Kind> followed_kinds();
// What an election and a presence are called.
inline constexpr std::string_view election_lease = "weir-leader";
std::string presence_lease(const Settings&);

class Loop final : public kube::Informers::Handler {
 public:
  static constexpr std::size_t units_a_turn = 500;        // some 50 ms
  static constexpr std::size_t batches_out_max = 4;       // that no worker has adopted yet; changes gather meanwhile
  static constexpr std::chrono::seconds answers_max{10};  // for Secrets, before the first batch goes without them
  static constexpr std::chrono::milliseconds tick{250};

  Loop(kube::Client&, const Settings&, std::function<void(Batch)> batch, metrics::Histogram& event_to_served,
       std::vector<UnitKind> units = all_units());

  // Before anything else; watches what is needed.
  void begin(kube::Informers&);
  void leads(bool);
  // Tells what this replica serves, once it serves something.
  void present(std::function<void(std::string revisions)> tell) { tell_ = std::move(tell); }
  void adopted(std::uint64_t number, std::vector<Refusal>);

  void changed(const Kind&, const Name&) override;
  void idle() override;

  bool served_all() const { return complete_adopted_; }  // the first batch is in force
  void count(Counts&) const;
  std::size_t others_alive() const { return replicas_.others(); }

 private:
  struct Out {  // a batch on its way to the workers
    std::uint64_t number = 0;
    bool complete = false;
    Instant oldest_event{};
    std::vector<Uuid> ids;
  };
  struct Checkpoint {  // all that the watches had brought was in this batch or before
    std::uint64_t number = 0;
    Revisions revisions;
  };
  static Instant now() { return std::chrono::steady_clock::now(); }
  void run();
  void hand_out(Batch, Instant oldest_event);
  void take(Turn&);
  void checkpoint();
  void tell_served();
  std::string refusal(const Kind&, const Name&) const;
  void step();
  void arm();

  kube::Client& client_;
  const Settings& settings_;
  std::function<void(Batch)> batch_;
  metrics::Histogram& event_to_served_;
  std::vector<UnitKind> unit_kinds_;
  kube::Informers* informers_ = nullptr;
  std::unique_ptr<UnitTable> table_;
  std::unique_ptr<Writes> writes_, event_writes_;
  std::unique_ptr<Statuses> statuses_;
  std::unique_ptr<AppliedObjects> applied_;
  std::unique_ptr<Events> events_;
  Replicas replicas_;
  std::function<void(std::string)> tell_;
  std::deque<Out> out_;
  std::deque<Checkpoint> checkpoints_;
  std::map<Uuid, std::string> refused_;
  std::string told_;
  Instant synced_at_{};
  std::uint64_t adopted_ = 0, batches_ = 0;
  bool leads_ = false, complete_out_ = false, complete_adopted_ = false, sweep_ = false;
  bool running_ = false, run_posted_ = false, tick_armed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace weir::reconcile
