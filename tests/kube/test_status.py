"""What Weir writes back: conditions for the present generation, one write for each, Events for what is wrong."""
import time

import pytest

import cluster
import objects
from api import condition, made
from harness import eventually


def test_conditions_follow_each_generation(lab, node, space, servers):
    one = servers("one")
    host = f"{space}.status.com"
    lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(space, "r", "u", [host]))
    for kind, name in (("WeirUpstream", "u"), ("WeirRoute", "r")):
        served = lab.wait_condition(kind, space, name, "weir.dev/Served")
        assert served["observedGeneration"] == 1 and "1 of 1 replicas" in served["message"], served
        accepted = lab.wait_condition(kind, space, name, "Accepted")
        assert accepted["reason"] == "Accepted" and accepted["lastTransitionTime"]
    before = served["lastTransitionTime"]
    lab.api.merge("WeirRoute", space, "r", {"spec": {"hosts": [host, f"b.{host}"]}})
    served = lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served")
    assert served["observedGeneration"] == 2 and served["lastTransitionTime"] == before
    assert node.get(host=f"b.{host}").status == 200


def test_served_is_true_only_when_it_is(lab, node, space, servers):
    """By the time that the condition is seen, requests are answered: for each of many routes."""
    one = servers("one")
    lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]))
    for n in range(30):
        host = f"r{n}.{space}.served.com"
        lab.api.create(objects.route(space, f"r{n}", "u", [host]))
        lab.wait_condition("WeirRoute", space, f"r{n}", "weir.dev/Served")
        assert node.get(host=host).status == 200


def test_at_most_one_write_for_an_object_and_generation(lab, node, space, servers):
    one, two = servers("one"), servers("two")
    writes = cluster.StatusWrites(lab, "WeirRoute", "WeirUpstream", space=space)
    for g in range(3):
        lab.api.put(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100), (f"127.0.0.1:{two.port}", 100 + g)]))
        for n in range(20):
            lab.api.put(objects.route(space, f"r{n}", "u", [f"r{n}-{g}.{space}.com"]))
        for n in range(20):
            lab.wait_condition("WeirRoute", space, f"r{n}", "weir.dev/Served")
    lab.wait_condition("WeirUpstream", space, "u", "weir.dev/Served")
    time.sleep(1)  # for writes that should not come
    assert writes.writes and writes.most()[0] <= 1, writes.most()


@pytest.mark.parametrize("wrong, says", [
    (lambda s: objects.route(s, "wrong", "nobody", [f"{s}.wrong.com"]), "nobody"),
    (lambda s: made("WeirPlugin", s, "wrong", {"name": "rate-limiting", "config": {"minute": "often"}}), "minute"),
    (lambda s: made("WeirPlugin", s, "wrong", {"name": "no-such-plugin"}), "no-such-plugin"),
], ids=["missing-upstream", "plugin-config", "unknown-plugin"])
def test_a_faulty_object_says_why_in_status_and_event_and_is_mended(lab, node, space, wrong, says):
    item = wrong(space)
    lab.apply(item)

    def why():
        found = lab.api.get(item["kind"], space, "wrong")
        return [c for c in found.get("status", {}).get("conditions", []) if c["status"] == "False" and says in c["message"]]
    eventually(why, "a condition that says why")
    assert condition(lab.api.get(item["kind"], space, "wrong"), "weir.dev/Served").get("status") != "True"
    event = eventually(lambda: [e for e in lab.api.list("Event", space)
                                if e["involvedObject"]["name"] == "wrong" and says in e["message"]], "an Event")[0]
    assert event["type"] == "Warning" and event["reason"]
    assert node.metrics()["weir_kube_faulty_units"] >= 1
    assert any(f"{space}/wrong" in str(f) for f in [node.status()]), node.status()
    lab.kubectl("delete", item["kind"], "wrong", "-n", space)
    eventually(lambda: f"{space}/wrong" not in str(node.status()), "the fault is gone")


def test_a_faulty_change_keeps_the_last_good_version(lab, node, space, servers):
    one = servers("one")
    host = f"{space}.kept.com"
    lab.apply(objects.upstream(space, "u", [(f"127.0.0.1:{one.port}", 100)]), objects.route(space, "r", "u", [host]))
    lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served")
    lab.api.merge("WeirRoute", space, "r", {"spec": {"paths": ["~/(unclosed"]}})
    eventually(lambda: any(c["status"] == "False" and c["observedGeneration"] == 2 for c in
                           lab.api.get("WeirRoute", space, "r")["status"]["conditions"]), "the fault is told")
    assert node.get(host=host).status == 200
    lab.api.merge("WeirRoute", space, "r", {"spec": {"paths": ["/mended"]}})
    lab.wait_condition("WeirRoute", space, "r", "weir.dev/Served")
    assert node.get("/mended", host).status == 200 and node.get("/", host).status == 404


def test_metrics_tell_of_the_watches(lab, node):
    found = node.metrics()
    assert found["weir_kube_synced"] == 1 and found["weir_kube_reachable"] == 1 and found["weir_kube_replicas"] >= 1
    assert found['weir_kube_watch_up{resource="weirroutes.weir.dev"}'] == 1
    assert found["weir_kube_event_to_served_seconds_count"] >= 1
