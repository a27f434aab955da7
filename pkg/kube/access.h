// How kubeconfig files and a pod's service account become an Access. No network; what is parsed is handed in as text.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/client.h"

namespace weir::kube {

inline constexpr std::size_t kubeconfig_bytes_max = 4 * 1024 * 1024;

struct ConfigText {
  std::string path;  // files that it names are relative to this one's folder
  std::string text;
};

// Several files are merged as kubectl does: what comes first counts. Errors never show a value that may be a secret.
Result<Access> parse_kubeconfig(std::span<const ConfigText>);
// folder: with token, ca.crt and namespace.
Result<Access> service_account(const std::map<std::string, std::string>& environment, const std::string& folder);
inline constexpr std::string_view service_account_folder = "/var/run/secrets/kubernetes.io/serviceaccount";

// Standard alphabet; white space does not count. Nothing: malformed.
std::optional<std::string> decode_base64(std::string_view);
std::string encode_base64(std::string_view);

// At most max bytes, else an error that names the file and the reason.
Result<std::string> read_file(const std::string& path, std::size_t max = 1024 * 1024);

}  // namespace weir::kube
