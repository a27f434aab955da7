"""Gateway API: what a user applies first. The rest is the conformance suite's (tests/kube/conformance)."""
import contextlib
import http.client
from collections import Counter

import pytest

import objects
from api import condition, made
from harness import Answer, eventually


@pytest.fixture(scope="module", autouse=True)
def gateway_class(lab, node):
    lab.api.put(objects.gateway_class())
    lab.wait_condition("GatewayClass", None, "weir", "Accepted")


def address_of(lab, space, name):
    """The address of a Gateway, once it is programmed."""
    lab.wait_condition("Gateway", space, name, "Programmed")
    return lab.api.get("Gateway", space, name)["status"]["addresses"][0]["value"]


def ask(address, port=80, path="/", host="gateway.com", method="GET", headers=None):
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request(method, path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def wait_ask(address, status=200, **more):
    def answered():
        with contextlib.suppress(OSError):
            answer = ask(address, **more)
            return answer if answer.status == status else None
    return eventually(answered, f"{status} from {address} {more}")


def test_a_gateway_a_route_and_weighted_backends(lab, node, space):
    for name in ("one", "two"):
        lab.echo(space, name)
    lab.apply(objects.gateway(space, "gw"),
              objects.http_route(space, "weighted", "gw", ["gateway.com"], [
                  {"backendRefs": [objects.backend("one", weight=9), objects.backend("two", weight=1)]}]))
    address = address_of(lab, space, "gw")
    wait_ask(address)
    found = Counter(ask(address).json["pod"].split("-")[0] for _ in range(200))
    assert 160 <= found["one"] <= 195 and found["one"] + found["two"] == 200, found
    assert ask(address, host="elsewhere.com").status == 404
    status = lab.api.get("HTTPRoute", space, "weighted")["status"]["parents"]
    assert [p["parentRef"]["name"] for p in status] == ["gw"]
    conditions = {c["type"]: c["status"] for c in status[0]["conditions"]}
    assert conditions["Accepted"] == "True" and conditions["ResolvedRefs"] == "True"
    listeners = lab.api.get("Gateway", space, "gw")["status"]["listeners"]
    assert [(e["name"], e["attachedRoutes"]) for e in listeners] == [("http", 1)]


def test_matches_and_filters(lab, node, space):
    lab.echo(space)
    to = [objects.backend("echo")]
    lab.apply(objects.gateway(space, "gw"), objects.http_route(space, "filters", "gw", ["gateway.com"], [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
         "filters": [{"type": "RequestRedirect", "requestRedirect": {
             "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}, "statusCode": 301}}]},
        {"matches": [{"headers": [{"name": "X-Team", "value": "blue"}]}], "backendRefs": to,
         "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "X-Seen", "value": "yes"}]}},
                     {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/blue"}}}]},
        {"matches": [{"path": {"type": "Exact", "value": "/exact"}, "method": "POST"}], "backendRefs": to}]))
    address = address_of(lab, space, "gw")
    answer = wait_ask(address, 301, path="/old/a")
    assert answer.headers["location"].endswith("gateway.com/new/a")
    answer = ask(address, path="/x", headers={"X-Team": "blue"}).json
    assert answer["path"] == "/blue" and answer["headers"]["X-Seen"] == ["yes"]
    assert ask(address, path="/exact", method="POST").status == 200
    assert ask(address, path="/exact").status == 404


def test_two_gateways_with_the_same_port_and_host_stay_apart_and_go_again(lab, node, space):
    for name in ("one", "two"):
        lab.echo(space, name)
        lab.apply(objects.gateway(space, f"gw-{name}"),
                  objects.http_route(space, name, f"gw-{name}", ["same.com"], [{"backendRefs": [objects.backend(name)]}]))
    where = {name: address_of(lab, space, f"gw-{name}") for name in ("one", "two")}
    assert where["one"] != where["two"]
    for name, address in where.items():
        assert wait_ask(address, host="same.com").json["pod"].startswith(f"{name}-")
    lab.kubectl("delete", "gateway", "gw-one", "-n", space)

    def closed():
        try:
            ask(where["one"], host="same.com")
        except ConnectionRefusedError:
            return True
    eventually(closed, "the deleted Gateway's address refuses connections")
    assert ask(where["two"], host="same.com").status == 200


def test_a_reference_into_another_namespace_needs_its_grant(lab, node, space):
    other = lab.space("grant")
    lab.echo(other)
    lab.apply(objects.gateway(space, "gw"), objects.http_route(space, "across", "gw", ["gateway.com"], [
        {"backendRefs": [objects.backend("echo", namespace=other)]}]))
    address = address_of(lab, space, "gw")
    wait_ask(address, 500)

    def resolved():
        parents = lab.api.get("HTTPRoute", space, "across").get("status", {}).get("parents", [])
        return condition({"status": parents[0]}, "ResolvedRefs") if parents else {}
    assert eventually(lambda: resolved().get("reason"), "a reason") == "RefNotPermitted"
    lab.apply(made("ReferenceGrant", other, "grant", {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": space}],
        "to": [{"group": "", "kind": "Service"}]}))
    wait_ask(address, 200)
    lab.kubectl("delete", "referencegrant", "grant", "-n", other)
    wait_ask(address, 500)
    lab.drop(other)


def test_without_a_pool_a_gateway_gets_a_service_and_a_port_of_its_own(lab, weir, space):
    lab.api.put(objects.gateway_class("by-service", "weir.dev/by-service"))
    node = weir({"gateway_controller": "weir.dev/by-service"}, env={"POD_NAMESPACE": space})
    lab.echo(space)
    lab.apply(objects.gateway(space, "gw", class_name="by-service"),
              objects.http_route(space, "route", "gw", ["gateway.com"], [{"backendRefs": [objects.backend("echo")]}]))
    service = eventually(lambda: lab.api.find("Service", space, f"weir-{space}-gw"), "the Gateway's Service")
    port = service["spec"]["ports"][0]
    assert port["port"] == 80 and 20000 <= port["targetPort"] <= 20999
    wait_ask("127.0.0.1", port=port["targetPort"])
    assert node.get(host="gateway.com").status == 404
    lab.kubectl("delete", "gateway", "gw", "-n", space)
    eventually(lambda: lab.api.find("Service", space, f"weir-{space}-gw") is None, "the Service is gone", 60)
