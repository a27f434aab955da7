"""Which route a request takes, and which path its upstream sees: a few of Kong's rules through the whole binary (the tables
of all rules are unit tests of the router)."""
import pytest

from harness import Weir, request

ROUTES = {
    "host": {"hosts": ["a.com"]},
    "host-path": {"hosts": ["a.com"], "paths": ["/x"]},
    "wildcard": {"hosts": ["*.a.com"]},
    "method": {"hosts": ["a.com"], "methods": ["DELETE"]},
    "prefix": {"paths": ["/p"]},
    "longer": {"paths": ["/p/longer"]},
    "regex": {"paths": [r"~/r/\d+$"]},
    "header": {"hosts": ["a.com"], "headers": {"x-version": ["2"]}},
    "kept": {"paths": ["/kept"], "strip_path": False},
    "root-v1": {"paths": ["/v1"], "path_handling": "v1"},
}
CASES = [
    ("GET", "a.com", "/", {}, "host", "/"),
    ("GET", "A.COM", "/", {}, "host", "/"),
    ("GET", "a.com:8000", "/q?x=/../y", {}, "host", "/q?x=/../y"),
    ("GET", "a.com", "/x/y", {}, "host-path", "/y"),
    ("GET", "b.a.com", "/x", {}, "wildcard", "/x"),
    ("DELETE", "a.com", "/z", {}, "method", "/z"),
    ("GET", "any.com", "/p", {}, "prefix", "/"),
    ("GET", "any.com", "/pq", {}, "prefix", "/q"),
    ("GET", "any.com", "/p/longer/z", {}, "longer", "/z"),
    ("GET", "any.com", "/a/../p/%6conger", {}, "longer", "/"),
    ("GET", "any.com", "/r/42", {}, "regex", "/"),
    ("GET", "any.com", "/r/42a", {}, None, None),
    ("GET", "a.com", "/", {"X-Version": "2"}, "header", "/"),
    ("GET", "a.com", "/", {"X-Version": "3"}, "host", "/"),
    ("GET", "any.com", "/kept/%7Ea%2Fb", {}, "kept", "/kept/~a%2Fb"),
    ("GET", "any.com", "/v1/x?", {}, "root-v1", "/x?"),
    ("GET", "any.com", "/", {}, None, None),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory, shared_express):
    node = Weir(tmp_path_factory.mktemp("routing"), {"allow_debug_header": "on"}).start()
    node.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": shared_express.port}, expect=201)
    for name, route in ROUTES.items():
        node.admin("POST", "/services/s/routes", {"name": name, **route}, expect=201)
    yield node
    node.stop()


@pytest.mark.parametrize("method,host,path,headers,route,upstream", CASES)
def test_routes(node, method, host, path, headers, route, upstream):
    answer = request(node.proxy_port, method, path, host=host, headers={"Kong-Debug": "1", **headers})
    if route is None:
        assert answer.status == 404
        return
    assert answer.status == 200 and answer.headers["Kong-Route-Name"] == route
    assert answer.json["url"] == upstream


def test_a_disabled_service_is_not_routed_to(node):
    node.admin("PATCH", "/services/s", {"enabled": False}, expect=200)
    assert request(node.proxy_port, path="/p", host="any.com").status == 404
    node.admin("PATCH", "/services/s", {"enabled": True}, expect=200)
    assert request(node.proxy_port, path="/p", host="any.com").status == 200


def test_a_route_without_a_service_answers_503(node):
    node.admin("POST", "/routes", {"name": "lonely", "paths": ["/lonely"]}, expect=201)
    answer = request(node.proxy_port, path="/lonely", host="any.com")
    assert answer.status == 503 and answer.json["message"] == "no Service found with those values"


def test_the_services_path_comes_first(node):
    node.admin("PATCH", "/services/s", {"path": "/base"}, expect=200)
    assert request(node.proxy_port, path="/p/x", host="any.com").json["url"] == "/base/x"
    node.admin("PATCH", "/services/s", {"path": None}, expect=200)
    assert request(node.proxy_port, path="/p/x", host="any.com").json["url"] == "/x"
