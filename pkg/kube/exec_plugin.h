// A program that hands out credentials (client.authentication.k8s.io, ExecCredential), run beside the kube thread's
// other work: nothing here waits. Its standard error is not read, since it may name a secret.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/client.h"
#include "kube/moment.h"

namespace weir::kube {

struct ExecCredential {
  std::string token, cert, key;
  std::optional<Moment> expires;  // nothing: never
};

Result<ExecCredential> parse_exec_credential(std::string_view output);

// One run; ends (with all of its process group) with the object.
class ExecRun {
 public:
  static Result<std::unique_ptr<ExecRun>> start(const Access::Exec&, std::chrono::milliseconds limit);
  ~ExecRun();
  ExecRun(const ExecRun&) = delete;

  // Readable when step() has something to do.
  std::vector<int> descriptors() const { return {output_, process_}; }
  Clock::time_point deadline() const { return deadline_; }
  // Nothing: it still runs.
  std::optional<Result<ExecCredential>> step();

 private:
  ExecRun() = default;
  bool drain();
  void kill();

  std::string command_, text_;
  int output_ = -1, process_ = -1;
  pid_t pid_ = -1;
  Clock::time_point deadline_;
  std::chrono::milliseconds limit_{0};
};

}  // namespace weir::kube
