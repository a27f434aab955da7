"""What the upstream is told about the client, and the client about the node: Kong's headers."""
import re

import pytest

from harness import answering, curl, ok, request


class Told:
    """A scripted upstream that keeps the heads it got."""

    def __init__(self, scripted, answer=None):
        self.heads = []

        def handler(head, body):
            self.heads.append(head.decode("latin-1"))
            return answer or ok()
        self.port = scripted(answering(handler)).port

    def all(self, name):
        return [line.split(":", 1)[1].strip() for line in self.heads[-1].split("\r\n")[1:] if line.lower().startswith(name.lower() + ":")]

    def one(self, name):
        values = self.all(name)
        assert len(values) == 1, (name, self.heads[-1])
        return values[0]


def test_what_the_upstream_is_told(weir, scripted, route_to):
    node, told = weir(), Told(scripted)
    route_to(node, told.port, paths=["/base"], hosts=["hello.com"])
    answer = request(node.proxy_port, path="/base/x?q=1", host="hello.com:8000",
                     headers={"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.com", "X-Real-IP": "6.6.6.6"})
    assert answer.status == 200
    assert told.heads[-1].startswith("GET /x?q=1 HTTP/1.1\r\n")
    assert told.one("host") == f"127.0.0.1:{told.port}"
    # No address is trusted by default: only X-Forwarded-For is kept, with the peer appended.
    assert told.one("x-forwarded-for") == "1.2.3.4, 127.0.0.1"
    assert told.one("x-forwarded-proto") == "http" and told.one("x-forwarded-host") == "hello.com"
    assert told.one("x-forwarded-port") == str(node.proxy_port)
    assert told.one("x-forwarded-path") == "/base/x" and told.one("x-forwarded-prefix") == "/base"
    assert told.one("x-real-ip") == "127.0.0.1"
    assert re.fullmatch(r"1\.1 (kong|weir)/[\d.]+", told.one("via"))
    assert re.fullmatch(r"[0-9a-f]{32}", told.one("x-kong-request-id"))
    assert told.one("x-kong-request-id") == answer.headers["X-Kong-Request-Id"]


def test_what_the_client_is_told(weir, scripted, route_to):
    node, told = weir(), Told(scripted, ok(b"x", b"Server: app\r\nConnection: X-Inner\r\nX-Inner: secret\r\nKeep-Alive: 5\r\n"))
    route_to(node, told.port)
    headers = node.get().headers
    assert headers["Server"] == "app" and re.fullmatch(r"1\.1 (kong|weir)/[\d.]+", headers["Via"])
    assert headers["X-Kong-Upstream-Latency"].isdigit() and headers["X-Kong-Proxy-Latency"].isdigit()
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Kong-Request-Id"])
    assert headers["X-Inner"] is None and headers["Keep-Alive"] is None
    own = node.get(host="nobody.com").headers
    assert re.fullmatch(r"(kong|weir)/[\d.]+", own["Server"]) and own["X-Kong-Response-Latency"].isdigit()
    assert own["Content-Type"] == "application/json; charset=utf-8" and own["Via"] is None


def test_the_headers_setting_turns_them_off(weir, scripted, route_to):
    node, told = weir(settings={"headers": "off", "headers_upstream": "off"}), Told(scripted)
    route_to(node, told.port)
    headers = node.get().headers
    assert not [h for h in headers if h.lower().startswith("x-kong") or h.lower() == "via"]
    assert told.all("x-kong-request-id") == []
    assert node.get(host="nobody.com").headers["Server"] is None


def test_a_trusted_peer_is_believed(weir, scripted, route_to):
    node, told = weir(settings={"trusted_ips": "127.0.0.0/8,::1"}), Told(scripted)
    route_to(node, told.port)
    node.get(headers={"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "front.com", "X-Forwarded-Port": "444"})
    assert told.one("x-forwarded-proto") == "https" and told.one("x-forwarded-host") == "front.com"
    assert told.one("x-forwarded-port") == "444" and told.one("x-forwarded-for") == "1.2.3.4, 127.0.0.1"


def test_preserve_host_and_host_header(weir, scripted, route_to):
    node, told = weir(), Told(scripted)
    route_to(node, told.port, preserve_host=True)
    node.get(host="hello.com:1234")
    assert told.one("host") == "hello.com:1234"
    node.admin("PATCH", "/routes/hello", {"preserve_host": False}, expect=200)
    node.admin("POST", "/upstreams", {"name": "pool", "host_header": "inside.example"}, expect=201)
    node.admin("POST", "/upstreams/pool/targets", {"target": f"127.0.0.1:{told.port}"}, expect=201)
    node.admin("PATCH", "/services/hello", {"host": "pool"}, expect=200)
    node.get()
    assert told.one("host") == "inside.example"


def test_kong_debug_shows_the_route_only_where_it_is_allowed(weir, scripted, route_to):
    told = Told(scripted)
    shown = weir(settings={"allow_debug_header": "on"})
    route = route_to(shown, told.port)
    headers = shown.get(headers={"Kong-Debug": "1"}).headers
    assert headers["Kong-Route-Id"] == route["id"] and headers["Kong-Route-Name"] == "hello"
    assert headers["Kong-Service-Id"] == route["service"]["id"] and headers["Kong-Service-Name"] == "hello"
    assert shown.get().headers["Kong-Route-Id"] is None
    hidden = weir()
    route_to(hidden, told.port)
    assert hidden.get(headers={"Kong-Debug": "1"}).headers["Kong-Route-Id"] is None


@pytest.mark.parametrize("accept,kind", [
    ("application/json", "application/json; charset=utf-8"), ("text/html", "text/html; charset=utf-8"),
    ("application/xml", "application/xml; charset=utf-8"), ("text/plain", "text/plain; charset=utf-8"), (None, "text/plain; charset=utf-8"),
])
def test_errors_speak_the_clients_language(weir, route_to, accept, kind):
    node = weir()
    route_to(node, 1)  # nobody listens there
    status, body = curl("-D", "-", "-H", "Host: hello.com", "-H", f"Accept: {accept}" if accept else "Accept:",
                        f"http://127.0.0.1:{node.proxy_port}/")
    assert status == 502
    assert f"content-type: {kind}" in body.decode().lower()
    assert "An invalid response was received from the upstream server" in body.decode()


def test_https_only_routes_ask_for_https(weir, scripted, route_to):
    node, told = weir(), Told(scripted)
    route_to(node, told.port, protocols=["https"])
    answer = node.get()
    assert answer.status == 426 and answer.json["message"] == "Please use HTTPS protocol" and "TLS/1.2" in answer.headers["Upgrade"]
    assert request(node.tls_port, host="hello.com", tls=True).status == 200
    assert told.one("x-forwarded-proto") == "https"
    node.admin("PATCH", "/routes/hello", {"https_redirect_status_code": 301}, expect=200)
    answer = node.get("/a?b")
    assert answer.status == 301 and answer.headers["Location"] == "https://hello.com/a?b"
