// Keeps copies of the API server's objects: list, then watch with bookmarks, again after 410 Gone, a cut or a restored
// server whose resourceVersion went back; with backoff and jitter, and Retry-After.
//
// Kube thread only. An object is kept as compact JSON text without managedFields and the last-applied annotation:
// thousands must fit in megabytes. It is parsed when somebody asks.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "kube/client.h"

namespace weir::kube {

using Object = boost::json::object;

struct Kind {
  std::string_view group;    // "" for the core group
  std::string_view version;  // "v1"
  std::string_view kind;     // "Service"
  std::string_view plural;   // "services"
  bool namespaced = true;

  std::string api_version() const;                                                  // "v1", "apps/v1"
  std::string path(std::string_view space = {}, std::string_view name = {}) const;  // of a collection or an object
  bool operator==(const Kind& other) const { return group == other.group && plural == other.plural; }
};

struct Name {
  std::string space, name;  // space: the namespace; empty for cluster-scoped objects
  auto operator<=>(const Name&) const = default;
  std::string text() const { return space.empty() ? name : space + "/" + name; }
};

struct WatchCounts {  // for metrics weir_kube_*; written by the kube thread, read by any
  std::uint64_t objects = 0, lists = 0, events = 0, faults = 0;
  bool synced = false;
  bool absent = false;       // the kind is not installed in this cluster: no fault of anybody
  std::string fault;         // why there is no watch now (denied, away, not installed); empty: it runs
  double last_event_at = 0;  // Unix seconds; bookmarks count
};

class Informers {
 public:
  struct Options {
    std::string space;           // only this namespace; empty: all
    std::string label_selector;  // ""
    std::string field_selector;
    bool operator==(const Options&) const = default;
  };
  // An object came, changed or went. Called for each; idle() follows when nothing more is waiting to be read, so that a
  // burst can be handled at once. On a relist: changed() for what differs only.
  struct Handler {
    virtual ~Handler() = default;
    virtual void changed(const Kind&, const Name&) = 0;
    virtual void idle() = 0;
  };
  static std::unique_ptr<Informers> make(Client&, Handler&);
  virtual ~Informers() = default;

  // A kind that is not installed (404) counts as synced and empty, and is asked for again every 10 s (at once when a
  // CustomResourceDefinition changes, if those are watched). One that RBAC denies (403): the same, with fault set.
  virtual void watch(const Kind&, Options) = 0;
  virtual bool synced() const = 0;  // every watch has had its first list
  // Objects that are kept only while somebody refers to them (Secrets, ConfigMaps: there may be thousands whose
  // contents must not lie in memory). From watch_object() to forget_object() one object is followed by name (a list,
  // then a watch, with fieldSelector metadata.name=..., in its namespace), with the same faults, backoff and relists as
  // watch(); text(), get(), put() and changed() work for it as for those of a watched kind. Not part of synced():
  // known() says whether its first answer has come, there or not; at that moment changed() is called, also when it is
  // not there. A watch that is denied (403) counts as answered and not there. Asking twice for one object is one watch;
  // counts() has one row per kind. After forget_object() the copy is dropped and nothing is called any more.
  virtual void watch_object(const Kind&, const Name&) = 0;
  virtual void forget_object(const Kind&, const Name&) = 0;
  virtual bool known(const Kind&, const Name&) const = 0;
  // Null: there is none. The text of an object is a complete JSON object with apiVersion and kind.
  virtual const std::string* text(const Kind&, const Name&) const = 0;
  virtual std::optional<Object> get(const Kind&, const Name&) const = 0;
  // In order of namespace and name. space: empty for all.
  virtual void each(const Kind&, std::string_view space, const std::function<void(const Name&)>&) const = 0;
  // The largest resourceVersion that this kind's watch is known to be at.
  virtual std::uint64_t revision(const Kind&) const = 0;
  virtual std::map<std::string, WatchCounts> counts() const = 0;  // by "plural.group"; any thread
  // What has been written is there at once for this process: no need to wait for the watch to tell.
  virtual void put(const Kind&, Object) = 0;
};

}  // namespace weir::kube
