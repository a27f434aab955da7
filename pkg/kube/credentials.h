// Who we are for the API server at this moment: what the Access says, with files read again and credential plugins run
// as needed. Kube thread only; waits for nothing.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kube/client.h"
#include "kube/exec_plugin.h"

namespace weir::kube {

// What one request is sent with; never changed.
struct Identity {
  std::string authorization;  // value of the header; empty: none
  std::string ca, cert, key;  // PEM; empty: none (ca: the system's)
};
using IdentityPtr = std::shared_ptr<const Identity>;

class Credentials {
 public:
  explicit Credentials(Access access) : access_(std::move(access)) {}

  // Null: a plugin runs, ask again when step() said so. Files are read at most once in that time.
  static constexpr std::chrono::seconds files_last{60};
  Result<IdentityPtr> now();
  // The API server said 401 to it: what is next is made anew. False: it would be the same, there is no use in asking
  // again.
  bool refused(const IdentityPtr&);

  // The plugin's run, while there is one.
  std::vector<int> descriptors() const { return run_ ? run_->descriptors() : std::vector<int>(); }
  std::optional<Clock::time_point> deadline() const { return run_ ? std::optional(run_->deadline()) : std::nullopt; }
  // True: a run has ended, well or not; now() knows more.
  bool step();

 private:
  Result<Identity> read() const;
  bool from_files() const;
  std::optional<Error> ask_plugin();

  const Access access_;
  IdentityPtr identity_;
  Clock::time_point read_at_{};

  std::unique_ptr<ExecRun> run_;
  std::optional<ExecCredential> credential_;  // of the plugin
  Clock::time_point credential_at_{};
  Error exec_fault_;
  Clock::time_point exec_failed_at_{};
};

}  // namespace weir::kube
