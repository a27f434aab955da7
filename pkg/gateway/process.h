// What the operating system knows of this process, and what it is told: memory, descriptors, service manager.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weir::gateway {

std::uint64_t resident_bytes();
std::uint64_t open_descriptors();
double cpu_seconds();  // user and system, since the start

// Tells systemd ("READY=1", "STOPPING=1", ...); nothing happens when no service manager listens ($NOTIFY_SOCKET).
void notify(std::string_view state);

// Raises the soft limit of open files to the hard one, as nginx and HAProxy do.
void raise_descriptor_limit();

// Makes `path` and its parents (0700) when missing.
Result<> make_folder(const std::string& path);
Result<std::string> read_file(const std::string& path);
// Written completely or not at all; readable by the owner only.
Result<> write_private_file(const std::string& path, std::string_view content);

// Keeps a second process off the same state while it lives.
class Lock {
 public:
  static Result<Lock> take(const std::string& path);
  Lock(Lock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Lock& operator=(Lock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Lock();

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace weir::gateway
