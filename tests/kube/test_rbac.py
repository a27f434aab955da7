"""What the chart lets Weir do is enough, and nothing of it is too much: a denied verb shows as a clear fault."""
import json
import subprocess

import pytest
import yaml

import cluster
import harness
import objects
from api import made
from harness import eventually

SPACE = "weir-rbac"


def rules():
    """The RBAC objects of the chart, in a namespace of their own."""
    run = subprocess.run([cluster.PROGRAMS / "helm", "template", "weir", harness.ROOT / "charts" / "weir", "-n", SPACE,
                          "--set", "gatewayAddresses=198.18.129.0/24", "--show-only", "templates/rbac.yaml"],
                         capture_output=True, text=True, check=True)
    return [d for d in yaml.safe_load_all(run.stdout) if d]


@pytest.fixture
def account(lab):
    """Gives a kubeconfig of the chart's service account; `without` takes verbs on resources away."""
    lab.api.put(made("Namespace", None, SPACE))
    applied = []

    def give(folder, without=()):
        for item in rules():
            for rule in item.get("rules", []):
                for resource, verb in without:
                    if resource in rule["resources"] and verb in rule["verbs"]:
                        # The others of this rule keep the verb.
                        if len(rule["resources"]) > 1:
                            item["rules"].append({**rule, "resources": [resource], "verbs": [v for v in rule["verbs"] if v != verb]})
                            rule["resources"] = [r for r in rule["resources"] if r != resource]
                        else:
                            rule["verbs"] = [v for v in rule["verbs"] if v != verb]
            if "rules" in item:
                item["rules"] = [r for r in item["rules"] if r["verbs"]]
            lab.apply(item)
            applied.append(item)
        token = lab.kubectl("create", "token", "weir", "-n", SPACE).stdout.strip()
        config = json.loads(lab.kubectl("config", "view", "--raw", "-o", "json").stdout)
        config["users"] = [{"name": "weir", "user": {"token": token}}]
        config["contexts"] = [{"name": "lab", "context": {"cluster": "lab", "user": "weir"}}]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kubeconfig").write_text(json.dumps(config))
        return folder / "kubeconfig"
    yield give
    for item in reversed(applied):
        lab.kubectl("delete", item["kind"], item["metadata"]["name"], "-n", SPACE, "--ignore-not-found")


def start(weir, kubeconfig, **settings):
    return weir(settings, kubeconfig=kubeconfig, env={"POD_NAMESPACE": SPACE, "POD_NAME": "weir-rbac"})


def test_the_charts_role_is_enough(lab, weir, account, space, servers, tmp_path):
    node = start(weir, account(tmp_path), gateway_addresses="198.18.129.0/24", gateway_controller="weir.dev/rbac",
                 ingress_class="rbac", ingress_controller="weir.dev/rbac-ingress")
    one = servers("one")
    lab.echo(space)
    host = f"{space}.rbac.com"
    lab.api.put(objects.gateway_class("rbac", "weir.dev/rbac"))
    lab.api.put(made("IngressClass", None, "rbac", {"controller": "weir.dev/rbac-ingress"}))
    lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(space, "r", "u", [host]),
              objects.ingress(space, "i", f"ingress.{host}", "echo", ingress_class="rbac"),
              objects.gateway(space, "gw", class_name="rbac"),
              objects.http_route(space, "h", "gw", ["a.com"], [{"backendRefs": [objects.backend("echo")]}]),
              objects.route(space, "faulty", "nobody", [f"faulty.{host}"]))
    node.wait_get(host=host)
    node.wait_get(host=f"ingress.{host}")
    lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served")
    lab.wait_condition("Gateway", space, "gw", "Programmed")
    eventually(lambda: lab.api.get("HTTPRoute", space, "h").get("status", {}).get("parents"), "the HTTPRoute's status")
    eventually(lambda: [e for e in lab.api.list("Event", space) if e["involvedObject"]["name"] == "faulty"], "an Event")
    # Kinds that are not installed have no watch; all others have one (soon: their storage may just be in the making).
    eventually(lambda: not [k for k, v in node.metrics().items() if k.startswith("weir_kube_watch_up") and v == 0 and "konghq" not in k],
               "all watches are up")
    found = node.metrics()
    assert found["weir_kube_status_faults_total"] == 0 and found["weir_kube_leader"] == 1, node.log()[-2000:]
    assert "forbidden" not in node.log()


def test_the_role_reads_no_more_than_weir_watches(lab, weir, account, tmp_path):
    node = start(weir, account(tmp_path))
    watched = {k.split('"')[1].split(".")[0] for k in node.metrics() if k.startswith("weir_kube_watch_up")}
    allowed = {r for item in rules() if item["kind"] == "ClusterRole" for rule in item["rules"] if "watch" in rule["verbs"]
               for r in rule["resources"] if "/" not in r}
    one_by_one = {"secrets", "configmaps", "customresourcedefinitions"}  # followed while something refers to them
    assert allowed - one_by_one - {"*"} - watched == set()
    own = {c["spec"]["names"]["plural"] for c in lab.api.list("CustomResourceDefinition") if c["spec"]["group"] == "weir.dev"}
    assert watched - allowed - own - {"leases"} == set()


@pytest.mark.parametrize("resource, name", [("services", "services"), ("ingresses", "ingresses.networking.k8s.io"),
                                            ("endpointslices", "endpointslices.discovery.k8s.io")])
def test_a_watch_that_is_denied_is_told_and_the_rest_is_served(lab, weir, account, space, servers, tmp_path, resource, name):
    node = start(weir, account(tmp_path, [(resource, "watch"), (resource, "list")]))
    one = servers("one")
    host = f"{space}.denied.com"
    lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(space, "r", "u", [host]))
    node.wait_get(host=host)
    assert node.metrics()[f'weir_kube_watch_up{{resource="{name}"}}'] == 0
    told = eventually(lambda: (text := json.dumps(node.status())) and "forbidden" in text and text, "the fault in /status")
    assert resource in told
    account(tmp_path)  # the operator mends it
    eventually(lambda: node.metrics()[f'weir_kube_watch_up{{resource="{name}"}}'] == 1, "the watch", 40)


def test_status_that_may_not_be_written_is_told(lab, weir, account, space, servers, tmp_path):
    node = start(weir, account(tmp_path, [("*/status", "patch")]))
    one = servers("one")
    host = f"{space}.unwritten.com"
    lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(space, "r", "u", [host]))
    node.wait_get(host=host)
    eventually(lambda: node.metrics()["weir_kube_status_faults_total"] > 0, "the denied write is counted", 40)
    node.wait_log("forbidden")
    account(tmp_path)
    lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served", deadline=60)


def test_leases_that_may_not_be_written_are_told(lab, weir, account, space, servers, tmp_path):
    node = start(weir, account(tmp_path, [("leases", v) for v in ("create", "update", "patch")]))
    one = servers("one")
    host = f"{space}.leaseless.com"
    lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(space, "r", "u", [host]))
    node.wait_get(host=host)
    assert node.metrics()["weir_kube_leader"] == 0
    eventually(lambda: "forbidden" in json.dumps(node.status()), "the fault in /status")
