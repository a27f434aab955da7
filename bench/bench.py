#!/usr/bin/env python3
"""Measure reverse proxies side by side on one machine: interleaved rounds, medians, ratios.

The proxy runs alone on one CPU; client and backends (one process, hammer) on another. Every proxy gets the same
job: one host, two backends of equal weight, kept-alive connections on both sides, no access log, one worker.
"""
import argparse, contextlib, fcntl, json, os, re, resource, shutil, signal, socket, statistics, subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
# What the first system under test is held to: its CPU per request over that of the cheaper of nginx and HAProxy in the same
# round, and KiB per idle kept-alive connection.
GOALS = {"h1_small": 0.85, "h1_10k": 0.65, "h1_1m": 0.60, "tls_small": 0.80}
GOAL_KB_PER_CONN = 1.0  # at 10,000
PORTS = dict(HTTP_PORT=18080, TLS_PORT=18443, B1_PORT=19001, B2_PORT=19002)
SERVE = ["--serve", f"{PORTS['B1_PORT']},{PORTS['B2_PORT']}"]

# name: (what it needs, what it does)
SCENARIOS = {
    "h1_small": ("http", "HTTP/1.1, 100 B answers, 64 connections, closed loop"),
    "h1_10k": ("http", "HTTP/1.1, 10 KiB answers"),
    "h1_1m": ("http", "HTTP/1.1, 1 MiB answers, 16 connections"),
    "tls_small": ("tls", "TLS 1.3 kept alive, 100 B answers"),
    "tls_10k": ("tls", "TLS 1.3 kept alive, 10 KiB answers"),
    "tls_1m": ("tls", "TLS 1.3 kept alive, 1 MiB answers, 16 connections"),
    "handshake": ("tls", "a full TLS 1.3 handshake (ECDSA P-256) and one request each"),
    "resume": ("tls", "the same with session resumption"),
    "connect": ("http", "a new TCP connection per request"),
    "h2_small": ("h2", "HTTP/2 over TLS, 8 connections x 32 streams, 100 B answers (h2load)"),
    "latency_low": ("http", "open loop, Poisson arrivals at a quarter of --rate, latency from the due time"),
    "latency": ("http", "open loop, Poisson arrivals at --rate, latency from the due time"),
    "memory": ("http", "proportional memory, idle and with kept-alive idle connections"),
}


def tree(pid):
    """pid and all its descendants"""
    kids = {}
    for p in Path("/proc").iterdir():
        if p.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                kids.setdefault(int((p / "stat").read_text().rsplit(")", 1)[1].split()[1]), []).append(int(p.name))
    out, todo = [], [pid]
    while todo:
        out.append(todo.pop())
        todo += kids.get(out[-1], [])
    return out


def cpu_of(pids):
    total = user = 0
    for p in pids:
        with contextlib.suppress(OSError):
            f = Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
            user += int(f[11])
            total += int(f[11]) + int(f[12])
    return total / TICK, user / TICK


def pss_of(pids):
    kb = 0
    for p in pids:
        with contextlib.suppress(OSError):
            m = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{p}/smaps_rollup").read_text(), re.M)
            kb += int(m.group(1)) if m else 0
    return kb


def place(args, cpus):
    os.sched_setaffinity(0, cpus)
    if args.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    elif args.nice:
        os.nice(args.nice)


class Proxy:
    def __init__(self, plug, args):
        self.plug, self.args = Path(plug).resolve(), args
        self.name = self.plug.parent.name if self.plug.name == "plug.sh" else self.plug.stem
        self.run = args.tools / "run" / self.name
        self.p = None

    def shell(self, body, **kw):
        env = dict(os.environ, HERE=str(self.plug.parent), RUN=str(self.run), TOOLS=str(self.args.tools),
                   WORKERS=str(self.args.workers), CERT=str(self.args.tools / "cert.pem"),
                   KEY=str(self.args.tools / "key.pem"), ALLOW_BUILD="1" if self.args.build else "",
                   **{k: str(v) for k, v in PORTS.items()})
        return dict(args=["bash", "-c", f". '{HERE}/plug.sh'; . '{self.plug}'; {body}"], env=env, **kw)

    def out(self, body):
        r = subprocess.run(**self.shell(body), capture_output=True, text=True)
        return r.returncode, r.stdout.strip()

    def prepare(self):
        self.run.mkdir(parents=True, exist_ok=True)
        if self.out("have")[0] and (not self.args.install or self.out("get")[0] or self.out("have")[0]):
            return False
        self.title = self.out("echo \"$title\"")[1]
        self.can = self.out("echo \"$can\"")[1].split()
        self.version = self.out("version")[1]
        return True

    def start(self, workers_cpu):
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        log = open(self.run / "out.log", "wb")
        for k in ("HTTP_PORT", "TLS_PORT"):
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", PORTS[k]), 1).close()
                sys.exit(f"port {PORTS[k]} is taken by another program")
        self.p = subprocess.Popen(**self.shell("start", stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                               start_new_session=True,
                                               preexec_fn=lambda: place(self.args, workers_cpu)))
        for _ in range(100):
            if self.p.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORTS["HTTP_PORT"]), 1) as s:
                s.settimeout(2)
                s.sendall(b"GET / HTTP/1.1\r\nHost: hello.com\r\nConnection: close\r\n\r\n")
                if b" 200 " in s.recv(4096).split(b"\r\n")[0] + b" ":
                    return True
            time.sleep(0.1)
        print(f"  {self.name}: did not start, see {self.run.relative_to(self.args.tools.parent)}/out.log", file=sys.stderr)
        self.stop()
        return False

    def stop(self):
        if not self.p:
            return
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.p.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.p.wait(3)
                break
        for _ in range(100):  # the port must be free again
            with contextlib.suppress(OSError), socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", PORTS["HTTP_PORT"]))
                return
            time.sleep(0.05)


def hammer(args, *more, **kw):
    return subprocess.Popen([str(args.tools / "hammer"), *map(str, more)], stdout=subprocess.PIPE, text=True,
                            preexec_fn=lambda: place(args, {args.load_cpu}), **kw)


@contextlib.contextmanager
def backends(args):
    p = hammer(args, *SERVE)
    time.sleep(0.2)
    try:
        yield p
    finally:
        p.terminate()
        p.wait()


def timed(args, proxy, seconds, warm, command):
    """run command(); proxy CPU is taken over the inner part of the measured seconds"""
    pids = tree(proxy.p.pid)
    box = {}
    p = command()
    time.sleep(warm + 0.1)
    pids = tree(proxy.p.pid)
    t0, c0 = time.monotonic(), cpu_of(pids)
    time.sleep(max(0.2, seconds - 0.2))
    t1, c1 = time.monotonic(), cpu_of(pids)
    text, _ = p.communicate(timeout=60)
    box["busy"] = (c1[0] - c0[0]) / (t1 - t0)
    box["user_share"] = (c1[1] - c0[1]) / max(1e-9, c1[0] - c0[0])
    return text, box


def measure(args, proxy, scenario):
    s, w = args.seconds, args.warm
    port = lambda tls: ["--port", PORTS["TLS_PORT" if tls else "HTTP_PORT"]] + (["--tls"] if tls else [])
    if scenario == "memory":
        return measure_memory(args, proxy)
    if scenario == "h2_small":
        with backends(args):
            text, box = timed(args, proxy, s, w, lambda: subprocess.Popen(
                ["h2load", "-c8", "-m32", "-t1", "-D", f"{s * 1000:.0f}ms", "--warm-up-time", f"{w * 1000:.0f}ms",
                 "-H", ":authority: hello.com", "--connect-to", f"127.0.0.1:{PORTS['TLS_PORT']}", f"https://hello.com:{PORTS['TLS_PORT']}/"], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, preexec_fn=lambda: place(args, {args.load_cpu})))
        m = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", text)
        st = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
        r = {"rps": float(m.group(1)), "bad": sum(map(int, st.groups()[1:])), "lost": 0}
        if int(st.group(1)) == 0 or "Application protocol: h2" not in text:
            return {"error": "no HTTP/2 answers"}
    else:
        conns = args.conns
        cmd = list(SERVE) + ["--seconds", s, "--warm", w]
        if scenario.endswith("_10k"):
            cmd += ["--path", "/10240"]
        if scenario.endswith("_1m"):
            cmd += ["--path", "/1048576"]
            conns = 16
        tls = scenario.startswith("tls") or scenario in ("handshake", "resume")
        if scenario in ("handshake", "resume", "connect"):
            cmd += ["--fresh"] + (["--resume"] if scenario == "resume" else [])
            conns = 32
        if scenario.startswith("latency"):
            cmd += ["--rate", args.rate if scenario == "latency" else args.rate / 4]
        text, box = timed(args, proxy, s, w, lambda: hammer(args, *cmd, *port(tls), "--conns", conns))
        r = json.loads(text)
        if not scenario.endswith("_1m"):
            r = {k: v for k, v in r.items() if k != "mb_per_s"}
    r |= box
    r["cpu_us"] = box["busy"] * 1e6 / r["rps"] if r["rps"] else 0
    return r


def measure_memory(args, proxy):
    r = {"cpu_us": 0}
    with backends(args):
        time.sleep(0.5)
        base = r["pss_kb"] = pss_of(tree(proxy.p.pid))
        for n in args.idle:
            p = hammer(args, "--port", PORTS["HTTP_PORT"], "--idle", n, stdin=subprocess.PIPE)
            told = json.loads(p.stdout.readline())
            time.sleep(1)
            r[f"pss_kb_{n}"] = pss_of(tree(proxy.p.pid))
            r[f"kb_per_conn_{n}"] = (r[f"pss_kb_{n}"] - base) / n
            r[f"lost_{n}"] = told["lost"]
            p.stdin.close()
            p.wait()
            time.sleep(0.5)
    return r


def medians(rows):
    out = {}
    for k in rows[0]:
        v = [x[k] for x in rows if isinstance(x.get(k), (int, float))]
        if v:
            out[k] = statistics.median(v)
    out.pop("round", None)
    if "cpu_us" in out:
        v = [x["cpu_us"] for x in rows]
        out["cpu_us_min"] = min(v)
        out["spread"] = (max(v) - min(v)) / (statistics.median(v) or 1)
    return out


COLUMNS = [("rps", "req/s", "{:,.0f}"), ("cpu_us", "CPU µs/req", "{:.1f}"), ("cpu_us_min", "least", "{:.1f}"), ("user_share", "user", "{:.0%}"),
           ("busy", "busy", "{:.0%}"), ("mb_per_s", "MB/s", "{:,.0f}"), ("p50_us", "p50 µs", "{:,.0f}"),
           ("p99_us", "p99 µs", "{:,.0f}"), ("p999_us", "p99.9 µs", "{:,.0f}"), ("spread", "spread", "{:.0%}")]


def markdown(result, ref):
    lines = [f"workers {result['workers']}, {result['rounds']} interleaved rounds of {result['seconds']} s, medians. "
             "`busy`: share of its CPU the proxy used; where it is well below 100 % the client was the limit and "
             "CPU µs/req is the figure to compare. `least`: the least disturbed round. `vs`: CPU µs/req over that of the reference in the same round, median (range)."]
    for sc, peers in result["scenarios"].items():
        if not peers:
            continue
        lines += ["", f"### {sc}: {SCENARIOS[sc][1]}", ""]
        if sc == "memory":
            cols = [(k, k, "{:,.1f}") for k in next(iter(peers.values())) if k not in ("cpu_us", "cpu_us_min", "spread")]
        else:
            cols = [c for c in COLUMNS if any(c[0] in p for p in peers.values())]
        with_ref = ref in peers and sc != "memory"
        lines.append("| | " + " | ".join(c[1] for c in cols) + (f" | vs {ref} |" if with_ref else " |"))
        lines.append("|---" * (len(cols) + 1 + with_ref) + "|")
        key = (lambda kv: kv[1].get("p999_us", 0)) if sc.startswith("latency") else \
              (lambda kv: kv[1].get("pss_kb", 0)) if sc == "memory" else (lambda kv: kv[1].get("cpu_us", 0))
        for name, r in sorted(peers.items(), key=key):
            cells = [c[2].format(r[c[0]]) if c[0] in r else "" for c in cols]
            if with_ref:
                low, mid, high = r.get("cpu_vs_ref", (0, 0, 0))
                cells.append(f"{mid:.2f} ({low:.2f} to {high:.2f})")
            if r.get("bad") or r.get("lost"):
                name += f" (bad {r.get('bad', 0):.0f}, lost {r.get('lost', 0):.0f})"
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def goals(result, raw, sut):
    """lines of a table, and whether all goals were met"""
    lines, met = ["", f"### {sut} against the cheaper of nginx and HAProxy", "", "| | ratio (range) | goal | |", "|---|---|---|---|"], True
    bad = lost = 0
    for sc, by in raw.items():
        bad += sum(r.get("bad", 0) for r in by.get(sut, []))
        lost += sum(v for r in by.get(sut, []) for k, v in r.items() if k.startswith("lost"))
        goal, ratios = GOALS.get(sc), []
        for r in by.get(sut, []):
            peers = [p["cpu_us"] for n in ("nginx", "haproxy") for p in by.get(n, []) if p["round"] == r["round"] and p["cpu_us"]]
            ratios += [r["cpu_us"] / min(peers)] if peers else []
        if ratios and sc != "memory":
            mid = statistics.median(ratios)
            ok = goal is None or mid <= goal
            met &= ok
            lines.append(f"| {sc} | {mid:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {goal or ''} | {'' if goal is None else 'met' if ok else 'MISSED'} |")
    for k, v in result["scenarios"].get("memory", {}).get(sut, {}).items():
        if k.startswith("kb_per_conn_"):
            goal = GOAL_KB_PER_CONN if k.endswith("_10000") else None  # with fewer the fixed part of the first ones shows
            ok = goal is None or v < goal
            met &= ok
            lines.append(f"| KiB per idle connection, {k[12:]} | {v:.2f} | {goal or ''} | {'' if goal is None else 'met' if ok else 'MISSED'} |")
    met &= not bad and not lost
    lines.append(f"| answers bad, lost | {bad}, {lost} | 0, 0 | {'MISSED' if bad or lost else 'met'} |")
    return "\n".join(lines) + "\n", met


@contextlib.contextmanager
def locked(path):
    if not path:
        yield
        return
    with open(path, "a") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--peers", default="nginx,haproxy", help="of: " + ",".join(sorted(p.name for p in (HERE / "peers").iterdir())))
    a.add_argument("--sut", action="append", default=[], help="plug-in file of a system under test (repeatable; default: "
                   "weir/plug.sh here)")
    a.add_argument("--scenarios", default="h1_small,h1_10k,h1_1m,tls_small,memory",
                   help="of: " + ", ".join(SCENARIOS))
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--seconds", type=float, default=3)
    a.add_argument("--warm", type=float, default=1)
    a.add_argument("--conns", type=int, default=64)
    a.add_argument("--rate", type=float, default=16000, help="requests/s of the latency scenario")
    a.add_argument("--idle", type=lambda s: [int(x) for x in s.split(",")], default=[1000, 10000])
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--proxy-cpus", default="1", help="CPUs of the proxy, e.g. 1 or 0,1")
    a.add_argument("--load-cpu", type=int, default=0)
    a.add_argument("--tools", type=Path, default=HERE.parent / "build" / "bench-tools")
    a.add_argument("--no-install", dest="install", action="store_false", help="skip what is missing")
    a.add_argument("--build", action="store_true", help="allow builds that take minutes")
    a.add_argument("--lock", help="hold flock on this file during each round")
    a.add_argument("--nice", type=int, default=0, help="e.g. -15 (root) where other jobs share the machine")
    a.add_argument("--realtime", action="store_true", help="real-time priority (root), for latency on a shared machine: "
                   "keep --rate well below what the proxies can do, for they starve all else")
    a.add_argument("--ref", help="ratios against this one (default: the first --sut, else nginx)")
    a.add_argument("--json", type=Path)
    a.add_argument("--markdown", type=Path)
    a.add_argument("--list", action="store_true", help="say which proxies are ready, then stop")
    a.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed or an answer was bad or lost")
    args = a.parse_args()
    args.sut = args.sut or [str(HERE / "weir" / "plug.sh")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the proxies are stopped too
    args.tools = args.tools.resolve()
    args.tools.mkdir(parents=True, exist_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    source, binary = HERE / "hammer.cpp", args.tools / "hammer"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["g++", "-std=c++20", "-O2", str(source), "-o", str(binary), "-lssl", "-lcrypto"], check=True)
    if not (args.tools / "cert.pem").exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "3650", "-subj", "/CN=hello.com", "-addext", "subjectAltName=DNS:hello.com", "-keyout",
                        str(args.tools / "key.pem"), "-out", str(args.tools / "cert.pem")], check=True,
                       stderr=subprocess.DEVNULL)

    proxies = []
    for plug in args.sut + [HERE / "peers" / n / "plug.sh" for n in args.peers.split(",") if n]:
        p = Proxy(plug, args)
        if p.prepare():
            proxies.append(p)
            print(f"{p.name}: {p.title} {p.version}", file=sys.stderr)
        else:
            print(f"{p.name}: not available, skipped", file=sys.stderr)
    if args.list:
        return
    ref = args.ref or (Proxy(args.sut[0], args).name if args.sut else "nginx")
    cpus = {int(c) for c in args.proxy_cpus.split(",")}
    raw = {}
    for rnd in range(args.rounds):
        with locked(args.lock):
            for sc in args.scenarios.split(","):
                if sc == "memory" and rnd:
                    continue
                order = proxies[rnd % len(proxies):] + proxies[:rnd % len(proxies)]
                for p in order:
                    if SCENARIOS[sc][0] not in p.can or (sc == "h2_small" and not shutil.which("h2load")):
                        continue
                    try:
                        with backends(args):
                            if not p.start(cpus):
                                continue
                        r = measure(args, p, sc)
                    except Exception as e:  # one failed proxy must not end the run
                        r = {"error": repr(e)}
                    finally:
                        p.stop()
                    print(f"round {rnd + 1} {sc} {p.name}: " + json.dumps(
                        {k: round(v, 3) if isinstance(v, float) else v for k, v in r.items()}), file=sys.stderr)
                    r["round"] = rnd
                    if "error" not in r:
                        raw.setdefault(sc, {}).setdefault(p.name, []).append(r)
    result = dict(workers=args.workers, rounds=args.rounds, seconds=args.seconds, conns=args.conns, rate=args.rate,
                  versions={p.name: p.version for p in proxies},
                  scenarios={sc: {n: medians(rows) for n, rows in by.items()} for sc, by in raw.items()})
    for sc, by in raw.items():  # paired: both from the same round
        base = {r["round"]: r["cpu_us"] for r in by.get(ref, [])}
        for n, rows in by.items():
            pairs = [r["cpu_us"] / base[r["round"]] for r in rows if base.get(r["round"])]
            if pairs:
                result["scenarios"][sc][n]["cpu_vs_ref"] = [min(pairs), statistics.median(pairs), max(pairs)]
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    verdict, met = goals(result, raw, Proxy(args.sut[0], args).name)
    text = markdown(result, ref) + verdict
    if args.markdown:
        args.markdown.write_text(text)
    print(text)
    sys.exit(args.check and not met)


if __name__ == "__main__":
    main()
