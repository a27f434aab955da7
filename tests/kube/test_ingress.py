"""Ingress, Kong's annotations and kinds: what a user of an ingress controller applies."""
import base64
import socket
import ssl
import subprocess

import pytest

import objects
from api import made
from harness import Load, connect, eventually, request


@pytest.fixture(scope="module")
def classes(lab):
    lab.api.put(made("IngressClass", None, "weir", {"controller": "weir.dev/ingress-controller"}))
    lab.api.put(made("IngressClass", None, "other", {"controller": "example.com/other"}))


@pytest.fixture
def echo(lab, space, classes):
    lab.echo(space)
    return "echo"


@pytest.mark.parametrize("path_type, path, right, wrong", [
    ("Prefix", "/a", ["/a", "/a/", "/a/b?c=d"], ["/", "/ab", "/b/a"]),
    ("Exact", "/a", ["/a", "/a?b=c"], ["/a/", "/a/b", "/"]),
    ("ImplementationSpecific", "/a", ["/a", "/a/b"], ["/", "/b"]),
    ("ImplementationSpecific", "/~/v[0-9]+/", ["/v1/", "/v22/x"], ["/v/", "/x"]),
])
def test_path_types(lab, node, space, echo, path_type, path, right, wrong):
    host = f"{space}.ingress.com"
    lab.apply(objects.ingress(space, "paths", host, echo, path=path, path_type=path_type))
    for each in right:
        assert node.wait_get(each, host).json["path"] == each
    for each in wrong:
        assert node.get(each, host).status == 404, each


def test_an_ingress_of_another_class_is_left_alone(lab, node, space, echo):
    lab.apply(objects.ingress(space, "other", f"{space}.other.com", echo, ingress_class="other"),
              objects.ingress(space, "mine", f"{space}.mine.com", echo))
    node.wait_get(host=f"{space}.mine.com")
    assert node.get(host=f"{space}.other.com").status == 404
    assert not lab.api.get("Ingress", space, "other").get("status", {}).get("loadBalancer")
    lab.api.merge("Ingress", space, "mine", {"spec": {"ingressClassName": "other"}})
    node.wait_get(host=f"{space}.mine.com", status=404)


def test_the_default_backend_takes_what_no_rule_does(lab, node, space, echo):
    item = objects.ingress(space, "default", f"{space}.default.com", echo, path="/only", path_type="Exact")
    item["spec"]["defaultBackend"] = {"service": {"name": echo, "port": {"name": "http"}}}
    lab.apply(item)
    assert node.wait_get("/anything", f"{space}.nobody.com").json["path"] == "/anything"
    lab.kubectl("delete", "ingress", "default", "-n", space)
    node.wait_get("/anything", f"{space}.nobody.com", status=404)


def test_a_wildcard_host(lab, node, space, echo):
    lab.apply(objects.ingress(space, "wild", f"*.{space}.com", echo))
    node.wait_get(host=f"a.{space}.com")
    assert node.get(host=f"{space}.com").status == 404


def test_annotations_of_kong(lab, node, space, echo):
    host = f"{space}.annotated.com"
    lab.apply(objects.ingress(space, "annotated", host, echo, path="/strip", annotations={
        "konghq.com/strip-path": "true", "konghq.com/methods": "GET,HEAD", "konghq.com/preserve-host": "true"}))
    answer = node.wait_get("/strip/me", host)
    assert answer.json["path"] == "/me" and answer.json["host"] == host
    assert request(node.proxy_port, "POST", "/strip", host=host).status == 404


# ---- TLS ------------------------------------------------------------------------------------------------------------
def certificate(folder, host, name):
    """(certificate, key) in PEM for a host."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", crt, "-days", "10", "-subj", f"/CN={name}", "-addext",
                    f"subjectAltName=DNS:{host}"], check=True, capture_output=True)
    return crt.read_bytes(), key.read_bytes()


def tls_secret(space, name, pair):
    return made("Secret", space, name, type="kubernetes.io/tls", data={
        "tls.crt": base64.b64encode(pair[0]).decode(), "tls.key": base64.b64encode(pair[1]).decode()})


def shown(port, host):
    """The certificate that the server shows for this name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as s, context.wrap_socket(s, server_hostname=host) as t:
        return ssl.DER_cert_to_PEM_cert(t.getpeercert(binary_form=True)).encode()


def test_certificates_come_from_secrets_and_rotate_without_touching_a_connection(lab, node, space, echo, tmp_path):
    host = f"{space}.tls.com"
    first, second = certificate(tmp_path, host, "first"), certificate(tmp_path, host, "second")
    lab.api.put(tls_secret(space, "certificate", first))
    item = objects.ingress(space, "tls", host, echo, tls=[{"hosts": [host], "secretName": "certificate"}])
    lab.apply(item)
    node.wait_get(host=host)
    eventually(lambda: shown(node.tls_port, host).strip() == first[0].strip(), "the Secret's certificate")
    assert shown(node.tls_port, "elsewhere.com").strip() != first[0].strip()
    kept = connect(node.tls_port, tls=True)
    assert request(None, host=host, connection=kept).status == 200
    before = kept.sock
    lab.api.put(tls_secret(space, "certificate", second))
    eventually(lambda: shown(node.tls_port, host).strip() == second[0].strip(), "the new certificate")
    assert request(None, host=host, connection=kept).status == 200 and kept.sock is before
    kept.close()


def test_a_broken_secret_is_told_and_the_rest_is_served(lab, node, space, echo, tmp_path):
    host = f"{space}.broken.com"
    lab.api.put(made("Secret", space, "broken", type="Opaque", data={
        "tls.crt": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n").decode(),
        "tls.key": base64.b64encode(b"no").decode()}))
    lab.apply(objects.ingress(space, "broken", host, echo, tls=[{"hosts": [host], "secretName": "broken"}]))
    node.wait_get(host=host)
    events = eventually(lambda: [e for e in lab.api.list("Event", space) if e["involvedObject"]["name"] == "broken"],
                        "an Event that says so")
    assert any("broken" in e["message"] for e in events), events
    pair = certificate(tmp_path, host, "mended")
    lab.api.delete("Secret", space, "broken")
    lab.api.put(tls_secret(space, "broken", pair))
    eventually(lambda: shown(node.tls_port, host).strip() == pair[0].strip(), "the mended certificate")


# ---- changes under load ---------------------------------------------------------------------------------------------
def test_scaling_and_rolling_loses_no_request(lab, node, space, echo):
    host = f"{space}.load.com"
    lab.apply(objects.ingress(space, "load", host, echo))
    node.wait_get(host=host)
    lab.scale(space, echo, 3)
    lab.wait_endpoints(space, echo, 3)
    with Load(node.proxy_port, host=host) as load:
        for count in (1, 4, 2):
            lab.scale(space, echo, count)
            lab.wait_endpoints(space, echo, count)
    assert load.failures == [] and load.done > 100


# ---- Kong's kinds ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def kong_crds(lab):
    """As far as the tests need them; Kong's own are the same but for what they forbid."""
    for kind, version, scope in (("KongPlugin", "v1", "Namespaced"), ("KongClusterPlugin", "v1", "Cluster"),
                                 ("KongConsumer", "v1", "Namespaced"), ("KongUpstreamPolicy", "v1beta1", "Namespaced")):
        plural = kind.lower() + ("s" if kind[-1] != "y" else "")
        plural = "kongupstreampolicies" if kind == "KongUpstreamPolicy" else plural
        lab.api.put(made("CustomResourceDefinition", None, f"{plural}.configuration.konghq.com", {
            "group": "configuration.konghq.com", "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "subresources": {"status": {}},
                          "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}))
    lab.kubectl("wait", "--for", "condition=Established", "crd", "--all", "--timeout", "60s")


def test_a_plugin_of_kong_on_an_ingress(lab, node, space, echo, kong_crds):
    host = f"{space}.plugin.com"
    lab.apply(made("KongPlugin", space, "stop", plugin="request-termination",
                   config={"status_code": 418, "message": "short and stout"}),
              objects.ingress(space, "plugin", host, echo, annotations={"konghq.com/plugins": "stop"}))
    assert node.wait_get(host=host, status=418, deadline=30).json["message"] == "short and stout"
    lab.kubectl("annotate", "ingress", "plugin", "-n", space, "konghq.com/plugins-")
    node.wait_get(host=host)


def test_a_consumer_of_kong_with_its_key_in_a_secret(lab, node, space, echo, kong_crds):
    host = f"{space}.consumer.com"
    lab.apply(made("KongPlugin", space, "keys", plugin="key-auth"),
              made("Secret", space, "key", type="Opaque", stringData={"key": f"{space}-secret"},
                   labels={"konghq.com/credential": "key-auth"}),
              made("KongConsumer", space, "user", username=f"{space}-user", credentials=["key"],
                   annotations={"kubernetes.io/ingress.class": "weir"}),
              objects.ingress(space, "consumer", host, echo, annotations={"konghq.com/plugins": "keys"}))
    node.wait_get(host=host, status=401, deadline=30)
    headers = {"apikey": f"{space}-secret"}
    eventually(lambda: node.get(host=host, headers=headers).status == 200, "the consumer's key")
    assert node.get(host=host, headers=headers).json["headers"]["X-Consumer-Username"] == [f"{space}-user"]
