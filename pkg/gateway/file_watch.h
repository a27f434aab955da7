// Tells when a file may have changed: inotify on its folder, so that a rename or a Kubernetes ConfigMap's links count
// too.
//
// Belongs to the control thread. Level-triggered: a call says "look again", never what happened; bursts are joined.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace weir::gateway {

class FileWatch {
 public:
  static Result<std::unique_ptr<FileWatch>> start(boost::asio::io_context&, const std::string& path,
                                                  std::function<void()> changed);
  virtual ~FileWatch() = default;
};

}  // namespace weir::gateway
