#include "kube/access.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "base/text.h"

namespace weir::kube {
namespace {

using Environment = std::map<std::string, std::string>;

// Leaves the reading of a kubeconfig at once; caught in parse_kubeconfig.
struct Refused {
  std::string message;
};

struct Document {
  std::string path;
  YAML::Node root;
};

// A value that is there and not null.
bool is_there(const YAML::Node& node) {
  return node.IsDefined() && !node.IsNull();
}

YAML::Node member(const YAML::Node& node, const char* name) {
  if (!is_there(node)) return YAML::Node(YAML::NodeType::Null);
  if (!node.IsMap()) throw Refused{fmt::format("a map is wanted where '{}' should be", name)};
  const auto found = node[name];
  return is_there(found) ? found : YAML::Node(YAML::NodeType::Null);
}

std::string text(const YAML::Node& node, const char* name) {
  const auto found = member(node, name);
  if (!is_there(found)) return {};
  if (!found.IsScalar()) throw Refused{fmt::format("'{}' must be a text", name)};
  return found.Scalar();
}

std::string data(const YAML::Node& node, const char* name) {
  const auto encoded = text(node, name);
  auto decoded = decode_base64(encoded);
  if (!decoded) throw Refused{fmt::format("'{}' is not base64", name)};
  return std::move(*decoded);
}

std::string beside(const std::string& config, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(config).parent_path() / path).string();
}

std::string file(const Document& document, const YAML::Node& node, const char* name) {
  return beside(document.path, text(node, name));
}

struct Named {
  const Document* document = nullptr;
  YAML::Node node;  // what is below the entry's second key
};

// "clusters: [{name: x, cluster: {...}}]"; the first one of that name in all documents.
std::optional<Named> find(const std::vector<Document>& documents, const char* list, const char* what,
                          const std::string& name) {
  for (const auto& document : documents) {
    const auto entries = member(document.root, list);
    if (!is_there(entries)) continue;
    if (!entries.IsSequence()) throw Refused{fmt::format("'{}' must be a list", list)};
    for (const auto& entry : entries)
      if (text(entry, "name") == name) return Named{&document, member(entry, what)};
  }
  return std::nullopt;
}

void read_cluster(Access& access, const Named& cluster) {
  const auto& [document, node] = cluster;
  access.server = text(node, "server");
  access.ca_data = data(node, "certificate-authority-data");
  access.ca_file = file(*document, node, "certificate-authority");
  access.tls_server_name = text(node, "tls-server-name");
  access.proxy_url = text(node, "proxy-url");
  const auto insecure = text(node, "insecure-skip-tls-verify");
  if (!insecure.empty() && insecure != "true" && insecure != "false")
    throw Refused{"'insecure-skip-tls-verify' must be true or false"};
  access.insecure = insecure == "true";
  if (!access.server.starts_with("https://") && !access.server.starts_with("http://"))
    throw Refused{"the cluster's 'server' must be an http or https URL"};
}

Access::Exec read_exec(const Document& document, const YAML::Node& node) {
  Access::Exec out;
  out.command = text(node, "command");
  if (out.command.empty()) throw Refused{"the user's 'exec' has no 'command'"};
  // As kubectl: a bare name is looked for in $PATH, anything else is relative to the file.
  if (out.command.find('/') != out.command.npos) out.command = beside(document.path, out.command);
  out.api_version = text(node, "apiVersion");
  if (out.api_version != "client.authentication.k8s.io/v1" && out.api_version != "client.authentication.k8s.io/v1beta1")
    throw Refused{
        fmt::format("the user's 'exec' has apiVersion '{}'; client.authentication.k8s.io/v1 or v1beta1 is "
                    "understood",
                    out.api_version)};
  const auto arguments = member(node, "args");
  if (is_there(arguments)) {
    if (!arguments.IsSequence()) throw Refused{"'args' must be a list"};
    for (const auto& argument : arguments) {
      if (!argument.IsScalar()) throw Refused{"'args' must be a list of texts"};
      out.args.push_back(argument.Scalar());
    }
  }
  const auto variables = member(node, "env");
  if (is_there(variables)) {
    if (!variables.IsSequence()) throw Refused{"'env' must be a list"};
    for (const auto& variable : variables) out.env[text(variable, "name")] = text(variable, "value");
  }
  return out;
}

void read_user(Access& access, const Named& user) {
  const auto& [document, node] = user;
  if (is_there(member(node, "auth-provider")))
    throw Refused{"the user's 'auth-provider' is of the past (Kubernetes 1.26 dropped it); use 'exec'"};
  access.token = text(node, "token");
  access.token_file = file(*document, node, "tokenFile");
  access.client_cert_data = data(node, "client-certificate-data");
  access.client_cert_file = file(*document, node, "client-certificate");
  access.client_key_data = data(node, "client-key-data");
  access.client_key_file = file(*document, node, "client-key");
  access.username = text(node, "username");
  access.password = text(node, "password");
  if (const auto exec = member(node, "exec"); is_there(exec)) access.exec = read_exec(*document, exec);
  const bool has_cert = !access.client_cert_data.empty() || !access.client_cert_file.empty();
  const bool has_key = !access.client_key_data.empty() || !access.client_key_file.empty();
  if (has_cert != has_key) throw Refused{"the user has a client certificate or its key, but not both"};
}

Access read(const std::vector<Document>& documents) {
  std::string chosen;
  for (const auto& document : documents)
    if (chosen.empty()) chosen = text(document.root, "current-context");
  if (chosen.empty()) throw Refused{"no 'current-context'; set one with: kubectl config use-context NAME"};
  const auto context = find(documents, "contexts", "context", chosen);
  if (!context) throw Refused{fmt::format("context '{}' is not there; see: kubectl config get-contexts", chosen)};

  Access out;
  const auto cluster_name = text(context->node, "cluster"), user_name = text(context->node, "user");
  const auto cluster = find(documents, "clusters", "cluster", cluster_name);
  if (!cluster)
    throw Refused{fmt::format("context '{}' names the cluster '{}', which is not there", chosen, cluster_name)};
  read_cluster(out, *cluster);
  if (!user_name.empty()) {
    const auto user = find(documents, "users", "user", user_name);
    if (!user) throw Refused{fmt::format("context '{}' names the user '{}', which is not there", chosen, user_name)};
    read_user(out, *user);
  }
  out.as_namespace = text(context->node, "namespace");
  return out;
}

std::string value(const Environment& environment, const std::string& name) {
  const auto at = environment.find(name);
  return at == environment.end() ? std::string() : at->second;
}

Result<Access> load_files(std::span<const std::string> paths) {
  std::vector<ConfigText> texts;
  std::string missing;
  for (const auto& path : paths) {
    auto content = read_file(path, kubeconfig_bytes_max);
    // Of several, some may be missing (kubectl allows it); of one, none.
    if (content)
      texts.push_back({path, std::move(*content)});
    else
      missing = content.error().message;
  }
  if (texts.empty()) return fail("no kubeconfig: {}; name one with --kubeconfig or KUBECONFIG", missing);
  return parse_kubeconfig(texts);
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail("cannot open {}: {}", path, std::strerror(errno));
  std::string out;
  char buffer[16 * 1024];
  ssize_t count = 0;
  while ((count = ::read(fd, buffer, sizeof buffer)) > 0 && out.size() <= max)
    out.append(buffer, static_cast<std::size_t>(count));
  const int error = errno;
  ::close(fd);
  if (count < 0) return fail("cannot read {}: {}", path, std::strerror(error));
  if (out.size() > max) return fail("{} is larger than {} bytes", path, max);
  return out;
}

std::optional<std::string> decode_base64(std::string_view encoded) {
  const auto digit = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  std::string out;
  std::uint32_t bits = 0;
  int digits = 0, padding = 0;
  for (const char c : encoded) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      padding++;
      continue;
    }
    const int d = digit(c);
    if (d < 0 || padding > 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(d);
    if (++digits % 4 == 0) {
      for (const int shift : {16, 8, 0}) out += static_cast<char>(bits >> shift & 0xff);
      bits = 0;
    }
  }
  const int rest = digits % 4;
  if (rest == 1 || padding != (4 - rest) % 4) return std::nullopt;
  if (rest == 2) out += static_cast<char>(bits >> 4 & 0xff);
  if (rest == 3) {
    out += static_cast<char>(bits >> 10 & 0xff);
    out += static_cast<char>(bits >> 2 & 0xff);
  }
  return out;
}

std::string encode_base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    const auto count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; k++) bits = bits << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; k++) out += k <= count ? digits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<Access> parse_kubeconfig(std::span<const ConfigText> texts) {
  std::string paths;
  for (const auto& text : texts) paths += (paths.empty() ? "" : ":") + text.path;
  try {
    std::vector<Document> documents;
    for (const auto& text : texts) {
      if (text.text.size() > kubeconfig_bytes_max) throw Refused{"it is too large"};
      documents.push_back({text.path, YAML::Load(text.text)});
      if (!is_there(documents.back().root)) documents.pop_back();
    }
    return read(documents);
  } catch (const Refused& refused) {
    return fail("kubeconfig {}: {}", paths, refused.message);
  } catch (const YAML::Exception& e) {
    // Its message may quote the text; where it is says enough.
    return fail("kubeconfig {}: not valid YAML at line {}, column {}", paths, e.mark.line + 1, e.mark.column + 1);
  } catch (const std::exception&) {
    return fail("kubeconfig {}: cannot be read as YAML", paths);
  }
}

Result<Access> service_account(const Environment& environment, const std::string& folder) {
  const auto host = value(environment, "KUBERNETES_SERVICE_HOST");
  auto port = value(environment, "KUBERNETES_SERVICE_PORT");
  if (host.empty()) return fail("not in a pod: KUBERNETES_SERVICE_HOST is not set");
  if (port.empty()) port = "443";
  Access out;
  out.server = host.find(':') == host.npos ? fmt::format("https://{}:{}", host, port)
                                           : fmt::format("https://[{}]:{}", host, port);
  out.token_file = folder + "/token";
  out.ca_file = folder + "/ca.crt";
  if (auto space = read_file(folder + "/namespace", 4096)) out.as_namespace = weir::text::trim(*space);
  if (auto token = read_file(out.token_file); !token)
    return fail("the pod's service account: {}; is automountServiceAccountToken off?", token.error().message);
  return out;
}

bool in_cluster(const Environment& environment) {
  const auto token = fmt::format("{}/token", service_account_folder);
  return !value(environment, "KUBERNETES_SERVICE_HOST").empty() && ::access(token.c_str(), R_OK) == 0;
}

Result<Access> load_access(const std::string& kubeconfig, const Environment& environment) {
  if (!kubeconfig.empty()) return load_files(std::span(&kubeconfig, 1));
  if (const auto list = value(environment, "KUBECONFIG"); !list.empty()) {
    std::vector<std::string> paths;
    for (const auto part : text::split(list, ':')) paths.emplace_back(part);
    return load_files(paths);
  }
  if (in_cluster(environment)) return service_account(environment, std::string(service_account_folder));
  const auto home = value(environment, "HOME");
  if (home.empty()) return fail("no kubeconfig: neither KUBECONFIG nor HOME is set; name one with --kubeconfig");
  const auto path = home + "/.kube/config";
  return load_files(std::span(&path, 1));
}

}  // namespace weir::kube
