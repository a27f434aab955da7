// Objects that units want to be there (the Service of a Gateway), kept as they want them by server-side apply, and
// deleted when no unit wants them any more. Only the leader writes.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "reconcile/unit.h"
#include "reconcile/writes.h"

namespace weir::reconcile {

class AppliedObjects {
 public:
  static constexpr std::string_view managed_label = "app.kubernetes.io/managed-by", unit_label = "weir.dev/unit";

  // kinds: those that may be applied. leads: asked again at the moment of each write.
  AppliedObjects(kube::Informers&, Writes&, std::vector<Kind> kinds, std::function<bool()> leads);

  // What this unit wants now, in place of what it wanted before. Empty also when the unit is gone.
  void want(const Kind& unit_kind, const Name& unit, const std::vector<Object>& objects);
  // Somebody changed an object: put it back if it is one of these.
  void changed(const Kind&, const Name&);
  // Deletes what carries our label and is wanted by nobody: after a change of leader, when all units have been seen.
  void sweep();

 private:
  struct Wanted {
    Kind kind;
    Name name;
    std::string body;  // complete
    auto operator<=>(const Wanted& other) const {
      return std::pair(kind.plural, name) <=> std::pair(other.kind.plural, other.name);
    }
    bool operator==(const Wanted& other) const { return kind == other.kind && name == other.name; }
  };
  std::optional<Wanted> complete(const Kind& unit_kind, const Name& unit, Object object) const;
  void write(const Wanted&);
  void remove(const Kind&, const Name&);
  bool is_wanted(const Kind&, const Name&) const;

  kube::Informers& informers_;
  Writes& writes_;
  std::vector<Kind> kinds_;
  std::function<bool()> leads_;
  std::map<std::string, std::vector<Wanted>> wanted_;  // by unit label
  std::map<std::string, Wanted> by_object_;            // by "plural.group/namespace/name"
};

// Whether `present` has all that `wanted` says (fields, elements of lists in order), whatever else it has.
bool covers(const boost::json::value& present, const boost::json::value& wanted);

}  // namespace weir::reconcile
