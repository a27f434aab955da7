// Which units' status waits for what: the batch to be adopted by every worker, then every live replica; then it is
// written. One write for an object and generation, unless a replica lags for more than a moment.
#pragma once
#include <map>

#include "reconcile/replicas.h"
#include "reconcile/unit_table.h"
#include "reconcile/writes.h"

namespace weir::reconcile {

class Statuses {
 public:
  // After this time the status says who is waited for.
  static constexpr std::chrono::milliseconds patience{1'000};

  Statuses(kube::Informers&, Writes&, const Replicas&, const Settings&, std::function<bool()> leads);

  void expect(Translated);  // by the leader, for every translation
  void forget(const Kind&, const Name&);
  void clear();
  // Looks at what waits. refused: why a unit is not in force, empty when it is.
  void step(std::uint64_t adopted, const std::function<std::string(const Kind&, const Name&)>& refused, Instant now);
  std::size_t waiting() const { return waiting_.size(); }

 private:
  using Key = std::pair<std::string, Name>;
  struct Waiting {
    Translated unit;
    Instant since{};   // it is in force here
    std::string told;  // whom the status says it waits for
  };
  void write(const Waiting&, ServedBy);

  kube::Informers& informers_;
  Writes& writes_;
  const Replicas& replicas_;
  std::set<std::string_view> ours_;
  std::function<bool()> leads_;
  std::map<Key, Waiting> waiting_;
};

}  // namespace weir::reconcile
