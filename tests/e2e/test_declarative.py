"""database=off: a declarative file is served, followed, and never half taken."""
import json
import os
import signal

import pytest

from harness import Load, eventually, request

YAML = """_format_version: "3.0"
_transform: true
upstreams:
- name: pool
  targets:
  - target: 127.0.0.1:{port}
    weight: 100
services:
- name: hello
  host: pool
  routes:
  - name: hello
    hosts: [{host}]
    strip_path: false
"""


def write(path, text):
    """As an editor or a ConfigMap does it: the new file takes the old one's name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


class Setup:
    def __init__(self, weir, scripted, folder):
        self.path = folder / "hello.yaml"
        self.upstream = scripted()
        self.write("hello.com")
        self.node = weir(settings={"database": "off", "declarative_config": self.path})

    def write(self, host):
        write(self.path, YAML.format(port=self.upstream.port, host=host))

    def serves(self, host):
        return self.node.get(host=host).status == 200


@pytest.fixture
def setup(weir, scripted, tmp_path):
    return Setup(weir, scripted, tmp_path)


def test_a_file_is_served(setup):
    assert setup.serves("hello.com")
    services = setup.node.admin("GET", "/services", expect=200).json["data"]
    assert [s["name"] for s in services] == ["hello"]
    root = setup.node.admin("GET", "/").json
    assert root["configuration"]["database"] == "off"
    status = setup.node.admin("GET", "/status").json
    assert "database" not in status and len(status["configuration_hash"]) == 32 and set(status["configuration_hash"]) != {"0"}


def test_json_is_a_declarative_file_too(weir, scripted, tmp_path):
    path = tmp_path / "kong.json"
    path.write_text(json.dumps({"_format_version": "3.0", "services": [
        {"name": "s", "url": f"http://127.0.0.1:{scripted().port}", "routes": [{"name": "r", "paths": ["/x"]}]}]}))
    node = weir(settings={"database": "off", "declarative_config": path})
    assert node.get("/x", host="any.com").status == 200


def test_a_changed_file_is_followed(setup):
    before = setup.node.admin("GET", "/status").json["configuration_hash"]
    with Load(setup.node.proxy_port, path="/") as load:
        write(setup.path, YAML.format(port=setup.upstream.port, host="hello.com, new.com"))
        eventually(lambda: setup.serves("new.com"), "the new host is served")
        load.stop()
        assert load.failures == []
    assert setup.node.admin("GET", "/status").json["configuration_hash"] != before
    assert setup.serves("hello.com")


def test_a_file_that_is_written_in_place_is_followed(setup):
    setup.path.write_text(YAML.format(port=setup.upstream.port, host="new.com"))
    eventually(lambda: setup.serves("new.com") and not setup.serves("hello.com"), "the new host is served")


def test_sighup_reads_the_file_again(setup):
    setup.write("new.com")
    setup.node.signal(signal.SIGHUP)
    eventually(lambda: setup.serves("new.com"), "the new host is served")


@pytest.mark.parametrize("text,names", [
    ("_format_version: '3.0'\nservices:\n- name: hello\n  hots: x\n", "hots"),
    ("_format_version: '3.0'\nservices: [", ""),
    ("_format_version: '9.9'\n", "_format_version"),
    ("", ""),
    ("{\"_format_version\": \"3.0\", \"services\": 1}", "services"),
    ("_format_version: '3.0'\nroutes:\n- name: r\n  paths: [/x]\n  service: nobody\n", "nobody"),
])
def test_a_bad_file_keeps_the_last_good_one_and_says_so(setup, text, names):
    lines = len(setup.node.lines)
    write(setup.path, text)
    setup.node.signal(signal.SIGHUP)
    event = setup.node.wait_log(r'"level":"(error|warn)"', since=lines)
    assert names in json.dumps(event) and str(setup.path) in json.dumps(event), event
    assert setup.serves("hello.com")
    told = eventually(lambda: [v for v in [request(setup.node.status_port, path="/status").body.decode()] if str(setup.path) in v
                               or "last good" in v or "declarative" in v], "/status tells of it")
    assert names in told[0]
    setup.write("new.com")
    eventually(lambda: setup.serves("new.com"), "a good file is taken again")
    eventually(lambda: "last good" not in request(setup.node.status_port, path="/status").body.decode(), "all is well again")


def test_a_file_that_goes_away_keeps_the_last_good_one(setup):
    lines = len(setup.node.lines)
    setup.path.unlink()
    setup.node.signal(signal.SIGHUP)
    setup.node.wait_log(r'"level":"(error|warn)"', since=lines)
    assert setup.serves("hello.com")


@pytest.mark.parametrize("method,path,message", [
    ("POST", "/services", "cannot create 'services' entities when not using a database"),
    ("PUT", "/services/hello", "cannot create or update 'services' entities when not using a database"),
    ("PATCH", "/services/hello", "cannot update 'services' entities when not using a database"),
    ("DELETE", "/services/hello", "cannot delete 'services' entities when not using a database"),
])
def test_writes_answer_405(setup, method, path, message):
    answer = setup.node.admin(method, path, {"host": "h"}, expect=405)
    assert answer.json["code"] == 12 and answer.json["message"] == message
    assert setup.serves("hello.com")


def test_a_bad_file_at_the_start_ends_with_one_clear_error(weir, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("_format_version: '3.0'\nservices:\n- name: s\n  hots: x\n")
    node = weir(settings={"database": "off", "declarative_config": path}, start=False).launch()
    assert node.wait() != 0
    node.stopped = True
    assert str(path) in node.log() and "hots" in node.log()
