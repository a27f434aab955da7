// A persistent map from byte strings to values: a compressed radix tree whose copies share their nodes.
//
// Copying the map is O(1); a change copies the nodes on the way to the key. Keys are read through small views (Bytes,
// Reversed, Nibbles), so that a lookup never copies one. Nothing is stored but what tells keys apart: a value that
// needs its key must hold it.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/uuid.h"
#include "snapshot/radix_node.h"

namespace weir::snapshot {

// Views of a key as digits.
struct Bytes {
  std::string_view text;
  std::size_t size() const { return text.size(); }
  Digit operator[](std::size_t i) const { return static_cast<Digit>(text[i]); }
};
struct Reversed {
  std::string_view text;
  std::size_t size() const { return text.size(); }
  Digit operator[](std::size_t i) const { return static_cast<Digit>(text[text.size() - 1 - i]); }
};
// Half bytes: for keys that are random, such as identifiers. Nodes with up to 256 children would make a change copy
// hundreds of references; with 16 it is a few dozen.
struct Nibbles {
  std::string_view text;
  explicit Nibbles(std::string_view bytes) : text(bytes) {}
  explicit Nibbles(const Uuid& id) : text(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()) {}
  std::size_t size() const { return text.size() * 2; }
  Digit operator[](std::size_t i) const {
    const auto byte = static_cast<Digit>(text[i / 2]);
    return i % 2 == 0 ? byte >> 4 : byte & 15;
  }
};

template <class V>
class Radix {
 public:
  bool empty() const { return !root_; }

  template <class Key>
  const V* find(const Key& key) const {
    const Node* node = root_.get();
    for (std::size_t at = 0; node;) {
      const auto label = node->label();
      if (common(label, key, at) < label.size()) return nullptr;
      at += label.size();
      if (at == key.size()) return node->value ? &*node->value : nullptr;
      node = node->find(key[at]);
    }
    return nullptr;
  }

  // The value to change; made when the key is new.
  template <class Key>
  V& edit(const Key& key) {
    if (!root_) return *(root_ = leaf(key, 0))->value;
    Ref* link = &root_;
    for (std::size_t at = 0;;) {
      const auto label = (*link)->label();
      const auto same = common(label, key, at);
      if (same < label.size()) split(*link, same);
      at += same;
      if (at == key.size()) {
        auto& value = own(*link).value;
        return value ? *value : value.emplace(V{});
      }
      const auto i = (*link)->position(key[at]);
      if (i == (*link)->children() || (*link)->digit(i) != key[at]) {
        *link = Node::remake(*link, (*link)->label(), i, key[at]);
        return *((*link)->child(i) = leaf(key, at))->value;
      }
      link = &own(*link).child(i);
    }
  }

  // False when there was no such key.
  template <class Key>
  bool erase(const Key& key) {
    if (!find(key)) return false;
    Ref* parent = nullptr;
    Ref* link = &root_;
    std::size_t at = 0, i = 0;
    for (;;) {
      auto& node = own(*link);
      at += node.label().size();
      if (at == key.size()) break;
      parent = link;
      i = node.position(key[at]);
      link = &node.child(i);
    }
    (*link)->value.reset();
    if ((*link)->children() > 0) {
      join(*link);
    } else if (!parent) {
      root_ = {};
    } else {
      *parent = Node::remake(*parent, (*parent)->label(), Node::none, 0, i);
      join(*parent);
    }
    return true;
  }

  // Calls visit(value, key length) for each key that is a prefix of `key`, longest first, until it returns true; says
  // whether one did. Allocates nothing: keys beyond the last 32 cost another walk.
  template <class Key, class Visit>
  bool for_each_prefix(const Key& key, Visit&& visit) const {
    struct Found {
      const V* value;
      std::size_t length;
    };
    std::array<Found, 32> last;
    for (std::size_t limit = key.size() + 1;;) {
      std::size_t count = 0;
      const Node* node = root_.get();
      for (std::size_t at = 0; node;) {
        const auto label = node->label();
        if (common(label, key, at) < label.size()) break;
        at += label.size();
        if (at >= limit) break;
        if (node->value) last[count++ % last.size()] = {&*node->value, at};
        node = at < key.size() ? node->find(key[at]) : nullptr;
      }
      const auto kept = std::min(count, last.size());
      for (std::size_t i = 1; i <= kept; i++) {
        const auto& found = last[(count - i) % last.size()];
        if (visit(*found.value, found.length)) return true;
        limit = found.length;
      }
      if (count == kept) return false;
    }
  }

  // Calls visit(value) in key order until it returns true; says whether one did.
  template <class Visit>
  bool for_each(Visit&& visit) const {
    return root_ && walk(*root_.get(), visit);
  }

  // The same for the keys that begin with `prefix`.
  template <class Key, class Visit>
  bool for_each_under(const Key& prefix, Visit&& visit) const {
    const Node* node = root_.get();
    for (std::size_t at = 0; node;) {
      const auto label = node->label();
      const auto same = common(label, prefix, at);
      at += same;
      if (at == prefix.size()) return walk(*node, visit);
      if (same < label.size()) return false;
      node = node->find(prefix[at]);
    }
    return false;
  }

 private:
  using Node = RadixNode<V>;
  using Ref = typename Node::Ref;

  template <class Key>
  static std::size_t common(std::string_view label, const Key& key, std::size_t at) {
    const auto most = std::min(label.size(), key.size() - at);
    std::size_t same = 0;
    while (same < most && static_cast<Digit>(label[same]) == key[at + same]) same++;
    return same;
  }

  // The node, to be changed in place: copied first when others use it, too.
  static Node& own(Ref& link) {
    if (!link.is_only()) link = Node::remake(link, link->label());
    return *link.get();
  }

  template <class Key>
  static Ref leaf(const Key& key, std::size_t at) {
    auto node = Node::make(key.size() - at, 0);
    for (char* to = node->label_bytes(); at < key.size(); at++) *to++ = static_cast<char>(key[at]);
    node->value.emplace(V{});
    return node;
  }

  // Keeps the first `length` digits; the rest becomes the only child.
  static void split(Ref& link, std::size_t length) {
    auto upper = Node::make(length, 1);
    const auto label = link->label();
    std::copy_n(label.data(), length, upper->label_bytes());
    upper->set_first(static_cast<Digit>(label[length]), Node::remake(link, label.substr(length)));
    link = std::move(upper);
  }

  // A node that no longer tells anything apart takes its only child in.
  static void join(Ref& link) {
    if (link->value || link->children() != 1) return;
    auto only = std::move(link->child(0));
    const auto label = std::string(link->label()).append(only->label());
    link = Node::remake(only, label);
  }

  template <class Visit>
  static bool walk(const Node& node, Visit& visit) {
    if (node.value && visit(*node.value)) return true;
    for (std::size_t i = 0; i < node.children(); i++)
      if (walk(*node.child(i).get(), visit)) return true;
    return false;
  }

  Ref root_;
};

}  // namespace weir::snapshot
