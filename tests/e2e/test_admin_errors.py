"""Wrong input to the Admin API: one clear error with Kong's status, code and words, and nothing else changes."""
import json
import socket

import pytest

from harness import DEADLINE, raw, read_all, request

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MISSING = "3f6a2b0e-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def node(shared_weir):
    shared_weir.admin("POST", "/services", {"name": "taken", "host": "h"}, expect=201)
    shared_weir.admin("POST", "/services/taken/routes", {"name": "route", "paths": ["/x"]}, expect=201)
    shared_weir.admin("POST", "/upstreams", {"name": "upstream"}, expect=201)
    return shared_weir


# method, path, headers, body, status, code, a piece of the message
CASES = [
    ("POST", "/services", JSON, "{", 400, None, "Cannot parse JSON body"),
    ("POST", "/services", JSON, "", 400, None, "Cannot parse JSON body"),
    ("POST", "/services", JSON, '{"host":"h"} {}', 400, None, "Cannot parse JSON body"),
    ("POST", "/services", JSON, '{"host":"\\ud800"}', 400, None, ""),
    ("POST", "/services", JSON, b'{"host":"\xff"}', 400, None, ""),
    ("POST", "/services", JSON, "[" * 100000, 400, None, ""),
    ("POST", "/services", JSON, '{"a":' * 50000, 400, None, ""),
    ("POST", "/services", JSON, "{}", 400, 2, "schema violation (host: required field missing)"),
    ("POST", "/services", JSON, '{"host":"h","wieght":1}', 400, 2, "schema violation (wieght: unknown field)"),
    ("POST", "/services", JSON, '{"host":"h","port":"80"}', 400, 2, "port: expected an integer"),
    ("POST", "/services", JSON, '{"host":"h","port":65536}', 400, 2, "port: value should be between 0 and 65535"),
    ("POST", "/services", JSON, '{"host":"h","protocol":"gopher"}', 400, 2, "protocol: expected one of: "),
    ("POST", "/services", JSON, '{"host":"h","path":"x"}', 400, 2, "path: should start with: /"),
    ("POST", "/services", JSON, '{"host":"h","name":"a b"}', 400, 2, "name: invalid value 'a b'"),
    ("POST", "/services", JSON, '{"host":"h","name":"a\\u0000b"}', 400, 2, "name"),
    ("POST", "/services", JSON, '{"host":"h","id":"not-a-uuid"}', 400, 2, "id: expected a valid UUID"),
    ("POST", "/services", JSON, '{"host":"h","tags":["a,b"]}', 400, 2, "invalid tag 'a,b'"),
    ("POST", "/services", JSON, '{"name":"taken","host":"h"}', 409, 5, "UNIQUE violation detected on '{name=\"taken\"}'"),
    ("POST", "/services", FORM, "host=h&port=x", 400, 2, "port: expected an integer"),
    ("POST", "/services", FORM, "&".join(f"a{n}=1" for n in range(1001)), 400, None, "Too many arguments"),
    ("POST", "/services", {"Content-Type": "text/plain"}, "host=h", 415, None, ""),
    ("POST", "/services", {}, '{"host":"h"}', 415, None, ""),
    ("PUT", "/services", JSON, '{"host":"h"}', 405, None, "Method not allowed"),
    ("BREW", "/services", {}, None, 405, None, "Method not allowed"),
    ("GET", "/nowhere", {}, None, 404, None, "Not found"),
    ("GET", f"/services/{MISSING}", {}, None, 404, None, "Not found"),
    ("GET", "/services/nobody", {}, None, 404, None, "Not found"),
    ("GET", "/services/%27%3BDROP%20TABLE%20services", {}, None, 400, 10, "the only accepted ascii characters are"),
    ("PATCH", f"/services/{MISSING}", JSON, '{"port":1}', 404, 6, "could not find the entity with primary key"),
    ("PATCH", "/services/nobody", JSON, '{"port":1}', 404, 6, "could not find the entity with '{name=\"nobody\"}'"),
    ("GET", "/services?size=x", {}, None, 400, 9, "size must be a number"),
    ("GET", "/services?size=0", {}, None, 400, 9, "size must be an integer between 1 and 1000"),
    ("GET", "/services?size=1e9", {}, None, 400, 9, "size must be an integer between 1 and 1000"),
    ("GET", "/services?offset=%27%20OR%201=1--", {}, None, 400, 7, "is not a valid offset"),
    ("GET", "/services?tags=", {}, None, 400, 11, "tags"),
    ("GET", "/services?tags=a,b,c,d,e,f", {}, None, 400, 11, "cannot query more than 5 tags"),
    ("POST", "/routes", JSON, '{"paths":["/x"],"service":{"id":"%s"}}' % MISSING, 400, 4, "does not reference an existing 'services' entity"),
    ("POST", "/routes", JSON, '{"paths":["/x"],"service":{"name":"nobody"}}', 400, 13, "foreign key unresolved"),
    ("POST", "/routes", JSON, '{"service":{"name":"taken"}}', 400, 2, "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis'"),
    ("POST", "/routes", JSON, '{"paths":["x"]}', 400, 2, "should start with: / (fixed path) or ~/ (regex path)"),
    ("POST", "/routes", JSON, '{"paths":["~/("]}', 400, 2, "invalid regex"),
    ("POST", "/routes", JSON, '{"paths":["/a/../b"]}', 400, 2, "non-normalized path, consider use '/b' instead"),
    ("POST", "/routes", JSON, '{"hosts":["*.*.com"]}', 400, 2, "must have at most one wildcard"),
    ("POST", "/routes", JSON, '{"headers":{"host":["x"]}}', 400, 2, "cannot contain 'host' header"),
    ("POST", "/routes", JSON, '{"paths":["/x"],"protocols":["http","tcp"]}', 400, 2, "value 'tcp' is not supported by this version"),
    ("POST", "/services/nobody/routes", JSON, '{"paths":["/x"]}', 404, None, "Not found"),
    ("POST", "/upstreams", JSON, '{"name":"1.2.3.4"}', 400, 2, "no ip addresses allowed"),
    ("POST", "/upstreams", JSON, '{"name":"a:80"}', 400, 2, "no port allowed"),
    ("POST", "/upstreams", JSON, '{"name":"a","slots":9}', 400, 2, "slots: value should be between 10 and 65536"),
    ("POST", "/upstreams/upstream/targets", JSON, '{"target":"a b"}', 400, 2, "not a valid hostname or ip address"),
    ("POST", "/upstreams/upstream/targets", JSON, '{"target":"a:1","weight":65536}', 400, 2, "weight: value should be between 0 and 65535"),
    ("POST", "/upstreams/upstream/targets", JSON, '{"target":"a:1","weight":-1}', 400, 2, "weight: value should be between 0 and 65535"),
    ("POST", "/upstreams/nobody/targets", JSON, '{"target":"a:1"}', 404, None, "Not found"),
    ("DELETE", "/services/taken", {}, None, 400, 4, "an existing 'routes' entity references this 'services' entity"),
    ("POST", "/apis", JSON, '{"name":"a","upstream_url":"http://x"}', 400, None, "at least one of 'hosts', 'uris' or 'methods' must be specified"),
]


@pytest.mark.parametrize("method,path,headers,body,status,code,message", CASES,
                         ids=[f"{n}-{c[0]}-{c[1][:30]}-{c[6][:30]}" for n, c in enumerate(CASES)])
def test_wrong_input(node, method, path, headers, body, status, code, message):
    before = counts(node)
    if isinstance(body, str):
        body = body.encode()
    answer = request(node.admin_port, method, path, body, headers)
    assert answer.status == status, answer
    if code:
        assert answer.json["code"] == code, answer
    if message:
        assert message in answer.body.decode().replace("\\/", "/") or message in answer.json["message"], answer
    assert counts(node) == before


def counts(node):
    return [len(node.admin("GET", f"/{kind}?size=1000").json["data"]) for kind in ("services", "routes", "upstreams")]


def test_a_body_over_the_limit_is_refused(node):
    answer = raw(node.admin_port, b"POST /services HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                                  b"Content-Length: 1073741824\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 "), answer


def test_too_many_headers_are_refused(node):
    answer = raw(node.admin_port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
    assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400"), answer


def test_two_content_types_are_refused(node):
    answer = raw(node.admin_port, b"POST /services HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                                  b"Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 400 ") and b"Multiple Content-Type headers not allowed" in answer


# A browser on a foreign page, and a foreign name that was pointed at 127.0.0.1 (DNS rebinding).
@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"},
    {"Host": "evil.example:8001"},
    {"Host": "localhost.evil.example"},
])
def test_a_cross_site_browser_request_is_refused(node, headers):
    before = counts(node)
    assert request(node.admin_port, "POST", "/services", "name=evil&host=h", {**FORM, **headers}).status == 403
    if "Host" in headers:
        assert request(node.admin_port, "GET", "/services", headers=headers).status == 403
    assert counts(node) == before


@pytest.mark.parametrize("host", ["localhost", "localhost:8001", "127.0.0.1:8001", "[::1]:8001"])
def test_a_loopback_host_may_call(node, host):
    assert request(node.admin_port, "GET", "/services", headers={"Host": host}).status == 200


def test_a_page_of_the_admin_listener_itself_may_call(node):
    origin = f"http://127.0.0.1:{node.admin_port}"
    assert request(node.admin_port, "GET", "/services", headers={"Origin": origin}).status == 200


def test_another_address_than_loopback_is_told_as_a_risk(weir):
    node = weir(settings={"admin_listen": "0.0.0.0:0"})
    assert node.wait_log("admin").get("level") in ("warn", "notice")
    assert any(event.get("level") == "warn" for _, event in node.lines), node.log()
