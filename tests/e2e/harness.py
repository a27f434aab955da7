"""The real binary, real clients and real upstreams, for the end-to-end tests. Standard library only.

Nothing here sleeps for a guessed time: everything waits for a log line, an answer or the end of a process, up to a deadline.
"""
import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = Path(os.environ.get("WEIR_BIN", ROOT / "build" / "release" / "weir"))
SANITIZED = any(kind in str(BINARY) for kind in ("asan", "tsan"))  # slower, and memory means nothing
DEADLINE = float(os.environ.get("WEIR_E2E_DEADLINE", "60" if SANITIZED else "20"))  # s


def eventually(check, what, deadline=None):
    """The first truthy answer of check(); the test fails after the deadline."""
    end = time.monotonic() + (deadline or DEADLINE)
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline or DEADLINE} s: {what}; last answer {answer!r}")
        time.sleep(0.01)


# ---- clients --------------------------------------------------------------------------------------------------------
class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


def request(port, method="GET", path="/", body=None, headers=None, host=None, tls=False, timeout=None, connection=None):
    """One request; a dict or list as body is sent as JSON."""
    headers = dict(headers or {})
    if host:
        headers["Host"] = host
    if isinstance(body, (dict, list)):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body)
    own = connection is None
    if own:
        connection = connect(port, tls, timeout)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        if own:
            connection.close()


def connect(port, tls=False, timeout=None):
    timeout = timeout or DEADLINE
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)


def raw(port, data, timeout=None, half_close=False):
    """Sends bytes as they are; all that comes back until the other side closes (or the time is over)."""
    with socket.create_connection(("127.0.0.1", port), timeout or DEADLINE) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        return read_all(s)


def read_all(s):
    out = b""
    with contextlib.suppress(ConnectionError, socket.timeout):
        while part := s.recv(65536):
            out += part
    return out


def read_until(s, mark, out=b""):
    """Bytes up to and including mark; s keeps nothing of what follows unless it came in the same piece."""
    while mark not in out:
        part = s.recv(65536)
        if not part:
            raise AssertionError(f"closed before {mark!r}: {out!r}")
        out += part
    return out


def curl(*args, check=True):
    """curl as a user calls it: (status, body)."""
    run = subprocess.run(["curl", "-sS", "--max-time", str(DEADLINE), "-w", "\n%{http_code}", *map(str, args)],
                         capture_output=True)
    assert not check or run.returncode == 0, run.stderr.decode()
    body, _, status = run.stdout.rpartition(b"\n")
    return int(status), body


# ---- the binary -----------------------------------------------------------------------------------------------------
class Weir:
    """A running `weir run` on free ports in a folder of its own."""

    DEFAULTS = {
        "admin_listen": "127.0.0.1:0",
        "proxy_listen": "127.0.0.1:0, 127.0.0.1:0 ssl",
        "status_listen": "127.0.0.1:0",
        "nginx_worker_processes": "2",
    }

    def __init__(self, prefix, settings=None, env=None, conf=None):
        self.prefix = Path(prefix)
        self.prefix.mkdir(parents=True, exist_ok=True)
        self.settings = {**self.DEFAULTS, **(settings or {})}
        self.conf, self.env = conf, env or {}
        self.lines, self.process, self.ports, self.stopped = [], None, {}, False
        self.news = threading.Condition()

    def command(self):
        out = [str(BINARY), "run", "-p", str(self.prefix)]
        if self.conf:
            out += ["-c", str(self.conf)]
        for key, value in self.settings.items():
            if value is not None:
                out += ["--set", f"{key}={value}"]
        return out

    def launch(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "KONG_"))}
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env={**env, **self.env}, start_new_session=True)
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()
        return self

    def start(self):
        self.launch()
        if self.settings.get("status_listen") not in (None, "off"):
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, f"exit code {self.process.returncode}:\n{self.log()}"
            if "status" not in self.ports:
                return False
            with contextlib.suppress(OSError):
                return request(self.ports["status"], path="/status/ready").status == 200
        eventually(ready, "ready")

    def _read(self, process):
        for line in process.stderr:
            text = line.decode(errors="replace").rstrip("\n")
            with self.news:
                try:
                    event = json.loads(text)
                except ValueError:
                    event = {"message": text}
                if event.get("message") == "listening":
                    self.ports[event["what"] + ("_tls" if event.get("tls") else "")] = event["port"]
                self.lines.append((text, event))
                self.news.notify_all()

    def log(self):
        return "\n".join(text for text, _ in self.lines)

    def wait_log(self, pattern, since=0):
        """The first line from `since` on that matches; how many lines there were before is len(self.lines)."""
        end = time.monotonic() + DEADLINE
        with self.news:
            while True:
                for text, event in self.lines[since:]:
                    if re.search(pattern, text):
                        return event
                if not self.news.wait(end - time.monotonic()):
                    raise AssertionError(f"no line /{pattern}/ in:\n{self.log()}")

    # Where it listens; known once it is ready.
    admin_port = property(lambda self: self.ports["admin"])
    proxy_port = property(lambda self: self.ports["proxy"])
    tls_port = property(lambda self: self.ports["proxy_tls"])
    status_port = property(lambda self: self.ports["status"])

    def admin(self, method, path, body=None, headers=None, expect=None):
        answer = request(self.admin_port, method, path, body, headers)
        assert expect is None or answer.status == expect, f"{method} {path}: {answer}"
        return answer

    def get(self, path="/", host="hello.com", **more):
        return request(self.proxy_port, path=path, host=host, **more)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        code = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return code

    def kill(self):
        self.stopped = True
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self):
        """SIGTERM; it must end by itself with exit code 0."""
        if self.stopped or self.process is None:
            return
        self.stopped = True
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            raise AssertionError(f"did not end after SIGTERM:\n{self.log()}")
        assert code == 0, f"exit code {code}:\n{self.log()}"


def run_weir(*args, env=None, timeout=None, **more):
    """A command that ends by itself."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "KONG_"))}
    return subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=timeout or DEADLINE,
                          env={**clean, **(env or {})}, stdin=subprocess.DEVNULL, **more)


# ---- upstreams ------------------------------------------------------------------------------------------------------
class Scripted:
    """A TCP server whose answers are scripted: each connection runs `handler(connection)` in a thread of its own."""

    def __init__(self, handler, port=0, address="127.0.0.1"):
        self.handler, self.received, self.connections = handler, b"", 0
        self.lock = threading.Lock()
        self.listener = socket.create_server((address, port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.open, self.closed = [], False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closed:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.settimeout(60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self.open.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with contextlib.suppress(OSError, AssertionError), s:
            self.handler(ScriptedConnection(self, s))

    def close(self):
        self.closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for s in self.open:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)


class ScriptedConnection:
    def __init__(self, server, s):
        self.server, self.s, self.pending = server, s, b""

    def recv(self):
        part = self.s.recv(65536)
        with self.server.lock:
            self.server.received += part
        return part

    def send(self, data):
        self.s.sendall(data)

    def head(self):
        """One request head (bytes with the empty line), or b"" at the end."""
        while b"\r\n\r\n" not in self.pending:
            part = self.recv()
            if not part:
                return b""
            self.pending += part
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def exactly(self, count):
        while len(self.pending) < count:
            part = self.recv()
            if not part:
                break
            self.pending += part
        out, self.pending = self.pending[:count], self.pending[count:]
        return out

    def body(self, head):
        """The body that follows `head`, decoded; and whether it came to its proper end."""
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        if length:
            out = self.exactly(int(length.group(1)))
            return out, len(out) == int(length.group(1))
        if not re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I):
            return b"", True
        out = b""
        while True:
            while b"\r\n" not in self.pending:
                part = self.recv()
                if not part:
                    return out, False
                self.pending += part
            size, _, self.pending = self.pending.partition(b"\r\n")
            count = int(size.split(b";")[0], 16)
            if count == 0:
                self.trailers = b""
                while True:
                    while b"\r\n" not in self.pending:
                        part = self.recv()
                        if not part:
                            return out, False
                        self.pending += part
                    line, _, self.pending = self.pending.partition(b"\r\n")
                    if not line:
                        return out, True
                    self.trailers += line + b"\r\n"
            part = self.exactly(count + 2)
            if len(part) < count + 2:
                return out + part[:count], False
            out += part[:count]


def ok(body=b"ok", extra=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), extra, body)


def answering(answer):
    """A handler that reads whole requests and answers each with the same bytes (or what answer(head, body) gives)."""
    def handler(c):
        while head := c.head():
            body, whole = c.body(head)
            if not whole:
                return
            c.send(answer(head, body) if callable(answer) else answer)
    return handler


class Express:
    """A real Express application (tests/e2e/express)."""

    def __init__(self, folder, name, port=0):
        self.name = name
        self.process = subprocess.Popen([shutil.which("node") or "node", "server.js", name, str(port)], cwd=folder,
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        assert line, f"server {name} did not start"
        self.port = int(line)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


# ---- load -----------------------------------------------------------------------------------------------------------
class Load:
    """Keeps requests going on several connections (fresh: a new one for each) until it is stopped; each is accounted for."""

    def __init__(self, port, connections=4, host="hello.com", path="/", expect=200, fresh=False):
        self.port, self.host, self.path, self.expect, self.fresh = port, host, path, expect, fresh
        self.done, self.failures, self.bodies = 0, [], []
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        eventually(lambda: self.done >= 20, "load is running")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ending.set()
        for t in self.threads:
            t.join(DEADLINE)

    def _run(self):
        connection = connect(self.port)
        while not self.ending.is_set():
            fresh = connection.sock is None
            try:
                answer = request(self.port, path=self.path, host=self.host, connection=connection)
                fault = None if answer.status == self.expect else repr(answer)
            except OSError as e:
                # A listener that is gone refuses; a kept-alive connection may be closed between two requests (RFC 9112
                # section 9.6): neither has lost an answer. What matters is a request that was taken and not answered.
                connection.close()
                if fresh and isinstance(e, ConnectionRefusedError):
                    return
                fault = None if not fresh and isinstance(e, (http.client.RemoteDisconnected, ConnectionError)) else repr(e)
                answer = None
            except http.client.HTTPException as e:
                connection.close()
                fault, answer = repr(e), None
            with self.lock:
                if fault:
                    self.failures.append(fault)
                elif answer:
                    self.done += 1
            if self.fresh:
                connection.close()
        connection.close()


def readable(s, seconds):
    return bool(select.select([s], [], [], seconds)[0])
