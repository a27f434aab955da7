// Persistent tables of objects that are found by a small number, their slot.
//
// A lookup is three loads; a change copies two blocks of 64 references. Copies share everything else.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "snapshot/cow.h"
#include "snapshot/radix.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot {

template <class T>
class SlotTable {
 public:
  const T* at(Slot slot) const {
    const auto middle = slot / (fan_out * fan_out);
    if (middle >= middles_.size() || !middles_[middle]) return nullptr;
    const auto& leaf = middles_[middle]->leaves[slot / fan_out % fan_out];
    return leaf ? leaf->items[slot % fan_out].get() : nullptr;
  }

  void set(Slot slot, std::shared_ptr<const T> item) {
    const auto middle = slot / (fan_out * fan_out);
    if (middle >= middles_.size()) middles_.resize(middle + 1);
    middles_[middle].write().leaves[slot / fan_out % fan_out].write().items[slot % fan_out] = std::move(item);
  }

 private:
  static constexpr std::size_t fan_out = 64;
  struct Leaf {
    std::array<std::shared_ptr<const T>, fan_out> items;
  };
  struct Middle {
    std::array<Cow<Leaf>, fan_out> leaves;
  };
  std::vector<Cow<Middle>> middles_;
};

// Which slots of a table are taken. The smallest free one is given out first, so that tables stay dense.
class SlotPool {
 public:
  Slot take() {
    Slot slot = end_;
    if (!free_.for_each([&](Slot smallest) { return slot = smallest, true; })) return end_++;
    free_.erase(Nibbles(key(slot).view()));
    return slot;
  }

  void give_back(Slot slot) {
    free_.edit(Nibbles(key(slot).view())) = slot;
    while (end_ > 0 && free_.erase(Nibbles(key(end_ - 1).view()))) end_--;
  }

  Slot end() const { return end_; }  // one more than the largest that is taken

 private:
  struct Key {
    std::array<char, 4> bytes;
    std::string_view view() const { return {bytes.data(), bytes.size()}; }
  };
  static Key key(Slot slot) {
    return {{static_cast<char>(slot >> 24), static_cast<char>(slot >> 16), static_cast<char>(slot >> 8),
             static_cast<char>(slot)}};
  }

  Radix<Slot> free_;
  Slot end_ = 0;
};

}  // namespace weir::snapshot
