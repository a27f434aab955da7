"""HTTP/1.1 through the proxy: every framing, both ways, with real clients and scripted ends."""
import base64
import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from harness import DEADLINE, SANITIZED, answering, connect, curl, eventually, ok, raw, read_all, read_until, request


@pytest.fixture(scope="module")
def node(shared_weir, shared_express):
    shared_weir.admin("POST", "/services", {"name": "express", "host": "127.0.0.1", "port": shared_express.port}, expect=201)
    shared_weir.admin("POST", "/services/express/routes", {"hosts": ["hello.com"]}, expect=201)
    return shared_weir


@pytest.fixture
def behind(node, scripted):
    """behind(handler): a scripted upstream behind the host scripted.com."""
    made = []

    def start(handler, **service):
        upstream = scripted(handler)
        name = f"scripted{upstream.port}"
        node.admin("POST", "/services", {"name": name, "host": "127.0.0.1", "port": upstream.port, **service}, expect=201)
        node.admin("POST", f"/services/{name}/routes", {"name": name, "hosts": [f"{name}.com"]}, expect=201)
        made.append(name)
        upstream.host = f"{name}.com"
        return upstream
    yield start
    for name in made:
        node.admin("DELETE", f"/routes/{name}", expect=204)
        node.admin("DELETE", f"/services/{name}", expect=204)


def url(node, path, tls=False):
    return f"https://127.0.0.1:{node.tls_port}{path}" if tls else f"http://127.0.0.1:{node.proxy_port}{path}"


HOST = ("-H", "Host: hello.com")


def known(count):
    return (b"0123456789abcdef" * (count // 16 + 1))[:count]


# ---- bodies ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("count", [0, 1, 65536, 50_000_000])
def test_a_body_arrives_as_it_was_sent(node, tmp_path, count, framing, tls):
    body = tmp_path / "body"
    body.write_bytes(os.urandom(count))
    more = ("-H", "Transfer-Encoding: chunked") if framing == "chunked" else ()
    status, answer = curl("-k", *HOST, "-H", "Expect:", *more, "--data-binary", f"@{body}", url(node, "/digest", tls))
    answer = json.loads(answer)
    assert status == 200 and answer["bytes"] == count
    assert answer["sha256"] == hashlib.sha256(body.read_bytes()).hexdigest()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("count", [0, 1, 65536, 50_000_000])
def test_an_answer_arrives_as_it_was_sent(node, tmp_path, count, framing, tls):
    out = tmp_path / "out"
    status, _ = curl("-k", *HOST, "-o", out, url(node, f"/bytes/{count}" + ("?chunked" if framing == "chunked" else ""), tls))
    assert status == 200 and out.read_bytes() == known(count)


def test_both_bodies_stream_at_the_same_time(node, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(os.urandom(20_000_000))
    out = tmp_path / "out"
    status, _ = curl(*HOST, "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{body}", "-o", out, url(node, "/echo"))
    assert status == 200 and out.read_bytes() == body.read_bytes()


def test_expect_100_continue(node, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(os.urandom(100_000))
    status, answer = curl(*HOST, "-H", "Expect: 100-continue", "--data-binary", f"@{body}", url(node, "/digest"))
    assert status == 200 and json.loads(answer)["sha256"] == hashlib.sha256(body.read_bytes()).hexdigest()
    with socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE) as s:
        s.sendall(b"POST /digest HTTP/1.1\r\nHost: hello.com\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert read_until(s, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        s.sendall(b"hello")
        assert b'"bytes":5' in read_all(s)


def test_head_answers_without_a_body(node):
    status, _ = curl(*HOST, "-I", url(node, "/bytes/12345"))
    assert status == 200
    connection = connect(node.proxy_port)
    for _ in range(3):  # the connection stays usable
        answer = request(node.proxy_port, "HEAD", "/bytes/12345", host="hello.com", connection=connection)
        assert answer.status == 200 and answer.headers["Content-Length"] == "12345" and answer.body == b""
    connection.close()


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body(node, status):
    connection = connect(node.proxy_port)
    for _ in range(3):
        answer = request(node.proxy_port, path=f"/status/{status}", host="hello.com", connection=connection)
        assert (answer.status, answer.body) == (status, b"")
    connection.close()


def test_an_answer_that_ends_with_the_connection(node, behind):
    upstream = behind(lambda c: (c.head(), c.send(b"HTTP/1.1 200 OK\r\n\r\n" + known(300_000))))
    answer = request(node.proxy_port, host=upstream.host)
    assert answer.body == known(300_000)
    # An old client gets it the same way, without chunks.
    old = raw(node.proxy_port, b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % upstream.host.encode())
    head, _, body = old.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower() and body == known(300_000)


def test_interim_answers_are_passed_on(node, behind):
    upstream = behind(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok(b"done")))
    answer = raw(node.proxy_port, b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % upstream.host.encode())
    assert answer.endswith(b"done") and (answer.startswith(b"HTTP/1.1 103 ") or answer.startswith(b"HTTP/1.1 200 "))


def test_trailers_of_an_answer_follow_its_body(node, behind):
    upstream = behind(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                                b"5;ext=1\r\nhello\r\n0\r\nX-Sum: 42\r\nContent-Length: 50\r\n\r\n"))
    answer = raw(node.proxy_port, b"GET / HTTP/1.1\r\nHost: %s\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n" % upstream.host.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"hello" in body and b"ext=1" not in body and b"Content-Length: 50" not in answer and body.endswith(b"\r\n\r\n")
    assert b"0\r\nX-Sum: 42\r\n\r\n" in body


def test_what_comes_slowly_is_passed_on_at_once(node, behind):
    go_on = threading.Event()

    def stream(c):
        c.head()
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        go_on.wait(DEADLINE)
        c.send(b"6\r\nsecond\r\n0\r\n\r\n")
    upstream = behind(stream)
    with socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % upstream.host.encode())
        read_until(s, b"first")  # before the upstream goes on
        go_on.set()
        assert b"second" in read_all(s)


def test_a_slow_reader_is_not_paid_for_with_memory(node, behind):
    total = 200_000_000

    def flood(c):
        c.head()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 1_000_000):
            c.send(b"x" * 1_000_000)
    upstream = behind(flood)

    def rss():
        with open(f"/proc/{node.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    before = rss()
    with socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % upstream.host.encode())
        got = len(s.recv(1000))
        # Nothing is read for a while; other requests are served, and what waits is bounded.
        for _ in range(50):
            assert node.get("/").status == 200
        assert SANITIZED or rss() - before < 32_000_000
        while part := s.recv(1 << 20):
            got += len(part)
    assert got > total


# ---- connections ----------------------------------------------------------------------------------------------------
def test_pipelined_requests_are_answered_in_order(node):
    requests = b"".join(b"GET /n%d HTTP/1.1\r\nHost: hello.com\r\n\r\n" % n for n in range(50))
    last = b"GET /last HTTP/1.1\r\nHost: hello.com\r\nConnection: close\r\n\r\n"
    answer = raw(node.proxy_port, requests + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 51
    places = [answer.index(b'"url":"/n%d"' % n) for n in range(50)]
    assert places == sorted(places) and answer.index(b'"url":"/last"') > places[-1]


def test_pipelined_bodies_are_told_apart(node):
    one = b"POST /digest HTTP/1.1\r\nHost: hello.com\r\nContent-Length: 5\r\n\r\nhello"
    two = b"POST /digest HTTP/1.1\r\nHost: hello.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    end = b"GET /end HTTP/1.1\r\nHost: hello.com\r\nConnection: close\r\n\r\n"
    answer = raw(node.proxy_port, one + two + one + end)
    assert answer.count(b'"bytes":5') == 2 and answer.count(b'"bytes":7') == 1 and b'"url":"/end"' in answer


def test_a_head_may_come_byte_by_byte(node):
    with socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /slowly HTTP/1.1\r\nHost: hello.com\r\nConnection: close\r\n\r\n":
            s.sendall(bytes([byte]))
        assert b'"url":"/slowly"' in read_all(s)


def test_upstream_connections_are_kept_and_reused(node, behind):
    upstream = behind(answering(ok()))
    for _ in range(40):
        assert request(node.proxy_port, host=upstream.host).status == 200
    assert upstream.connections <= 2  # one of each worker


def test_a_kept_connection_that_the_upstream_closed_costs_no_request(node, behind):
    def once(c):
        c.body(c.head())
        c.send(ok())  # then closes, though it never said so
    upstream = behind(once)
    for _ in range(100):
        assert request(node.proxy_port, host=upstream.host).status == 200


def test_a_post_is_never_sent_twice(node, behind):
    def swallow(c):
        c.body(c.head())
    upstream = behind(swallow)
    answer = request(node.proxy_port, "POST", "/", b"pay", {"Host": upstream.host})
    assert answer.status == 502 and upstream.received.count(b"POST / ") == 1


def test_a_client_that_breaks_off_ends_the_upstreams_work(node, behind):
    gone = threading.Event()

    def wait(c):
        c.head()
        with contextlib.suppress(ConnectionError):
            assert c.recv() == b""
        gone.set()
    upstream = behind(wait)
    s = socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE)
    s.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % upstream.host.encode())
    eventually(lambda: upstream.received, "the request is there")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a goodbye
    s.close()
    assert gone.wait(DEADLINE)


def test_a_client_that_only_ended_its_side_gets_its_answer(node, behind):
    """An end of the stream alone may be a half-closed connection (nc, shutdown): the answer is still wanted."""
    go_on = threading.Event()

    def late(c):
        c.head()
        go_on.wait(DEADLINE)
        c.send(ok(b"late"))
    upstream = behind(late)
    with socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % upstream.host.encode())
        s.shutdown(socket.SHUT_WR)
        eventually(lambda: upstream.received, "the request is there")
        go_on.set()
        assert read_all(s).endswith(b"late")


# ---- upstreams that misbehave ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"",
], ids=range(12))
def test_an_answer_that_is_no_http_becomes_502(node, behind, answer):
    upstream = behind(lambda c: (c.head(), c.send(answer)))
    got = request(node.proxy_port, host=upstream.host)
    assert got.status == 502, got
    assert b"An invalid response was received from the upstream server" in got.body


def test_a_second_answer_glued_on_reaches_nobody(node, behind):
    upstream = behind(answering(ok(b"mine") + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"))
    for _ in range(20):
        assert request(node.proxy_port, host=upstream.host).body == b"mine"


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_a_cut_answer_can_be_seen_as_cut(node, behind, framing):
    part = b"hello" if b"Length" in framing else b"5\r\nhello\r\n"
    upstream = behind(lambda c: (c.head(), c.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + part)))
    answer = raw(node.proxy_port, b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % upstream.host.encode())
    assert b"hello" in answer and not answer.endswith(b"0\r\n\r\n")


def test_a_cut_request_is_no_whole_message_upstream(node, behind):
    seen = []
    upstream = behind(lambda c: seen.append(c.body(c.head())))
    raw(node.proxy_port, b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\nhello" % upstream.host.encode(),
        half_close=True, timeout=5)
    eventually(lambda: seen or not upstream.connections, "the upstream's connection ended")
    assert all(not whole for _, whole in seen)


def test_timeouts_and_dead_ends(node, behind):
    stuck = behind(lambda c: (c.head(), c.recv()), read_timeout=300, retries=0)
    answer = request(node.proxy_port, host=stuck.host)
    assert answer.status == 504 and b"The upstream server is timing out" in answer.body
    with socket.create_server(("127.0.0.1", 0)) as s:
        closed = s.getsockname()[1]
    node.admin("POST", "/services", {"name": "closed", "host": "127.0.0.1", "port": closed}, expect=201)
    node.admin("POST", "/services/closed/routes", {"name": "closed", "hosts": ["closed.com"]}, expect=201)
    assert request(node.proxy_port, host="closed.com").status == 502


# ---- upgrade --------------------------------------------------------------------------------------------------------
def frame(payload, opcode=1):
    mask = os.urandom(4)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(payload))
    return bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload))


def read_frame(s, have=b""):
    def take(count):
        nonlocal have
        while len(have) < count:
            part = s.recv(65536)
            assert part, "closed"
            have += part
        out, have = have[:count], have[count:]
        return out
    first, size = take(2)
    if size == 126:
        size, = struct.unpack(">H", take(2))
    return first & 15, take(size), have


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_websocket_passes_through(node, tls):
    s = socket.create_connection(("127.0.0.1", node.tls_port if tls else node.proxy_port), DEADLINE)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(s)
    key = base64.b64encode(os.urandom(16))
    with s:
        # The first frame is glued to the upgrade: it must not get lost, nor reach the server before its 101.
        s.sendall(b"GET /socket HTTP/1.1\r\nHost: hello.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n" + frame(b"first"))
        head, _, have = read_until(s, b"\r\n\r\n").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        assert b"sec-websocket-accept: " + accept.lower() in head.lower()
        opcode, payload, have = read_frame(s, have)
        assert payload == b"first"
        for n in range(100):
            text = b"message %d " % n + b"x" * (n * 50)
            s.sendall(frame(text))
            opcode, payload, have = read_frame(s, have)
            assert (opcode, payload) == (1, text)
        s.sendall(frame(struct.pack(">H", 1000), 8))
        opcode, _, _ = read_frame(s, have)
        assert opcode == 8


def test_an_upgrade_that_is_refused_is_an_ordinary_answer(node, behind):
    upstream = behind(answering(ok()))
    connection = connect(node.proxy_port)
    for _ in range(2):
        answer = request(node.proxy_port, path="/", host=upstream.host, connection=connection,
                         headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
        assert answer.status == 200
    connection.close()


def test_h2c_is_not_passed_on(node, behind):
    upstream = behind(answering(ok()))
    answer = request(node.proxy_port, host=upstream.host,
                     headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"})
    assert answer.status == 200 and b"h2c" not in upstream.received and b"HTTP2-Settings" not in upstream.received


# ---- TLS ------------------------------------------------------------------------------------------------------------
def test_tls_ends_at_the_proxy_with_a_certificate_of_its_own(node):
    status, body = curl("-k", "--tls-max", "1.2", *HOST, url(node, "/", tls=True))
    assert status == 200 and json.loads(body)["headers"]["x-forwarded-proto"] == "https"
    status, body = curl("-k", "--tlsv1.3", *HOST, url(node, "/", tls=True))
    assert status == 200
    assert curl("-k", "--tls-max", "1.1", *HOST, url(node, "/", tls=True), check=False)[0] == 0  # too old


def test_plain_http_on_the_tls_port_harms_nobody(node):
    raw(node.tls_port, b"GET / HTTP/1.1\r\nHost: hello.com\r\n\r\n", timeout=5)
    raw(node.tls_port, b"\x16\x03\x01\xff\xff" + os.urandom(1000), timeout=5, half_close=True)
    assert curl("-k", *HOST, url(node, "/", tls=True))[0] == 200


def test_a_certificate_is_read_again_on_sighup(weir, scripted, route_to, tmp_path):
    def certificate(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                        "-subj", f"/CN={name}", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)

    def subject(port):
        return ssl.get_server_certificate(("127.0.0.1", port))
    certificate("one")
    node = weir(settings={"ssl_cert": tmp_path / "cert.pem", "ssl_cert_key": tmp_path / "key.pem"})
    upstream = scripted()
    route_to(node, upstream.port)
    first = subject(node.tls_port)
    assert first.split() == (tmp_path / "cert.pem").read_text().split()
    kept = connect(node.tls_port, tls=True)
    assert request(node.tls_port, host="hello.com", connection=kept).status == 200
    certificate("two")
    node.signal(signal.SIGHUP)
    eventually(lambda: subject(node.tls_port) != first, "the new certificate is shown")
    assert request(node.tls_port, host="hello.com", connection=kept).status == 200  # an open connection goes on
    kept.close()
    (tmp_path / "cert.pem").write_text("nonsense")
    lines = len(node.lines)
    node.signal(signal.SIGHUP)
    node.wait_log(r'"level":"(error|warn)"', since=lines)
    assert request(node.tls_port, host="hello.com", tls=True).status == 200  # the last good one stays
