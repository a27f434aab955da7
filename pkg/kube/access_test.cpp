#include "kube/access.h"

#include "kube/test_support.h"

namespace weir::kube {
namespace {

using Environment = std::map<std::string, std::string>;

constexpr std::string_view whole = R"(
apiVersion: v1
kind: Config
current-context: here
contexts:
- name: there
  context: {cluster: far, user: nobody}
- name: here
  context: {cluster: near, user: me, namespace: shop}
clusters:
- name: near
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority: pki/ca.crt
    tls-server-name: kubernetes
- name: far
  cluster: {server: "https://far", insecure-skip-tls-verify: true, proxy-url: "http://proxy:3128"}
users:
- name: me
  user:
    client-certificate-data: Y2VydA==
    client-key: /etc/key.pem
)";

TEST(Kubeconfig, gives_what_its_current_context_names) {
  const ConfigText text{"/home/me/.kube/config", std::string(whole)};
  const auto access = parse_kubeconfig(std::span(&text, 1));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://10.0.0.1:6443");
  EXPECT_EQ(access->ca_file, "/home/me/.kube/pki/ca.crt");
  EXPECT_EQ(access->tls_server_name, "kubernetes");
  EXPECT_EQ(access->client_cert_data, "cert");
  EXPECT_EQ(access->client_key_file, "/etc/key.pem");
  EXPECT_EQ(access->as_namespace, "shop");
  EXPECT_FALSE(access->insecure);
}

TEST(Kubeconfig, of_several_files_is_merged_and_what_comes_first_counts) {
  const ConfigText texts[] = {
      {"/a/config", "current-context: there\nusers: [{name: nobody, user: {tokenFile: token}}]"},
      {"/b/empty", ""},
      {"/b/config", std::string(whole)}};
  const auto access = parse_kubeconfig(texts);
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://far");
  EXPECT_TRUE(access->insecure);
  EXPECT_EQ(access->proxy_url, "http://proxy:3128");
  EXPECT_EQ(access->token_file, "/a/token");
}

TEST(Kubeconfig, has_users_of_all_kinds) {
  const auto with = [](std::string_view user) {
    const ConfigText text{"/k/config", fmt::format("{{current-context: c, contexts: [{{name: c, context: {{cluster: c, "
                                                   "user: u}}}}], clusters: [{{name: c, cluster: {{server: "
                                                   "'http://x'}}}}], users: [{{name: u, user: {}}}]}}",
                                                   user)};
    auto access = parse_kubeconfig(std::span(&text, 1));
    EXPECT_TRUE(access) << access.error().message;
    return access.value_or(Access{});
  };
  EXPECT_EQ(with("{token: abc}").token, "abc");
  EXPECT_EQ(with("{username: u, password: 123}").password, "123");
  const auto exec = with(
                        "{exec: {command: bin/plugin, apiVersion: client.authentication.k8s.io/v1beta1, args: [a, 2], "
                        "env: [{name: N, value: v}]}}")
                        .exec;
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->command, "/k/bin/plugin");
  EXPECT_EQ(exec->args, (std::vector<std::string>{"a", "2"}));
  EXPECT_EQ(exec->env, (Environment{{"N", "v"}}));
  EXPECT_EQ(with("{exec: {command: plugin, apiVersion: client.authentication.k8s.io/v1}}").exec->command, "plugin");
}

TEST(Kubeconfig, that_is_wrong_says_why_without_a_secret) {
  const auto file = [](std::string_view cluster, std::string_view user) {
    return fmt::format(
        "{{current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], clusters: "
        "[{{name: c, cluster: {}}}], users: [{{name: u, user: {}}}]}}",
        cluster, user);
  };
  const auto user = [&](std::string_view text) { return file("{server: 'https://x'}", text); };
  struct {
    std::string text;
    const char* fault;
  } const table[] = {
      {"", "no 'current-context'"},
      {"[]", "a map is wanted"},
      {"{current-context: x}", "context 'x' is not there"},
      {"{current-context: x, contexts: {}}", "'contexts' must be a list"},
      {"{current-context: x, contexts: [{name: x, context: {cluster: y}}]}", "cluster 'y', which is not there"},
      {"{current-context: [1]}", "'current-context' must be a text"},
      {"a: 's3cret\n  b: }", "not valid YAML"},
      {file("{server: 'unix:/x'}", "{}"), "'server' must be"},
      {file("{server: 'https://x', insecure-skip-tls-verify: perhaps}", "{}"), "must be true or false"},
      {file("{server: 'https://x', certificate-authority-data: '?'}", "{}"), "'certificate-authority-data' is not"},
      {user("{client-certificate-data: Y2VydA==}"), "but not both"},
      {user("{client-key-data: s3cret!, client-certificate: x}"), "'client-key-data' is not base64"},
      {user("{auth-provider: {name: gcp}}"), "use 'exec'"},
      {user("{exec: {apiVersion: client.authentication.k8s.io/v1}}"), "no 'command'"},
      {user("{exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}"), "v1alpha1"},
      {user("{exec: {command: x, apiVersion: client.authentication.k8s.io/v1, args: a}}"), "'args' must be a list"},
      {user("{exec: {command: x, apiVersion: client.authentication.k8s.io/v1, env: a}}"), "'env' must be a list"},
      {user("{token: [s3cret]}"), "'token' must be a text"},
      {"{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: "
       "{server: 'https://x'}}]}",
       "user 'u', which is not there"},
  };
  for (const auto& row : table) {
    const ConfigText text{"/k/config", row.text};
    const auto access = parse_kubeconfig(std::span(&text, 1));
    ASSERT_FALSE(access) << row.text;
    EXPECT_NE(access.error().message.find(row.fault), std::string::npos) << access.error().message;
    EXPECT_NE(access.error().message.find("/k/config"), std::string::npos);
    EXPECT_EQ(access.error().message.find("s3cret"), std::string::npos) << access.error().message;
  }
}

TEST(Access, is_looked_for_where_kubectl_does) {
  TemporaryFolder folder;
  const auto path = folder.write("config", whole);
  EXPECT_EQ(load_access(path, {}).value().server, "https://10.0.0.1:6443");
  EXPECT_EQ(load_access("", {{"KUBECONFIG", "/nowhere:" + path}}).value().server, "https://10.0.0.1:6443");
  std::filesystem::create_directory(folder.path + "/.kube");
  folder.write(".kube/config", whole);
  EXPECT_EQ(load_access("", {{"HOME", folder.path}}).value().server, "https://10.0.0.1:6443");
  for (const auto& [given, environment] : std::vector<std::pair<std::string, Environment>>{
           {"/nowhere", {{"KUBECONFIG", path}}}, {"", {{"KUBECONFIG", "/nowhere"}}}, {"", {}}}) {
    const auto access = load_access(given, environment);
    ASSERT_FALSE(access);
    EXPECT_NE(access.error().message.find("--kubeconfig"), std::string::npos) << access.error().message;
  }
}

TEST(Access, in_a_pod_is_that_of_the_service_account) {
  TemporaryFolder folder;
  folder.write("token", "t");
  folder.write("namespace", "shop\n");
  const auto access =
      service_account({{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "6443"}}, folder.path);
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://[fd00::1]:6443");
  EXPECT_EQ(access->token_file, folder.path + "/token");
  EXPECT_EQ(access->ca_file, folder.path + "/ca.crt");
  EXPECT_EQ(access->as_namespace, "shop");
  EXPECT_EQ(service_account({{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}, folder.path).value().server,
            "https://10.0.0.1:443");
  EXPECT_FALSE(service_account({}, folder.path));
  EXPECT_FALSE(service_account({{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}, "/nowhere"));
  EXPECT_FALSE(in_cluster({}));
}

TEST(Base64, is_read_strictly_and_written) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"})
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  EXPECT_EQ(encode_base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(decode_base64("Zm9v\n YmFy"), "foobar");
  for (const auto* bad : {"Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9v!", "=", "Zm9vY"})
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace weir::kube
