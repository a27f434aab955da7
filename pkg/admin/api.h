// The Admin API (Kong 3.9's): endpoints generated from the entity declarations, and the few special ones.
//
// Called on the control thread. Entities it reads and writes through store::Store on the store's thread; what it shows
// of traffic and how a change reaches the workers it gets through Node, which the gateway implements.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/http_server.h"
#include "snapshot/snapshot.h"
#include "store/store.h"

namespace weir::admin {

// One resolved address of a target, for /upstreams/{u}/health.
struct AddressView {
  std::string ip;
  std::uint16_t port = 0;
  std::uint32_t weight = 0;
};
struct TargetView {
  std::string dns;  // "A", "AAAA", "SRV", or what the resolver said
  bool resolved = true;
  std::vector<AddressView> addresses;
};

struct ConnectionCounts {  // GET /status: server
  std::uint64_t active = 0, reading = 0, writing = 0, waiting = 0, accepted = 0, handled = 0, requests = 0;
};

// What the gateway tells the Admin API about this node.
class Node {
 public:
  virtual ~Node() = default;
  // Compiles and publishes; adopted is called on the control thread once every worker serves it.
  virtual void apply(store::Changes changes, std::function<void()> adopted) = 0;
  virtual snapshot::SnapshotPtr snapshot() const = 0;
  // Another source that goes before the store and declares what this entity's unique field names: the field, and the
  // object ("WeirUpstream default/hello"). Any thread.
  struct Elsewhere {
    std::string field, owner;
  };
  virtual std::optional<Elsewhere> declared_elsewhere(const model::Schema&, const model::Object& entity) const = 0;
  virtual TargetView target(const snapshot::Target&) const = 0;
  virtual ConnectionCounts connections() const = 0;
  // Nothing when the node can take traffic, else Kong's words ("router builds not yet complete", "draining").
  virtual std::optional<std::string> unready() const = 0;
  virtual void set_draining() = 0;                             // POST /status/ready status=draining
  virtual std::vector<store::Fault> store_faults() const = 0;  // rows and file parts that were left out
  virtual std::string metrics() const = 0;                     // the exposition
  virtual model::Object configuration() const = 0;             // effective settings, secrets as ******
  virtual std::string node_id() const = 0;
  virtual std::string configuration_hash() const = 0;  // database=off; 32 hex digits, zeros when empty
  virtual bool database_reachable() const = 0;         // GET /status
  // Looked-up rows that workers keep (store/cache.h). key: with or without the workspace in which Kong's end. done: on
  // the control thread. Nothing: not cached.
  virtual void cached(std::string key, std::function<void(std::optional<boost::json::value>)> done) = 0;
  virtual void drop_cached(std::optional<std::string> key, std::function<void()> done) = 0;  // nothing: all of it
};

// Where functions of endpoints run: entities are read and written on the store's thread (store/desk.h), what shows of
// the node comes from the control thread. Both call their work at once in tests. Work runs in the order in which it was
// given. The store's thread must have ended before an Api is destroyed.
struct Threads {
  using Work = std::move_only_function<void()>;
  std::function<void(Work)> on_store, on_control;
};

struct Options {
  bool database_off = false;      // writes answer 405, code 12
  std::string version = "3.9.1";  // the Kong version that clients should see in GET /
  std::string weir_version = "0.1.0";
  std::vector<std::string> allowed_hosts;  // besides loopback names and addresses: Host values that may call
  bool loopback_only = true;               // the listener is on loopback: Host must be loopback or allowed
};

class Api {
 public:
  static std::unique_ptr<Api> make(store::Store&, Node&, Options, Threads);
  virtual ~Api() = default;
  virtual void handle(Request, Respond) = 0;  // control thread; respond is called there too
};

// The status listener: /status, /status/ready, /metrics, /upstreams/{u}/health; nothing that writes but draining.
std::unique_ptr<Api> make_status(store::Store&, Node&, Options, Threads);

}  // namespace weir::admin
