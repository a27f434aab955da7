#include "proxy/backends.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/context.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// The Host field of a request to `host`: IPv6 in brackets, the port unless it is the scheme's default.
std::string host_field(const std::string& host, std::uint16_t port, bool tls) {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

std::string without_port(const std::string& host) {
  auto split = text::split_host_port(host);
  return split ? std::string(split->host) : host;
}

}  // namespace

Balancer::Pick Balancer::pick() {
  if (auto index = turns_.pick()) return {Answer::picked, &candidates_[*index]};
  if (pending_) return {Answer::pending, nullptr};
  return {is_upstream_ ? Answer::no_peer : Answer::unresolved, nullptr};
}

Balancer::Pick Balancer::pick(const std::vector<const Endpoint*>& tried) {
  if (tried.empty()) return pick();
  std::vector<bool> excluded;
  for (const auto& c : candidates_) excluded.push_back(std::ranges::find(tried, c.endpoint) != tried.end());
  if (auto index = turns_.pick(excluded)) return {Answer::picked, &candidates_[*index]};
  return pick();
}

Backends::~Backends() {
  for (auto& state : states_)
    if (state) drop(std::move(state));
}

Balancer* Backends::find(snapshot::Slot slot, bool tls, std::uint16_t port, const UpstreamTlsPtr& peer) {
  if (slot < states_.size() && states_[slot]) {
    auto& state = *states_[slot];
    for (auto& balancer : state.balancers)
      if (balancer->tls == tls && balancer->peer == peer && (state.backend->is_upstream || balancer->port == port))
        return balancer.get();
  }
  return make(slot, tls, port, peer);
}

Balancer* Backends::make(snapshot::Slot slot, bool tls, std::uint16_t port, const UpstreamTlsPtr& peer) {
  const auto* snapshot = context_.snapshot();
  const auto* backend = snapshot ? snapshot->backend(slot) : nullptr;
  if (!backend) return nullptr;
  if (slot >= states_.size()) states_.resize(std::max<std::size_t>(slot + 1, snapshot->backend_slots()));
  auto& state = states_[slot];
  if (!state) {
    state = std::make_unique<State>();
    state->backend = backend;
    state->identity = backend->is_upstream ? "u" + backend->origin.id.text() : "h" + backend->name;
    watch(*state);
  }
  if (peer) drop_outdated(*state);
  auto& balancer = *state->balancers.emplace_back(std::make_unique<Balancer>(tls, port, peer));
  assign(*state, balancer);
  return &balancer;
}

void Backends::adopt(const snapshot::Snapshot& next, std::uint64_t seen) {
  if (next.revision() == seen + 1) {
    for (auto slot : next.changed_backends()) refresh(slot, next);
  } else {
    for (snapshot::Slot slot = 0; slot < states_.size(); ++slot) refresh(slot, next);
  }
  run_woken();
}

void Backends::refresh(snapshot::Slot slot, const snapshot::Snapshot& next) {
  if (slot >= states_.size() || !states_[slot]) return;
  auto& state = states_[slot];
  const auto* backend = next.backend(slot);
  auto identity = !backend ? "" : backend->is_upstream ? "u" + backend->origin.id.text() : "h" + backend->name;
  if (identity != state->identity) return drop(std::move(state));  // gone, or the slot stands for another one now
  std::vector<std::string> old_names;
  old_names.swap(state->names);
  state->backend = backend;
  watch(*state);  // before unwatch, so that a name that stays is not asked anew
  State old;
  old.names.swap(old_names);
  for (const auto& name : old.names) {
    auto& users = names_[name].users;
    if (auto it = std::ranges::find(users, state.get()); it != users.end()) users.erase(it);
    resolver_.unwatch(name);
    if (users.empty()) names_.erase(name);
  }
  for (auto& balancer : state->balancers) assign(*state, *balancer), wake(*balancer);
}

void Backends::watch(State& state) {
  for (const auto& target : state.backend->targets) {
    if (target->is_ip || std::ranges::find(state.names, target->host) != state.names.end()) continue;
    state.names.push_back(target->host);
    auto& name = names_[target->host];
    if (auto answer = resolver_.watch(target->host)) name.answer = std::move(answer);
    name.users.push_back(&state);
  }
}

void Backends::unwatch(State& state) {
  for (const auto& name : state.names) {
    auto found = names_.find(name);
    std::erase(found->second.users, &state);
    if (found->second.users.empty()) names_.erase(found);
    resolver_.unwatch(name);
  }
  state.names.clear();
}

// An exchange that still holds one of the balancers goes on with the addresses it had.
void Backends::drop(std::unique_ptr<State> state) {
  unwatch(*state);
  for (auto& balancer : state->balancers) retire(std::move(balancer));
}

void Backends::retire(std::unique_ptr<Balancer> balancer) {
  balancer->pending_ = false;
  wake(*balancer);
  ++balancer->users;
  retired_.push_back(std::move(balancer));
  release(*retired_.back());
}

// Of policies that no route has any more: else each edit of a policy would leave a balancer behind.
void Backends::drop_outdated(State& state) {
  for (auto& balancer : state.balancers)
    if (balancer->peer && balancer->peer.use_count() <= 1 + static_cast<long>(balancer->candidates_.size()))
      retire(std::move(balancer));
  std::erase(state.balancers, nullptr);
}

void Backends::release(Balancer& balancer) {
  if (--balancer.users > 0 || retired_.empty()) return;
  auto it = std::ranges::find_if(retired_, [&](const auto& r) { return r.get() == &balancer; });
  if (it == retired_.end()) return;
  for (auto& c : balancer.candidates_) context_.pool.release(*c.endpoint);
  retired_.erase(it);
}

void Backends::assign(State& state, Balancer& balancer) {
  const auto& backend = *state.backend;
  std::vector<Candidate> next;
  bool pending = false;
  auto add = [&](const net::Address& address, std::uint16_t port, std::uint32_t weight, const std::string& name) {
    Candidate c;
    c.weight = weight;
    c.host = backend.host_header ? *backend.host_header : host_field(name, port, balancer.tls);
    auto sni = balancer.peer ? balancer.peer->server_name() : without_port(c.host);
    if (!balancer.tls || text::is_ip(sni)) sni.clear();
    c.endpoint = &context_.pool.use(address, balancer.tls, sni, balancer.peer);
    next.push_back(std::move(c));
  };
  for (const auto& target : backend.targets) {
    std::uint16_t port = target->port ? target->port : balancer.port;
    if (target->is_ip) {
      if (auto address = net::Address::from_ip(target->host, port)) add(*address, port, target->weight, target->host);
      continue;
    }
    auto found = names_.find(target->host);
    if (found == names_.end() || !found->second.answer) {
      pending = pending || target->weight > 0;
      continue;
    }
    for (const auto& record : found->second.answer->records) {
      std::uint16_t record_port = record.address.port() ? record.address.port() : port;
      auto address = net::Address::from_ip(record.address.ip(), record_port);
      std::uint32_t weight = target->weight == 0 ? 0 : record.weight ? record.weight : target->weight;
      if (address) add(*address, record_port, weight, backend.use_srv_name ? record.name : target->host);
    }
  }
  std::vector<balance::WeightedRoundRobin::Candidate> turns;
  for (const auto& c : next) turns.push_back({std::hash<std::string>{}(c.endpoint->key), c.weight});
  balancer.turns_.assign(turns);
  balancer.is_upstream_ = backend.is_upstream;
  balancer.pending_ = pending;
  auto old = std::exchange(balancer.candidates_, std::move(next));
  for (auto& c : old) context_.pool.release(*c.endpoint);
}

void Backends::resolved(const std::string& name, net::ResolvedPtr answer) {
  auto found = names_.find(name);
  if (found == names_.end()) return;
  found->second.answer = std::move(answer);
  std::vector<State*> users = found->second.users;
  for (auto* state : users)
    for (auto& balancer : state->balancers) assign(*state, *balancer), wake(*balancer);
  run_woken();
}

void Backends::wake(Balancer& balancer) {
  woken_.insert(woken_.end(), balancer.waiting.begin(), balancer.waiting.end());
  balancer.waiting.clear();
}

void Backends::run_woken() {
  auto woken = std::exchange(woken_, {});
  for (auto* exchange : woken) exchange->on_names();
}

}  // namespace weir::proxy
