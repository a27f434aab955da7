// A value that is shared until it is written: the brick that persistent structures are made of.
//
// Copying a Cow shares its value and costs one atomic count. write() gives the value to change: in place when nobody
// else holds it, else after copying it. So a structure made of nested Cows is copied only along the path that is
// written, and only once per compile(): what it copied is its own and is changed in place from then on.
//
// Threads: any number may read and release copies; a Cow that is written belongs to one thread.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace weir::snapshot {

template <class T>
class Cow {
 public:
  Cow() = default;
  Cow(const Cow& other) : box_(other.box_) {
    if (box_) box_->users.fetch_add(1, std::memory_order_relaxed);
  }
  Cow(Cow&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  Cow& operator=(Cow other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  ~Cow() {
    if (box_ && box_->users.fetch_sub(1, std::memory_order_acq_rel) == 1) delete box_;
  }

  explicit operator bool() const { return box_ != nullptr; }
  const T& operator*() const { return box_->value; }
  const T* operator->() const { return &box_->value; }

  // Makes a value when there is none.
  T& write() {
    if (!box_) {
      box_ = new Box;
    } else if (box_->users.load(std::memory_order_acquire) != 1) {
      Cow copy;
      copy.box_ = new Box(box_->value);
      std::swap(box_, copy.box_);
    }
    return box_->value;
  }

 private:
  struct Box {
    Box() = default;
    explicit Box(const T& from) : value(from) {}
    std::atomic<std::uint32_t> users{1};
    T value;
  };
  Box* box_ = nullptr;
};

}  // namespace weir::snapshot
