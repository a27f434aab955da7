#!/usr/bin/python3
"""Several nodes on one real PostgreSQL, at the size that goals are set for. Exits with 1 when a goal is missed.

  cluster.py lag        201 on one node to served on the other, with NOTIFY and by the poll alone
  cluster.py faults     a minute of 5,000 requests/s while PostgreSQL is killed, frozen and restarted
  cluster.py changes    10,000 transactions of four writers, late commits among them, and a LISTEN connection that is cut
  cluster.py limits     rate limiting by 100 clients: one node; two nodes over PostgreSQL, over Redis
  cluster.py consumers  a million consumers with keys: memory, GET /, a cold key
  cluster.py plugins    what each plugin costs a request
"""
import argparse
import collections
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))
import harness  # noqa: E402
from harness import eventually, request, run_weir  # noqa: E402
from postgres import PASSWORD, Postgres, free_port, program  # noqa: E402

harness.DEADLINE = 60
BACKEND = 19001
faults = []


def goal(what, value, most, unit=""):
    good = value <= most
    print(f"  {what}: {value:.4g}{unit} (goal {most:.4g}{unit}){'' if good else '  MISSED'}", flush=True)
    if not good:
        faults.append(what)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Cluster:
    """A PostgreSQL and nodes on it, in a folder that goes away."""

    def __init__(self, *settings):
        self.folder = Path(tempfile.mkdtemp(prefix="weir-cluster-"))
        self.pg, self.nodes, self.others = Postgres(["max_connections=300", *settings]), [], []
        flags = [w for k, v in self.pg.settings().items() for w in ("--set", f"{k}={v}")]
        run = run_weir("migrations", "bootstrap", "-p", "/nonexistent", *flags, timeout=120)
        assert run.returncode == 0, run.stderr

    def node(self, **more):
        node = harness.Weir(self.folder / f"node{len(self.nodes)}",
                            self.pg.settings(nginx_http_keepalive_requests="100000000", upstream_keepalive_max_requests="100000000", **more))
        self.nodes.append(node)
        return node.start()

    def backend(self, tools):
        hammer = build_hammer(tools)
        self.others.append(subprocess.Popen([hammer, "--serve", str(BACKEND)]))
        return hammer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.kill()
        for other in self.others:
            other.terminate()
        self.pg.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def build_hammer(tools):
    hammer = tools / "hammer"
    if not hammer.exists():
        tools.mkdir(parents=True, exist_ok=True)
        subprocess.run(["g++", "-std=c++20", "-O2", HERE / "hammer.cpp", "-o", hammer, "-lssl", "-lcrypto"], check=True)
    return hammer


# ---- lag ------------------------------------------------------------------------------------------------------------

def measured_lag(changes, **settings):
    with Cluster() as cluster:
        a, b = cluster.node(**settings), cluster.node(**settings)
        a.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": BACKEND}, expect=201)
        a.admin("POST", "/plugins", {"name": "request-termination", "config": {"status_code": 200}}, expect=201)
        probe = http.client.HTTPConnection("127.0.0.1", b.proxy_port)

        def served(i):
            probe.request("GET", f"/lag{i}-")
            answer = probe.getresponse()
            answer.read()
            return answer.status == 200
        out = []
        for i in range(changes):
            a.admin("POST", "/services/s/routes", {"paths": [f"/lag{i}-"]}, expect=201)
            began = time.monotonic()
            while not served(i):
                assert time.monotonic() - began < 60, "never served"
            out.append(time.monotonic() - began)
        return out


def lag(_):
    took = [s * 1000 for s in measured_lag(200)]
    print(f"with NOTIFY, 200 changes: p50 {percentile(took, .5):.2f} ms, max {max(took):.2f} ms")
    goal("p99", percentile(took, .99), 50, " ms")
    took = [s * 1000 for s in measured_lag(20, pg_notify="off", db_update_frequency="1")]
    print("without NOTIFY, db_update_frequency 1 s, 20 changes")
    goal("max", max(took), 1100, " ms")


# ---- faults ---------------------------------------------------------------------------------------------------------

class Writers:
    """Changes through every node's Admin API until they are stopped; keeps those that were acknowledged."""

    def __init__(self, nodes):
        self.acknowledged, self.refused, self.ending = [], collections.Counter(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i, n), daemon=True) for i, n in enumerate(nodes)]
        for t in self.threads:
            t.start()

    def run(self, number, node):
        i = 0
        while not self.ending.wait(0.02):
            i += 1
            host = f"w{number}-{i}.test"
            answer = node.admin("POST", "/services/s/routes", {"hosts": [host]})
            if answer.status == 201:
                self.acknowledged.append(host)
            else:
                self.refused[answer.status] += 1

    def stop(self):
        self.ending.set()
        for t in self.threads:
            t.join()


def database_faults(args):
    with Cluster() as cluster:
        hammer = cluster.backend(args.tools)
        a, b = cluster.node(pg_timeout="2000"), cluster.node(pg_timeout="2000")
        a.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": BACKEND}, expect=201)
        a.admin("POST", "/services/s/routes", {"hosts": ["hello.com"]}, expect=201)
        # The key of the load is its host: hammer sends no other field.
        a.admin("POST", "/plugins", {"name": "key-auth", "config": {"key_names": ["host"]}}, expect=201)
        a.admin("POST", "/consumers", {"username": "bob"}, expect=201)
        a.admin("POST", "/consumers/bob/key-auth", {"key": "hello.com"}, expect=201)
        for node in (a, b):
            eventually(lambda: all(request(node.proxy_port, host="hello.com").status == 200 for _ in range(20)), "served")
        load = subprocess.Popen([hammer, "--port", str(a.proxy_port), "--conns", "64", "--seconds", "60", "--rate", "5000"],
                                stdout=subprocess.PIPE, text=True)
        writers, steps = Writers([a, b]), []
        for pause, name, act in ((8, "kill", lambda: cluster.pg.stop(3)), (5, "start", cluster.pg.start), (10, "freeze", cluster.pg.freeze),
                                 (7, "thaw", cluster.pg.thaw), (10, "restart", lambda: (cluster.pg.stop(2), cluster.pg.start()))):
            time.sleep(pause)
            act()
            steps.append(name)
        result = json.loads(load.communicate()[0])
        writers.stop()
        print(f"{', '.join(steps)}; load: {json.dumps({k: v for k, v in result.items() if not isinstance(v, (dict, list))})}")
        print(f"changes acknowledged {len(writers.acknowledged)}, refused {dict(writers.refused)}")
        goal("failed requests", result.get("bad", 0) + result.get("lost", 0) + result.get("errors", 0), 0)
        for node in (a, b):
            def missing():
                return [h for h in writers.acknowledged if request(node.proxy_port, host=h).status == 404]
            end = time.monotonic() + 20
            while missing() and time.monotonic() < end:
                time.sleep(0.5)
            goal("acknowledged changes that are not served", len(missing()), 0)


# ---- changes --------------------------------------------------------------------------------------------------------

def changes(args):
    import psycopg2
    objects, total, writers, connections = 1000, args.changes, 4, 25
    with Cluster() as cluster:
        pg = cluster.pg
        a = cluster.node(db_update_frequency="1")
        a.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": BACKEND}, expect=201)
        routes = [a.admin("POST", "/services/s/routes", {"paths": [f"/o{i}-"]}, expect=201).json["id"] for i in range(objects)]
        for route in routes:
            a.admin("POST", f"/routes/{route}/plugins", {"name": "request-termination", "config": {"message": "0"}}, expect=201)
        workspace = pg.sql("SELECT id FROM workspaces WHERE name = 'default'")[0][0]
        last = [0] * objects  # committed versions; a row's lock orders them
        left, lock, backwards, seen, ending = [total], threading.Lock(), [], [0] * objects, threading.Event()

        def connect():
            return psycopg2.connect(host="127.0.0.1", port=pg.port, user="kong", password=PASSWORD, dbname="kong", application_name="writer")

        def change(connection, node_id, rng):
            i = rng.randrange(objects)
            with connection.cursor() as c:
                c.execute("SELECT config->>'message' FROM plugins WHERE route_id = %s FOR UPDATE", (routes[i],))
                version = int(c.fetchone()[0]) + 1
                c.execute("UPDATE plugins SET config = jsonb_set(config, '{message}', to_jsonb(%s::text)), updated_at = now() WHERE route_id = %s",
                          (str(version), routes[i]))
                key = f"plugins:request-termination:{routes[i]}::::{workspace}"
                c.execute("INSERT INTO cluster_events (id, node_id, at, nbf, expire_at, channel, data) VALUES (gen_random_uuid(), %s,"
                          " CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC', NULL, (CURRENT_TIMESTAMP(3) + interval '1 hour') AT TIME ZONE 'UTC',"
                          " 'invalidations_kong_core_db_cache', %s)", (node_id, key))
                if rng.random() < 0.5:
                    c.execute("SELECT pg_notify('weir_cluster_events', %s)", (node_id,))
            time.sleep(rng.uniform(0, 10) if rng.random() < 0.1 else rng.uniform(0, 0.05))
            connection.commit()
            last[i] = max(last[i], version)

        def write(number):
            rng, connection = random.Random(number), connect()
            node_id = f"00000000-0000-4000-8000-{number // connections:012d}"
            while True:
                with lock:
                    if left[0] == 0:
                        return
                    left[0] -= 1
                change(connection, node_id, rng)

        def look(number):
            connection = http.client.HTTPConnection("127.0.0.1", a.proxy_port)
            while not ending.is_set():
                for i in range(number, objects, 2):
                    connection.request("GET", f"/o{i}-")
                    version = int(json.loads(connection.getresponse().read())["message"])
                    if version < seen[i]:
                        backwards.append((i, seen[i], version))
                    seen[i] = version

        def cut():
            while not ending.wait(random.uniform(1, 4)):
                pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND application_name = 'weir'")

        began = time.monotonic()
        writing = [threading.Thread(target=write, args=(n,)) for n in range(writers * connections)]
        looking = [threading.Thread(target=look, args=(n,)) for n in range(2)] + [threading.Thread(target=cut)]
        for t in writing + looking:
            t.start()
        for t in writing:
            t.join()
        committed = time.monotonic()
        end = committed + 10
        while time.monotonic() < end and seen != last:
            time.sleep(0.05)
        settled = time.monotonic() - committed
        ending.set()
        for t in looking:
            t.join()
        missed = sum(1 for s, l in zip(seen, last) if s != l)
        print(f"{sum(last)} changes of {objects} objects in {committed - began:.0f} s; all served {settled:.2f} s after the last commit")
        goal("missed", missed, 0)
        goal("applied backwards", len(backwards), 0)


# ---- limits ---------------------------------------------------------------------------------------------------------

def hundred_clients(ports, each):
    """Statuses of 100 parallel clients, spread over the ports."""
    counts, lock = collections.Counter(), threading.Lock()

    def client(number):
        connection, mine = http.client.HTTPConnection("127.0.0.1", ports[number % len(ports)]), collections.Counter()
        for _ in range(each):
            connection.request("GET", "/limited")
            answer = connection.getresponse()
            answer.read()
            mine[answer.status] += 1
        with lock:
            counts.update(mine)
    threads = [threading.Thread(target=client, args=(n,)) for n in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return counts


def limits(args):
    with Cluster() as cluster:
        cluster.backend(args.tools)
        redis_port = free_port()
        cluster.others.append(subprocess.Popen(["redis-server", "--port", str(redis_port), "--save", "", "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL))
        a, b = cluster.node(), cluster.node()
        a.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": BACKEND}, expect=201)
        a.admin("POST", "/services/s/routes", {"paths": ["/limited"]}, expect=201)
        for policy, nodes, most in (("local", [a], 0), ("cluster", [a, b], 10), ("redis", [a, b], 10)):
            config = {"minute": 1000, "policy": policy, "limit_by": "ip"}
            if policy == "redis":
                config["redis"] = {"host": "127.0.0.1", "port": redis_port}
            plugin = a.admin("POST", "/services/s/plugins", {"name": "rate-limiting", "config": config}, expect=201).json["id"]
            eventually(lambda: request(b.proxy_port, path="/limited").headers.get("RateLimit-Limit"), "B limits")
            wait = 60 - time.time() % 60
            if wait < 40 or policy != "local":
                time.sleep(wait + 0.05)  # a window of its own
            counts = hundred_clients([n.proxy_port for n in nodes], 30)
            print(f"{policy}, {len(nodes)} node(s): {dict(counts)}")
            goal("over the limit", counts[200] - 1000, most)
            goal("under the limit", 1000 - counts[200], 0 if policy == "local" else 10)
            a.admin("DELETE", f"/plugins/{plugin}", expect=204)
            eventually(lambda: not request(b.proxy_port, path="/limited").headers.get("RateLimit-Limit"), "B does not")


# ---- consumers ------------------------------------------------------------------------------------------------------

def resident_mb(node):
    return int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def consumers(args):
    count = args.consumers
    with Cluster() as cluster:
        pg = cluster.pg
        workspace = pg.sql("SELECT id FROM workspaces WHERE name = 'default'")[0][0]
        began = time.monotonic()
        pg.sql(f"""INSERT INTO consumers (id, created_at, updated_at, username, ws_id)
                   SELECT md5('c' || n)::uuid, now(), now(), 'user' || n, '{workspace}' FROM generate_series(1, {count}) AS n""")
        pg.sql(f"""INSERT INTO keyauth_credentials (id, created_at, consumer_id, key, ws_id)
                   SELECT md5('k' || n)::uuid, now(), md5('c' || n)::uuid, 'key' || n, '{workspace}' FROM generate_series(1, {count}) AS n""")
        pg.sql("ANALYZE")
        print(f"{count} consumers with keys made in {time.monotonic() - began:.0f} s")
        cluster.backend(args.tools)
        began = time.monotonic()
        node = cluster.node(mem_cache_size="32m")
        print(f"ready after {time.monotonic() - began:.2f} s, {resident_mb(node):.0f} MB")
        node.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": BACKEND}, expect=201)
        node.admin("POST", "/services/s/routes", {"hosts": ["hello.com"]}, expect=201)
        node.admin("POST", "/services/s/plugins", {"name": "key-auth"}, expect=201)
        connection = http.client.HTTPConnection("127.0.0.1", node.proxy_port)

        def ask(key):
            began = time.monotonic()
            connection.request("GET", "/", headers={"Host": "hello.com", "apikey": key})
            answer = connection.getresponse()
            answer.read()
            return answer.status, (time.monotonic() - began) * 1000
        ask("key1")
        cold = [ask(f"key{n}") for n in random.Random(1).sample(range(2, count), min(2000, count - 2))]
        assert all(status == 200 for status, _ in cold)
        took = [ms for _, ms in cold]
        print(f"cold keys: p50 {percentile(took, .5):.2f} ms, p99 {percentile(took, .99):.2f} ms")
        goal("cold key, worst of 2,000", max(took), 50, " ms")
        began = time.monotonic()
        info = node.admin("GET", "/", expect=200)
        goal("GET /", (time.monotonic() - began) * 1000, 50, " ms")
        began = time.monotonic()
        node.admin("GET", "/consumers?size=1000", expect=200)
        print(f"  GET /consumers?size=1000: {(time.monotonic() - began) * 1000:.1f} ms, GET / {len(info.body)} bytes")

        def sweep(number):
            c = http.client.HTTPConnection("127.0.0.1", node.proxy_port)
            for n in range(number, count, 4):
                c.request("GET", "/", headers={"Host": "hello.com", "apikey": f"key{n}" if n % 2 else f"nobody{n}"})
                c.getresponse().read()
                if time.monotonic() > end:
                    return
        end = time.monotonic() + args.sweep
        threads = [threading.Thread(target=sweep, args=(n,)) for n in range(1, 5)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        metrics = request(node.status_port, path="/metrics").body.decode()
        print("  " + ", ".join(line for line in metrics.splitlines() if line.startswith(("weir_cache_bytes", "weir_cache_entries", "weir_cache_evictions"))))
        goal("resident after a sweep over all keys, known and unknown", resident_mb(node), 120, " MB")


# ---- plugins --------------------------------------------------------------------------------------------------------

PLUGINS = [("correlation-id", {}), ("key-auth", {"key_names": ["host"]}), ("acl", {"allow": ["g"]}), ("ip-restriction", {"allow": ["127.0.0.0/8"]}),
           ("rate-limiting", {"second": 10_000_000, "policy": "local"}), ("cors", {}), ("request-size-limiting", {}),
           ("request-transformer", {"add": {"headers": ["x-added:1"]}}), ("response-transformer", {"add": {"headers": ["x-added:1"]}}),
           ("prometheus", {"status_code_metrics": True, "latency_metrics": True})]


def cpu_us(node, hammer, seconds=4):
    """CPU time of the node per request, and requests a second."""
    def used():
        fields = Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    before = used()
    run = json.loads(subprocess.run([hammer, "--port", str(node.proxy_port), "--conns", "64", "--seconds", str(seconds), "--warm", "0"], stdout=subprocess.PIPE,
                                    text=True, check=True).stdout)
    done = run.get("done") or run.get("requests") or run["rps"] * seconds
    assert not run.get("bad"), run
    return (used() - before) * 1e6 / done


def plugins(args):
    with Cluster() as cluster:
        hammer = cluster.backend(args.tools)
        node = cluster.node(nginx_worker_processes="1")
        node.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": BACKEND}, expect=201)
        node.admin("POST", "/services/s/routes", {"name": "r", "hosts": ["hello.com"]}, expect=201)
        node.admin("POST", "/consumers", {"username": "bob"}, expect=201)
        node.admin("POST", "/consumers/bob/key-auth", {"key": "hello.com"}, expect=201)
        node.admin("POST", "/consumers/bob/acls", {"group": "g"}, expect=201)

        def measure(chosen):
            made = [node.admin("POST", "/routes/r/plugins", {"name": n, "config": c}, expect=201).json["id"] for n, c in chosen]
            eventually(lambda: request(node.proxy_port, host="hello.com").status == 200, "served")
            cost = cpu_us(node, hammer)
            for plugin in made:
                node.admin("DELETE", f"/plugins/{plugin}", expect=204)
            return cost
        chosen = {"none": [], "five": PLUGINS[:5], **{n: ([PLUGINS[1], (n, c)] if n == "acl" else [(n, c)]) for n, c in PLUGINS}}
        costs = collections.defaultdict(list)
        for _ in range(args.rounds):
            for name, these in chosen.items():
                costs[name].append(measure(these))
        middle = {name: statistics.median(c) for name, c in costs.items()}
        print(f"no plugin: {middle['none']:.2f} us of CPU a request; five ({', '.join(n for n, _ in PLUGINS[:5])}): {middle['five']:.2f} us,"
              f" {(middle['five'] - middle['none']) / 5:.2f} us each")
        for name, _ in PLUGINS:
            base = middle["key-auth"] if name == "acl" else middle["none"]
            print(f"  {name}: {middle[name] - base:+.2f} us")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = {"lag": lag, "faults": database_faults, "changes": changes, "limits": limits, "consumers": consumers, "plugins": plugins}
    parser.add_argument("jobs", nargs="+", choices=jobs)
    parser.add_argument("--tools", type=Path, default=HERE.parent / "build" / "bench-tools")
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--consumers", type=int, default=1_000_000)
    parser.add_argument("--sweep", type=float, default=60, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for job in args.jobs:
        print(f"== {job}", flush=True)
        jobs[job](args)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
