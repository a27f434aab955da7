// Log files of file-log. One thread per file appends the lines that workers hand over, many with one write(2).
//
// A worker never waits: what does not fit into the bounded queue is dropped and counted, and the log says so now and
// then. A path may name a regular file, a pipe or a device.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace weir::plugin {

class LogFile {
 public:
  virtual ~LogFile() = default;
  // A line without its end. reopen: the path is opened anew for it, so that a rotated file is followed.
  virtual void add(std::string line, bool reopen) = 0;
  virtual std::uint64_t dropped() const = 0;
};

class Files {
 public:
  Files();
  ~Files();  // writes what is queued, for at most two seconds

  // The same for all who name the path alike. Control thread; may end threads of files that nobody holds any more.
  std::shared_ptr<LogFile> at(const std::string& path);

 private:
  class File;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<File>> files_;
};

}  // namespace weir::plugin
