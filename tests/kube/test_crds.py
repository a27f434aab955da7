"""Weir's own CRDs as the API server sees them: wrong objects are refused at once, kubectl get says how things are."""
import json
import subprocess

import pytest

import cluster
import harness
import objects
from api import made
from harness import eventually


def test_every_definition_is_installed_and_structural(lab):
    found = {c["metadata"]["name"]: c for c in lab.api.list("CustomResourceDefinition") if c["spec"]["group"] == "weir.dev"}
    assert {"weirupstreams.weir.dev", "weirtargets.weir.dev", "weirservices.weir.dev", "weirroutes.weir.dev",
            "weirplugins.weir.dev", "weirconsumers.weir.dev"} <= set(found)
    for name, item in found.items():
        conditions = {c["type"]: c["status"] for c in item["status"]["conditions"]}
        assert conditions.get("Established") == "True" and "NonStructuralSchema" not in conditions, (name, conditions)
        version = item["spec"]["versions"][0]
        assert "status" in version["subresources"], name
        assert item["spec"]["names"].get("shortNames"), name
        assert version.get("additionalPrinterColumns"), name


# (what is wrong, kind, spec, what the API server says: the field's name at least)
WRONG = [
    ("weight too high", "WeirTarget", {"upstream": {"name": "u"}, "target": "a:80", "weight": 65536}, "spec.weight"),
    ("weight is no number", "WeirTarget", {"upstream": {"name": "u"}, "target": "a:80", "weight": "many"}, "weight"),
    ("a target without address", "WeirTarget", {"upstream": {"name": "u"}}, "target"),
    ("unknown algorithm", "WeirUpstream", {"algorithm": "by-mood"}, "spec.algorithm"),
    ("slots out of range", "WeirUpstream", {"slots": 3}, "spec.slots"),
    ("an inline target's weight", "WeirUpstream", {"targets": [{"target": "a:80", "weight": -1}]}, "spec.targets[0].weight"),
    ("unknown protocol", "WeirRoute", {"hosts": ["a.com"], "upstream": {"name": "u"}, "protocols": ["gopher"]}, "spec.protocols[0]"),
    ("a path without slash", "WeirRoute", {"paths": ["a"], "upstream": {"name": "u"}}, "spec.paths[0]"),
    ("a status code that does not redirect", "WeirRoute",
     {"hosts": ["a.com"], "upstream": {"name": "u"}, "https_redirect_status_code": 200}, "spec.https_redirect_status_code"),
    ("a port out of range", "WeirService", {"host": "a.com", "port": 70000}, "spec.port"),
    ("retries out of range", "WeirService", {"host": "a.com", "retries": -1}, "spec.retries"),
    ("a plugin without name", "WeirPlugin", {"config": {}}, "spec.name"),
    ("a consumer without any name", "WeirConsumer", {"tags": ["a"]}, "username"),
]


@pytest.mark.parametrize("kind, spec, says", [w[1:] for w in WRONG], ids=[w[0].replace(" ", "-") for w in WRONG])
def test_a_wrong_object_is_refused_with_the_fields_name(lab, space, kind, spec, says):
    run = lab.apply(made(kind, space, "wrong", spec), check=False)
    assert run.returncode != 0 and says in run.stderr, run.stdout + run.stderr
    assert lab.api.find(kind, space, "wrong") is None


def test_an_unknown_field_is_refused_by_strict_validation(lab, space):
    run = lab.apply(made("WeirRoute", space, "typo", {"hots": ["a.com"], "upstream": {"name": "u"}}), check=False)
    assert run.returncode != 0 and 'unknown field "spec.hots"' in run.stderr, run.stderr


def test_kubectl_get_shows_targets_and_whether_it_is_served(lab, node, space, servers):
    one, two = servers("one"), servers("two")
    lab.apply(objects.upstream(space, "shown", [(f"127.0.0.1:{one.port}", 100), (f"127.0.0.1:{two.port}", 100)]),
              objects.route(space, "shown", "shown", [f"{space}.shown.com"]))
    lab.wait_condition("WeirUpstream", space, "shown", "weir.dev/Served")

    def table():
        lines = lab.kubectl("get", "weirupstreams", "-n", space).stdout.splitlines()
        return dict(zip(lines[0].split(), lines[1].split()))
    row = eventually(lambda: (t := table()).get("SERVED") == "True" and t, "SERVED True")
    assert row["NAME"] == "shown" and row["TARGETS"] == "2" and row["HEALTHY"] == "2", row
    assert "shown" in lab.kubectl("get", "wup", "-n", space).stdout
    assert "shown" in lab.kubectl("get", "wrt", "-n", space).stdout


def test_kubectl_explain_knows_the_fields(lab):
    text = lab.kubectl("explain", "weirroute.spec").stdout
    for field in ("hosts", "paths", "strip_path", "preserve_host"):
        assert field in text


def test_the_charts_definitions_are_those_of_manifests():
    def files(folder):
        return {f.name: f.read_text() for f in folder.rglob("*.yaml")}
    assert files(cluster.CRDS) and files(harness.ROOT / "charts" / "weir" / "crds") == files(cluster.CRDS)


def test_the_manifests_are_those_of_the_chart(lab, tmp_path):
    run = subprocess.run([harness.ROOT / "scripts" / "manifests", tmp_path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for made_now in tmp_path.rglob("*.yaml"):
        kept = harness.ROOT / "manifests" / made_now.relative_to(tmp_path)
        assert kept.read_text() == made_now.read_text(), f"{kept.name} is not up to date: run scripts/manifests"


def test_an_object_survives_a_round_trip_through_the_api_server(lab, space):
    spec = {"hosts": ["a.com"], "paths": ["/a", "~/b/[0-9]+"], "methods": ["GET"], "upstream": {"name": "u"},
            "headers": {"x-version": ["v1", "v2"]}, "tags": ["one"], "strip_path": False}
    lab.apply(made("WeirRoute", space, "kept", spec))
    kept = json.loads(lab.kubectl("get", "weirroute", "kept", "-n", space, "-o", "json").stdout)["spec"]
    assert {k: kept.get(k) for k in spec} == spec
