"""Fixtures: `weir` starts nodes, `express` and `scripted` start upstreams; all is stopped and checked at the end of a test."""
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402


def pytest_configure(config):
    if not harness.BINARY.exists():
        raise pytest.UsageError(f"{harness.BINARY} does not exist: build it, or name another by WEIR_BIN")


@pytest.fixture(scope="session")
def express_folder():
    """The Express application with its packages, installed once into build/e2e-node."""
    source, folder = harness.HERE / "express", harness.ROOT / "build" / "e2e-node"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = ("package.json", "package-lock.json")
        same = all((folder / f).exists() and (folder / f).read_bytes() == (source / f).read_bytes() for f in files)
        if not (same and (folder / "node_modules" / ".package-lock.json").exists()):
            for f in files:
                shutil.copy(source / f, folder / f)
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)
        shutil.copy(source / "server.js", folder / "server.js")
    return folder


class Factory:
    """Makes things and ends them in the opposite order."""

    def __init__(self, make):
        self.make, self.made = make, []

    def __call__(self, *args, **more):
        self.made.append(self.make(*args, **more))
        return self.made[-1]


def stop_all(things, how):
    faults = []
    for thing in reversed(things):
        try:
            how(thing)
        except AssertionError as e:
            faults.append(str(e))
    assert not faults, "\n".join(faults)


class Nodes:
    """Starts nodes in folders of their own."""

    def __init__(self, folder):
        self.folder, self.made = folder, []

    def __call__(self, settings=None, env=None, conf=None, prefix=None, start=True):
        node = harness.Weir(prefix or self.folder / f"node{len(self.made)}", settings, env, conf)
        self.made.append(node)  # known before it starts, so that a failed start is cleaned up too
        return node.start() if start else node

    def stop(self):
        stop_all(self.made, lambda node: node.stop())


@pytest.fixture
def weir(tmp_path):
    """weir(settings={...}) starts a node on free ports; it must end with exit code 0 on SIGTERM."""
    nodes = Nodes(tmp_path)
    yield nodes
    nodes.stop()


@pytest.fixture(scope="module")
def shared_weir(tmp_path_factory):
    """One node for all tests of a file; they must not disturb each other."""
    nodes = Nodes(tmp_path_factory.mktemp("shared"))
    yield nodes()
    nodes.stop()


@pytest.fixture
def express(express_folder):
    """express("01") starts an Express server."""
    made = Factory(lambda name="01", port=0: harness.Express(express_folder, name, port))
    yield made
    stop_all(made.made, lambda e: e.stop())


@pytest.fixture(scope="module")
def shared_express(express_folder):
    server = harness.Express(express_folder, "01")
    yield server
    server.stop()


@pytest.fixture
def scripted():
    """scripted(handler) starts a TCP server; a handler gets a ScriptedConnection."""
    made = Factory(lambda handler=harness.answering(harness.ok()), port=0: harness.Scripted(handler, port))
    yield made
    stop_all(made.made, lambda s: s.close())


def route_to(node, port, name="hello", hosts=("hello.com",), service=None, **route):
    """A service on 127.0.0.1:port and a route to it."""
    node.admin("POST", "/services", {"name": name, "host": "127.0.0.1", "port": port, **(service or {})}, expect=201)
    return node.admin("POST", f"/services/{name}/routes", {"name": name, "hosts": list(hosts), **route}, expect=201).json


@pytest.fixture(name="route_to")
def route_to_fixture():
    return route_to
