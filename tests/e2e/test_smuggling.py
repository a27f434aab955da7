"""Requests that two readers could understand differently: refused, and nothing of them reaches the upstream (RFC 9112)."""
import random
import socket

import pytest

from harness import DEADLINE, Scripted, answering, ok, raw, read_all, request

H = b"Host: hello.com\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + b"\r\n"


def post(*fields, body=b"0\r\n\r\n" + SMUGGLED, version=b"1.1"):
    return b"POST / HTTP/" + version + b"\r\n" + H + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


def get(*fields):
    return b"GET / HTTP/1.1\r\n" + H + b"".join(fields) + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
REFUSED = {
    # Two framings, or one that is not understood.
    "cl.te": post(b"Content-Length: 48", CHUNKED),
    "te.cl": post(CHUNKED, b"Content-Length: 48"),
    "te xchunked": post(b"Transfer-Encoding: xchunked"),
    "te chunked, identity": post(b"Transfer-Encoding: chunked, identity"),
    "te identity": post(b"Transfer-Encoding: identity"),
    "te gzip, chunked": post(b"Transfer-Encoding: gzip, chunked"),
    "te space before colon": post(b"Transfer-Encoding : chunked"),
    "te vertical tab": post(b"Transfer-Encoding: \x0bchunked"),
    "te quoted": post(b'Transfer-Encoding: "chunked"'),
    "te cut": post(b"Transfer-Encoding: chunk"),
    "te two lines": post(CHUNKED, CHUNKED),
    "te twice in one": post(b"Transfer-Encoding: chunked, chunked"),
    "te NUL": post(b"Transfer-Encoding: chunked\x00"),
    "te nbsp": post(b"Transfer-Encoding: chunked\xa0"),
    "te behind LF": post(b"X: y\nTransfer-Encoding: chunked"),
    "te behind CR": post(b"X: y\rTransfer-Encoding: chunked"),
    "te obs-fold": post(b"Transfer-Encoding:\r\n chunked"),
    "te in 1.0": post(CHUNKED, b"Connection: keep-alive", version=b"1.0"),
    "cl twice": post(b"Content-Length: 5", b"Content-Length: 6"),
    "cl list": post(b"Content-Length: 5, 6"),
    "cl plus": post(b"Content-Length: +5"),
    "cl minus": post(b"Content-Length: -5"),
    "cl hex": post(b"Content-Length: 0x5"),
    "cl underscore": post(b"Content-Length: 1_0"),
    "cl space inside": post(b"Content-Length: 5 5"),
    "cl empty": post(b"Content-Length:"),
    "cl overflow": post(b"Content-Length: 18446744073709551621"),
    "cl 400 digits": post(b"Content-Length: " + b"9" * 400),
    "cl vertical tab": post(b"Content-Length: 5\x0b"),
    "cl arabic digit": post(b"Content-Length: \xd9\xa5"),
    # Chunks.
    "chunk LF": post(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"),
    "chunk extension LF": post(CHUNKED, body=b"5;\nXX\r\nhello\r\n0\r\n\r\n"),
    "chunk 0x": post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk plus": post(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk minus": post(CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk leading space": post(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk 17 digits": post(CHUNKED, body=b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk overflow": post(CHUNKED, body=b"fffffffffffffffb\r\nhello\r\n0\r\n\r\n"),
    "chunk underscore": post(CHUNKED, body=b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk empty size": post(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n"),
    "chunk CR CR LF": post(CHUNKED, body=b"5\r\r\nhello\r\n0\r\n\r\n"),
    "chunk data longer than its size": post(CHUNKED, body=b"4\r\nhello\r\n0\r\n\r\n"),
    "chunk extension of 1 MiB": post(CHUNKED, body=b"5;" + b"x" * 1048576 + b"\r\nhello\r\n0\r\n\r\n"),
    # Lines and names.
    "bare LF": b"GET / HTTP/1.1\nHost: hello.com\n\n",
    "NUL in a value": get(b"X: a\x00b\r\n"),
    "CR in a value": get(b"X: a\rb\r\n"),
    "LF LF in a value": get(b"X: a\n\nGET /smuggled HTTP/1.1\r\n"),
    "obs-fold": get(b"X: a\r\n b\r\n"),
    "space in a name": get(b"X Y: a\r\n"),
    "empty name": get(b": a\r\n"),
    "no colon": get(b"nocolon\r\n"),
    "bracket in a name": get(b"X(: a\r\n"),
    "eight bits in a name": get(b"X\x80: a\r\n"),
    "white space before the first field": b"GET / HTTP/1.1\r\n X: a\r\n" + H + b"\r\n",
    # Host and target.
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": get(H),
    "space in host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "userinfo in host": b"GET / HTTP/1.1\r\nHost: hello.com:80@evil.test\r\n\r\n",
    "port that is no number": b"GET / HTTP/1.1\r\nHost: hello.com:8o\r\n\r\n",
    "half a bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "fragment": b"GET /c#frag HTTP/1.1\r\n" + H + b"\r\n",
    "asterisk": b"GET * HTTP/1.1\r\n" + H + b"\r\n",
    "authority as target": b"GET @evil.test/c HTTP/1.1\r\n" + H + b"\r\n",
    "userinfo in target": b"GET http://user@hello.com/ HTTP/1.1\r\n" + H + b"\r\n",
    "CONNECT": b"CONNECT hello.com:80 HTTP/1.1\r\n" + H + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + H + b"\r\n",
    # Request lines.
    "bracket in the method": b"GE(T / HTTP/1.1\r\n" + H + b"\r\n",
    "NUL in the method": b"G\x00T / HTTP/1.1\r\n" + H + b"\r\n",
    "tabs": b"GET\t/\tHTTP/1.1\r\n" + H + b"\r\n",
    "version 1.10": b"GET / HTTP/1.10\r\n" + H + b"\r\n",
    "version 2.0": b"GET / HTTP/2.0\r\n" + H + b"\r\n",
    "version 0.9": b"GET /\r\n\r\n",
    "proxy protocol": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + get(),
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600 + b"\r\n\r\n",
    # Sizes.
    "one field of 1 MiB": get(b"X: " + b"y" * 1048576 + b"\r\n"),
    "20 000 fields": get(b"X: y\r\n" * 20000),
    "target of 1 MiB": b"GET /" + b"x" * 1048576 + b" HTTP/1.1\r\n" + H + b"\r\n",
    "20 MiB of empty lines": b"\r\n" * (10 * 1048576),
}


@pytest.fixture(scope="module")
def node(shared_weir):
    upstream = Scripted(answering(ok()))
    shared_weir.admin("POST", "/services", {"name": "hello", "host": "127.0.0.1", "port": upstream.port, "retries": 0}, expect=201)
    shared_weir.admin("POST", "/services/hello/routes", {"hosts": ["hello.com"]}, expect=201)
    shared_weir.admin("POST", "/services/hello/routes", {"paths": ["/"]}, expect=201)
    shared_weir.upstream = upstream
    yield shared_weir
    upstream.close()


@pytest.mark.parametrize("name", REFUSED)
def test_refused(node, name):
    node.upstream.received = b""
    answer = raw(node.proxy_port, REFUSED[name])
    # One answer that refuses, then the end: what follows on the connection is never read as a request. A sender that is far
    # over a limit may find the connection reset before it reads the answer.
    sizes = name in ("one field of 1 MiB", "20 000 fields", "target of 1 MiB", "20 MiB of empty lines", "chunk extension of 1 MiB")
    assert answer[:9] == b"HTTP/1.1 " or sizes and not answer, answer
    if answer:
        assert answer[9:12] in (b"400", b"414", b"431", b"501", b"505"), answer
        assert answer.count(b"HTTP/1.1 ") == 1 and b"connection: close" in answer.lower(), answer
    # Only a body that turned out wrong may have been begun upstream; then it never came to its end.
    got = node.upstream.received
    if name.startswith("chunk "):
        assert b"/smuggled" not in got and not got.endswith(b"0\r\n\r\n"), got
    else:
        assert got == b"", got


def test_what_is_long_but_lawful_passes(node):
    fields = b"".join(b"X-%d: y\r\n" % n for n in range(90))
    answer = raw(node.proxy_port, b"GET /" + b"x" * 7900 + b" HTTP/1.1\r\n" + H + fields + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 "), answer


def test_equal_lengths_are_one(node):
    node.upstream.received = b""
    answer = raw(node.proxy_port, post(b"Content-Length: 5", b"Content-Length: 5", b"Connection: close", body=b"hello"))
    assert answer[9:12] in (b"200", b"400")
    assert node.upstream.received.lower().count(b"content-length: 5") <= 1


def test_the_authority_of_an_absolute_target_decides(node):
    node.upstream.received = b""
    answer = raw(node.proxy_port, b"GET http://other.test/c HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
    assert answer[9:12] in (b"200", b"400")
    if answer[9:12] == b"200":
        assert b"GET /c HTTP/1.1" in node.upstream.received
        assert b"x-forwarded-host: other.test" in node.upstream.received.lower()


def test_a_body_that_looks_like_a_request_is_a_body(node):
    node.upstream.received = b""
    answer = raw(node.proxy_port, b"GET / HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED +
                 b"GET /next HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 2
    heads = [line for line in node.upstream.received.split(b"\r\n") if line.endswith(b"HTTP/1.1")]
    assert heads == [b"GET / HTTP/1.1", b"GET /smuggled HTTP/1.1", b"GET /next HTTP/1.1"]  # the middle one inside the body


def test_fields_named_by_connection_go_but_never_the_proxys_own(node):
    node.upstream.received = b""
    raw(node.proxy_port, get(b"Connection: close, Host, X-Forwarded-For, X-Real-IP, X-Secret\r\nX-Secret: 1\r\nProxy: http://evil\r\n"
                             b"Keep-Alive: 5\r\nProxy-Connection: x\r\n"))
    got = node.upstream.received.lower()
    assert b"\r\nhost: " in got and b"x-forwarded-for: 127.0.0.1" in got and b"x-real-ip: 127.0.0.1" in got
    for gone in (b"x-secret", b"\r\nproxy:", b"\r\nkeep-alive:", b"proxy-connection"):
        assert gone not in got, got


def test_an_underscore_is_not_a_dash(node):
    node.upstream.received = b""
    answer = raw(node.proxy_port, get(b"Transfer_Encoding: chunked\r\nContent_Length: 5\r\nConnection: close\r\n"))
    assert answer[9:12] in (b"200", b"400")


def test_garbage_of_every_length_harms_nobody(node):
    seeded = random.Random(7)
    for n in range(150):
        data = bytearray(post(CHUNKED, b"X: y", body=b"5\r\nhello\r\n0\r\n\r\n"))
        for _ in range(seeded.randrange(1, 4)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        raw(node.proxy_port, bytes(data[:seeded.randrange(len(data))]), half_close=True, timeout=5)
    assert request(node.proxy_port, host="hello.com").status == 200


@pytest.mark.parametrize("part", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: hello.com\r\nX: "])
def test_a_slow_head_is_ended(weir, part):
    """client_header_timeout: a head that was begun must come to its end."""
    node = weir(settings={"nginx_http_client_header_timeout": "1s"})
    with socket.create_connection(("127.0.0.1", node.proxy_port), DEADLINE) as s:
        s.sendall(part)
        answer = read_all(s)  # ends before the deadline, by the other side
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
