#include "kube/credentials.h"

#include "base/log.h"
#include "base/text.h"
#include "kube/access.h"

namespace weir::kube {
namespace {

constexpr std::chrono::seconds exec_limit{10};
constexpr std::chrono::seconds exec_pause{2};      // between runs
constexpr std::chrono::seconds expiry_margin{10};  // a token that runs out while it is on its way is of no use

// What is inline counts before the file, as in kubectl (but see read() for tokens).
Result<std::string> data_or_file(const std::string& data, const std::string& file) {
  if (!data.empty() || file.empty()) return data;
  return read_file(file);
}

bool is_header_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

}  // namespace

bool Credentials::from_files() const {
  return !access_.token_file.empty() || !access_.ca_file.empty() || !access_.client_cert_file.empty() ||
         !access_.client_key_file.empty();
}

Result<Identity> Credentials::read() const {
  Identity out;
  auto ca = data_or_file(access_.ca_data, access_.ca_file);
  auto cert = data_or_file(access_.client_cert_data, access_.client_cert_file);
  auto key = data_or_file(access_.client_key_data, access_.client_key_file);
  for (const auto* part : {&ca, &cert, &key})
    if (!*part) return std::unexpected(part->error());
  out.ca = std::move(*ca), out.cert = std::move(*cert), out.key = std::move(*key);

  std::string token = access_.token;
  if (!access_.token_file.empty()) {  // counts before the token, as in client-go: the file is what is rotated
    auto content = read_file(access_.token_file);
    if (!content) return std::unexpected(content.error());
    token = weir::text::trim(*content);
    if (token.empty()) return fail("the token file {} is empty", access_.token_file);
  }
  if (credential_) {
    token = credential_->token;
    if (!credential_->cert.empty()) out.cert = credential_->cert, out.key = credential_->key;
  }
  if (!token.empty())
    out.authorization = "Bearer " + token;
  else if (!access_.username.empty())
    out.authorization = "Basic " + encode_base64(access_.username + ":" + access_.password);
  if (!is_header_value(out.authorization)) return fail("the token has characters that no HTTP header can carry");
  return out;
}

Result<IdentityPtr> Credentials::now() {
  if (run_) return IdentityPtr();
  const auto now = Clock::now();
  if (access_.exec) {
    // What was just got is used even if it claims to be over (a clock may be wrong), else the plugin would run without
    // end.
    const bool good = credential_ && (!credential_->expires || now - credential_at_ < exec_pause ||
                                      *credential_->expires > std::chrono::system_clock::now() + expiry_margin);
    if (!good) {
      if (now - exec_failed_at_ < exec_pause && !exec_fault_.message.empty()) return std::unexpected(exec_fault_);
      if (const auto fault = ask_plugin()) return std::unexpected(*fault);
      return IdentityPtr();
    }
  }
  if (identity_ && (!from_files() || now - read_at_ < files_last)) return identity_;
  auto next = read();
  if (!next) {
    if (!identity_) return std::unexpected(next.error());
    // A volume that is being replaced, perhaps: what we have may still hold.
    log::warn("the Kubernetes credentials cannot be read again", {{"error", next.error().message}});
    read_at_ = now;
    return identity_;
  }
  read_at_ = now;
  identity_ = std::make_shared<const Identity>(std::move(*next));
  return identity_;
}

std::optional<Error> Credentials::ask_plugin() {
  auto run = ExecRun::start(*access_.exec, exec_limit);
  if (run) {
    run_ = std::move(*run);
    return std::nullopt;
  }
  exec_failed_at_ = Clock::now();
  exec_fault_ = run.error();
  log::warn("no Kubernetes credentials", {{"error", exec_fault_.message}});
  return exec_fault_;
}

bool Credentials::step() {
  if (!run_) return false;
  auto ended = run_->step();
  if (!ended) return false;
  run_.reset();
  if (*ended) {
    credential_ = std::move(**ended);
    credential_at_ = Clock::now();
    identity_.reset();
  } else {
    exec_failed_at_ = Clock::now();
    exec_fault_ = ended->error();
    log::warn("no Kubernetes credentials", {{"error", exec_fault_.message}});
  }
  return true;
}

bool Credentials::refused(const IdentityPtr& identity) {
  if (identity != identity_) return true;  // there is another one already
  if (access_.exec) {
    credential_.reset();
    identity_.reset();
    return true;
  }
  if (!from_files()) return false;
  auto next = read();
  if (!next || next->authorization == identity->authorization) return false;
  read_at_ = Clock::now();
  identity_ = std::make_shared<const Identity>(std::move(*next));
  return true;
}

}  // namespace weir::kube
