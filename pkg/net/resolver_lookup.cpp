#include "net/resolver_lookup.h"

#include <netinet/in.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace weir::net {

namespace {

using State = Resolved::State;

void sort_records(std::vector<Resolved::Record>& records) {
  auto less = [](const Resolved::Record& a, const Resolved::Record& b) {
    if (a.name != b.name) return a.name < b.name;
    if (!(a.address == b.address)) return before(a.address, b.address);
    return a.weight < b.weight;
  };
  std::ranges::sort(records, less);
}

Address with_port(Address address, std::uint16_t port) {
  auto& port_field = address.get()->sa_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port
                                                          : reinterpret_cast<sockaddr_in&>(address.storage).sin_port;
  port_field = htons(port);
  return address;
}

Lookup::Outcome without_answer(State state, std::string message) {
  Lookup::Outcome outcome;
  outcome.resolved.state = state;
  outcome.resolved.message = std::move(message);
  return outcome;
}

}  // namespace

Result<TypeOrder> TypeOrder::parse(std::span<const std::string> words) {
  TypeOrder order;
  bool addresses = false;
  for (const auto& word : words) {
    if (text::equal_ignoring_case(word, "LAST")) {
      order.types.push_back(std::nullopt);
    } else if (auto type = parse_record_type(word)) {
      order.types.push_back(type);
      addresses |= type != RecordType::srv;
    } else if (!text::equal_ignoring_case(word, "CNAME")) {  // followed within A and AAAA, so it is never asked
      return fail("dns_order: \"{}\" is no record type that is asked; take some of LAST, SRV, A, AAAA, CNAME", word);
    }
  }
  if (!addresses) return fail("dns_order: without A or AAAA no name has an address; add one of them");
  return order;
}

std::vector<RecordType> TypeOrder::after(std::optional<RecordType> last) const {
  std::vector<RecordType> result;
  for (auto type : types) {
    if (!type) type = last;
    if (type && std::ranges::find(result, *type) == result.end()) result.push_back(*type);
  }
  return result;
}

std::size_t Lookup::Part::lead() const {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (!replies[i] || replies[i]->state == State::ok) return i;
    if (replies[i]->state == State::failed && trusted == order[i]) return i;
  }
  return order.size();
}

bool Lookup::Part::finished() const {
  auto i = lead();
  return i == order.size() || replies[i].has_value();
}

const Reply* Lookup::Part::good() const {
  auto i = lead();
  return i < order.size() && replies[i] && replies[i]->state == State::ok ? &*replies[i] : nullptr;
}

State Lookup::Part::bad() const {
  auto failed = [](const std::optional<Reply>& reply) { return reply && reply->state == State::failed; };
  return std::ranges::any_of(replies, failed) ? State::failed : State::not_found;
}

std::string Lookup::Part::message() const {
  std::string message;
  for (const auto& reply : replies)
    if (reply && reply->state != State::ok) message += (message.empty() ? "" : "; ") + reply->message;
  return message;
}

Lookup::Part Lookup::part(std::string name, std::vector<RecordType> order) {
  Part part;
  part.name = std::move(name);
  part.replies.resize(order.size());
  part.order = std::move(order);
  return part;
}

Lookup::Lookup(std::string name, const TypeOrder& order, std::optional<RecordType> last,
               std::shared_ptr<const Hosts> hosts, ResolvedPtr previous)
    : top_(part(std::move(name), order.after(last))), hosts_(std::move(hosts)), previous_(std::move(previous)) {
  std::ranges::copy_if(top_.order, std::back_inserter(address_order_),
                       [](RecordType type) { return type != RecordType::srv; });
  // SRV answers ports as well as addresses; an A record that merely came through while SRV timed out is no substitute.
  if (previous_ && previous_->state == State::ok) top_.trusted = last;
  // Nothing known yet: two types at once, so that the usual host without SRV records waits for one round trip.
  top_.ahead = last ? 1 : 2;
  if (auto found = hosts_->find(top_.name, address_order_); !found.addresses.empty()) settled_ = std::move(found);
}

std::vector<Question> Lookup::questions() {
  std::vector<Question> result;
  auto collect = [&](Part& part) {
    if (part.finished()) return;
    auto end = std::min(std::max(part.lead() + 1, part.ahead), part.order.size());
    for (; part.asked < end; ++part.asked) result.push_back({part.name, part.order[part.asked]});
  };
  if (settled_) return result;
  collect(top_);
  for (auto& target : targets_) collect(target);
  return result;
}

void Lookup::answer(const Question& question, Reply reply) {
  auto put = [&](Part& part) {
    if (part.name != question.name) return;
    auto type = std::ranges::find(part.order, question.type);
    if (type == part.order.end()) return;
    auto& place = part.replies[static_cast<std::size_t>(type - part.order.begin())];
    if (!place) place = reply;
  };
  // A target may carry the name that was asked for: both get the reply.
  for (auto& target : targets_) put(target);
  put(top_);
  if (auto* good = top_.good(); good && !has_targets_ && top_.order[top_.lead()] == RecordType::srv)
    resolve_targets(*good);
}

void Lookup::resolve_targets(const Reply& srv) {
  has_targets_ = true;
  for (const auto& target : srv.targets) {
    if (known_targets_.contains(target.name) || std::ranges::find(targets_, target.name, &Part::name) != targets_.end())
      continue;
    if (auto ip = Address::from_ip(target.name, 0)) {
      known_targets_[target.name] = {*ip};
    } else if (auto found = hosts_->find(target.name, address_order_); !found.addresses.empty()) {
      known_targets_[target.name] = std::move(found.addresses);
    } else if (is_dns_name(target.name)) {
      targets_.push_back(part(target.name, address_order_));
    }
  }
}

std::optional<Lookup::Outcome> Lookup::outcome() const {
  if (settled_) {
    auto outcome = of_addresses(settled_->type, settled_->addresses);
    outcome.from_hosts = true;
    return outcome;
  }
  if (!top_.finished()) return std::nullopt;
  auto* good = top_.good();
  if (!good) return without_answer(top_.bad(), top_.message());
  if (auto type = top_.order[top_.lead()]; type != RecordType::srv) {
    auto outcome = of_addresses(type, good->addresses);
    outcome.ttl_seconds = good->ttl_seconds;
    return outcome;
  }
  if (!std::ranges::all_of(targets_, &Part::finished)) return std::nullopt;
  return of_targets(*good);
}

Lookup::Outcome Lookup::of_addresses(RecordType type, std::span<const Address> addresses) const {
  Outcome outcome;
  outcome.type = type;
  outcome.resolved.type = name(type);
  for (const auto& address : addresses) outcome.resolved.records.push_back({address, 0, top_.name});
  return outcome;
}

Lookup::Outcome Lookup::of_targets(const Reply& srv) const {
  Outcome outcome;
  outcome.type = RecordType::srv;
  outcome.ttl_seconds = srv.ttl_seconds;
  auto& resolved = outcome.resolved;
  resolved.type = name(RecordType::srv);
  // Each address of a target gets the record's whole weight, as Kong does it for a target with several addresses.
  auto add = [&](const SrvTarget& target, const Address& address) {
    resolved.records.push_back({with_port(address, target.port), target.weight, target.name});
  };
  for (const auto& target : srv.targets) {
    if (auto known = known_targets_.find(target.name); known != known_targets_.end()) {
      for (const auto& address : known->second) add(target, address);
      continue;
    }
    auto part = std::ranges::find(targets_, target.name, &Part::name);
    if (part == targets_.end()) continue;  // no DNS name
    if (auto* good = part->good()) {
      outcome.ttl_seconds = std::min(outcome.ttl_seconds, good->ttl_seconds);
      for (const auto& address : good->addresses) add(target, address);
    } else if (part->bad() == State::failed) {
      // DNS is away for this name only: it keeps the addresses that it had.
      outcome.in_part = true;
      resolved.message += (resolved.message.empty() ? "" : "; ") + part->message();
      if (!previous_ || previous_->type != "SRV") continue;
      for (const auto& record : previous_->records)
        if (record.name == target.name && record.address.port() == target.port) add(target, record.address);
    }
  }
  if (resolved.records.empty()) {
    return outcome.in_part
               ? without_answer(State::failed, std::move(resolved.message))
               : without_answer(State::not_found, fmt::format("SRV {}: no target has an address", top_.name));
  }
  sort_records(resolved.records);
  return outcome;
}

}  // namespace weir::net
