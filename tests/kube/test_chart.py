"""The chart and the manifests, against helm and the real API server; Weir as pods of it, non-root on a read-only root."""
import json
import subprocess

import pytest
import yaml

import cluster
import harness
import objects
from harness import eventually, request

CHART = harness.ROOT / "charts" / "weir"
MANIFESTS = harness.ROOT / "manifests"

VALUES = {
    "defaults": {},
    "daemonset": {"kind": "DaemonSet", "proxy": {"http": {"hostPort": 80}, "tls": {"hostPort": 443}}},
    "everything": {
        "replicas": 5, "autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80},
        "networkPolicy": {"enabled": True, "statusFrom": [{"namespaceSelector": {}}]}, "admin": {"enabled": True},
        "gatewayClass": {"create": True}, "ingressClass": {"default": True}, "gatewayAddresses": "198.18.130.0/24",
        "sidecarInjector": {"enabled": True, "namespaceSelector": {"matchLabels": {"a": "b"}}},
        "podDisruptionBudget": {"minAvailable": 2}, "podAnnotations": {"a": "b"}, "priorityClassName": "high",
        "tolerations": [{"operator": "Exists"}], "nodeSelector": {"kubernetes.io/os": "linux"},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}], "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}]},
    "postgres": {"env": {"database": "postgres", "pg_host": "db", "log_level": "info",
                         "pg_password": {"valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}}},
    "nothing-extra": {"rbac": {"create": False}, "serviceAccount": {"create": False}, "ingressClass": {"create": False},
                      "podDisruptionBudget": {"enabled": False}, "proxy": {"tls": {"enabled": False}}, "preStopSeconds": 0},
}


def helm(*arguments, check=True):
    run = subprocess.run([cluster.PROGRAMS / "helm", *map(str, arguments)], capture_output=True, text=True)
    assert not check or run.returncode == 0, run.stdout + run.stderr
    return run


def rendered(folder, values, *more):
    (folder / "values.yaml").write_text(json.dumps(values))
    text = helm("template", "weir", CHART, "-n", "weir-system", "-f", folder / "values.yaml", *more).stdout
    return {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(text) if d}


@pytest.mark.parametrize("name", VALUES)
def test_lint_and_the_api_server_takes_what_is_rendered(lab, tmp_path, name):
    items = rendered(tmp_path, VALUES[name])
    helm("lint", "--strict", CHART, "-f", tmp_path / "values.yaml")
    lab.api.put(cluster.api.made("Namespace", None, "weir-system"))
    lab.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(items.values()))


@pytest.mark.parametrize("values, says", [
    ({"kind": "Pod"}, "/kind"), ({"replicas": "two"}, "/replicas"), ({"proxy": {"http": {"port": 0}}}, "/proxy/http/port"),
    ({"env": {"LogLevel": "info"}}, "LogLevel"), ({"replica": 2}, "replica"), ({"gatewayAddresses": "everywhere"}, "/gatewayAddresses"),
])
def test_wrong_values_are_refused_with_their_name(tmp_path, values, says):
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    run = helm("template", "weir", CHART, "-f", tmp_path / "values.yaml", check=False)
    assert run.returncode != 0 and says in run.stderr, run.stderr


def test_pods_have_no_rights_that_they_do_not_need(tmp_path):
    for values in VALUES.values():
        items = rendered(tmp_path, values)
        spec = next(d for (kind, _), d in items.items() if kind in ("Deployment", "DaemonSet"))["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for container in spec["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] and rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]} and rights["runAsUser"] == 65532
        for (kind, _), item in items.items():
            for rule in item.get("rules", []) if kind == "ClusterRole" else []:
                assert "*" not in rule["verbs"] and "*" not in rule["apiGroups"]
                written = set(rule["verbs"]) - {"get", "list", "watch"}
                if written and not values.get("gatewayAddresses"):
                    assert all(r.endswith("/status") or r == "events" for r in rule["resources"]), rule


def test_settings_reach_the_environment(tmp_path):
    items = rendered(tmp_path, VALUES["postgres"])
    env = {e["name"]: e for e in items["Deployment", "weir"]["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["WEIR_DATABASE"]["value"] == "postgres" and env["WEIR_KUBERNETES"]["value"] == "on"
    assert env["WEIR_PG_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "password"}
    for name in ("POD_NAME", "POD_NAMESPACE", "POD_UID"):
        assert env[name]["valueFrom"]["fieldRef"]


# ---- in the cluster -------------------------------------------------------------------------------------------------
@pytest.fixture
def image(lab):
    """The binary under test is what the image "weir" stands for."""
    line = f"weir {harness.BINARY} /usr/local/bin/weir\n"
    images = lab.folder / "images"
    if line not in images.read_text():
        with open(images, "a") as f:
            f.write(line)


def pods(lab, space, selector="app.kubernetes.io/name=weir"):
    return [p for p in lab.api.list("Pod", space, f"?labelSelector={selector.replace('=', '%3D')}")
            if not p["metadata"].get("deletionTimestamp")]


def use(lab, space, namespace):
    """The tutorial through the release's pods; returns their addresses."""
    lab.echo(space)
    host = f"{space}.chart.com"
    lab.apply(objects.upstream(space, "u", serviceRef={"name": "echo", "port": 80}), objects.route(space, "r", "u", [host]))
    served = lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served", deadline=60)
    found = pods(lab, namespace)
    assert f"{len(found)} of {len(found)} replicas" in served["message"], served
    for pod in found:
        answer = lab.run("curl", "-s", "-m", "5", "-H", f"Host: {host}", f"http://{pod['status']['podIP']}:8000/")
        assert json.loads(answer.stdout)["namespace"] == space
    return [p["status"]["podIP"] for p in found]


def test_helm_install_helm_test_and_uninstall(lab, space, image):
    lab.kubectl("label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted")
    target = lab.space("chart")
    arguments = ("--namespace", space, "--set", "replicas=3", "--set", "ingressClass.name=chart",
                 "--set", "gatewayClass.name=chart", "--skip-crds")
    lab.run("helm", "install", "gate", CHART, *arguments, "--wait", "--timeout", "90s")
    try:
        lab.run("helm", "test", "gate", "--namespace", space, "--timeout", "90s")
        addresses = use(lab, target, space)
        assert len(addresses) == 3
        pod = pods(lab, space)[0]["metadata"]["name"]
        assert lab.kubectl("exec", "-n", space, pod, "--", "id", "-u").stdout.strip() == "65532"
        assert "Read-only" in lab.kubectl("exec", "-n", space, pod, "--", "touch", "/usr/local/bin/x", check=False).stderr
        clean = request_of(lab, addresses[0], "/metrics")
        assert "weir_kube_synced 1" in clean
        # An upgrade replaces the pods one after the other; the proxy's Service answers all the time.
        lab.run("helm", "upgrade", "gate", CHART, *arguments, "--set", "env.log_level=info", "--wait", "--timeout", "120s")
        lab.run("helm", "test", "gate", "--namespace", space, "--timeout", "90s")
    finally:
        lab.run("helm", "uninstall", "gate", "--namespace", space, "--wait", "--timeout", "90s", check=False)
        lab.drop(target)
    eventually(lambda: pods(lab, space) == [], "the pods are gone", 60)


def request_of(lab, address, path, port=8100):
    return request(None, path=path, connection=cluster.harness.http.client.HTTPConnection(address, port, timeout=10)).body.decode()


def test_the_manifests_install_weir(lab, image):
    for where in ("crds", "rbac", "weir.yaml", "gateway-class.yaml"):
        lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", MANIFESTS / where)
    target = lab.space("manifests")
    try:
        lab.kubectl("rollout", "status", "deployment", "weir", "-n", "weir-system", "--timeout", "90s", timeout=100)
        assert len(use(lab, target, "weir-system")) == 2
    finally:
        for where in ("weir.yaml", "rbac"):
            lab.kubectl("delete", "-f", MANIFESTS / where, "--ignore-not-found", "--wait=false")
        lab.drop(target)


def test_kustomize_takes_the_manifests(lab):
    kinds = {d["kind"] for d in yaml.safe_load_all(lab.kubectl("kustomize", MANIFESTS).stdout) if d}
    assert {"Namespace", "CustomResourceDefinition", "ClusterRole", "Deployment", "Service", "IngressClass"} <= kinds
