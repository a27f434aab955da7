"""A stream of changes, some of them wrong: every valid one is served, every invalid one says why, nothing else suffers.

WEIR_KUBE_CHANGES: how many (1,000 by default; 10,000 is the full test). WEIR_SEED: which.
"""
import os
import random

import cluster
import objects
from api import made
from harness import eventually, request

CHANGES = int(os.environ.get("WEIR_KUBE_CHANGES", "1000"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
NAMES = 200
WRONG_SHARE = 0.1


class Stream:
    """Random changes of NAMES routes; knows what each of them should be in the end."""

    def __init__(self, lab, space, ports):
        self.lab, self.space, self.ports, self.random = lab, space, ports, random.Random(SEED)
        self.good = {}   # name: (host, port) that is to be served: its last valid version
        self.wrong = {}  # name: the object's kind, when its present version is not valid
        self.changes = self.invalid = 0

    def host(self, name, n):
        return f"{name}-{n}.{self.space}.com"

    def faulty(self, name, n):
        """A version that the API server takes, and Weir cannot serve."""
        return self.random.choice([
            lambda: objects.route(self.space, name, "no-such-upstream", [self.host(name, n)]),
            lambda: objects.route(self.space, name, "u0", [self.host(name, n)], paths=["~/(unclosed"]),
            lambda: objects.route(self.space, name, "u0", [self.host(name, n)], paths=["~/[z-a]"]),
        ])()

    def step(self, n):
        name = f"r{self.random.randrange(NAMES)}"
        self.changes += 1
        if self.random.random() < 0.15 and (name in self.good or name in self.wrong):
            self.lab.api.delete("WeirRoute", self.space, name)
            self.good.pop(name, None)
            self.wrong.pop(name, None)
        elif self.random.random() < WRONG_SHARE:
            self.lab.api.put(self.faulty(name, n))
            self.wrong[name] = n
            self.invalid += 1
        else:
            which = self.random.randrange(len(self.ports))
            self.lab.api.put(objects.route(self.space, name, f"u{which}", [self.host(name, n)]))
            self.good[name] = (self.host(name, n), self.ports[which])
            self.wrong.pop(name, None)


def why(lab, space, name):
    """What the object says about itself for its present generation, when that is bad."""
    item = lab.api.get("WeirRoute", space, name)
    return [c["message"] for c in item.get("status", {}).get("conditions", [])
            if c["status"] == "False" and c["message"] and c["observedGeneration"] == item["metadata"]["generation"]]


def test_valid_changes_are_served_and_invalid_ones_say_why(lab, node, space, servers):
    names = ["zero", "one", "two"]
    ports = {}
    for n, name in enumerate(names):
        server = servers(name)
        ports[n] = server.port
        lab.api.put(objects.upstream(space, f"u{n}", [(f"127.0.0.1:{server.port}", 100)]))
    stream = Stream(lab, space, ports)
    by_port = {port: names[n].encode() for n, port in ports.items()}
    steady = f"steady.{space}.com"
    lab.api.put(objects.route(space, "steady", "u0", [steady]))
    node.wait_get(host=steady)
    with cluster.harness.Load(node.proxy_port, host=steady, connections=2) as load:
        for n in range(CHANGES):
            stream.step(n)
            if n % 20 == 0:  # the last valid change is served soon, whatever came before it
                name, (host, port) = list(stream.good.items())[-1] if stream.good else (None, (None, None))
                if name and name not in stream.wrong:
                    eventually(lambda: node.get(host=host).body == by_port[port], f"{name} after {n} changes")
    assert load.failures == []
    assert stream.invalid > CHANGES * WRONG_SHARE / 3
    served = told = 0
    for name, (host, port) in stream.good.items():
        # Also where a later version is faulty: the last good one stays.
        eventually(lambda: node.get(host=host).body == by_port[port], f"{name} on {host}: {node.get(host=host)}")
        served += 1
    for name in stream.wrong:
        assert eventually(lambda: why(lab, space, name), f"{name} says why")
        told += 1
    for name in stream.good:
        if name not in stream.wrong:
            lab.wait_condition("WeirRoute", space, name, "weir.dev/Served")
    gone = {f"r{n}" for n in range(NAMES)} - set(stream.good) - set(stream.wrong)
    assert served > NAMES / 3 and told > 0 and gone
    def faulty():
        status = request(node.status_port, path="/status").body.decode()
        return {name for name in (f"r{n}" for n in range(NAMES)) if f"{space}/{name}\"" in status}
    try:
        eventually(lambda: node.metrics()["weir_kube_faulty_units"] == len(stream.wrong), "")
    except AssertionError:
        raise AssertionError(f"faulty {faulty()}, not {set(stream.wrong)}; {request(node.status_port, path='/status').body}") from None


def test_objects_with_nothing_in_them_that_they_refer_to(lab, node, space):
    """Missing Services, Secrets and plugins: each says so, and is mended when what it needs comes."""
    host = f"{space}.missing.com"
    lab.api.put(made("IngressClass", None, "weir", {"controller": "weir.dev/ingress-controller"}))
    lab.apply(objects.ingress(space, "missing", host, "not-yet"))
    answer = node.wait_get(host=host, status=503)
    assert answer.status == 503
    lab.echo(space, "not-yet")
    assert node.wait_get(host=host).json["namespace"] == space
    lab.apply(objects.upstream(space, "scaled", serviceRef={"name": "nobody", "port": 80}))
    eventually(lambda: any(c["status"] == "False" and "nobody" in c["message"] for c in
                           lab.api.get("WeirUpstream", space, "scaled").get("status", {}).get("conditions", [])),
               "the missing Service is told")
