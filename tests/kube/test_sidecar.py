"""Weir beside an application: by `weir inject`, and by the webhook of the chart, on the real API server."""
import json
import subprocess

import pytest

import harness
from api import made
from harness import eventually
from test_chart import CHART, image, pods  # noqa: F401

APP_PORT = 3000


def application(space, annotations, name="app"):
    """An echo server behind its sidecar, with a way to the Service `other`."""
    labels = {"app": name}
    env = [{"name": "HTTP_PORT", "value": str(APP_PORT)},
           {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    pod = {"terminationGracePeriodSeconds": 20, "containers": [{
        "name": "echo", "image": "example.com/echo-basic:v1", "env": env, "ports": [{"containerPort": APP_PORT}]}]}
    return made("Deployment", space, name, {
        "replicas": 1, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}})


def ask(lab, pod, port, host):
    answer = lab.run("curl", "-s", "-m", "5", "-H", f"Host: {host}", f"http://{pod['status']['podIP']}:{port}/path")
    return json.loads(answer.stdout)


def ready(lab, space, name="app"):
    def there():
        found = pods(lab, space, f"app={name}")
        return found and all(c["type"] != "Ready" or c["status"] == "True" for c in found[0]["status"].get("conditions", [])) \
            and found[0]["status"].get("podIP") and found[0]
    lab.kubectl("rollout", "status", f"deployment/{name}", "-n", space, "--timeout", "60s", timeout=70)
    return eventually(there, f"{name} is ready")


def is_served_through_its_sidecar(lab, space):
    pod = ready(lab, space)
    first = pod["spec"]["initContainers"][0]
    assert (first["name"], first["restartPolicy"]) == ("weir", "Always")
    came = ask(lab, pod, 15000, "app.example.com")
    assert came["pod"] == pod["metadata"]["name"] and came["path"] == "/path"
    assert came["headers"]["X-Forwarded-For"] and came["host"] == "app.example.com"
    # The other way: the application asks at its own loopback, which nobody else may.
    inside = lab.kubectl("exec", "-n", space, pod["metadata"]["name"], "-c", "echo", "--",
                         "curl", "-s", "-m", "5", "http://localhost:15001/out")
    assert json.loads(inside.stdout)["pod"].startswith("other-")
    outside = lab.run("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: localhost:15001",
                      f"http://{pod['status']['podIP']}:15000/out")
    assert outside.stdout == "403"
    # It ends after the application, and at once.
    lab.kubectl("delete", "pod", pod["metadata"]["name"], "-n", space, "--timeout", "15s", timeout=30)


@pytest.fixture
def other(lab, space, image):  # noqa: F811
    lab.echo(space, "other")
    return f"15001=other.{space}.svc:80"


def test_weir_inject_adds_a_sidecar_to_a_manifest(lab, space, other):
    manifest = json.dumps(application(space, {"weir.dev/outbound": other}))
    done = subprocess.run([harness.BINARY, "inject", "-f", "-"], input=manifest, text=True, capture_output=True, check=True)
    lab.apply(done.stdout)
    is_served_through_its_sidecar(lab, space)


def test_the_webhook_of_the_chart_adds_it_when_the_pod_is_made(lab, space, other):
    system = lab.space("injector")
    lab.run("helm", "install", "gate", CHART, "--namespace", system, "--set", "sidecarInjector.enabled=true",
            "--set", "ingressClass.create=false", "--set", "gatewayClass.create=false", "--skip-crds", "--wait", "--timeout", "90s")
    try:
        secret = lab.api.get("Secret", system, "gate-weir-webhook")["data"]
        lab.run("helm", "upgrade", "gate", CHART, "--namespace", system, "--reuse-values", "--wait", "--timeout", "90s")
        assert lab.api.get("Secret", system, "gate-weir-webhook")["data"] == secret, "an upgrade keeps the certificate"
        lab.api.create(application(space, {"weir.dev/inject": "true", "weir.dev/outbound": other}))
        is_served_through_its_sidecar(lab, space)
        # A pod that cannot get one is not made, and says why.
        wrong = application(space, {"weir.dev/inject": "true", "weir.dev/app-port": "many"}, "wrong")
        lab.api.create(wrong)
        said = eventually(lambda: [e["message"] for e in lab.api.list("Event", space) if "app-port" in e.get("message", "")],
                          "an event that names the annotation", 30)
        assert "'many' is no port" in said[0]
        # One that does not ask is left alone.
        lab.api.create(application(space, {}, "plain"))
        assert not ready(lab, space, "plain")["spec"].get("initContainers")
    finally:
        lab.run("helm", "uninstall", "gate", "--namespace", system, "--wait", "--timeout", "60s", check=False)
        lab.drop(system)
