// The other replicas of this deployment: who is alive, and how far each has come.
//
// Each keeps a lease with a label; an annotation says up to which resourceVersion of each kind it serves everything. A
// replica lives as long as its lease is seen to be renewed, by this one's clock; those of the others do not matter.
#pragma once
#include <chrono>
#include <map>
#include <string>

#include "reconcile/status.h"

namespace weir::reconcile {

using Instant = std::chrono::steady_clock::time_point;
using Revisions = std::map<std::string, std::uint64_t, std::less<>>;  // by "plural.group"

std::string kind_key(const Kind&);  // "plural.group"
std::string print_revisions(const Revisions&);

class Replicas {
 public:
  static constexpr std::string_view label = "weir.dev/replica", annotation = "weir.dev/served";
  explicit Replicas(std::string own_lease) : own_(std::move(own_lease)) {}

  // A lease came or changed (lease: null: it is gone).
  void seen(const Name&, const Object* lease, Instant now);
  // Who was alive and is not any more goes. True: there was one.
  bool age_out(Instant now);
  // Besides this one.
  std::size_t others() const { return others_.size(); }
  // Who serves an object of this kind that had this resourceVersion; this replica does.
  ServedBy served_by(const Kind&, std::uint64_t revision) const;

 private:
  struct Other {
    std::string pod, renewed;
    std::chrono::seconds duration{10};
    Instant seen_at;
    Revisions served;
  };
  std::string own_;
  std::map<std::string, Other> others_;      // by the lease's name; alive
  std::map<std::string, std::string> dead_;  // by the lease's name: the renewal that was its last
};

}  // namespace weir::reconcile
