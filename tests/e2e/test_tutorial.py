"""The load-balancer tutorial as a newcomer types it: curl against the Admin API, two Express servers behind the proxy."""
import json
import shlex
import threading
from collections import Counter

import pytest

from harness import DEADLINE, Load, connect, curl, eventually, ok, request

# The four lines of the tutorial; ports are those of the node and of the servers under test.
UPSTREAM = """curl -H "Content-Type: application/json" -X POST -d '{"name":"hello"}' http://127.0.0.1:8001/upstreams/"""
TARGET = """curl -H "Content-Type: application/json" -X POST -d '{"target": "127.0.0.1:3000", "weight": 100 }' \
http://127.0.0.1:8001/upstreams/hello/targets"""
API = """curl -H "Content-Type: application/json" -X POST -d '{"name":"hello","hosts":"hello.com",\
"upstream_url":"http://hello","strip_uri":false}' http://127.0.0.1:8001/apis/"""


def line(text, **ports):
    for written, port in ports.items():
        text = text.replace(written[1:], str(port))
    return curl(*shlex.split(text)[1:])


@pytest.fixture
def tutorial(weir, express):
    node, one, two = weir(), express("01"), express("02")
    for text, ports in ((UPSTREAM, {}), (TARGET, {"_3000": one.port}), (TARGET.replace("3000", "4000"), {"_4000": two.port}),
                        (API, {})):
        status, body = line(text, _8001=node.admin_port, **ports)
        assert status == 201, body
    node.one, node.two = one, two
    return node


def split(node, count=400, host="hello.com"):
    """Which server answered how often: curl for the first ones, then one connection, as a browser would."""
    names = Counter()
    for _ in range(5):
        status, body = curl("-H", f"Host: {host}", f"http://127.0.0.1:{node.proxy_port}/")
        assert status == 200, body
        names[json.loads(body)["server"]] += 1
    connection = connect(node.proxy_port)
    for n in range(count - 5):
        if n % 50 == 0:
            connection.close()  # a new connection may reach another worker
        answer = request(node.proxy_port, host=host, connection=connection)
        assert answer.status == 200, answer
        names[answer.json["server"]] += 1
    connection.close()
    return names


def set_weight(node, port, weight):
    return node.admin("PATCH", f"/upstreams/hello/targets/127.0.0.1:{port}", {"weight": weight}, expect=200)


def test_requests_are_split_in_exact_proportion_to_the_weights(tutorial):
    names = split(tutorial)
    assert abs(names["01"] - 200) <= 4 and abs(names["02"] - 200) <= 4, names
    set_weight(tutorial, tutorial.two.port, 300)
    names = split(tutorial)
    assert abs(names["01"] - 100) <= 6 and abs(names["02"] - 300) <= 6, names


def test_another_host_gets_kongs_404(tutorial):
    status, body = curl("-H", "Host: other.com", f"http://127.0.0.1:{tutorial.proxy_port}/")
    assert status == 404
    body = json.loads(body)
    assert body["message"] == "no Route matched with those values"
    assert len(body["request_id"]) == 32


def test_the_path_is_kept_and_the_host_is_the_targets(tutorial):
    answer = tutorial.get("/a/b?c=d").json
    assert answer["url"] == "/a/b?c=d"
    assert answer["headers"]["host"] == f"127.0.0.1:{answer['port']}"
    assert answer["headers"]["x-forwarded-host"] == "hello.com"


def test_a_change_holds_for_the_next_request(tutorial, express):
    for _ in range(10):
        set_weight(tutorial, tutorial.one.port, 0)
        assert {tutorial.get().json["server"] for _ in range(6)} == {"02"}
        set_weight(tutorial, tutorial.one.port, 100)
        assert {tutorial.get().json["server"] for _ in range(6)} == {"01", "02"}

    third = express("03")
    tutorial.admin("POST", "/upstreams/hello/targets", {"target": f"127.0.0.1:{third.port}"}, expect=201)
    assert {tutorial.get().json["server"] for _ in range(9)} == {"01", "02", "03"}
    tutorial.admin("DELETE", f"/upstreams/hello/targets/127.0.0.1:{third.port}", expect=204)
    assert "03" not in {tutorial.get().json["server"] for _ in range(20)}


def test_no_target_with_weight_answers_503(tutorial):
    for server in (tutorial.one, tutorial.two):
        set_weight(tutorial, server.port, 0)
    answer = tutorial.get()
    assert answer.status == 503
    assert answer.json["message"] == "failure to get a peer from the ring-balancer"


def test_changes_under_load_lose_nothing(tutorial, express):
    third = express("03")
    with Load(tutorial.proxy_port) as load:
        for round in range(15):
            before = load.done
            set_weight(tutorial, tutorial.one.port, 50 * (round % 3))
            tutorial.admin("POST", "/upstreams/hello/targets", {"target": f"127.0.0.1:{third.port}"}, expect=201)
            eventually(lambda: load.done > before + 20, "requests go on")
            tutorial.admin("DELETE", f"/upstreams/hello/targets/127.0.0.1:{third.port}", expect=204)
            tutorial.admin("PUT", f"/services/other{round}", {"host": "hello"}, expect=200)
            tutorial.admin("POST", f"/services/other{round}/routes", {"hosts": [f"other{round}.com"]}, expect=201)
        load.stop()
        assert load.failures == [] and load.done > 300


def test_a_request_in_flight_ends_on_the_target_that_was_deleted(tutorial, scripted):
    arrived, go_on = threading.Event(), threading.Event()

    def slow(c):
        c.head()
        arrived.set()
        go_on.wait(DEADLINE)
        c.send(ok(b"late"))
    third = scripted(slow)
    tutorial.admin("POST", "/upstreams/hello/targets", {"target": f"127.0.0.1:{third.port}"}, expect=201)
    for server in (tutorial.one, tutorial.two):
        set_weight(tutorial, server.port, 0)
    connection = connect(tutorial.proxy_port)
    connection.request("GET", "/", headers={"Host": "hello.com"})
    assert arrived.wait(DEADLINE)
    set_weight(tutorial, tutorial.one.port, 100)
    tutorial.admin("DELETE", f"/upstreams/hello/targets/127.0.0.1:{third.port}", expect=204)
    assert tutorial.get().json["server"] == "01"
    go_on.set()
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b"late"
    connection.close()


def test_a_dead_target_is_passed_over(tutorial):
    """retries: a connect error goes to the next target, the client sees nothing of it."""
    tutorial.one.stop()
    names = Counter(tutorial.get().json["server"] for _ in range(40))
    assert names == {"02": 40}


def test_apis_and_services_with_routes_are_one_model(tutorial):
    service = tutorial.admin("GET", "/services/hello", expect=200).json
    assert (service["host"], service["protocol"], service["retries"]) == ("hello", "http", 5)
    routes = tutorial.admin("GET", "/services/hello/routes", expect=200).json["data"]
    assert [(r["hosts"], r["strip_path"]) for r in routes] == [(["hello.com"], False)]

    apis = tutorial.admin("GET", "/apis/", expect=200).json
    assert [a["name"] for a in apis["data"]] == ["hello"]
    api = tutorial.admin("GET", "/apis/hello", expect=200).json
    assert api["upstream_url"] == "http://hello" and api["hosts"] == ["hello.com"] and api["strip_uri"] is False

    tutorial.admin("PATCH", "/services/hello", {"retries": 2}, expect=200)
    assert tutorial.admin("GET", "/apis/hello").json["retries"] == 2
    tutorial.admin("PATCH", "/apis/hello", {"hosts": "hello.org"}, expect=200)
    assert tutorial.admin("GET", "/services/hello/routes").json["data"][0]["hosts"] == ["hello.org"]
    assert tutorial.get(host="hello.org").status == 200 and tutorial.get(host="hello.com").status == 404
    tutorial.admin("DELETE", "/apis/hello", expect=204)
    assert tutorial.admin("GET", "/routes").json["data"] == [] == tutorial.admin("GET", "/services").json["data"]
    assert tutorial.get(host="hello.org").status == 404


def test_everything_is_there_after_a_restart(tutorial, weir):
    tutorial.stop()
    again = weir(prefix=tutorial.prefix)
    names = split(again, 40)
    assert abs(names["01"] - 20) <= 4, names
