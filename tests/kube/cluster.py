"""A real Kubernetes control plane (tests/kube/lab) and Weir in its network, for the Kubernetes tests."""
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
import api  # noqa: E402
import harness  # noqa: E402
import network  # noqa: E402
from harness import eventually  # noqa: E402

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "lab"
PROGRAMS = Path(os.environ.get("LAB_BIN") or
                Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "k8s-lab")
NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kubectl", "helm", "coredns", "fakelet",
          "echo-basic", "gateway-conformance")
TOOLS = ("ip", "nsenter", "openssl", "iptables")
NODE_IP = "198.18.0.1"
CRDS, RBAC = harness.ROOT / "manifests" / "crds", harness.ROOT / "manifests" / "rbac"
GATEWAY_CRDS = PROGRAMS / "crds" / "experimental"


def missing():
    """Why the Kubernetes tests cannot run here; empty when they can."""
    if os.geteuid() != 0:
        return "they need root, for network namespaces"
    tools = [t for t in TOOLS if not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if tools:
        return f"there is no {', '.join(tools)}"
    programs = [p for p in NEEDED if not os.access(PROGRAMS / p, os.X_OK)]
    if programs:
        return f"there is no {', '.join(programs)} in {PROGRAMS}: run tests/kube/setup, which says why when it cannot build them"
    return ""


class Lab:
    """One control plane. `with lab.network():` puts a thread, and what it starts, into the lab's network."""

    def __init__(self, folder=None):
        self.folder = Path(folder or tempfile.mkdtemp(prefix="weir-lab-"))
        self.counter = itertools.count(1)
        self.stopped, self.last = {}, {}  # command lines of programs that a test has stopped; of those it has started
        self.up()

    # ---- the whole lab
    def up(self):
        run = subprocess.run([SCRIPTS / "up", self.folder], capture_output=True, text=True)
        if run.returncode != 0:
            logs = "".join(f"\n--- {f.name}\n{f.read_text(errors='replace')[-1500:]}" for f in (self.folder / "log").glob("*"))
            raise AssertionError(f"the lab does not start: {run.stderr}{logs}")
        self.api = api.Api(NODE_IP, self.folder / "pki" / "ca.crt", (self.folder / "token").read_text().strip())

    def close(self):
        subprocess.run([SCRIPTS / "down", self.folder, "--purge"], check=True)

    kubeconfig = property(lambda self: self.folder / "admin.kubeconfig")

    def network(self):
        name = subprocess.run(["bash", "-c", f'dir=$1; . "{SCRIPTS}/common.sh"; echo "$network"', "-", self.folder],
                              capture_output=True, text=True, check=True).stdout.strip()
        return network.inside(f"/run/netns/{name}")

    # ---- what a user types
    def run(self, *command, check=True, text=None, timeout=120):
        """A command in the lab's network with the lab's programs and kubeconfig."""
        done = subprocess.run([SCRIPTS / "in", self.folder, *map(str, command)], input=text, text=True,
                              capture_output=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
        return done

    def kubectl(self, *arguments, check=True, text=None, timeout=120):
        return self.run("kubectl", *arguments, check=check, text=text, timeout=timeout)

    def apply(self, *items, check=True):
        """kubectl apply -f - of YAML text or of objects."""
        text = "\n---\n".join(i if isinstance(i, str) else json.dumps(i) for i in items)
        return self.kubectl("apply", "-f", "-", text=text, check=check)

    def install_crds(self):
        """Weir's own, and those of the Gateway API."""
        for where in [CRDS, *sorted(GATEWAY_CRDS.glob("gateway*.yaml"))]:
            self.kubectl("apply", "--server-side", "--force-conflicts", "-R", "-f", where)
        self.kubectl("wait", "--for", "condition=Established", "crd", "--all", "--timeout", "60s")

    def space(self, prefix="t"):
        """A new namespace."""
        name = f"{prefix}-{next(self.counter)}"
        self.api.create(api.made("Namespace", None, name))
        return name

    def drop(self, space):
        with contextlib.suppress(OSError):
            self.api.delete("Namespace", None, space)

    # ---- pods that answer
    def echo(self, space, name="echo", replicas=1, port=80):
        """A Deployment of echo servers with a Service; returns when all of them are endpoints."""
        labels = {"app": name}
        pod = {"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "echo", "image": "example.com/echo-basic:v1",
            "env": [{"name": "HTTP_PORT", "value": "3000"},
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
            "readinessProbe": {"httpGet": {"path": "/health", "port": 3000}, "periodSeconds": 1}}]}
        self.api.create(api.made("Deployment", space, name, {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod}}))
        self.api.create(api.made("Service", space, name, {
            "selector": labels, "ports": [{"name": "http", "port": port, "targetPort": 3000}]}))
        self.wait_endpoints(space, name, replicas)

    def scale(self, space, name, replicas):
        self.api.merge("Deployment", space, name, {"spec": {"replicas": replicas}})

    def endpoints(self, space, service):
        slices = self.api.list("EndpointSlice", space, f"?labelSelector=kubernetes.io/service-name%3D{service}")
        return sorted(a for s in slices for e in s.get("endpoints") or [] if e.get("conditions", {}).get("ready")
                      for a in e["addresses"])

    def wait_endpoints(self, space, service, count):
        return eventually(lambda: len(found := self.endpoints(space, service)) == count and found,
                          f"{count} endpoints of {space}/{service}", 60)

    # ---- status
    def wait_condition(self, kind, space, name, type_, status="True", current=True, deadline=None):
        """Until the condition has this status, for the object's present generation; returns the condition."""
        def there():
            item = self.api.find(kind, space, name)
            found = api.condition(item, type_)
            if found.get("status") != status:
                return None
            return None if current and found.get("observedGeneration") != item["metadata"]["generation"] else found
        try:
            return eventually(there, "", deadline)
        except AssertionError:
            item = self.api.find(kind, space, name)
            raise AssertionError(f"{kind} {space}/{name} has no {type_}={status}: {json.dumps((item or {}).get('status'))}, "
                                 f"generation {(item or {}).get('metadata', {}).get('generation')}") from None

    # ---- faults
    def pid(self, program):
        return int((self.folder / "run" / program).read_text().split()[0])

    def kill(self, program, number=signal.SIGKILL):
        """Ends one of the lab's programs (apiserver, etcd, controllers, node ...) at once."""
        pid = self.pid(program)
        self.stopped[program] = command_line(pid)
        os.kill(pid, number)
        # Not our child: it is gone when its entry is, or when nobody has asked for its exit code yet.
        eventually(lambda: not alive(pid), f"end of {program}")

    def start(self, program, wait=True):
        """Starts again, as it was, what kill() has ended."""
        self.last[program] = self.stopped.pop(program)
        with self.network(), open(self.folder / "log" / program, "ab") as log:
            process = subprocess.Popen(self.last[program], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
        (self.folder / "run" / program).write_text(f"{process.pid} {start_time(process.pid)}\n")
        if program == "etcd":
            eventually(self.etcd_answers, "etcd", 60)  # an API server that starts before it may give up
        if wait:
            self.wait_api()

    def etcd_answers(self):
        with contextlib.suppress(OSError):
            return harness.request(2379, path="/health").status == 200

    def wait_api(self):
        def ready():
            if "apiserver" in self.last and not alive(self.pid("apiserver")):  # it gives up when etcd is slow to answer; a kubelet would start it again
                self.stopped["apiserver"] = self.last["apiserver"]
                self.start("apiserver", wait=False)
            with contextlib.suppress(OSError, AssertionError):
                self.api.call("GET", "/readyz?exclude=poststarthook", expect=None)
                # Definitions are served some time after the rest.
                return self.api.list("Namespace") and (self.api.find("CustomResourceDefinition", None, "weirroutes.weir.dev") is None
                                                       or "items" in self.api.call("GET", api.path_of("WeirRoute")))
        eventually(ready, "API server", 60)

    def commands(self):
        """The command lines of the programs that run."""
        return {p.name: command_line(self.pid(p.name)) for p in (self.folder / "run").iterdir() if alive(self.pid(p.name))}

    def restore(self, program, command):
        """Sees to it that the program runs with this command line."""
        if alive(self.pid(program)) and command_line(self.pid(program)) == command:
            self.thaw(program)
            return
        if alive(self.pid(program)):
            self.kill(program)
        self.stopped[program] = command
        self.start(program, wait=False)

    def freeze(self, program):
        os.kill(self.pid(program), signal.SIGSTOP)

    def thaw(self, program):
        os.kill(self.pid(program), signal.SIGCONT)


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")


def start_time(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Node(harness.Weir):
    """`weir run` with Kubernetes as its source, in the lab's network (the thread that makes it has to be there)."""

    def __init__(self, lab, prefix, settings=None, env=None, kubeconfig=None, pod=None):
        self.lab, self.kubeconfig = lab, kubeconfig or lab.kubeconfig
        own = {"POD_NAME": pod, "POD_NAMESPACE": "default"} if pod else {}
        settings = {"kubernetes": "on", "database": "off", "dns_resolver": NODE_IP, **(settings or {})}
        super().__init__(prefix, settings, {**own, **(env or {})})

    def command(self):
        return [*super().command(), "--kubeconfig", str(self.kubeconfig)]

    def get(self, path="/", host="hello.com", **more):
        return harness.request(self.proxy_port, path=path, host=host, **more)

    def wait_get(self, path="/", host="hello.com", status=200, deadline=None):
        """Until the node answers with this status; returns the answer."""
        def answered():
            answer = self.get(path, host)
            return answer if answer.status == status else None
        try:
            return eventually(answered, "", deadline)
        except AssertionError:
            raise AssertionError(f"{host}{path} does not answer {status} but {self.get(path, host)}; "
                                 f"/status: {json.dumps(self.status().get('kubernetes', self.status()))[:2000]}") from None

    def status(self):
        return harness.request(self.status_port, path="/status").json

    def metrics(self):
        """Samples of /metrics by name with labels, as text: {'weir_kube_replicas': 1.0}."""
        text = harness.request(self.status_port, path="/metrics").body.decode()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in text.splitlines() if line and not line.startswith("#")}

    def resident_mb(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024


class StatusWrites:
    """Counts changes of status by object, by watching: in {(kind, space, name): {generation: writes}}."""

    def __init__(self, lab, *kinds, space=None):
        import threading
        self.lab, self.writes, self.statuses, self.space = lab, {}, {}, space
        self.ending = False
        self.threads = [threading.Thread(target=self._watch, args=(k,), daemon=True) for k in kinds]
        self.ready = {k: threading.Event() for k in kinds}
        for t in self.threads:
            t.start()
        for event in self.ready.values():
            assert event.wait(20), "no watch"

    def _watch(self, kind):
        listed = self.lab.api.call("GET", api.path_of(kind, self.space))
        for item in listed["items"]:
            self.statuses[self._key(kind, item)] = item.get("status")
        self.ready[kind].set()
        with contextlib.suppress(OSError, ValueError):
            for event in self.lab.api.watch(kind, self.space, listed["metadata"]["resourceVersion"]):
                if self.ending:
                    return
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._note(kind, event["object"])

    @staticmethod
    def _key(kind, item):
        return kind, item["metadata"].get("namespace"), item["metadata"]["name"]

    def _note(self, kind, item):
        key = self._key(kind, item)
        before, now = self.statuses.get(key), item.get("status")
        self.statuses[key] = now
        if now is not None and now != before:
            by = self.writes.setdefault(key, {})
            generation = item["metadata"].get("generation", 0)
            by[generation] = by.get(generation, 0) + 1

    def most(self):
        """The largest number of status writes for one object and generation, and which."""
        return max(((n, key, g) for key, by in self.writes.items() for g, n in by.items()), default=(0, None, None))


def still(check, seconds, what):
    """Holds check() to be truthy for the whole time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = check()
        assert answer, f"{what}: {answer!r}"
        time.sleep(0.02)
