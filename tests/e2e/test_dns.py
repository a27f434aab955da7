"""Targets by name, through a real DNS server (dnsmasq) on a port of its own."""
import shutil
import socket
import subprocess
from collections import Counter

import pytest

from harness import Scripted, answering, eventually, ok, request


class Dns:
    """dnsmasq with some records; change() starts it anew on the same port."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.port = eventually(self.free_port, "a port that is free for UDP and TCP")

    @staticmethod
    def free_port():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
                return udp.getsockname()[1]
            except OSError:
                return None

    def change(self, *records):
        self.stop()
        program = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"
        self.process = subprocess.Popen(
            [program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-poll", "--local=/test/",
             f"--port={self.port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--local-ttl=1", "--pid-file=", "--user=root",
             *[f"--{r}" for r in records]], stderr=subprocess.PIPE)
        query = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04none\x04test\x00\x00\x01\x00\x01"

        def answers():
            assert self.process.poll() is None, self.process.stderr.read()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect(("127.0.0.1", self.port))
                s.settimeout(0.2)
                try:
                    s.send(query)
                    return s.recv(512)
                except OSError:
                    return None
        eventually(answers, "dnsmasq answers")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
            self.process = None


@pytest.fixture
def dns(tmp_path):
    if not (shutil.which("dnsmasq") or shutil.which("/usr/sbin/dnsmasq")):
        pytest.fail("dnsmasq is missing: install the package dnsmasq-base")
    server = Dns(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def upstreams():
    """Three servers on one port of 127.0.0.1, .2 and .3, which answer with their address."""
    made, port = [], 0
    for n in (1, 2, 3):
        name = f"127.0.0.{n}"
        made.append(Scripted(answering(ok(name.encode())), port, name))
        port = made[0].port
    yield made
    for server in made:
        server.close()


@pytest.fixture
def node(weir, dns, upstreams):
    dns.change("host-record=app.test,127.0.0.1,1")
    node = weir(settings={"dns_resolver": f"127.0.0.1:{dns.port}"})
    node.port = upstreams[0].port
    node.admin("POST", "/upstreams", {"name": "pool"}, expect=201)
    node.admin("POST", "/upstreams/pool/targets", {"target": f"app.test:{node.port}"}, expect=201)
    node.admin("POST", "/services", {"name": "hello", "host": "pool"}, expect=201)
    node.admin("POST", "/services/hello/routes", {"hosts": ["hello.com"]}, expect=201)
    return node


def who(node, count=12):
    out = Counter()
    for _ in range(count):
        answer = node.get()
        out[answer.body.decode() if answer.status == 200 else answer.status] += 1
    return out


def test_a_name_is_resolved_and_followed(node, dns):
    eventually(lambda: who(node) == {"127.0.0.1": 12}, "the first address is served")
    dns.change("host-record=app.test,127.0.0.2,1")
    eventually(lambda: who(node) == {"127.0.0.2": 12}, "the new address is served after the TTL")


def test_every_address_of_a_name_gets_the_targets_weight(node, dns):
    dns.change("host-record=app.test,127.0.0.1,1", "host-record=app.test,127.0.0.2,1")
    eventually(lambda: set(who(node)) == {"127.0.0.1", "127.0.0.2"}, "both addresses are served")
    counts = who(node, 100)
    assert abs(counts["127.0.0.1"] - 50) <= 4, counts
    item, = node.admin("GET", "/upstreams/pool/health").json["data"]
    assert sorted(a["ip"] for a in item["data"]["addresses"]) == ["127.0.0.1", "127.0.0.2"]


def test_srv_records_bring_port_and_weight(node, dns):
    dns.change("host-record=one.test,127.0.0.1,1", "host-record=two.test,127.0.0.2,1",
               f"srv-host=app.test,one.test,{node.port},1,10", f"srv-host=app.test,two.test,{node.port},1,30",
               f"srv-host=app.test,three.test,{node.port},2,30")
    eventually(lambda: set(who(node)) == {"127.0.0.1", "127.0.0.2"}, "both SRV targets are served")
    counts = who(node, 120)
    assert abs(counts["127.0.0.1"] - 30) <= 6 and abs(counts["127.0.0.2"] - 90) <= 6, counts


def test_a_stale_answer_is_served_while_dns_is_down(node, dns):
    eventually(lambda: who(node) == {"127.0.0.1": 12}, "the first address is served")
    dns.stop()
    stale = lambda: [line for line in request(node.status_port, path="/metrics").body.decode().splitlines()
                     if line.startswith("weir_dns_stale") and float(line.split()[-1]) > 0]
    eventually(stale, "the answer ran out and is served all the same", 60)
    assert who(node, 50) == {"127.0.0.1": 50}
    dns.change("host-record=app.test,127.0.0.3,1")
    eventually(lambda: who(node) == {"127.0.0.3": 12}, "DNS is back", 60)


def test_a_name_that_does_not_exist_answers_503(node):
    node.admin("POST", "/services", {"name": "lost", "host": "no-such.test"}, expect=201)
    node.admin("POST", "/services/lost/routes", {"hosts": ["lost.com"]}, expect=201)
    answer = eventually(lambda: [a for a in [request(node.proxy_port, host="lost.com")] if a.status == 503], "503")[0]
    assert answer.json["message"] == "name resolution failed"
    assert who(node) == {"127.0.0.1": 12}


def test_a_services_own_host_is_resolved_too(node):
    node.admin("POST", "/services", {"name": "direct", "host": "app.test", "port": node.port}, expect=201)
    node.admin("POST", "/services/direct/routes", {"hosts": ["direct.com"]}, expect=201)
    assert request(node.proxy_port, host="direct.com").body == b"127.0.0.1"  # the first request waits for the answer


def test_the_host_header_is_the_targets_name(node, dns, scripted):
    heads = []
    upstream = scripted(answering(lambda head, body: (heads.append(head), ok())[1]))
    node.admin("POST", "/services", {"name": "named", "host": "app.test", "port": upstream.port}, expect=201)
    node.admin("POST", "/services/named/routes", {"hosts": ["named.com"]}, expect=201)
    assert request(node.proxy_port, host="named.com").status == 200
    assert b"\r\nhost: app.test:%d\r\n" % upstream.port in heads[0].lower()
