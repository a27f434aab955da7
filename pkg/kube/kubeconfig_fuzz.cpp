// A kubeconfig of any bytes gives an Access or a reason, and what is accepted has what the client relies on.
#include <cstdint>
#include <string>

#include "kube/access.h"
#include "kube/exec_plugin.h"

using namespace weir::kube;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ConfigText text{"/folder/config", std::string(reinterpret_cast<const char*>(data), size)};
  if (const auto access = parse_kubeconfig(std::span(&text, 1))) {
    WEIR_ASSERT(access->server.starts_with("http"));
    WEIR_ASSERT(!access->exec || !access->exec->command.empty());
    WEIR_ASSERT(access->client_cert_data.empty() + access->client_cert_file.empty() < 2 ||
                access->client_key_data.empty() + access->client_key_file.empty() == 2);
  } else {
    WEIR_ASSERT(!access.error().message.empty());
  }
  if (const auto credential = parse_exec_credential(text.text))
    WEIR_ASSERT(!credential->token.empty() || !credential->cert.empty());
  if (const auto bytes = decode_base64(text.text)) WEIR_ASSERT(decode_base64(encode_base64(*bytes)) == *bytes);
  return 0;
}
