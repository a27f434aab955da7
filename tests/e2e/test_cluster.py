"""Several nodes on one PostgreSQL are one cluster: what one is told, all serve; the request path never waits for the database."""
import contextlib
import http.client
import json
import re
import signal
import threading
import time
import uuid

import pytest

from harness import Load, eventually, request, run_weir
from postgres import Postgres


def bootstrap(pg):
    flags = [word for key, value in pg.settings().items() for word in ("--set", f"{key}={value}")]
    run = run_weir("migrations", "bootstrap", "-p", "/nonexistent", *flags, timeout=120)
    assert run.returncode == 0, run.stderr


@pytest.fixture
def pg():
    server = Postgres(["log_statement=all", "log_line_prefix=%p "])
    try:
        bootstrap(server)
        yield server
    finally:
        server.end()


@pytest.fixture
def two(pg, weir):
    def make(**more):
        return weir(pg.settings(**more)), weir(pg.settings(**more))
    return make


def ask(node, path, host=None, headers=None):
    return request(node.proxy_port, path=path, host=host, headers=headers)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def samples(node, name):
    text = request(node.status_port, path="/metrics").body.decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)}


def test_the_story_of_the_clustering_reference(two, express):
    a, b = two()
    server = express("01")
    made = request(a.admin_port, "POST", "/services", f"name=example-service&url=http://127.0.0.1:{server.port}",
                   {"Content-Type": "application/x-www-form-urlencoded"})
    assert made.status == 201, made
    made = request(a.admin_port, "POST", "/services/example-service/routes", "paths[]=/example",
                   {"Content-Type": "application/x-www-form-urlencoded"})
    assert made.status == 201, made
    assert ask(a, "/example").status == 200
    eventually(lambda: ask(b, "/example").status == 200, "B serves the route")

    made = request(a.admin_port, "POST", "/services/example-service/plugins", "name=key-auth",
                   {"Content-Type": "application/x-www-form-urlencoded"})
    assert made.status == 201, made
    refused = ask(a, "/example")
    assert refused.status == 401 and b"No API key found in request" in refused.body
    assert refused.headers["WWW-Authenticate"] == "Key"
    eventually(lambda: ask(b, "/example").status == 401, "B wants a key")

    # Through the other node, and keys of consumers: looked up, cached, and forgotten when they are deleted.
    b.admin("POST", "/consumers", {"username": "bob"}, expect=201)
    key = b.admin("POST", "/consumers/bob/key-auth", {"key": "secret"}, expect=201).json
    for node in (b, a):
        eventually(lambda: ask(node, "/example", headers={"apikey": "secret"}).status == 200, "the key is known")
        assert ask(node, "/example", headers={"apikey": "wrong"}).status == 401
    assert a.admin("GET", "/cache/keyauth_credentials:secret:::::", expect=200).json["id"] == key["id"]
    b.admin("DELETE", f"/consumers/bob/key-auth/{key['id']}", expect=204)
    assert ask(b, "/example", headers={"apikey": "secret"}).status == 401
    eventually(lambda: ask(a, "/example", headers={"apikey": "secret"}).status == 401, "A has forgotten the key")

    route = a.admin("GET", "/services/example-service/routes").json["data"][0]["id"]
    a.admin("DELETE", f"/routes/{route}", expect=204)
    a.admin("DELETE", "/services/example-service", expect=204)
    assert ask(a, "/example").status == 404
    eventually(lambda: ask(b, "/example").status == 404, "B has no route")


def lag(a, b, changes, deadline):
    """Seconds from A's 201 to the first request that B serves, for each of so many routes."""
    a.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": 1}, expect=201)
    a.admin("POST", "/plugins", {"name": "request-termination", "config": {"status_code": 200}}, expect=201)
    eventually(lambda: b.admin("GET", "/plugins").json["data"], "B sees the plugin")
    out = []
    for i in range(changes):
        a.admin("POST", "/services/s/routes", {"paths": [f"/lag{i}-"]}, expect=201)
        written = time.monotonic()
        while ask(b, f"/lag{i}-").status != 200:
            assert time.monotonic() - written < deadline, f"change {i} is not served"
        out.append(time.monotonic() - written)
    return out


def test_with_notify_changes_are_served_elsewhere_within_milliseconds(two):
    a, b = two()
    took = lag(a, b, 200, 6)
    # A bound for a busy machine; the figure itself is told by bench/cluster.py.
    assert percentile(took, 0.5) < 0.1, took
    eventually(lambda: sum(v for k, v in samples(b, "weir_invalidation_lag_ms_count").items()) >= 200, "the lag is told")


def test_without_notify_the_poll_guarantees_them(two):
    a, b = two(pg_notify="off", db_update_frequency="1")
    assert max(lag(a, b, 3, 6)) < 1.1 + 0.5


def test_a_node_that_only_proxies_asks_the_database_for_no_entity(pg, two, express):
    a, b = two()
    server = express("01")
    a.admin("POST", "/services", {"name": "s", "url": f"http://127.0.0.1:{server.port}"}, expect=201)
    a.admin("POST", "/services/s/routes", {"hosts": ["known.test"]}, expect=201)
    a.admin("POST", "/services/s/plugins", {"name": "key-auth"}, expect=201)
    a.admin("POST", "/consumers", {"username": "bob"}, expect=201)
    a.admin("POST", "/consumers/bob/key-auth", {"key": "secret"}, expect=201)
    known, unknown = {"apikey": "secret"}, {"apikey": "nobody"}
    for _ in range(40):  # every worker of both has asked once
        for node in (a, b):
            eventually(lambda: ask(node, "/", "known.test", known).status == 200, "served")
            assert ask(node, "/", "known.test", unknown).status == 401
    start = pg.log_size()
    for _ in range(200):
        for node in (a, b):
            assert ask(node, "/", "known.test", known).status == 200
            assert ask(node, "/", "known.test", unknown).status == 401
            assert ask(node, "/", "unknown.test", known).status == 404
    said = pg.log_text(start)
    tables = "services|routes|upstreams|targets|plugins|consumers|keyauth_credentials|acls|basicauth_credentials"
    assert not re.findall(rf'(?:FROM|JOIN)\s+"?(?:{tables})\b.*', said), said[:4000]


def test_what_kong_writes_is_served(pg, two, express):
    a, _ = two()
    server = express("01")
    service = a.admin("POST", "/services", {"name": "s", "url": f"http://127.0.0.1:{server.port}"}, expect=201).json
    workspace = pg.sql("SELECT id FROM workspaces WHERE name = 'default'")[0][0]
    route, node = str(uuid.uuid4()), str(uuid.uuid4())
    pg.sql(f"""INSERT INTO routes (id, created_at, updated_at, name, service_id, protocols, hosts, strip_path, preserve_host, ws_id, https_redirect_status_code,
               regex_priority, request_buffering, response_buffering, path_handling)
               VALUES ('{route}', now(), now(), 'kongs', '{service["id"]}', '{{http,https}}', '{{kong.test}}', true, false, '{workspace}', 426, 0, true, true, 'v0')""")
    assert ask(a, "/", "kong.test").status == 404

    def event(channel, data):
        pg.sql(f"""INSERT INTO cluster_events (id, node_id, at, nbf, expire_at, channel, data)
                   VALUES (gen_random_uuid(), '{node}', CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC', NULL,
                           (CURRENT_TIMESTAMP(3) + interval '1 hour') AT TIME ZONE 'UTC', '{channel}', '{data}')""")

    event("invalidations_kong_core_db_cache", f"routes:{route}:::::{workspace}")
    event("invalidations_kong_core_db_cache", "router:version")
    eventually(lambda: ask(a, "/", "kong.test").status == 200, "the row is served")
    pg.sql(f"UPDATE routes SET hosts = '{{other.test}}', updated_at = now() WHERE id = '{route}'")
    event("invalidations_kong_core_db_cache", "router:version")  # alone: all routes are looked at
    eventually(lambda: ask(a, "/", "other.test").status == 200, "the change is served")
    pg.sql(f"DELETE FROM routes WHERE id = '{route}'")
    event("invalidations_kong_core_db_cache", f"routes:{route}:::::{workspace}")
    event("nonsense", "of a later version")
    event("invalidations", "unknown:key:::::")
    eventually(lambda: ask(a, "/", "other.test").status == 404, "the deletion is served")

    # And the other way round: what Kong will read of us.
    a.admin("POST", "/services/s/routes", {"name": "ours", "hosts": ["ours.test"]}, expect=201)
    ours = a.admin("GET", "/routes/ours").json["id"]
    told = {(channel, data) for channel, data in pg.sql("SELECT channel, data FROM cluster_events WHERE node_id <> '" + node + "'")}
    assert ("invalidations_kong_core_db_cache", f"routes:{ours}:::::{workspace}") in told
    assert ("invalidations_kong_core_db_cache", "router:version") in told


@pytest.mark.parametrize("fault", ["kill", "freeze", "restart"])
def test_traffic_goes_on_without_the_database(fault, pg, two, express):
    a, b = two(pg_timeout="1000")
    server = express("01")
    a.admin("POST", "/services", {"name": "s", "url": f"http://127.0.0.1:{server.port}"}, expect=201)
    a.admin("POST", "/services/s/routes", {"name": "r", "hosts": ["hello.com"]}, expect=201)
    a.admin("POST", "/services/s/plugins", {"name": "key-auth", "config": {"key_names": ["host"]}}, expect=201)
    a.admin("POST", "/consumers", {"username": "bob"}, expect=201)
    a.admin("POST", "/consumers/bob/key-auth", {"key": "hello.com"}, expect=201)
    for node in (a, b):
        for _ in range(20):
            eventually(lambda: ask(node, "/", "hello.com").status == 200, "served")
    with Load(a.proxy_port) as load:
        if fault == "freeze":
            pg.freeze()
            answer = a.admin("POST", "/services", {"name": "t", "host": "t"})
            assert answer.status == 503 and answer.json["message"], answer
            pg.thaw()
        else:
            pg.stop(signal.SIGQUIT if fault == "kill" else signal.SIGINT)
            eventually(lambda: a.admin("POST", "/services", {"name": "t", "host": "t"}).status == 503, "writes are refused")
            assert request(a.status_port, path="/status").json["database"]["reachable"] is False
            assert request(a.status_port, path="/status/ready").status == 200
            pg.start()
        eventually(lambda: a.admin("PATCH", "/routes/r", {"hosts": ["hello.com", "again.test"]}).status == 200, "writes are taken again")
        eventually(lambda: ask(b, "/", "again.test", {"apikey": "x"}).status == 401, "B has caught up")
    assert load.done > 0 and load.failures == []


def test_a_change_that_was_missed_while_away_is_caught_up(pg, two):
    a, b = two(pg_timeout="1000")
    a.admin("POST", "/services", {"name": "s", "host": "127.0.0.1", "port": 1}, expect=201)
    a.admin("POST", "/plugins", {"name": "request-termination", "config": {"status_code": 200}}, expect=201)
    b.process.send_signal(signal.SIGSTOP)
    for i in range(20):
        a.admin("POST", "/services/s/routes", {"name": f"r{i}", "hosts": [f"h{i}.test"]}, expect=201)
    a.admin("DELETE", "/routes/r0", expect=204)
    pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir'")
    pg.sql("DELETE FROM cluster_events")  # as if it had been away for longer than they are kept
    b.process.send_signal(signal.SIGCONT)
    eventually(lambda: all(ask(b, "/", f"h{i}.test").status == 200 for i in range(1, 20)), "B has them all")
    assert ask(b, "/", "h0.test").status == 404


def test_a_node_starts_without_its_database(pg, weir, express, tmp_path):
    settings = pg.settings(pg_timeout="1000")
    server = express("01")
    node = weir(settings, prefix=tmp_path / "n")
    node.admin("POST", "/services", {"name": "s", "url": f"http://127.0.0.1:{server.port}"}, expect=201)
    node.admin("POST", "/services/s/routes", {"name": "r", "hosts": ["hello.com"]}, expect=201)
    eventually(lambda: (tmp_path / "n" / "postgres-mirror.db").exists(), "a mirror")
    node.stop()
    pg.stop()
    again = weir(settings, prefix=tmp_path / "n")
    assert ask(again, "/", "hello.com").status == 200
    again.stop()
    fresh = weir(settings, prefix=tmp_path / "fresh", start=False)
    fresh.launch()
    fresh.wait_log('"what":"status"')
    eventually(lambda: request(fresh.status_port, path="/status/ready").json["message"] == "failed to connect to database", "it waits")
    pg.start()
    eventually(lambda: ask(fresh, "/", "hello.com").status == 200, "it serves once the database is there")
    assert request(fresh.status_port, path="/status/ready").status == 200


def test_after_a_switch_writes_go_only_where_the_server_is_the_primary(pg, weir):
    """The standby is promoted while the old primary is away; when that comes back as a primary of its own, it is left alone."""
    standby = pg.standby()
    try:
        node = weir(pg.settings(pg_host="127.0.0.1,127.0.0.1", pg_port=f"{pg.port},{standby.port}", pg_timeout="2000"))
        node.admin("POST", "/services", {"name": "before", "host": "h"}, expect=201)
        eventually(lambda: standby.sql("SELECT name FROM services") == [["before"]], "the standby has it")
        pg.stop(signal.SIGQUIT)
        standby.promote()
        eventually(lambda: node.admin("POST", "/services", {"name": "after", "host": "h"}).status == 201, "writes are taken")
        pg.start()
        standby.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir'")
        eventually(lambda: node.admin("POST", "/services", {"name": "later", "host": "h"}).status == 201, "writes are taken")
        assert sorted(standby.sql("SELECT name FROM services")) == [["after"], ["before"], ["later"]]
        assert pg.sql("SELECT name FROM services") == [["before"]]
        assert [s["name"] for s in node.admin("GET", "/services").json["data"] if s["name"] != "before"] != []
    finally:
        standby.end()


def test_a_database_that_is_behind_is_refused_with_the_command_to_run(pg, weir):
    pg.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    node = weir(pg.settings(), start=False)
    node.launch()
    assert node.process.wait(30) == 1
    node.stopped = True
    assert "weir migrations bootstrap" in node.log()


def test_a_row_that_breaks_its_schema_is_left_out_and_named(pg, two, express):
    a, b = two()
    server = express("01")
    a.admin("POST", "/services", {"name": "s", "url": f"http://127.0.0.1:{server.port}"}, expect=201)
    good = a.admin("POST", "/services/s/routes", {"name": "good", "hosts": ["good.test"]}, expect=201).json
    bad = a.admin("POST", "/services/s/routes", {"name": "bad", "hosts": ["bad.test"]}, expect=201).json
    pg.sql(f"UPDATE routes SET paths = '{{\"not a path\"}}' WHERE id = '{bad['id']}'")
    a.stop()
    again = two()[0]
    assert ask(again, "/", "good.test").status == 200
    faults = json.dumps(request(again.status_port, path="/status").json)
    assert bad["id"] in faults and good["id"] not in faults


def test_an_acknowledged_write_and_its_event_go_together(pg, two):
    """The node dies at any moment of a write: the row and its events are both there, or neither is."""
    a, _ = two()
    for round_ in range(6):
        a.admin("GET", "/services", expect=200)
        stop = time.monotonic() + 0.05 + 0.03 * round_
        acknowledged = []

        def write(round_=round_, acknowledged=acknowledged):
            with contextlib.suppress(OSError, http.client.HTTPException):  # until it is gone
                for i in range(100_000):
                    answer = a.admin("POST", "/services", {"name": f"k{round_}-{i}", "host": "h"})
                    if answer.status == 201:
                        acknowledged.append(answer.json["id"])
        writer = threading.Thread(target=write)
        writer.start()
        while time.monotonic() < stop:
            time.sleep(0.001)
        a.process.kill()
        a.process.wait()
        writer.join()
        a.ports.clear()
        a.start()
        rows = {r[0] for r in pg.sql("SELECT id FROM services")}
        events = {r[0].split(":")[1] for r in pg.sql("SELECT data FROM cluster_events WHERE data LIKE 'services:%'")}
        assert rows == events
        assert set(acknowledged) <= rows
