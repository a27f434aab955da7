"""Several replicas: Served means that each of them serves; one that is gone is named, and does not block for long."""
import signal
import threading
import time

import pytest

import cluster
import objects
from api import condition
from harness import eventually

LEASE = 10  # s, after which a replica that says nothing is not counted


@pytest.fixture
def three(weir):
    nodes = [weir(pod=f"weir-{n}", env={"POD_UID": ""}) for n in range(3)]
    for node in nodes:
        eventually(lambda: node.metrics()["weir_kube_replicas"] == 3, "three replicas know of each other", 30)
    return nodes


def test_served_is_never_true_before_each_serves(lab, three, space, servers):
    one = servers("one")
    lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]))
    faults, checked = [], 0
    for n in range(40):
        host = f"r{n}.{space}.replicas.com"
        lab.api.create(objects.route(space, f"r{n}", "u", [host]))
        served = lab.wait_condition("WeirRoute", space, f"r{n}", "weir.dev/Served")
        assert "3 of 3 replicas" in served["message"], served
        for node in three:
            checked += 1
            if node.get(host=host).status != 200:
                faults.append((n, node.prefix.name))
    assert faults == [] and checked == 120


def test_a_replica_that_stands_still_is_waited_for_and_named_then_aged_out(lab, three, space, servers):
    one = servers("one")
    host = f"{space}.frozen.com"
    lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]))
    frozen = next(n for n in three if n.metrics()["weir_kube_leader"] == 0)
    name = frozen.env["POD_NAME"]
    frozen.signal(signal.SIGSTOP)
    try:
        lab.api.create(objects.route(space, "r", "u", [host]))
        others = [n for n in three if n is not frozen]
        for node in others:
            node.wait_get(host=host)
        found = lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served", status="False")
        assert "2 of 3 replicas" in found["message"] and name in found["message"], found
        found = lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served", deadline=3 * LEASE)
        assert "2 of 2 replicas" in found["message"], found
    finally:
        frozen.signal(signal.SIGCONT)
    frozen.wait_get(host=host)
    eventually(lambda: others[0].metrics()["weir_kube_replicas"] == 3, "it is counted again", 30)


def test_one_is_killed_and_the_others_go_on(lab, three, space, servers):
    one = servers("one")
    lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]))
    leader = eventually(lambda: next((n for n in three if n.metrics()["weir_kube_leader"] == 1), None), "a leader", 30)
    others = [n for n in three if n is not leader]
    leader.kill()
    lab.api.create(objects.route(space, "r", "u", [f"{space}.killed.com"]))
    for node in others:
        node.wait_get(host=f"{space}.killed.com")
    found = lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served", deadline=60)
    assert "2 of 2 replicas" in found["message"], found
    assert sum(n.metrics()["weir_kube_leader"] for n in others) == 1


def test_one_that_stops_in_order_is_gone_at_once(lab, three, space, servers):
    one = servers("one")
    lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]))
    leader = eventually(lambda: next((n for n in three if n.metrics()["weir_kube_leader"] == 1), None), "a leader", 30)
    others = [n for n in three if n is not leader]
    leader.stop()
    begun = time.monotonic()
    lab.api.create(objects.route(space, "r", "u", [f"{space}.stopped.com"]))
    found = lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served", deadline=30)
    assert "2 of 2 replicas" in found["message"] and time.monotonic() - begun < LEASE, found
    assert others


def test_only_the_leader_writes_status(lab, three, space, servers):
    one = servers("one")
    writes = cluster.StatusWrites(lab, "WeirRoute", space=space)
    lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]))
    before = {n.prefix.name: n.metrics()["weir_kube_status_writes_total"] for n in three}
    threads = [threading.Thread(target=lambda k=k: [lab.api.create(objects.route(space, f"r{k}-{n}", "u", [f"r{k}-{n}.{space}.com"]))
                                                    for n in range(10)]) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        for n in range(10):
            lab.wait_condition("WeirRoute", space, f"r{k}-{n}", "weir.dev/Served")
    assert writes.most()[0] <= 1, writes.most()
    wrote = [n for n in three if n.metrics()["weir_kube_status_writes_total"] > before[n.prefix.name]]
    assert len(wrote) == 1 and wrote[0].metrics()["weir_kube_leader"] == 1
    assert condition(lab.api.get("WeirRoute", space, "r0-0"), "weir.dev/Served")["status"] == "True"
