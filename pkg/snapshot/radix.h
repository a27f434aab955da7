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
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"
#include "snapshot/cow.h"

namespace weir::snapshot {

using Digit = unsigned char;

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
    const Node* node = root_ ? &*root_ : nullptr;
    for (std::size_t at = 0; node;) {
      const auto& label = node->label;
      if (key.size() - at < label.size() || common(label, key, at) < label.size()) return nullptr;
      at += label.size();
      if (at == key.size()) return node->value ? &*node->value : nullptr;
      node = child(*node, key[at]);
    }
    return nullptr;
  }

  // The value to change; made when the key is new.
  template <class Key>
  V& edit(const Key& key) {
    if (!root_) return add_leaf(root_, key, 0);
    Cow<Node>* link = &root_;
    for (std::size_t at = 0;;) {
      Node& node = link->write();
      const auto same = common(node.label, key, at);
      if (same < node.label.size()) split(node, same);
      at += same;
      if (at == key.size()) return node.value ? *node.value : node.value.emplace();
      auto edge = position(node.edges, key[at]);
      if (edge == node.edges.end() || edge->digit != key[at]) {
        edge = node.edges.insert(edge, Edge{key[at], {}});
        return add_leaf(edge->child, key, at);
      }
      link = &edge->child;
    }
  }

  // False when there was no such key.
  template <class Key>
  bool erase(const Key& key) {
    if (!find(key)) return false;
    Cow<Node>* parent = nullptr;
    Cow<Node>* link = &root_;
    std::size_t at = 0;
    for (;;) {
      Node& node = link->write();
      at += node.label.size();
      if (at == key.size()) break;
      parent = link;
      link = &position(node.edges, key[at])->child;
    }
    Node& node = link->write();
    node.value.reset();
    if (!node.edges.empty()) {
      join(node);
    } else if (!parent) {
      root_ = {};
    } else {
      Node& above = parent->write();
      above.edges.erase(position(above.edges, static_cast<Digit>(node.label[0])));
      join(above);
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
      const Node* node = root_ ? &*root_ : nullptr;
      for (std::size_t at = 0; node;) {
        const auto& label = node->label;
        if (key.size() - at < label.size() || common(label, key, at) < label.size()) break;
        at += label.size();
        if (at >= limit) break;
        if (node->value) last[count++ % last.size()] = {&*node->value, at};
        node = at < key.size() ? child(*node, key[at]) : nullptr;
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
    return root_ && walk(*root_, visit);
  }

  // The same for the keys that begin with `prefix`.
  template <class Key, class Visit>
  bool for_each_under(const Key& prefix, Visit&& visit) const {
    const Node* node = root_ ? &*root_ : nullptr;
    for (std::size_t at = 0; node;) {
      const auto same = common(node->label, prefix, at);
      at += same;
      if (at == prefix.size()) return walk(*node, visit);
      if (same < node->label.size()) return false;
      node = child(*node, prefix[at]);
    }
    return false;
  }

 private:
  struct Node;
  struct Edge {
    Digit digit;  // the first of the child's label, so that searching touches one node only
    Cow<Node> child;
  };
  struct Node {
    std::string label;        // digits since the parent
    std::vector<Edge> edges;  // ordered by digit
    std::optional<V> value;
  };

  template <class Key>
  static std::size_t common(const std::string& label, const Key& key, std::size_t at) {
    const auto most = std::min(label.size(), key.size() - at);
    std::size_t same = 0;
    while (same < most && static_cast<Digit>(label[same]) == key[at + same]) same++;
    return same;
  }

  template <class Edges>
  static auto position(Edges& edges, Digit digit) {
    return std::lower_bound(edges.begin(), edges.end(), digit,
                            [](const Edge& edge, Digit wanted) { return edge.digit < wanted; });
  }

  static const Node* child(const Node& node, Digit digit) {
    const auto edge = position(node.edges, digit);
    return edge == node.edges.end() || edge->digit != digit ? nullptr : &*edge->child;
  }

  template <class Key>
  static V& add_leaf(Cow<Node>& link, const Key& key, std::size_t at) {
    Node& leaf = link.write();
    leaf.label.reserve(key.size() - at);
    for (; at < key.size(); at++) leaf.label.push_back(static_cast<char>(key[at]));
    return leaf.value.emplace();
  }

  // Keeps the first `length` digits; the rest becomes the only child.
  static void split(Node& node, std::size_t length) {
    Edge edge{static_cast<Digit>(node.label[length]), {}};
    Node& lower = edge.child.write();
    lower.label = node.label.substr(length);
    lower.edges.swap(node.edges);
    lower.value.swap(node.value);
    node.label.resize(length);
    node.edges.reserve(2);
    node.edges.push_back(std::move(edge));
  }

  // A node that no longer tells anything apart takes its only child in.
  static void join(Node& node) {
    if (node.value || node.edges.size() != 1) return;
    const auto only = std::move(node.edges[0].child);
    auto label = node.label + only->label;
    node = *only;
    node.label = std::move(label);
  }

  template <class Visit>
  static bool walk(const Node& node, Visit& visit) {
    if (node.value && visit(*node.value)) return true;
    for (const auto& edge : node.edges)
      if (walk(*edge.child, visit)) return true;
    return false;
  }

  Cow<Node> root_;
};

}  // namespace weir::snapshot
