// What this node is configured with: loads the store into the first snapshot and follows the declarative file.
//
// Control thread only.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/file_watch.h"
#include "gateway/options.h"
#include "gateway/publisher.h"
#include "store/store.h"

namespace weir::gateway {

class Configuration {
 public:
  Configuration(boost::asio::io_context&, const Options&, store::Store&, Publisher&);

  // The whole store into a snapshot, piece by piece so that memory stays bounded. Publishes nothing. With database=off
  // the declarative file must be good; later it is watched.
  Result<> load();
  // A change that the Admin API made.
  void apply(const store::Changes&, std::function<void()> adopted);
  // Reads the declarative file again; a faulty one changes nothing and is reported by faults().
  void reload();

  std::vector<store::Fault> faults() const;   // of rows, and of the declarative file as it is now
  std::string hash() const { return hash_; }  // of the declarative content; 32 zeros when there is none

 private:
  Result<> load_file();
  Result<> load_rows();

  boost::asio::io_context& io_;
  const Options& options_;
  store::Store& store_;
  Publisher& publisher_;
  std::unique_ptr<FileWatch> watch_;
  std::vector<store::Fault> row_faults_;
  std::string file_fault_;  // why the present file is not in force
  std::string hash_ = std::string(32, '0');
};

}  // namespace weir::gateway
