// What this node is configured with: loads the store into the first snapshot, and takes in what changes: writes of the
// Admin API, other nodes' changes that the store's thread followed, the declarative file.
//
// Control thread only.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/file_watch.h"
#include "gateway/gateway.h"
#include "gateway/options.h"
#include "gateway/publisher.h"
#include "metrics/counters.h"
#include "store/desk.h"
#include "store/store.h"

namespace weir::gateway {

class Configuration {
 public:
  Configuration(boost::asio::io_context&, const Options&, const OpenStore&, Publisher&);

  // The whole store into a snapshot, piece by piece so that memory stays bounded. Publishes nothing. Before the store's
  // thread is there. With database=off the declarative file must be good.
  Result<> load();
  // From now on the store belongs to `desk`; the declarative file is watched.
  Result<> follow(store::Desk& desk);

  // A change that the Admin API made.
  void apply(store::Changes, std::function<void()> adopted);
  // What another node changed.
  void take(store::Followed);
  // Reads the declarative file again; a faulty one changes nothing and is reported by faults().
  void reload();

  std::vector<store::Fault> faults() const;   // of rows, and of the declarative file as it is now
  std::string hash() const { return hash_; }  // of the declarative content; 32 zeros when there is none
  bool loaded() const { return loaded_; }     // false: there was neither a database nor a mirror of it yet
  // From the commit of another node's change until every worker here served it.
  const metrics::Histogram& lag() const { return lag_; }

 private:
  Result<> load_text(const std::string& name, const std::string& content);
  Result<> load_rows();
  void compile(store::Changes);
  void note(store::Fault);
  void not_reloaded(std::string why);

  boost::asio::io_context& io_;
  const Options& options_;
  const OpenStore& store_;
  Publisher& publisher_;
  store::Desk* desk_ = nullptr;
  std::unique_ptr<FileWatch> watch_;
  std::vector<store::Fault> row_faults_;
  std::string file_fault_;  // why the present file is not in force
  std::string hash_ = std::string(32, '0');
  bool loaded_ = false;
  metrics::Histogram lag_{metrics::own_latency_bounds};
};

}  // namespace weir::gateway
