#!/usr/bin/env python3
"""A large configuration: 100,000 routes over 20,000 services.

How long until the node is ready, what a route costs in memory, how soon one more route by the Admin API is served, and whether the
traffic that is running (wrk) notices. Also what an idle node holds. Exits with 1 when a goal is missed.
"""
import argparse, http.client, json, os, re, shutil, statistics, subprocess, sys, tempfile, threading, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOALS = {"ready_s": 5.0, "served_ms": 20.0, "idle_mb": 30.0, "p99_ratio": 1.25}
BACKEND = 19001


def configuration(routes, services):
    """Hosts, paths and both, spread evenly; every route goes to the one backend."""
    out = [{"name": f"s{n}", "host": "127.0.0.1", "port": BACKEND, "routes": []} for n in range(services)]
    for n in range(routes):
        route = {"name": f"r{n}"}
        if n % 4 != 3:
            route["hosts"] = [f"host{n}.example.com"]
        if n % 4 >= 2:
            route["paths"] = [f"/tenant{n // 100}/api{n}"]
        out[n % services]["routes"].append(route)
    return {"_format_version": "3.0", "services": out}


class Node:
    def __init__(self, weir, prefix, workers, cpus):
        self.prefix, self.ports = prefix, {}
        settings = {"proxy_listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "status_listen": "127.0.0.1:0",
                    "nginx_worker_processes": workers, "nginx_http_keepalive_requests": "100000000",
                    "upstream_keepalive_max_requests": "100000000"}
        command = [weir, "run", "-p", prefix, *[a for k, v in settings.items() for a in ("--set", f"{k}={v}")]]
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None)
        self.lines, self.listening = [], threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        while not self.ready():
            if self.process.poll() is not None:
                sys.exit(f"weir ended with {self.process.returncode}: {''.join(self.lines)}")
            time.sleep(0.005)
        self.ready_s = time.monotonic() - self.began

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            event = json.loads(line)
            if event.get("message") == "listening":
                self.ports[event["what"]] = event["port"]

    def ready(self):
        try:
            return self.call("status", "GET", "/status/ready")[0] == 200
        except (OSError, KeyError, http.client.HTTPException):
            return False

    def call(self, what, method, path, body=None, host=None, connection=None):
        c = connection or http.client.HTTPConnection("127.0.0.1", self.ports[what], timeout=30)
        headers = {"Host": host} if host else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        c.request(method, path, None if body is None else json.dumps(body), headers)
        answer = c.getresponse()
        out = answer.status, answer.read()
        if not connection:
            c.close()
        return out

    def memory_mb(self, key="Rss"):
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def wrk(node, seconds, cpus, host):
    return subprocess.Popen(["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"Host: {host}", f"http://127.0.0.1:{node.ports['proxy']}/"],
                            stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus))


def wrk_result(process):
    text, _ = process.communicate()
    m = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s)", text, re.M)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {"p99_ms": float(m[1]) * {"us": 0.001, "ms": 1, "s": 1000}[m[2]], "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
            "lost": (sum(map(int, errors.groups())) if errors else 0) + (int(bad[1]) if bad else 0)}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--weir", default=os.environ.get("WEIR_BIN", HERE.parent / "build" / "release" / "weir"))
    a.add_argument("--routes", type=int, default=100_000)
    a.add_argument("--services", type=int, default=20_000)
    a.add_argument("--seconds", type=int, default=4, help="of each wrk run")
    a.add_argument("--rounds", type=int, default=5, help="pairs of wrk runs, without and with changes")
    a.add_argument("--rate", type=float, default=5, help="changes a second in the runs with changes")
    a.add_argument("--proxy-cpus", default="1", help="CPUs of Weir, e.g. 1 or 0,1")
    a.add_argument("--load-cpu", type=int, default=0)
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--tools", type=Path, default=HERE.parent / "build" / "bench-tools")
    a.add_argument("--json", type=Path)
    args = a.parse_args()
    for need in ("wrk",):
        if not shutil.which(need):
            sys.exit(f"{need} is missing: apt-get install {need}")
    args.tools.mkdir(parents=True, exist_ok=True)
    hammer = args.tools / "hammer"
    if not hammer.exists():
        subprocess.run(["g++", "-std=c++20", "-O2", HERE / "hammer.cpp", "-o", hammer, "-lssl", "-lcrypto"], check=True)
    os.sched_setaffinity(0, {args.load_cpu})
    cpus, load = {int(c) for c in args.proxy_cpus.split(",")}, {args.load_cpu}
    out = {}

    with tempfile.TemporaryDirectory(dir=args.tools) as folder:
        idle = Node(args.weir, f"{folder}/idle", "auto", None)
        time.sleep(1)  # what start-up needed is given back, or not: this is the figure
        out["idle_mb"], out["idle_pss_mb"] = idle.memory_mb(), idle.memory_mb("Pss")
        if idle.stop() != 0:
            sys.exit("the idle node did not end with 0")

        big = Path(folder) / "big.json"
        big.write_text(json.dumps(configuration(args.routes, args.services)))
        began = time.monotonic()
        subprocess.run([args.weir, "config", "import", big, "-p", f"{folder}/node"], check=True, stdout=subprocess.DEVNULL)
        out["import_s"] = time.monotonic() - began

        empty = Node(args.weir, f"{folder}/empty", args.workers, cpus)
        base = empty.memory_mb()
        empty.stop()
        backend = subprocess.Popen([hammer, "--serve", str(BACKEND)])
        node = Node(args.weir, f"{folder}/node", args.workers, cpus)
        try:
            out["ready_s"] = node.ready_s
            out["memory_mb"] = node.memory_mb()
            out["bytes_per_route"] = (out["memory_mb"] - base) * 1048576 / args.routes
            for n in range(0, args.routes, max(1, args.routes // 50)):
                host, path = f"host{n}.example.com" if n % 4 != 3 else "any", f"/tenant{n // 100}/api{n}"
                status, _ = node.call("proxy", "GET", path, host=host)
                if status != 200:
                    sys.exit(f"route r{n} answers {status}")

            served, posts, still, moving, lost, added = [], [], [], [], 0, 0
            for _ in range(args.rounds):
                r = wrk_result(wrk(node, args.seconds, load, "host0.example.com"))
                still.append(r["p99_ms"])
                lost += r["lost"]
                p = wrk(node, args.seconds, load, "host0.example.com")
                until = time.monotonic() + args.seconds - 0.3
                time.sleep(0.2)
                while time.monotonic() < until:
                    host = f"new{added}.example.com"
                    client = http.client.HTTPConnection("127.0.0.1", node.ports["proxy"], timeout=30)
                    client.connect()
                    t0 = time.monotonic()
                    status, body = node.call("admin", "POST", f"/services/s{added % args.services}/routes", {"name": f"new{added}", "hosts": [host]})
                    t1 = time.monotonic()
                    if status != 201:
                        sys.exit(f"POST answered {status}: {body}")
                    while node.call("proxy", "GET", "/", host=host, connection=client)[0] != 200:
                        pass
                    t2 = time.monotonic()
                    client.close()
                    posts.append((t1 - t0) * 1000)
                    served.append((t2 - t1) * 1000)
                    added += 1
                    time.sleep(max(0, 1 / args.rate - (t2 - t0)))
                r = wrk_result(p)
                moving.append(r["p99_ms"])
                lost += r["lost"]
            out |= {"added": added, "post_ms": statistics.median(posts), "post_ms_max": max(posts), "served_ms": max(served),
                    "served_ms_median": statistics.median(served), "lost": lost, "p99_ms_still": statistics.median(still),
                    "p99_ms_changing": statistics.median(moving), "rps": r["rps"], "memory_mb_after": node.memory_mb()}
            out["p99_ratio"] = statistics.median(m / s for m, s in zip(moving, still))
        finally:
            code = node.stop()
            backend.kill()
        out["exit_code"] = code

    print(f"{args.routes:,} routes over {args.services:,} services, {args.workers} worker(s)\n")
    print("| | | goal | |\n|---|---|---|---|")
    met = True
    for key, value in out.items():
        goal = GOALS.get(key, 0 if key in ("lost", "exit_code") else None)
        ok = goal is None or value <= goal
        met &= ok
        print(f"| {key} | {value:,.2f} | {'' if goal is None else goal} | {'' if goal is None else 'met' if ok else 'MISSED'} |")
    if args.json:
        args.json.write_text(json.dumps(out, indent=1) + "\n")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
