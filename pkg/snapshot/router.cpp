#include "snapshot/router.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace weir::snapshot {
namespace {

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

// Place within a group: bytes that compare as the rest of Kong's order does. The port only keeps apart the pairs that
// one route has for "h:80" and "h:81".
class OrderKey {
 public:
  OrderKey(const CompiledRoute& route, const PathRule* path, std::uint16_t port) {
    // Within one prefix all have the same length and no regex, so the first two say nothing there.
    if (path && path->regex) {
      put(~signed_order(route.regex_priority), 8);
      put(~path->text.size(), 4);
    }
    put(signed_order(route.created_at), 8);
    for (const auto byte : route.route.origin.id.bytes) put(byte, 1);
    put(port, 2);
  }
  Nibbles digits() const { return Nibbles({bytes_.data(), size_}); }

 private:
  static std::uint64_t signed_order(std::int64_t value) { return static_cast<std::uint64_t>(value) ^ (1ull << 63); }
  void put(std::uint64_t value, int bytes) {
    while (bytes-- > 0) bytes_[size_++] = static_cast<char>(value >> (8 * bytes));
  }
  std::array<char, 8 + 4 + 8 + 16 + 2> bytes_;
  std::size_t size_ = 0;
};

bool sni_matches(std::string_view rule, std::string_view sni) {
  if (rule.starts_with("*."))
    return sni.size() >= rule.size() &&
           text::equal_ignoring_case(sni.substr(sni.size() - rule.size() + 1), rule.substr(1));
  if (rule.ends_with(".*"))
    return sni.size() >= rule.size() &&
           text::equal_ignoring_case(sni.substr(0, rule.size() - 1), rule.substr(0, rule.size() - 1));
  return text::equal_ignoring_case(rule, sni);
}

bool header_value_matches(const void* context, std::string_view value) {
  const auto& rule = *static_cast<const HeaderRule*>(context);
  if (rule.regex) return rule.regex->Match(piece(value), 0, value.size(), re2::RE2::UNANCHORED, nullptr, 0);
  return std::ranges::any_of(rule.values, [&](const auto& wanted) { return text::equal_ignoring_case(wanted, value); });
}

bool conditions_hold(const CompiledRoute::Conditions& conditions, const Request& request) {
  if (!conditions.methods.empty() && std::ranges::find(conditions.methods, request.method) == conditions.methods.end())
    return false;
  // Kong: names asked for in a handshake say nothing about a plain request.
  if (!conditions.snis.empty() && request.tls &&
      std::ranges::none_of(conditions.snis, [&](const auto& rule) { return sni_matches(rule, request.sni); }))
    return false;
  return std::ranges::all_of(conditions.headers, [&](const HeaderRule& rule) {
    return request.any_header && request.any_header(request.headers, rule.name, header_value_matches, &rule);
  });
}

// Whether `a` goes before `b`; both of one rank.
bool precedes(const CompiledRoute& a, const PathRule* a_path, const CompiledRoute& b, const PathRule* b_path) {
  if (a_path && b_path) {
    if (a_path->regex && a.regex_priority != b.regex_priority) return a.regex_priority > b.regex_priority;
    if (a_path->text.size() != b_path->text.size()) return a_path->text.size() > b_path->text.size();
  }
  if (a.created_at != b.created_at) return a.created_at < b.created_at;
  return a.route.origin.id < b.route.origin.id;
}

}  // namespace

// One lookup: the best pair so far, over all buckets whose host matches.
class Router::Search {
 public:
  explicit Search(const Request& request) : request_(request) {}

  void look(const Bucket& bucket) {
    for (const auto& group : bucket.groups) {
      if (best_ && group.rank < rank_) return;
      std::size_t length = 0;
      const Entry* found = first_match(group, length);
      if (!found) continue;
      if (!best_ || group.rank > rank_ ||
          precedes(*found->route, found->path_rule(), *best_->route, best_->path_rule())) {
        best_ = found;
        rank_ = group.rank;
        length_ = length;
      }
      return;
    }
  }

  Match result() const {
    if (!best_) return {};
    const auto* path = best_->path_rule();
    return {&best_->route->route, length_, path ? path->regex.get() : nullptr};
  }

 private:
  const Entry* first_match(const Group& group, std::size_t& length) const {
    const Entry* found = nullptr;
    const auto first_of = [&](const EntrySet& entries, std::size_t prefix_bytes) {
      length = prefix_bytes;
      return entries.for_each([&](const Entry& entry) {
        if (!matches(entry, length)) return false;
        found = &entry;
        return true;
      });
    };
    if (!group.prefixes.for_each_prefix(Bytes{request_.path}, first_of)) first_of(group.others, 0);
    return found;
  }

  // Everything but host and prefix, which led here. length: set when a regex matched.
  bool matches(const Entry& entry, std::size_t& length) const {
    if (entry.port != 0 && entry.port != request_.port) return false;
    if (entry.route->conditions && !conditions_hold(*entry.route->conditions, request_)) return false;
    const auto* path = entry.path_rule();
    if (!path || !path->regex) return true;
    re2::StringPiece matched;
    if (!path->regex->Match(piece(request_.path), 0, request_.path.size(), re2::RE2::ANCHOR_START, &matched, 1))
      return false;
    length = matched.size();
    return true;
  }

  const Request& request_;
  const Entry* best_ = nullptr;
  std::uint32_t rank_ = 0;
  std::size_t length_ = 0;
};

Match Router::match(const Request& request) const {
  Search search(request);
  const auto host = request.host;
  hosts_.for_each_prefix(Reversed{host}, [&](const Bucket& bucket, std::size_t length) {
    // A wildcard's key ends with the dot before its star, which stands for at least one character.
    const bool is_wildcard = length > 0 && host[host.size() - length] == '.';
    if (is_wildcard == (length < host.size())) search.look(bucket);
    return false;
  });
  right_wildcards_.for_each_prefix(Bytes{host}, [&](const Bucket& bucket, std::size_t length) {
    if (length < host.size()) search.look(bucket);
    return false;
  });
  search.look(any_host_);
  return search.result();
}

Router::Group& Router::Bucket::group(std::uint32_t rank) {
  auto at = std::ranges::lower_bound(groups, rank, std::ranges::greater(), &Group::rank);
  if (at == groups.end() || at->rank != rank) at = groups.insert(at, Group{rank, {}, {}});
  return *at;
}

// Hands the bucket of `host` to `change`, and takes it away when it is empty afterwards.
template <class Change>
void Router::change_bucket(const HostRule* host, Change&& change) {
  if (!host) return change(any_host_);
  const auto apply = [&](Radix<Bucket>& buckets, auto key) {
    auto& bucket = buckets.edit(key);
    change(bucket);
    if (bucket.groups.empty()) buckets.erase(key);
  };
  if (host->kind == HostRule::Kind::right_wildcard)
    apply(right_wildcards_, Bytes{host->name});
  else
    apply(hosts_, Reversed{host->name});
}

// visit(host rule or null, path index): a missing kind of rule counts as one.
template <class Visit>
void Router::each_pair(const CompiledRoute& route, Visit&& visit) {
  for (std::size_t h = 0; h < std::max(route.hosts.size(), 1uz); h++)
    for (std::uint32_t p = 0; p < std::max(route.paths.size(), 1uz); p++)
      visit(h < route.hosts.size() ? &route.hosts[h] : nullptr, p);
}

void Router::insert(const std::shared_ptr<const CompiledRoute>& route) {
  each_pair(*route, [&](const HostRule* host, std::uint32_t path) {
    const Entry entry{route, path, host ? host->port : std::uint16_t{0}};
    const auto* rule = entry.path_rule();
    change_bucket(host, [&](Bucket& bucket) {
      auto& group = bucket.group(route->rank(rule));
      auto& entries = rule && !rule->regex ? group.prefixes.edit(Bytes{rule->text}) : group.others;
      entries.edit(OrderKey(*route, rule, entry.port).digits()) = entry;
    });
  });
}

void Router::erase(const CompiledRoute& route) {
  each_pair(route, [&](const HostRule* host, std::uint32_t path) {
    const auto* rule = path < route.paths.size() ? &route.paths[path] : nullptr;
    const OrderKey key(route, rule, host ? host->port : std::uint16_t{0});
    change_bucket(host, [&](Bucket& bucket) {
      auto& group = bucket.group(route.rank(rule));
      if (rule && !rule->regex) {
        auto& entries = group.prefixes.edit(Bytes{rule->text});
        entries.erase(key.digits());
        if (entries.empty()) group.prefixes.erase(Bytes{rule->text});
      } else {
        group.others.erase(key.digits());
      }
      if (group.prefixes.empty() && group.others.empty())
        std::erase_if(bucket.groups, [&](const Group& each) { return &each == &group; });
    });
  });
}

}  // namespace weir::snapshot
