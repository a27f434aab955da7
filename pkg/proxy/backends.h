// What a worker keeps for each backend of the snapshot: the addresses its targets stand for, and whose turn it is.
//
// Made when a backend gets its first request. A change of the configuration or of DNS gives the same Balancer new
// candidates, so the cycle goes on where it was; endpoints keep their idle connections.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "balance/weighted_round_robin.h"
#include "net/resolver.h"
#include "proxy/pool.h"
#include "snapshot/snapshot.h"

namespace weir::proxy {

// One address that a request can be sent to.
struct Candidate {
  Endpoint* endpoint = nullptr;
  std::uint32_t weight = 0;
  std::string host;  // the Host field for it, when the client's is not preserved
};

// The turns of one backend, for services of one protocol (and port, when the backend is a plain host).
class Balancer {
 public:
  enum class Answer : std::uint8_t {
    picked,
    pending,     // names are being resolved: wait
    unresolved,  // a plain host whose name does not resolve
    no_peer      // no address, or all of weight 0
  };
  struct Pick {
    Answer answer;
    const Candidate* candidate;
  };

  Balancer(bool tls, std::uint16_t port, UpstreamTlsPtr peer) : tls(tls), port(port), peer(std::move(peer)) {}

  Pick pick();
  // Passes over those in `tried` while there are others.
  Pick pick(const std::vector<const Endpoint*>& tried);

  const bool tls;
  const std::uint16_t port;
  const UpstreamTlsPtr peer;
  std::vector<Exchange*> waiting;  // for `pending` to end
  std::size_t users = 0;           // exchanges that hold it

 private:
  friend class Backends;
  std::vector<Candidate> candidates_;
  balance::WeightedRoundRobin turns_;
  bool pending_ = false, is_upstream_ = false;
};

class Backends {
 public:
  Backends(Context& context, net::Resolver& resolver) : context_(context), resolver_(resolver) {}
  ~Backends();

  // The balancer of a backend of the current snapshot. Null: the slot is empty.
  Balancer* find(snapshot::Slot, bool tls, std::uint16_t port, const UpstreamTlsPtr& peer = any_peer);
  // `next` follows the snapshot of revision `seen`; null: nothing is kept.
  void adopt(const snapshot::Snapshot& next, std::uint64_t seen);
  void resolved(const std::string& name, net::ResolvedPtr);

  void hold(Balancer& balancer) { ++balancer.users; }
  void release(Balancer&);

 private:
  struct State {
    const snapshot::Backend* backend = nullptr;  // of the current snapshot
    std::string identity;
    std::vector<std::unique_ptr<Balancer>> balancers;
    std::vector<std::string> names;  // watched for it
  };
  struct Name {
    net::ResolvedPtr answer;
    std::vector<State*> users;
  };

  Balancer* make(snapshot::Slot, bool tls, std::uint16_t port, const UpstreamTlsPtr& peer);
  void retire(std::unique_ptr<Balancer>);
  void drop_outdated(State&);
  void refresh(snapshot::Slot, const snapshot::Snapshot&);
  void drop(std::unique_ptr<State>);
  void watch(State&);
  void unwatch(State&);
  void assign(State&, Balancer&);
  void wake(Balancer&);
  void run_woken();

  Context& context_;
  net::Resolver& resolver_;
  std::vector<std::unique_ptr<State>> states_;  // by slot
  std::unordered_map<std::string, Name> names_;
  std::vector<Exchange*> woken_;                    // run when all is in place again: they may ask for balancers
  std::vector<std::unique_ptr<Balancer>> retired_;  // of dropped states, until their exchanges end
};

}  // namespace weir::proxy
