"""`weir migrations` and `weir config` on a real PostgreSQL, with Kong's flags and exit codes."""
import json
import subprocess

import pytest

import harness
from harness import run_weir
from postgres import PASSWORD, Postgres, free_port


@pytest.fixture
def pg():
    server = Postgres()
    yield server
    server.end()


def flags(settings):
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def migrations(pg, *args, prefix="/nonexistent", **settings):
    return run_weir("migrations", *args, "-p", prefix, *flags(pg.settings(**settings)), timeout=120)


def status(pg):
    run = migrations(pg, "status")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_database_from_nothing_to_nothing(pg):
    empty = migrations(pg, "list")
    assert empty.returncode == 3 and "weir migrations bootstrap" in empty.stdout
    assert status(pg)["needs_bootstrap"] is True
    assert migrations(pg, "up").returncode == 1
    made = migrations(pg, "bootstrap")
    assert made.returncode == 0 and made.stdout, made.stderr
    listed = migrations(pg, "list")
    assert listed.returncode == 0 and "Executed migrations" in listed.stdout and "000_base" in listed.stdout
    state = status(pg)
    core = [s for s in state["executed_migrations"] if s["subsystem"] == "core"]
    assert state["needs_bootstrap"] is False and core[0]["migrations"][0] == "000_base"
    assert state["pending_migrations"] == state["new_migrations"] == state["unknown_migrations"] == []
    for command in ("bootstrap", "up", "finish"):
        again = migrations(pg, command, "-f")
        assert again.returncode == 0, again.stderr
    refused = migrations(pg, "reset")
    assert refused.returncode == 1 and "--yes" in refused.stderr
    assert migrations(pg, "list").returncode == 0
    assert migrations(pg, "reset", "--yes").returncode == 0
    assert migrations(pg, "list").returncode == 3


def test_quiet_prints_nothing(pg):
    for args, code in ((["list", "-q"], 3), (["bootstrap", "--quiet"], 0), (["list", "-q"], 0), (["up", "-q"], 0), (["reset", "-y", "-q"], 0)):
        run = migrations(pg, *args)
        assert (run.returncode, run.stdout, run.stderr) == (code, "", ""), args


def test_new_migrations_are_told_by_the_exit_code(pg):
    assert migrations(pg, "bootstrap").returncode == 0
    last = pg.sql("SELECT executed[array_length(executed, 1)] FROM schema_meta WHERE subsystem = 'core'")[0][0]
    pg.sql(f"UPDATE schema_meta SET executed = array_remove(executed, '{last}') WHERE subsystem = 'core'")
    run = migrations(pg, "list")
    assert run.returncode == 5 and last in run.stdout and "weir migrations up" in run.stdout
    assert migrations(pg, "up").returncode == 0
    assert migrations(pg, "list").returncode == 0
    pg.sql("UPDATE schema_meta SET pending = ARRAY['099_future'] WHERE subsystem = 'core'")
    assert migrations(pg, "list").returncode == 4


def test_two_nodes_may_migrate_at_once(pg, tmp_path):
    command = [str(harness.BINARY), "migrations", "bootstrap", "-p", str(tmp_path), *flags(pg.settings())]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        _, errors = one.communicate(timeout=120)
        assert one.returncode == 0, errors
    assert migrations(pg, "list").returncode == 0
    assert pg.sql("SELECT count(*) FROM workspaces") == [["1"]]


def test_what_cannot_be_reached_is_named_without_the_password(pg):
    for settings in ({"pg_port": str(free_port())}, {"pg_password": "not-" + PASSWORD}):
        run = migrations(pg, "list", "--db-timeout", "2", **settings)
        assert run.returncode == 1 and run.stderr, settings
        assert PASSWORD not in run.stdout + run.stderr
    assert migrations(pg, "list", "--db-timeout", "0").returncode == 2


def test_entities_move_between_a_file_and_postgresql(pg, weir, tmp_path):
    before_bootstrap = run_weir("config", "export", "-p", tmp_path / "x", *flags(pg.settings()))
    assert before_bootstrap.returncode == 1 and "migrations bootstrap" in before_bootstrap.stderr
    assert migrations(pg, "bootstrap").returncode == 0
    file, back = tmp_path / "in.json", tmp_path / "out.yaml"
    file.write_text(json.dumps({
        "_format_version": "3.0",
        "services": [{"name": "s", "host": "h", "routes": [{"name": "r", "paths": ["/x"]}],
                      "plugins": [{"name": "key-auth", "config": {"key_names": ["k"]}}]}],
        "consumers": [{"username": "bob", "keyauth_credentials": [{"key": "secret"}], "acls": [{"group": "admins"}],
                       "basicauth_credentials": [{"username": "bob", "password": "pw"}]}],
        "upstreams": [{"name": "u", "targets": [{"target": "127.0.0.1:80"}]}]}))
    run = run_weir("config", "import", file, "-p", tmp_path / "a", *flags(pg.settings()))
    assert run.returncode == 0, run.stderr
    assert "0 changed" not in run.stdout
    again = run_weir("config", "import", file, "-p", tmp_path / "a", *flags(pg.settings()))
    assert again.returncode == 0 and "0 changed" in again.stdout, again.stdout + again.stderr
    assert pg.sql("SELECT username FROM consumers") == [["bob"]]
    assert pg.sql("SELECT config->'key_names' FROM plugins") == [['["k"]']]
    run = run_weir("config", "export", back, "-p", tmp_path / "a", *flags(pg.settings()))
    assert run.returncode == 0, run.stderr
    run = run_weir("config", "import", back, "-p", tmp_path / "b")
    assert run.returncode == 0, run.stderr
    node = weir(prefix=tmp_path / "b")
    assert node.admin("GET", "/consumers/bob/key-auth").json["data"][0]["key"] == "secret"
    assert node.admin("GET", "/services/s/plugins").json["data"][0]["config"]["key_names"] == ["k"]
    assert [len(node.admin("GET", p).json["data"]) for p in ("/routes", "/acls", "/basic-auths", "/upstreams/u/targets")] == [1, 1, 1, 1]
