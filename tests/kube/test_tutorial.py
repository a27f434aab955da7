"""The load-balancer tutorial as a cluster's user types it: kubectl apply of an upstream with two targets, and a route."""
from collections import Counter

import pytest

import objects
from harness import connect, eventually, request

TUTORIAL = """
apiVersion: weir.dev/v1
kind: WeirUpstream
metadata: {name: hello, namespace: %(space)s}
spec:
  targets:
  - {target: "127.0.0.1:%(one)d", weight: 100}
  - {target: "127.0.0.1:%(two)d", weight: 100}
---
apiVersion: weir.dev/v1
kind: WeirRoute
metadata: {name: hello, namespace: %(space)s}
spec:
  hosts: [%(host)s]
  upstream: {name: hello}
"""


def split(node, host, count=400):
    """Which server answered how often."""
    names = Counter()
    connection = connect(node.proxy_port)
    for n in range(count):
        if n % 50 == 0:
            connection.close()  # a new connection may reach another worker
        answer = request(node.proxy_port, host=host, connection=connection)
        assert answer.status == 200, answer
        names[answer.body.decode()] += 1
    connection.close()
    return names


class Tutorial:
    def __init__(self, lab, node, space, one, two):
        self.lab, self.node, self.space, self.one, self.two = lab, node, space, one, two
        self.host = f"{space}.hello.com"
        self.apply(100, 100)
        node.wait_get(host=self.host)

    def apply(self, one, two):
        text = TUTORIAL % {"space": self.space, "one": self.one.port, "two": self.two.port, "host": self.host}
        text = text.replace(f"{self.one.port}\", weight: 100", f"{self.one.port}\", weight: {one}")
        self.lab.apply(text.replace(f"{self.two.port}\", weight: 100", f"{self.two.port}\", weight: {two}"))

    def settled(self, one, two):
        """Until the split is this one, exactly but for the edges of workers' cycles."""
        def right():
            names = split(self.node, self.host)
            return abs(names["one"] - one) <= 6 and abs(names["two"] - two) <= 6
        eventually(right, f"{one}:{two}; now {split(self.node, self.host)}")


@pytest.fixture
def tutorial(lab, node, space, servers):
    return Tutorial(lab, node, space, servers("one"), servers("two"))


def test_two_targets_of_one_weight_answer_in_turn(tutorial):
    tutorial.settled(200, 200)
    served = tutorial.lab.wait_condition("WeirRoute", tutorial.space, "hello", "weir.dev/Served")
    assert "1 of 1" in served["message"], served


def test_an_edited_weight_and_a_deleted_target_hold_at_once(tutorial):
    tutorial.apply(100, 300)
    tutorial.settled(100, 300)
    tutorial.lab.apply(objects.upstream(tutorial.space, "hello", [(f"127.0.0.1:{tutorial.two.port}", 300)]))
    tutorial.settled(0, 400)


def test_a_target_as_an_object_of_its_own_comes_and_goes(tutorial, lab, servers):
    third = servers("three")
    lab.apply(objects.target(tutorial.space, "third", "hello", f"127.0.0.1:{third.port}", 200))
    eventually(lambda: 190 <= split(tutorial.node, tutorial.host)["three"] <= 210, "half of the requests for the third")
    lab.kubectl("delete", "weirtarget", "third", "-n", tutorial.space)
    tutorial.settled(200, 200)


def test_deleting_the_route_ends_it(tutorial, lab):
    lab.kubectl("delete", "weirroute", "hello", "-n", tutorial.space)
    answer = tutorial.node.wait_get(host=tutorial.host, status=404)
    assert answer.json["message"] == "no Route matched with those values"


def test_an_upstream_follows_the_endpoints_of_a_service(lab, node, space):
    lab.echo(space, replicas=1)
    host = f"{space}.scaled.com"
    lab.apply(objects.upstream(space, "scaled", serviceRef={"name": "echo", "port": 80}),
              objects.route(space, "scaled", "scaled", [host]))
    node.wait_get(host=host)
    for count in (3, 2):
        lab.scale(space, "echo", count)
        lab.wait_endpoints(space, "echo", count)

        def pods():
            return {node.get(host=host).json["pod"] for _ in range(8 * count)}
        eventually(lambda: len(pods()) == count, f"answers of {count} pods")
        for _ in range(30):
            assert node.get(host=host).status == 200
