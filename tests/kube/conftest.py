"""Fixtures: `lab` is a Kubernetes control plane for all tests, `space` a namespace for one, `weir` starts nodes beside it."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cluster  # noqa: E402
import harness  # noqa: E402


def pytest_configure(config):
    if not harness.BINARY.exists():
        raise pytest.UsageError(f"{harness.BINARY} does not exist: build it, or name another by WEIR_BIN")
    reason = cluster.missing()
    if reason and os.environ.get("WEIR_KUBE_REQUIRED"):
        raise pytest.UsageError(f"the Kubernetes tests have to run, but {reason}")


def pytest_collection_modifyitems(items):
    reason = cluster.missing()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"Kubernetes tests cannot run here: {reason}"))


@pytest.fixture(scope="session")
def lab():
    """One control plane with all CRDs installed. The tests' own thread is in its network."""
    made = cluster.Lab()
    try:
        with made.network():
            made.install_crds()
            yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def own_lab():
    """A control plane for the tests of one file that break it; they enter its network by themselves."""
    made = cluster.Lab()
    try:
        with made.network():
            made.install_crds()
            yield made
    finally:
        made.close()


@pytest.fixture
def space(lab):
    name = lab.space()
    yield name
    lab.drop(name)


class Nodes:
    def __init__(self, lab, folder):
        self.lab, self.folder, self.made = lab, folder, []

    def __call__(self, settings=None, start=True, **more):
        node = cluster.Node(self.lab, self.folder / f"node{len(self.made)}", settings, **more)
        self.made.append(node)
        return node.start() if start else node

    def stop(self):
        faults = []
        for node in reversed(self.made):
            try:
                node.stop()
            except AssertionError as e:
                faults.append(str(e))
        assert not faults, "\n".join(faults)


@pytest.fixture
def weir(lab, tmp_path):
    """weir(settings={...}) starts a node that serves what the lab declares; it must end with exit code 0 on SIGTERM."""
    nodes = Nodes(lab, tmp_path)
    yield nodes
    nodes.stop()


@pytest.fixture(scope="module")
def node(lab, tmp_path_factory):
    """One node for all tests of a file."""
    nodes = Nodes(lab, tmp_path_factory.mktemp("node"))
    yield nodes({"gateway_addresses": "198.18.128.0/24"})
    nodes.stop()


@pytest.fixture
def servers():
    """servers(name) starts a server in the lab's network that answers with its name."""
    made = []

    def start(name):
        server = harness.Scripted(harness.answering(harness.ok(name.encode())))
        made.append(server)
        return server
    yield start
    for server in made:
        server.close()
