"""What was acknowledged is there after kill -9, and a node that is told to end loses no request."""
import http.client
import signal
import sqlite3
import threading

import pytest

from harness import DEADLINE, Load, connect, eventually, ok, request


def test_every_acknowledged_object_survives_kill_9_in_a_stream_of_posts(weir):
    node = weir()
    acknowledged, lock, count = [], threading.Lock(), 1000
    halfway = threading.Event()

    def post(first):
        connection = connect(node.admin_port)
        for n in range(first, count, 4):
            try:
                answer = request(node.admin_port, "POST", "/services", {"name": f"s{n}", "host": f"h{n}"}, connection=connection)
            except (OSError, http.client.HTTPException):  # an answer that was cut off is no acknowledgement
                return
            if answer.status == 201:
                with lock:
                    acknowledged.append((answer.json["id"], f"s{n}"))
                    if len(acknowledged) == count // 2:
                        halfway.set()
    threads = [threading.Thread(target=post, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    assert halfway.wait(120)
    node.kill()
    for t in threads:
        t.join()
    assert count // 2 <= len(acknowledged) < count

    again = weir(prefix=node.prefix)
    stored, path = {}, "/services?size=1000"
    while path:
        page = again.admin("GET", path, expect=200).json
        stored.update({s["id"]: s["name"] for s in page["data"]})
        path = page["next"]
    assert [a for a in acknowledged if stored.get(a[0]) != a[1]] == []
    # Requests on their way may have been written without their answer: at most one of each connection.
    assert len(stored) <= len(acknowledged) + 4
    again.admin("POST", "/services", {"name": "after", "host": "h"}, expect=201)
    again.stop()
    with sqlite3.connect(again.prefix / "weir.db") as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()


def test_an_api_is_stored_whole_or_not_at_all(weir):
    """/apis makes a service and a route in one transaction, which kill -9 cannot part."""
    node = weir()
    done = threading.Event()

    def post():
        connection = connect(node.admin_port)
        for n in range(2000):
            try:
                request(node.admin_port, "POST", "/apis", {"name": f"a{n}", "hosts": f"{n}.com", "upstream_url": "http://h"},
                        connection=connection)
            except (OSError, http.client.HTTPException):
                return
            if n == 60:
                done.set()
    thread = threading.Thread(target=post)
    thread.start()
    assert done.wait(60)
    node.kill()
    thread.join()
    again = weir(prefix=node.prefix)
    services = {s["id"] for s in again.admin("GET", "/services?size=1000").json["data"]}
    routes = {r["service"]["id"] for r in again.admin("GET", "/routes?size=1000").json["data"]}
    assert services == routes and len(services) > 60


@pytest.mark.parametrize("fresh", [False, True], ids=["kept connections", "a connection for each request"])
def test_sigterm_under_load_loses_no_request(weir, scripted, route_to, fresh):
    node = weir()
    upstream = scripted()
    route_to(node, upstream.port)
    with Load(node.proxy_port, connections=8, fresh=fresh) as load:
        node.stop()
        load.stop()
    assert load.failures == [] and load.done > 20


def test_sigterm_waits_for_the_answer_in_flight(weir, scripted, route_to):
    node = weir()
    arrived, go_on = threading.Event(), threading.Event()

    def slow(c):
        c.head()
        arrived.set()
        go_on.wait(DEADLINE)
        c.send(ok(b"late"))
    upstream = scripted(slow)
    route_to(node, upstream.port)
    connection = connect(node.proxy_port)
    connection.request("GET", "/", headers={"Host": "hello.com"})
    assert arrived.wait(DEADLINE)
    node.signal(signal.SIGTERM)

    def refused():
        try:
            connect(node.proxy_port).connect()
        except OSError:
            return True
    eventually(refused, "the listener is closed")
    assert node.process.poll() is None
    go_on.set()
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b"late" and answer.headers["Connection"] == "close"
    node.stopped = True
    assert node.wait() == 0, node.log()


def test_sigterm_closes_idle_connections_at_once(weir, scripted, route_to):
    node = weir()
    upstream = scripted()
    route_to(node, upstream.port)
    idle = [connect(node.proxy_port) for _ in range(5)]
    for connection in idle:
        request(node.proxy_port, host="hello.com", connection=connection)
    node.stop()
    for connection in idle:
        assert connection.sock.recv(1) == b""


def test_a_second_start_serves_what_the_first_was_told(weir, scripted, route_to):
    node = weir()
    upstream = scripted()
    route_to(node, upstream.port)
    id = node.admin("GET", "/services/hello").json["id"]
    node.stop()
    again = weir(prefix=node.prefix)
    assert again.get().status == 200 and again.admin("GET", "/services/hello").json["id"] == id
