// A node of Radix: its label, digits and children lie in one block behind it, so that a lookup touches one or two cache
// lines per node and a node costs one allocation. Counted by its users; changed only by remaking it, or in place when
// there is one user.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

namespace weir::snapshot {

using Digit = unsigned char;

template <class V>
class RadixNode {
 public:
  // Owns one use of a node, or nothing.
  class Ref {
   public:
    Ref() = default;
    explicit Ref(RadixNode* node) : node_(node) {}
    Ref(const Ref& other) : node_(other.node_) {
      if (node_) node_->users_.fetch_add(1, std::memory_order_relaxed);
    }
    Ref(Ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    Ref& operator=(Ref other) noexcept {
      std::swap(node_, other.node_);
      return *this;
    }
    ~Ref() {
      if (node_ && node_->users_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(node_);
    }
    RadixNode* get() const { return node_; }
    RadixNode* operator->() const { return node_; }
    explicit operator bool() const { return node_ != nullptr; }
    bool is_only() const { return node_->users_.load(std::memory_order_acquire) == 1; }

   private:
    RadixNode* node_ = nullptr;
  };

  std::optional<V> value;

  std::string_view label() const { return {bytes(), label_size_}; }  // digits since the parent
  std::size_t children() const { return children_; }
  Ref& child(std::size_t i) { return refs()[i]; }
  const Ref& child(std::size_t i) const { return refs()[i]; }
  Digit digit(std::size_t i) const { return digits()[i]; }

  // The child whose label begins with `digit`; null when there is none.
  const RadixNode* find(Digit digit) const {
    const auto* at = std::memchr(digits(), digit, children_);
    return at ? refs()[static_cast<const Digit*>(at) - digits()].get() : nullptr;
  }
  // Where it is or belongs: children are ordered by digit.
  std::size_t position(Digit digit) const {
    std::size_t i = 0;
    while (i < children_ && digits()[i] < digit) i++;
    return i;
  }

  // A node without value, its children still to be set.
  static Ref make(std::size_t label_size, std::size_t children) {
    const auto refs_at = refs_offset(label_size, children);
    auto* memory = static_cast<char*>(::operator new(refs_at + children * sizeof(Ref)));
    auto* node = new (memory) RadixNode(label_size, children);
    std::uninitialized_default_construct_n(node->refs(), children);
    return Ref(node);
  }

  // `old` under another label, with room for a new child at `added` and without the one at `removed`. Takes the parts
  // out of `old` when nobody else uses it, else shares them.
  static constexpr std::size_t none = ~std::size_t{0};
  static Ref remake(Ref& old, std::string_view label, std::size_t added = none, Digit digit = 0,
                    std::size_t removed = none) {
    auto node = make(label.size(), old->children_ + (added != none) - (removed != none));
    std::memcpy(node->bytes(), label.data(), label.size());
    const bool takes = old.is_only();
    if (old->value) {
      if (takes)
        node->value.emplace(std::move(*old->value));
      else
        node->value.emplace(*old->value);
    }
    std::size_t to = 0;
    for (std::size_t from = 0; from <= old->children_; from++) {
      if (from == added) node->digits()[to++] = digit;
      if (from == removed || from == old->children_) continue;
      node->digits()[to] = old->digits()[from];
      if (takes)
        node->child(to++) = std::move(old->child(from));
      else
        node->child(to++) = old->child(from);
    }
    return node;
  }

  void set_first(Digit digit, Ref child) {
    digits()[0] = digit;
    refs()[0] = std::move(child);
  }
  char* label_bytes() { return bytes(); }

 private:
  RadixNode(std::size_t label_size, std::size_t children)
      : children_(static_cast<std::uint16_t>(children)), label_size_(static_cast<std::uint32_t>(label_size)) {}
  ~RadixNode() = default;

  static void destroy(RadixNode* node) {
    std::destroy_n(node->refs(), node->children_);
    node->~RadixNode();
    ::operator delete(node);
  }

  static constexpr std::size_t refs_offset(std::size_t label_size, std::size_t children) {
    return (sizeof(RadixNode) + label_size + children + alignof(Ref) - 1) / alignof(Ref) * alignof(Ref);
  }
  char* start() { return reinterpret_cast<char*>(this); }
  const char* start() const { return reinterpret_cast<const char*>(this); }
  Digit* digits() { return reinterpret_cast<Digit*>(start() + sizeof(RadixNode)); }
  const Digit* digits() const { return reinterpret_cast<const Digit*>(start() + sizeof(RadixNode)); }
  char* bytes() { return start() + sizeof(RadixNode) + children_; }
  const char* bytes() const { return start() + sizeof(RadixNode) + children_; }
  Ref* refs() { return reinterpret_cast<Ref*>(start() + refs_offset(label_size_, children_)); }
  const Ref* refs() const { return reinterpret_cast<const Ref*>(start() + refs_offset(label_size_, children_)); }

  static_assert(alignof(V) <= alignof(std::max_align_t));

  std::atomic<std::uint32_t> users_{1};
  std::uint16_t children_;
  std::uint32_t label_size_;
};

}  // namespace weir::snapshot
