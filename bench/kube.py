#!/usr/bin/python3
"""Weir on a real Kubernetes API server, at the size that goals are set for. Exits with 1 when a goal is missed.

  kube.py [--routes 3000] [--churn 5000] [--measured 500] [--rate 100]

1. `routes` WeirRoutes are made one by one; for each: the time from the API server's answer to the first 200.
2. The same for `measured` more while other clients make `churn` changes to other routes, `rate` in a second (0: as many as the API
   server takes; on a small machine it is the API server that is measured then). Weir's own part is told by its metric.
3. Status: at most one write for an object and generation. Memory with `churn` routes.

Needs what the Kubernetes tests need (tests/kube/setup).
"""
import argparse
import http.client
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "kube"))
import cluster  # noqa: E402
import objects  # noqa: E402
from cluster import harness  # noqa: E402
from harness import eventually  # noqa: E402

harness.DEADLINE = 60
SPACE = "bench"
faults, results = [], {}


def goal(what, value, most, unit=""):
    good = value <= most
    print(f"  {what}: {value:.4g}{unit} (goal {most:.4g}{unit}){'' if good else '  MISSED'}", flush=True)
    results[what] = value
    if not good:
        faults.append(what)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Asker:
    """One kept-alive connection to the proxy."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def __call__(self, host):
        for again in (True, False):
            try:
                self.connection.request("GET", "/", headers={"Host": host})
                answer = self.connection.getresponse()
                answer.read()
                return answer.status
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                if not again:
                    raise


def host(name):
    return f"{name}.bench.com"


def measure(api, ask, names):
    """For each new route: seconds from the API's answer to the first 200; and wrong answers after that."""
    times, wrong, before = [], 0, []
    for name in names:
        api.create(objects.route(SPACE, name, "u", [host(name)]))
        begun = time.monotonic()
        while ask(host(name)) != 200:
            if time.monotonic() - begun > 30:
                raise AssertionError(f"{name} is not served after 30 s")
        times.append(time.monotonic() - begun)
        before.append(name)
        # It, and one that was there before, stay right.
        for one in (name, name, before[len(before) // 2]):
            wrong += ask(host(one)) != 200
    return times, wrong


class Churn:
    """Other clients: first makes routes until there are enough, then edits them."""

    def __init__(self, lab, changes, rate, clients=3):
        self.lab, self.changes, self.rate, self.done = lab, changes, rate, 0
        self.begun = time.monotonic()
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(c,), daemon=True) for c in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        for t in self.threads:
            t.join()

    def running(self):
        return any(t.is_alive() for t in self.threads)

    def _run(self, client):
        while True:
            with self.lock:
                if self.done >= self.changes:
                    return
                n, self.done = self.done, self.done + 1
            if self.rate:
                time.sleep(max(0.0, self.begun + n / self.rate - time.monotonic()))
            name = f"churn-{n % (self.changes * 2 // 5)}"
            self.lab.api.put(objects.route(SPACE, name, "u", [host(name), host(f"{name}-{n}")]))


def report(what, times, wrong):
    print(f"{what}: {len(times)} routes; first 200 after p50 {percentile(times, .5) * 1e3:.1f} ms, "
          f"p99 {percentile(times, .99) * 1e3:.1f} ms, max {max(times) * 1e3:.1f} ms", flush=True)
    tenth = max(1, len(times) // 10)
    print(f"  p50 of the first and the last tenth: {percentile(times[:tenth], .5) * 1e3:.1f}, "
          f"{percentile(times[-tenth:], .5) * 1e3:.1f} ms")
    goal(f"{what}: p99", percentile(times, .99) * 1e3, 50, " ms")
    goal(f"{what}: wrong answers after the first right one", wrong, 0)
    results.update({f"{what}: p50": percentile(times, .5) * 1e3, f"{what}: max": max(times) * 1e3})


def own_part(node, before):
    """What Weir itself took from the watch's event to all workers, since `before`: shares within bounds."""
    now = {k: v - before.get(k, 0) for k, v in node.metrics().items() if k.startswith("weir_kube_event_to_served_seconds")}
    count = now["weir_kube_event_to_served_seconds_count"]
    bounds = sorted((float(k.split('"')[1]), v) for k, v in now.items() if "_bucket" in k and "Inf" not in k)
    within = {share: next((b for b, v in bounds if v >= share * count), float("inf")) for share in (.5, .99)}
    print(f"  of that Weir's own, from event to served: p50 within {within[.5] * 1e3:g} ms, p99 within {within[.99] * 1e3:g} ms, "
          f"{count:.0f} events", flush=True)


def run(options, folder):
    lab = cluster.Lab()
    node = None
    try:
        with lab.network():
            lab.install_crds()
            lab.api.put(cluster.api.made("Namespace", None, SPACE))
            server = harness.Scripted(harness.answering(harness.ok()))
            node = cluster.Node(lab, folder / "node", {"nginx_http_keepalive_requests": "100000000",
                                                       "upstream_keepalive_max_requests": "100000000"}).start()
            lab.api.put(objects.upstream(SPACE, "u", [(f"127.0.0.1:{server.port}", 100)]))
            writes = cluster.StatusWrites(lab, "WeirRoute", space=SPACE)
            ask = Asker(node.proxy_port)
            empty = node.resident_mb()
            report("one by one", *measure(lab.api, ask, [f"r{n}" for n in range(options.routes)]))
            own_part(node, {})
            before = node.metrics()
            with Churn(lab, options.churn, options.rate) as churn:
                times, wrong = [], 0
                for n in range(options.measured):
                    if not churn.running():
                        break
                    more, bad = measure(lab.api, ask, [f"m{n}"])
                    times, wrong = times + more, wrong + bad
            report("during a churn", times, wrong)
            own_part(node, before)
            have = len(lab.api.list("WeirRoute", SPACE))
            for n in range(max(0, options.churn - have)):
                lab.api.create(objects.route(SPACE, f"more-{n}", "u", [host(f"more-{n}")]))
            last = lab.api.list("WeirRoute", SPACE)

            def served():
                found = lab.api.list("WeirRoute", SPACE)
                return all(cluster.api.condition(i, "weir.dev/Served").get("observedGeneration") == i["metadata"]["generation"]
                           for i in found)
            eventually(served, "every route has its status", 120)
            time.sleep(2)
            goal("status writes for an object and generation", writes.most()[0], 1)
            print(f"  {sum(n for by in writes.writes.values() for n in by.values())} writes for {len(last)} objects")
            print(f"{len(last)} routes: {node.resident_mb():.1f} MB resident ({empty:.1f} MB before the first)")
            if not harness.SANITIZED:
                goal("resident memory", node.resident_mb(), 60, " MB")
            server.close()
            node.stop()
            node = None
    finally:
        if node:
            node.process.kill()
        lab.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", type=int, default=3000)
    parser.add_argument("--churn", type=int, default=5000)
    parser.add_argument("--measured", type=int, default=500)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    reason = cluster.missing()
    if reason:
        sys.exit(f"kube.py: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="weir-kube-"))
    try:
        run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(f"missed: {', '.join(faults)}" if faults else 0)


if __name__ == "__main__":
    main()
