"""What is wrong around the node: each gets one clear error that names the thing and the remedy, and an exit code that is not 0."""
import contextlib
import json
import os
import socket
import sqlite3
import subprocess

import pytest

from harness import eventually, readable, request, run_weir

LISTEN = ["--set", "admin_listen=127.0.0.1:0", "--set", "proxy_listen=127.0.0.1:0", "--set", "status_listen=127.0.0.1:0"]


def refuses(*args, says, env=None, **more):
    """`weir run` ends at once; its error names everything in `says`, in one line and without a trace of the inside."""
    run = run_weir("run", *args, env=env, **more)
    assert run.returncode not in (0, None) and run.returncode > 0, (run.returncode, run.stderr)
    wrong = [line for line in run.stderr.splitlines() if '"level":"notice"' not in line and '"level":"info"' not in line]
    assert len(wrong) == 1, run.stderr
    for word in says:
        assert word in wrong[0], (word, wrong)
    assert "exception" not in wrong[0].lower() and "what()" not in wrong[0]
    return wrong[0]


@pytest.mark.parametrize("which,listen", [("admin", "127.0.0.1:{}"), ("status", "127.0.0.1:{}"), ("proxy", "127.0.0.1:{}")])
def test_a_port_in_use(tmp_path, which, listen):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refuses("-p", tmp_path, *LISTEN, "--set", f"{which}_listen={listen.format(port)}", says=[str(port), "in use"])


def test_a_corrupt_database(tmp_path):
    (tmp_path / "weir.db").write_bytes(b"this is not a database" * 1000)
    refuses("-p", tmp_path, *LISTEN, says=[str(tmp_path / "weir.db")])
    assert (tmp_path / "weir.db").read_bytes().startswith(b"this is not")  # left as it was, for the one who repairs it


def test_a_database_of_a_newer_version(weir, tmp_path):
    node = weir(prefix=tmp_path / "p")
    node.stop()
    with sqlite3.connect(tmp_path / "p" / "weir.db") as db:
        executed, = db.execute("select executed from schema_meta").fetchone()
        db.execute("update schema_meta set executed = ?", (json.dumps([*json.loads(executed), "999_from_the_future"]),))
    db.close()
    refuses("-p", tmp_path / "p", *LISTEN, says=[str(tmp_path / "p" / "weir.db"), "newer"])


def as_nobody(*args):
    """Root may write everywhere, so these run as another user."""
    if os.geteuid() != 0:
        return run_weir(*args)
    return run_weir(*args, user=65534, group=65534, extra_groups=[])


@pytest.fixture
def open_folder(tmp_path_factory):
    """A folder that every user can reach (pytest's own are closed to others)."""
    folder = tmp_path_factory.mktemp("open")
    for parent in [folder, *folder.parents]:
        if parent.owner() == "root" and parent != parent.parent and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    return folder


def test_a_folder_that_cannot_be_written(open_folder):
    prefix = open_folder / "closed"
    prefix.mkdir()
    prefix.chmod(0o555)
    run = as_nobody("run", "-p", prefix, *LISTEN)
    assert run.returncode > 0 and str(prefix) in run.stderr, run.stderr


def test_a_database_that_cannot_be_written(weir, open_folder):
    node = weir(prefix=open_folder / "p")
    node.stop()
    (open_folder / "p").chmod(0o777)
    for path in (open_folder / "p").iterdir():
        path.chmod(0o444 if path.name.startswith("weir.db") else 0o777)
    run = as_nobody("run", "-p", open_folder / "p", *LISTEN)
    assert run.returncode > 0 and "weir.db" in run.stderr, run.stderr


def test_a_full_disk_answers_an_error_and_heals(weir, tmp_path, scripted, route_to):
    """A small tmpfs under the database: writes fail with 5xx, traffic and reads go on, and room makes all well again."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    prefix = tmp_path / "small"
    prefix.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", prefix], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        node = weir(prefix=prefix)
        upstream = scripted()
        route_to(node, upstream.port)
        filler = prefix / "filler"
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(fd, b"x" * 4096):
                pass
        os.close(fd)
        acknowledged = 0
        for n in range(400):
            answer = node.admin("POST", "/services", {"name": f"full{n}", "host": ".".join(["h" * 50] * 4), "tags": ["t" * 100]})
            if answer.status != 201:
                break
            acknowledged += 1
        assert answer.status in (500, 503, 507) and answer.json["message"], answer
        assert node.get().status == 200
        assert node.admin("GET", "/services/hello").status == 200
        filler.unlink()
        eventually(lambda: node.admin("POST", "/services", {"name": "healed", "host": "h"}).status == 201, "writes work again")
        names = {s["name"] for s in node.admin("GET", "/services?size=1000").json["data"]}
        assert names == {"hello", "healed"} | {f"full{n}" for n in range(acknowledged)}
        node.stop()
    finally:
        subprocess.run(["umount", "-l", prefix], check=True)


@pytest.mark.parametrize("text,says", [
    ("proxy_listen = 127.0.0.1:0\nthis line has no sense\n", ["weir.conf", "2"]),
    ("prxy_listen = 127.0.0.1:0\n", ["prxy_listen"]),
    ("database = oracle\n", ["database", "oracle"]),
    ("nginx_worker_processes = many\n", ["nginx_worker_processes", "many"]),
    ("proxy_listen = 127.0.0.1\n", ["proxy_listen", "127.0.0.1"]),
    ("proxy_listen = 127.0.0.1:99999\n", ["proxy_listen", "99999"]),
    ("log_level = loud\n", ["log_level", "loud"]),
    ("trusted_ips = 10.0.0.0/99\n", ["trusted_ips", "10.0.0.0/99"]),
    ("database = off\n", None),
])
def test_a_broken_settings_file(tmp_path, text, says):
    conf = tmp_path / "weir.conf"
    conf.write_text(text)
    run = run_weir("check", "-c", conf)
    if says is None:
        assert run.returncode == 0, run.stderr
        return
    assert run.returncode > 0
    for word in says:
        assert word in run.stderr + run.stdout, (word, run.stderr)
    if "listen" not in text:
        refuses("-p", tmp_path, *LISTEN, "-c", conf, says=says)


def test_a_settings_file_that_is_not_there(tmp_path):
    run = run_weir("run", "-p", tmp_path, "-c", tmp_path / "nothing.conf")
    assert run.returncode > 0 and str(tmp_path / "nothing.conf") in run.stderr


def test_an_unknown_setting(tmp_path):
    refuses("-p", tmp_path, *LISTEN, "--set", "admin_lisen=127.0.0.1:0", says=["admin_lisen"])


def test_an_unknown_environment_variable_is_only_told(weir):
    """Kubernetes puts WEIR_PORT, WEIR_SERVICE_HOST and the like into every container beside a service named weir."""
    node = weir(env={"WEIR_SERVICE_HOST": "10.0.0.1"})
    assert node.admin("GET", "/").status == 200


def test_an_unreadable_certificate(tmp_path):
    listen = ["--set", "admin_listen=off", "--set", "status_listen=off", "--set", "proxy_listen=127.0.0.1:0 ssl"]
    missing = tmp_path / "missing.pem"
    refuses("-p", tmp_path, *listen, "--set", f"ssl_cert={missing}", "--set", f"ssl_cert_key={missing}", says=[str(missing)])
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    refuses("-p", tmp_path, *listen, "--set", f"ssl_cert={broken}", "--set", f"ssl_cert_key={broken}", says=[str(broken)])


def test_a_key_of_another_certificate(tmp_path):
    for name in ("one", "two"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                        "-subj", "/CN=x", "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"], check=True,
                       capture_output=True)
    refuses("-p", tmp_path, "--set", "admin_listen=off", "--set", "status_listen=off", "--set", "proxy_listen=127.0.0.1:0 ssl",
            "--set", f"ssl_cert={tmp_path}/one.pem", "--set", f"ssl_cert_key={tmp_path}/two.key", says=["two.key"])


def test_a_faulty_row_is_left_out_and_told(weir, scripted, route_to, tmp_path):
    node = weir()
    upstream = scripted()
    route_to(node, upstream.port)
    node.admin("POST", "/services", {"name": "bad", "host": "h"}, expect=201)
    node.stop()
    with sqlite3.connect(node.prefix / "weir.db") as db:
        db.execute("update services set port = 1000000 where name = 'bad'")
    db.close()
    again = weir(prefix=node.prefix)
    assert again.get().status == 200
    assert "bad" in again.log() or "services" in again.log()
    assert "port" in request(again.status_port, path="/status").body.decode()


def test_too_low_a_file_limit_does_not_spin(weir, scripted, route_to):
    node = weir()
    upstream = scripted()
    route_to(node, upstream.port)
    subprocess.run(["prlimit", f"--pid={node.process.pid}", "--nofile=64:64"], check=True)
    held = [socket.create_connection(("127.0.0.1", node.proxy_port)) for _ in range(100)]

    def cpu():
        with open(f"/proc/{node.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    before = cpu()
    readable(held[-1], 1)  # a second in which there is nothing to do
    assert cpu() - before < 0.5
    for s in held:
        s.close()
    eventually(lambda: node.get().status == 200, "serves again")
