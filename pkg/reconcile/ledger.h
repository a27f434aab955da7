// Which units declare which entity or piece of the Gateway API, and what of it was handed out last.
//
// Several units may declare one (the certificate of a Secret): the first of them by precedence decides its content, on
// every replica alike, and it stays until the last is gone. Only digests are kept.
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "reconcile/digest.h"

namespace weir::reconcile {

struct Unit;

class Ledger {
 public:
  // Order of precedence between units.
  using Before = bool (*)(const Unit*, const Unit*);
  explicit Ledger(Before before) : before_(before) {}

  // The unit declares it with this content. True: that is to be handed out. schema: null for the Gateway API's.
  bool declare(Unit&, const Uuid& id, const model::Schema* schema, const Digest&);
  struct Dropped {
    bool deleted = false;                   // nobody declares it any more: to be handed out
    const model::Schema* schema = nullptr;  // then
    Unit* heir = nullptr;                   // who decides now, if `unit` did until now
    Digest served;                          // then: what stands until the heir says otherwise
  };
  Dropped drop(Unit&, const Uuid& id);
  std::span<Unit* const> owners(const Uuid& id) const;
  std::size_t size() const { return lines_.size(); }

 private:
  struct Line {
    const model::Schema* schema = nullptr;
    Digest served;
    std::vector<Unit*> owners;  // by precedence
  };
  Before before_;
  std::unordered_map<Uuid, Line> lines_;
};

}  // namespace weir::reconcile
