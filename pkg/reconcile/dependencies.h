// Who read what: from an object, a list or a count back to the units that must be translated again when it changes.
//
// One line for each thing that was read, whoever read it; a unit holds pointers to its lines. Kinds are numbers here
// (UnitTable's).
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "reconcile/unit.h"

namespace weir::reconcile {

struct Unit;

enum class Reading : std::uint8_t {
  object,    // one object, there or not
  in_space,  // all of a kind in a namespace; name.space
  all,       // all of a kind
  slices,    // the EndpointSlices of the Service `name`
  told,      // what other units say of an object
};

struct Read {
  std::uint16_t kind = 0;
  Reading reading = Reading::object;
  Name name;
  auto operator<=>(const Read&) const = default;
};

class Dependencies {
 public:
  struct Line {
    Read read;
    std::vector<Unit*> readers;  // sorted by address
  };
  using Lines = std::vector<Line*>;
  // first: somebody reads it now; last: nobody does any more.
  explicit Dependencies(std::function<void(const Read&, bool first)> used) : used_(std::move(used)) {}

  // `reads` (in any order, repeated or not) takes the place of what the unit read before (`lines`).
  void replace(Unit&, Lines& lines, std::vector<Read> reads);
  std::span<Unit* const> readers(const Read&) const;

 private:
  struct Hash {
    std::size_t operator()(const Read&) const noexcept;
  };
  std::function<void(const Read&, bool)> used_;
  std::unordered_map<Read, Line, Hash> lines_;
};

}  // namespace weir::reconcile
