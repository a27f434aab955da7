// All units, what each read and made last, and what follows when an object changes.
//
// changed() marks units; turn() translates marked ones and says what differs from before, as one batch. Nothing here
// waits, reads a clock or knows of threads. Entities themselves are not kept: of each there is a digest, so that
// thousands of units fit in megabytes. A unit that asks for a Secret or ConfigMap which has not been answered yet stays
// as it was until then.
#pragma once
#include <chrono>
#include <optional>
#include <set>
#include <unordered_map>

#include "reconcile/dependencies.h"
#include "reconcile/ledger.h"
#include "reconcile/reconciler.h"

namespace weir::reconcile {

using Instant = std::chrono::steady_clock::time_point;

// What a unit amounted to at its last translation, for its status.
struct Translated {
  Kind kind;
  Name name;
  std::int64_t generation = 0;
  std::uint64_t revision = 0;  // resourceVersion of the object when this generation was seen first
  std::uint64_t number = 0;    // of the batch with which it is in force; 0: none is needed
  std::optional<Object> status;
  std::vector<Object> applied;
  std::string fault_reason, fault;
};

struct Turn {
  std::optional<Batch> batch;
  Instant oldest_event{};  // of the batch
  std::vector<Translated> units;
  std::vector<std::pair<Kind, Name>> gone;
};

// Internal to UnitTable and what it is made of.
struct Unit {
  std::uint16_t kind = 0;  // its place among all kinds: also its precedence
  Name name;
  std::unique_ptr<Backend> backend;  // of the units that the table makes itself, for Services' ports
  Dependencies::Lines reads;
  struct Made {
    Uuid id;
    Digest digest;
  };
  std::vector<Made> made;  // by id
  std::vector<Unit*> backends;
  std::vector<std::pair<Read, std::string>> tells;
  std::uint32_t needed = 0;  // backends: by how many units
  Digest content;
  std::int64_t generation = -1;
  std::uint64_t revision = 0;
  Uuid uid;
  std::string fault_reason, fault;
  Instant marked_at{};
  bool marked = false, waiting = false;
};

class UnitTable {
 public:
  // kinds: of units, by precedence. followed: kinds that are kept only while they are referred to.
  UnitTable(kube::Informers&, const Settings&, std::vector<UnitKind> kinds, std::vector<Kind> read,
            std::vector<Kind> followed);
  ~UnitTable();

  // An object came, changed or went. own_status: whether units look at their own status again when only that changed.
  void changed(const Kind&, const Name&, Instant now, bool own_status);
  // Translates everything again: there is a status to be written for each.
  void mark_all(Instant now);
  std::size_t marked() const { return endpoints_.size() + urgent_.size() + others_.size(); }
  // Whether units wait for the first answer about an object that they refer to.
  std::size_t waiting() const { return waiting_; }
  // Translates at most `most` marked units, those first whose own object changed.
  // Hold: what differs is kept for the next turn.
  enum class Hold : bool { no, yes };
  Turn turn(std::size_t most, Hold = Hold::no);

  // The next batch that turn() makes is the first one, and is made even if it is empty.
  void complete_next() { complete_ = true; }
  std::vector<std::pair<Kind, Name>> owners(const Uuid& id) const;
  std::size_t units() const { return units_.size(); }
  std::uint64_t translations() const { return translations_; }
  std::uint64_t last_batch() const { return number_; }
  std::size_t faulty() const { return faulty_; }
  std::vector<store::Fault> faults(std::size_t most) const;
  // Every entity's and gateway piece's id with the digest of what stands; for tests.
  std::size_t declared() const { return ledger_.size(); }

 private:
  class Looking;  // the View of one translation
  struct Before {
    bool operator()(const Unit* a, const Unit* b) const;
  };
  using Key = std::pair<std::uint16_t, Name>;
  using Marked = std::set<Unit*, Before>;

  std::optional<std::uint16_t> index(const Kind&) const;
  void mark(Unit&, Marked& list, Instant);
  void mark_readers(const Read&, Instant);
  void changed_slice(const Name&, Instant);
  Unit* next_marked();
  void translate(Unit&, Turn&);
  Output run(Unit&, const Object* object, bool& known);
  void take(Unit&, Output&&);
  void take_backends(Unit&, const std::vector<Backend>&, bool keep);
  void take_tells(Unit&, const std::vector<Tell>&);
  void set_fault(Unit&, std::string reason, std::string fault);
  void drop(Unit&, const Uuid& id);
  void release(Unit& backend, Instant now);
  void erase(Unit&);
  Batch batch();

  kube::Informers& informers_;
  const Settings& settings_;
  std::vector<UnitKind> unit_kinds_;
  std::vector<Kind> kinds_;  // units' first, by precedence, then the others
  std::vector<bool> followed_;
  std::uint16_t backend_kind_ = 0;
  Dependencies dependencies_;
  Ledger ledger_;
  std::map<Key, std::unique_ptr<Unit>> units_;
  std::map<Backend, std::unique_ptr<Unit>> backends_;
  std::map<Name, std::string> service_of_slice_;
  std::map<Name, std::set<std::string>> slices_of_service_;
  std::map<Read, std::map<std::string, std::size_t>> told_;
  Marked endpoints_, urgent_, others_;
  std::unordered_map<Uuid, store::Change> changes_;
  std::unordered_map<Uuid, model::GatewayChange> gateway_changes_;
  std::size_t waiting_ = 0, faulty_ = 0;
  std::uint64_t translations_ = 0, number_ = 0;
  bool complete_ = false;
  Instant oldest_{};
};

}  // namespace weir::reconcile
