// Weir as a sidecar in manifests and in the webhook's answers.
#include <gtest/gtest.h>

#include <algorithm>

#include "kube/access.h"
#include "reconcile/fields.h"
#include "reconcile/inject.h"
#include "reconcile/inject_yaml.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

json::value manifest(std::string_view text) {
  auto read = read_manifests(text);
  EXPECT_TRUE(read) << (read ? "" : read.error().message);
  return read && read->size() == 1 ? (*read)[0] : json::value(nullptr);
}

constexpr std::string_view deployment = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app: shop}}
spec:
  replicas: 2
  template:
    metadata:
      labels: {app: shop}
      annotations: {weir.dev/outbound: "15001=orders:8080, 15002=payments.other"}
    spec:
      initContainers: [{name: migrate, image: m}]
      containers:
      - {name: logger, image: l}
      - {name: app, image: shop:1, ports: [{containerPort: 8080}]}
      volumes: [{name: data, emptyDir: {}}]
)";

const json::object& pod_spec(const json::value& workload) {
  return workload.at("spec").at("template").at("spec").as_object();
}

std::string variable(const json::value& container, std::string_view name) {
  for (const auto& one : container.at("env").as_array())
    if (fields::text_at(one.as_object(), "name") == name) return std::string(one.at("value").as_string());
  return "(not set)";
}

TEST(Inject, puts_a_native_sidecar_before_everything_else_and_leaves_the_rest) {
  auto object = manifest(deployment);
  const auto before = object;
  const auto changed = inject(object, {"weir:9", 15000, 15100});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(*changed, 1u);
  const auto& spec = pod_spec(object);
  const auto& containers = spec.at("initContainers").as_array();
  ASSERT_EQ(containers.size(), 2u);
  EXPECT_EQ(containers[0].at("name"), json::value("weir"));
  EXPECT_EQ(containers[0].at("image"), json::value("weir:9"));
  EXPECT_EQ(containers[0].at("restartPolicy"), json::value("Always"));
  EXPECT_EQ(containers[0].at("startupProbe").at("httpGet").at("port"), json::value(15100));
  EXPECT_EQ(containers[1].at("name"), json::value("migrate"));
  EXPECT_EQ(spec.at("volumes").as_array().size(), 2u);
  EXPECT_EQ(spec.at("containers"), pod_spec(before).at("containers"));
  auto without = object;
  auto& cleaned = without.at("spec").at("template").at("spec").as_object();
  cleaned["initContainers"].as_array().erase(cleaned["initContainers"].as_array().begin());
  cleaned["volumes"].as_array().pop_back();
  EXPECT_EQ(without, before);
}

TEST(Inject, the_sidecar_listens_for_the_application_and_for_each_upstream) {
  auto object = manifest(deployment);
  ASSERT_TRUE(inject(object, {}));
  const auto& weir = pod_spec(object).at("initContainers").as_array()[0];
  EXPECT_EQ(variable(weir, "WEIR_PROXY_LISTEN"),
            "0.0.0.0:15000 reuseport backlog=16384, 127.0.0.1:15001 reuseport, 127.0.0.1:15002 reuseport");
  EXPECT_EQ(variable(weir, "WEIR_STATUS_LISTEN"), "0.0.0.0:15100");
  EXPECT_EQ(variable(weir, "WEIR_ADMIN_LISTEN"), "off");
  EXPECT_EQ(variable(weir, "WEIR_DATABASE"), "off");
  EXPECT_EQ(variable(weir, "WEIR_KUBERNETES"), "off");
  const auto config = json::parse(variable(weir, "WEIR_DECLARATIVE_CONFIG_STRING"));
  const auto& services = config.at("services").as_array();
  ASSERT_EQ(services.size(), 3u);
  EXPECT_EQ(services[0].at("host"), json::value("127.0.0.1"));
  EXPECT_EQ(services[0].at("port"), json::value(8080));
  EXPECT_EQ(services[1].at("host"), json::value("orders"));
  EXPECT_EQ(services[1].at("port"), json::value(8080));
  EXPECT_EQ(services[2].at("host"), json::value("payments.other"));
  EXPECT_EQ(services[2].at("port"), json::value(80));
}

TEST(Inject, outbound_routes_are_for_requests_of_the_pod_only) {
  auto object = manifest(deployment);
  ASSERT_TRUE(inject(object, {}));
  const auto config =
      json::parse(variable(pod_spec(object).at("initContainers").as_array()[0], "WEIR_DECLARATIVE_CONFIG_STRING"));
  const auto& services = config.at("services").as_array();
  for (std::size_t i = 1; i < services.size(); i++) {
    const auto& route = services[i].at("routes").at(0);
    EXPECT_EQ(route.at("hosts").at(0), json::value(fmt::format("localhost:{}", 15000 + i)));
    EXPECT_EQ(route.at("plugins").at(0).at("name"), json::value("ip-restriction"));
    EXPECT_EQ(route.at("plugins").at(0).at("config").at("allow"), (json::array{"127.0.0.0/8", "::1/128"}));
  }
}

TEST(Inject, a_second_time_changes_nothing) {
  auto object = manifest(deployment);
  ASSERT_TRUE(inject(object, {}));
  const auto once = object;
  const auto again = inject(object, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, 0u);
  EXPECT_EQ(object, once);
}

TEST(Inject, finds_the_pods_of_every_kind_of_workload) {
  constexpr std::string_view pod = "{spec: {containers: [{name: a, ports: [{containerPort: 1}]}]}}";
  for (const auto kind : {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}) {
    auto object = manifest(fmt::format("{{kind: {}, metadata: {{name: x}}, spec: {{template: {}}}}}", kind, pod));
    EXPECT_EQ(inject(object, {}).value_or(0), 1u) << kind;
  }
  auto cron = manifest(fmt::format("{{kind: CronJob, spec: {{jobTemplate: {{spec: {{template: {}}}}}}}}}", pod));
  EXPECT_EQ(inject(cron, {}).value_or(0), 1u);
  auto alone = manifest("{kind: Pod, spec: {containers: [{name: a, ports: [{containerPort: 1}]}]}}");
  EXPECT_EQ(inject(alone, {}).value_or(0), 1u);
  auto list =
      manifest(fmt::format("{{kind: List, items: [{{kind: Service}}, {{kind: Job, spec: {{template: {0}}}}}, {{kind: "
                           "Job, spec: {{template: {0}}}}}]}}",
                           pod));
  EXPECT_EQ(inject(list, {}).value_or(0), 2u);
  auto service = manifest("{kind: Service, spec: {ports: [{port: 80}]}}");
  EXPECT_EQ(inject(service, {}).value_or(7), 0u);
}

TEST(Inject, annotations_choose_the_port_the_configuration_and_whether_at_all) {
  auto port =
      manifest("{kind: Pod, metadata: {annotations: {weir.dev/app-port: \"7000\"}}, spec: {containers: [{name: a}]}}");
  ASSERT_TRUE(inject(port, {}));
  const auto& weir = port.at("spec").at("initContainers").at(0);
  EXPECT_NE(variable(weir, "WEIR_DECLARATIVE_CONFIG_STRING").find("7000"), std::string::npos);

  auto own = manifest(
      "{kind: Pod, metadata: {annotations: {weir.dev/app-port: \"7000\", weir.dev/config: mine}}, "
      "spec: {containers: []}}");
  ASSERT_TRUE(inject(own, {}));
  const auto& configured = own.at("spec").at("initContainers").at(0);
  EXPECT_EQ(variable(configured, "WEIR_DECLARATIVE_CONFIG"), "/etc/weir/sidecar/weir.yaml");
  EXPECT_EQ(variable(configured, "WEIR_DECLARATIVE_CONFIG_STRING"), "(not set)");
  EXPECT_EQ(own.at("spec").at("volumes").at(1).at("configMap").at("name"), json::value("mine"));

  auto off = manifest(
      "{kind: Deployment, metadata: {annotations: {weir.dev/inject: \"false\"}}, spec: {template: {spec: {}}}}");
  EXPECT_EQ(inject(off, {}).value_or(7), 0u);
}

TEST(Inject, faults_name_object_and_annotation) {
  struct {
    const char *annotations, *fault;
  } const cases[] = {
      {"{}",
       "Pod p: no container has a containerPort; say where the application listens by the annotation "
       "weir.dev/app-port, or leave the pod alone by weir.dev/inject: \"false\""},
      {"{weir.dev/app-port: \"http\"}", "Pod p: weir.dev/app-port: 'http' is no port"},
      {"{weir.dev/app-port: \"70000\"}", "Pod p: weir.dev/app-port: '70000' is no port"},
      {"{weir.dev/app-port: \"15000\"}", "Pod p: the application's port 15000 is one of the sidecar's; choose others"},
      {"{weir.dev/app-port: \"1\", weir.dev/outbound: \"orders\"}",
       "Pod p: weir.dev/outbound: 'orders' is not of the form <port>=<upstream>[:<port>]"},
      {"{weir.dev/app-port: \"1\", weir.dev/outbound: \"2=a b\"}", "Pod p: weir.dev/outbound: invalid hostname: a b"},
      {"{weir.dev/app-port: \"1\", weir.dev/outbound: \"2=a,2=b\"}",
       "Pod p: weir.dev/outbound: port 2 is taken already"},
      {"{weir.dev/app-port: \"1\", weir.dev/outbound: \"2=a:0\"}", "Pod p: weir.dev/outbound: 'a' has no port 0"},
  };
  for (const auto& one : cases) {
    auto pod = manifest(fmt::format(
        "{{kind: Pod, metadata: {{name: p, annotations: {}}}, spec: {{containers: [{{name: a}}]}}}}", one.annotations));
    const auto before = pod;
    const auto changed = inject(pod, {});
    ASSERT_FALSE(changed) << one.annotations;
    EXPECT_EQ(changed.error().message, one.fault);
    EXPECT_EQ(pod, before);
  }
}

json::object review(std::string_view annotations) {
  return manifest(fmt::format("{{apiVersion: admission.k8s.io/v1, kind: AdmissionReview, request: {{uid: u-1, kind: "
                              "{{group: '', version: v1, kind: Pod}}, object: {{kind: Pod, metadata: {{annotations: "
                              "{}}}, spec: {{containers: [{{name: a, ports: [{{containerPort: 80}}]}}]}}}}}}}}",
                              annotations))
      .as_object();
}

TEST(InjectReview, patches_pods_that_ask_for_it) {
  const auto out = inject_review(review("{weir.dev/inject: 'true'}"), {});
  EXPECT_EQ(out.at("apiVersion"), json::value("admission.k8s.io/v1"));
  const auto& response = out.at("response").as_object();
  EXPECT_EQ(response.at("uid"), json::value("u-1"));
  EXPECT_EQ(response.at("allowed"), json::value(true));
  EXPECT_EQ(response.at("patchType"), json::value("JSONPatch"));
  const auto text = kube::decode_base64(response.at("patch").as_string());
  ASSERT_TRUE(text);
  const auto patch = json::parse(*text);
  EXPECT_EQ(patch.at(0).at("op"), json::value("add"));
  EXPECT_EQ(patch.at(0).at("path"), json::value("/spec/initContainers"));
  EXPECT_EQ(patch.at(0).at("value").at(0).at("name"), json::value("weir"));
  EXPECT_EQ(patch.at(1).at("path"), json::value("/spec/volumes"));
}

TEST(InjectReview, lets_others_pass_as_they_are) {
  for (const auto annotations : {"{}", "{weir.dev/inject: 'false'}", "{weir.dev/inject: true}"}) {
    const auto out = inject_review(review(annotations), {});
    EXPECT_EQ(out.at("response").at("allowed"), json::value(true));
    EXPECT_FALSE(out.at("response").as_object().contains("patch")) << annotations;
  }
}

TEST(InjectReview, denies_with_the_reason) {
  const auto out = inject_review(review("{weir.dev/inject: 'true', weir.dev/outbound: x}"), {});
  EXPECT_EQ(out.at("response").at("allowed"), json::value(false));
  EXPECT_NE(std::string_view(out.at("response").at("status").at("message").as_string()).find("weir.dev/outbound"),
            std::string_view::npos);
  EXPECT_EQ(inject_review({}, {}).at("response").at("allowed"), json::value(false));
}

TEST(InjectYaml, reads_scalars_as_kubectl_does) {
  const auto read = manifest(
      "{mode: 0644, also: 0o17, hex: 0x1f, text: '0644', on: on, quoted: \"yes\", none: ~, ratio: -1.5, "
      "version: 1.2.3, time: 10s, negative: -7, word: nothing, big: 99999999999999999999}");
  EXPECT_EQ(read.at("mode"), json::value(420));
  EXPECT_EQ(read.at("also"), json::value(15));
  EXPECT_EQ(read.at("hex"), json::value(31));
  EXPECT_EQ(read.at("text"), json::value("0644"));
  EXPECT_EQ(read.at("on"), json::value(true));
  EXPECT_EQ(read.at("quoted"), json::value("yes"));
  EXPECT_TRUE(read.at("none").is_null());
  EXPECT_EQ(read.at("ratio"), json::value(-1.5));
  EXPECT_EQ(read.at("version"), json::value("1.2.3"));
  EXPECT_EQ(read.at("time"), json::value("10s"));
  EXPECT_EQ(read.at("negative"), json::value(-7));
  EXPECT_EQ(read.at("word"), json::value("nothing"));
}

TEST(InjectYaml, reads_and_prints_several_documents_and_expands_anchors) {
  const auto read = read_manifests("---\na: &x {b: 1}\nc: {<<: *x, d: 2}\n---\n---\ne: [1, text]\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].at("c").at("b"), json::value(1));
  const auto again = read_manifests(print_manifests(*read));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *read);
}

TEST(InjectYaml, says_what_is_wrong_and_where) {
  EXPECT_NE(read_manifests("a: [1").error().message.find("line"), std::string::npos);
  EXPECT_EQ(read_manifests("a: 1\na: 2").error().message, "a key given twice at line 2");
  std::string deep(200, '[');
  EXPECT_EQ(read_manifests(deep + std::string(200, ']')).error().message, "nested too deep at line 1");
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; c++)
    bomb += fmt::format("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c, static_cast<char>(c - 1));
  EXPECT_TRUE(read_manifests(bomb).error().message.starts_with("too many values"));
}

}  // namespace
}  // namespace weir::reconcile
