"""The API server goes away, is slow, comes back with other things, or older than it was: traffic goes on.

WEIR_KUBE_AWAY: seconds that it is away (10 by default; 60 is the full test).
"""
import os
import shutil
import time

import pytest

import cluster
import objects
from api import made
from harness import Load, eventually

AWAY = float(os.environ.get("WEIR_KUBE_AWAY", "10"))


@pytest.fixture
def node(own_lab, tmp_path):
    made_node = cluster.Node(own_lab, tmp_path / "node", {"gateway_addresses": "198.18.128.0/24"})
    try:
        yield made_node.start()
    finally:
        made_node.stop()


@pytest.fixture
def place(own_lab):
    name = own_lab.space("faults")
    commands = dict(own_lab.commands())
    yield name
    for program in ("etcd", "apiserver"):  # as a test that failed may have left them
        own_lab.restore(program, commands[program])
    own_lab.wait_api()
    own_lab.drop(name)


class Site:
    """A route to a server that answers with its name."""

    def __init__(self, lab, node, space, servers):
        self.lab, self.node, self.space = lab, node, space
        self.one, self.two = servers("one"), servers("two")
        self.host = f"{space}.faults.com"
        lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{self.one.port}", 100)]),
                  objects.route(space, "r", "u", [self.host]))
        node.wait_get(host=self.host)

    def change(self, api):
        """What another client does while Weir cannot see it: an upstream moves, a route comes, one goes."""
        api.put(objects.upstream(self.space, "u", [(f"127.0.0.1:{self.two.port}", 100)]))
        api.put(objects.route(self.space, "new", "u", [f"new.{self.host}"]))
        api.delete("WeirRoute", self.space, "old")

    def changed(self):
        return (self.node.get(host=self.host).body == b"two" and self.node.get(host=f"new.{self.host}").status == 200
                and self.node.get(host=f"old.{self.host}").status == 404)


@pytest.fixture
def site(own_lab, node, place, servers):
    out = Site(own_lab, node, place, servers)
    own_lab.api.put(objects.route(place, "old", "u", [f"old.{out.host}"]))
    node.wait_get(host=f"old.{out.host}")
    return out


def test_killed_under_load_and_restarted_with_changes_made_meanwhile(own_lab, node, site):
    with Load(node.proxy_port, host=site.host) as load:
        own_lab.kill("apiserver")
        command = own_lab.stopped["apiserver"]
        eventually(lambda: node.metrics()["weir_kube_reachable"] == 0, "the node notices")
        end = time.monotonic() + AWAY
        # Another API server on the same data, which this node does not know of.
        own_lab.stopped["apiserver"] = [b"7443" if a == b"6443" else a for a in command]
        own_lab.start("apiserver", wait=False)
        other = cluster.api.Api(cluster.NODE_IP, own_lab.folder / "pki" / "ca.crt", own_lab.api.token, port=7443)
        eventually(lambda: quiet(lambda: other.list("WeirRoute")), "the other API server", 60)
        site.change(other)
        own_lab.kill("apiserver")
        while time.monotonic() < end:
            assert node.get(host=site.host).body == b"one"
            time.sleep(0.1)
        assert node.get(host=f"new.{site.host}").status == 404
        assert node.status()  # says so, and answers
        own_lab.stopped["apiserver"] = command
        own_lab.start("apiserver")
        eventually(site.changed, "all changes are served", 60)
    assert load.failures == [] and load.done > 100
    eventually(lambda: node.metrics()["weir_kube_reachable"] == 1, "reachable again")
    own_lab.wait_condition("WeirRoute", site.space, "new", "weir.dev/Served", deadline=60)


def test_restored_from_a_backup_so_that_the_resource_version_goes_back(own_lab, node, site):
    own_lab.kill("apiserver")
    own_lab.kill("etcd")
    backup = own_lab.folder / "etcd.backup"
    shutil.copytree(own_lab.folder / "etcd", backup)
    own_lab.start("etcd", wait=False)
    own_lab.start("apiserver")
    before = int(own_lab.api.get("WeirRoute", site.space, "r")["metadata"]["resourceVersion"])
    for n in range(200):  # so that the restored data are clearly older
        own_lab.api.put(objects.route(site.space, "later", "u", [f"later{n}.{site.host}"]))
    site.change(own_lab.api)
    eventually(site.changed, "changes before the restore", 60)
    with Load(node.proxy_port, host=site.host) as load:
        own_lab.kill("apiserver")
        own_lab.kill("etcd")
        shutil.rmtree(own_lab.folder / "etcd")
        backup.rename(own_lab.folder / "etcd")
        own_lab.start("etcd", wait=False)
        own_lab.start("apiserver")
        # What was made after the backup is gone, what was deleted is there again.
        eventually(lambda: node.get(host=site.host).body == b"one" and node.get(host=f"old.{site.host}").status == 200 and
                   node.get(host=f"later199.{site.host}").status == 404, "the restored state", 90)
        own_lab.api.put(objects.upstream(site.space, "u", [(f"127.0.0.1:{site.two.port}", 100)]))
        now = int(own_lab.api.get("WeirUpstream", site.space, "u")["metadata"]["resourceVersion"])
        assert now < before + 200
        eventually(lambda: node.get(host=site.host).body == b"two", "a change after the restore", 60)
    assert load.failures == [] and load.done > 100


def test_an_api_server_that_hangs_holds_up_nothing(own_lab, node, site):
    with Load(node.proxy_port, host=site.host) as load:
        own_lab.freeze("apiserver")
        try:
            cluster.still(lambda: node.get(host=site.host).status == 200, 3, "answers while the API server hangs")
            cluster.still(node.status, 1, "the status listener answers")
        finally:
            own_lab.thaw("apiserver")
        own_lab.wait_api()
        site.change(own_lab.api)
        eventually(site.changed, "changes after it", 60)
    assert load.failures == [] and load.done > 100


def test_a_node_that_starts_while_the_api_server_is_away_waits_for_it(own_lab, place, tmp_path, servers):
    one = servers("one")
    host = f"{place}.late.com"
    own_lab.apply(objects.upstream(place, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(place, "r", "u", [host]))
    own_lab.kill("apiserver")
    late = cluster.Node(own_lab, tmp_path / "late")
    try:
        late.launch()
        eventually(lambda: "status" in late.ports, "its listeners")
        answer = cluster.harness.request(late.status_port, path="/status/ready")
        assert answer.status == 503 and "Kubernetes" in answer.json["message"], answer
        own_lab.start("apiserver")
        late.wait_ready()
        assert late.get(host=host).body == b"one"
    finally:
        late.stop()


def test_definitions_that_are_not_installed_are_waited_for(own_lab, node, site):
    own_lab.api.put(made("CustomResourceDefinition", None, "kongplugins.configuration.konghq.com", {
        "group": "configuration.konghq.com", "scope": "Namespaced",
        "names": {"kind": "KongPlugin", "plural": "kongplugins", "singular": "kongplugin"},
        "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                      "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}))
    own_lab.kubectl("wait", "--for", "condition=Established", "crd/kongplugins.configuration.konghq.com", "--timeout", "30s")
    eventually(lambda: node.metrics().get('weir_kube_watch_up{resource="kongplugins.configuration.konghq.com"}') == 1,
               "the watch of the new kind", 30)
    assert node.get(host=site.host).status == 200


def quiet(call):
    try:
        return call()
    except (OSError, AssertionError):
        return None
