"""What an operator reads: /metrics, /status, /status/ready, health of an upstream."""
import re
import uuid

import pytest

from harness import connect, curl, eventually, request


@pytest.fixture
def node(weir, scripted, route_to):
    node = weir()
    upstream = scripted()
    node.target = f"127.0.0.1:{upstream.port}"
    node.admin("POST", "/upstreams", {"name": "hello"}, expect=201)
    node.admin("POST", "/upstreams/hello/targets", {"target": node.target}, expect=201)
    node.admin("POST", "/services", {"name": "hello", "host": "hello"}, expect=201)
    node.admin("POST", "/services/hello/routes", {"name": "hello", "hosts": ["hello.com"]}, expect=201)
    return node


def samples(node):
    """The exposition as {series: value}; every line must be well formed."""
    status, body = curl(f"http://127.0.0.1:{node.status_port}/metrics")
    assert status == 200
    out = {}
    for line in body.decode().splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) [a-zA-Z_:][\w:]* .+", line), line
            continue
        m = re.fullmatch(r'([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)', line)
        assert m, line
        out[m[1]] = float(m[2])
    return out


def total(samples, name, *labels):
    return sum(v for k, v in samples.items() if k.split("{")[0] == name and all(l in k for l in labels))


def test_metrics_count_what_happened(node):
    for _ in range(30):
        assert node.get().status == 200
    for _ in range(5):
        assert node.get(host="nobody.com").status == 404
    after = samples(node)
    assert total(after, "kong_http_requests_total", 'code="200"') == 30
    assert total(after, "kong_http_requests_total", 'code="404"') == 5
    assert total(after, "kong_nginx_requests_total") >= 35
    assert total(after, "kong_request_latency_ms_count") == 35
    assert total(after, "kong_datastore_reachable") == 1
    assert any(name.startswith("weir_") for name in after)


def test_series_do_not_grow_with_routes_and_hosts(node):
    node.get()
    before = len(samples(node))
    for n in range(30):
        node.admin("POST", "/services/hello/routes", {"name": f"r{n}", "hosts": [f"h{n}.com"]}, expect=201)
        assert node.get(host=f"h{n}.com").status == 200
        node.get(host=f"nobody{n}.com")
    # Counters of status codes seen for the first time may appear; nothing per route, host or path.
    assert len(samples(node)) <= before + 10


def test_status_tells_of_connections_and_the_store(node):
    for port in (node.admin_port, node.status_port):
        status = request(port, path="/status").json
        assert status["database"] == {"reachable": True}
        assert {"connections_active", "connections_accepted", "connections_handled", "total_requests"} <= set(status["server"])
    before = request(node.status_port, path="/status").json["server"]
    with_connection = connect(node.proxy_port)
    request(node.proxy_port, host="hello.com", connection=with_connection)
    after = request(node.status_port, path="/status").json["server"]
    assert after["total_requests"] == before["total_requests"] + 1
    assert after["connections_active"] >= 1
    with_connection.close()


def test_ready(node):
    answer = request(node.status_port, path="/status/ready")
    assert answer.status == 200 and answer.json == {"message": "ready"}


def test_draining_by_the_status_listener_makes_the_node_unready(node):
    answer = request(node.status_port, "POST", "/status/ready", "status=draining",
                     {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 204
    answer = request(node.status_port, path="/status/ready")
    assert answer.status == 503 and answer.json["message"] == "draining"
    assert node.get().status == 200  # still serves; the load balancer in front decides


def test_the_status_listener_changes_nothing(node):
    for method, path in (("POST", "/services"), ("DELETE", "/routes/hello"), ("PATCH", "/upstreams/hello")):
        assert request(node.status_port, method, path, {}).status in (404, 405)
    assert node.get().status == 200


def test_health_shows_each_target_and_its_addresses(node):
    health = node.admin("GET", "/upstreams/hello/health", expect=200).json
    assert uuid.UUID(health["node_id"])
    item, = health["data"]
    assert (item["target"], item["weight"], item["health"]) == (node.target, 100, "HEALTHCHECKS_OFF")
    address, = item["data"]["addresses"]
    assert f"{address['ip']}:{address['port']}" == node.target
    node.admin("POST", "/upstreams/hello/targets", {"target": "no-such-host.invalid:80"}, expect=201)
    eventually(lambda: [t for t in node.admin("GET", "/upstreams/hello/health").json["data"] if t["health"] == "DNS_ERROR"],
               "the name cannot be resolved")
    node.admin("GET", "/upstreams/nobody/health", expect=404)


def test_log_lines_are_one_json_object_each_and_cannot_be_forged(node):
    request(node.proxy_port, path="/%0d%0a%1b[2J", host="hello.com")
    node.admin("POST", "/services", b"{\r\n\x1b[2J", {"Content-Type": "application/json"})
    node.stop()
    for text, event in node.lines:
        assert text.startswith("{") and text.isprintable() and {"level", "message"} <= set(event), text


def test_access_log_is_one_json_line_a_request_without_the_query(weir):
    node = weir({"proxy_access_log": "on"})
    assert request(node.proxy_port, path='/a%22b%0d\\c?apikey=secret', host="nobody.com").status in (400, 404)
    assert request(node.proxy_port, path="/plain?apikey=secret", host="nobody.com").status == 404
    line = node.wait_log('"path":"/plain"')
    assert "secret" not in node.log()
    assert (line["message"], line["method"], line["status"], line["client"]) == ("request", "GET", 404, "127.0.0.1")
    assert line["bytes"] > 0 and line["duration_us"] >= 0 and len(line["request_id"]) == 32


def test_admin_api_and_status_over_tls(weir):
    both = "127.0.0.1:0, 127.0.0.1:0 ssl"
    node = weir(settings={"admin_listen": both, "status_listen": both})
    for what, path in (("admin_tls", "/services"), ("status_tls", "/status/ready")):
        port = node.ports[what]
        with_tls = connect(port, tls=True)
        for _ in range(2):  # the connection is kept
            assert request(port, path=path, connection=with_tls).status == 200
        with_tls.close()
        assert curl("-k", f"https://127.0.0.1:{port}{path}")[0] == 200
        assert curl(f"http://127.0.0.1:{port}{path}", check=False)[0] == 0, "plain HTTP on a TLS port"
    assert request(node.admin_port, path="/services").status == 200
